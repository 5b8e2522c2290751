//! The webhook log in SQLite.

use async_trait::async_trait;
use epilogue_core::{EventId, OrgId, SessionId, Step, StepId, StepState, Timestamp};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{SqliteStorage, purge, row, step};
use crate::{
    Cursor, Delivery, DeliveryAttempt, DeliveryFilter, DeliveryStore, Page, PageRequest,
    ResendOutcome, Result,
};

const DELIVERY: &str =
    "delivery_id, session_id, event, url, body, created_at, accepted_at, attempts";

fn delivery(row: &Row<'_>) -> rusqlite::Result<Delivery> {
    Ok(Delivery {
        id: row::text(row, 0)?,
        session: row::session_id(row, 1)?,
        event: row.get(2)?,
        url: row.get(3)?,
        body: row.get(4)?,
        created_at: row::time(row, 5)?,
        accepted_at: row::time_opt(row, 6)?,
        attempts: row.get(7)?,
    })
}

/// Records an attempt, and the delivery with the first one.
pub(super) fn record(
    db: &Connection,
    org: &OrgId,
    made: &Delivery,
    attempt: &DeliveryAttempt,
) -> Result<()> {
    let number: u32 = db
        .prepare_cached(
            "INSERT INTO deliveries (org_id, delivery_id, session_id, event, url, body, created_at,
                accepted_at, attempts)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 1)
             ON CONFLICT DO UPDATE SET attempts = attempts + 1, url = excluded.url,
                accepted_at = coalesce(accepted_at, excluded.accepted_at)
             RETURNING attempts",
        )?
        .query_row(
            params![
                org.as_str(),
                made.id.as_str(),
                made.session.0.as_bytes().as_slice(),
                made.event,
                made.url,
                made.body,
                made.created_at.as_millis(),
                made.accepted_at.map(Timestamp::as_millis),
            ],
            |row| row.get(0),
        )?;
    db.prepare_cached(
        "INSERT INTO delivery_attempts
            (org_id, delivery_id, number, at, duration_ms, status, error, response)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?
    .execute(params![
        org.as_str(),
        made.id.as_str(),
        number,
        attempt.at.as_millis(),
        attempt.duration_ms,
        attempt.status,
        attempt.error,
        // Who is told after a purge may answer with what was told before.
        if purge::is_done(db, org, made.session)? { "" } else { &attempt.response },
    ])?;
    Ok(())
}

/// Removes what receivers answered, and what was said to those that are not to be told any more; that it
/// was said stays.
pub(super) fn purge(
    db: &Connection,
    org: &OrgId,
    session: SessionId,
    steps: &[Step],
) -> Result<()> {
    db.prepare_cached(
        "UPDATE delivery_attempts SET response = '' WHERE org_id = ?1 AND delivery_id IN
            (SELECT delivery_id FROM deliveries WHERE org_id = ?1 AND session_id = ?2)",
    )?
    .execute(params![org.as_str(), session.0.as_bytes().as_slice()])?;
    forget(db, org, session, steps).map(drop)
}

/// Removes what was said to receivers that are not to be told any more. Whether there was anything.
pub(super) fn forget(
    db: &Connection,
    org: &OrgId,
    session: SessionId,
    steps: &[Step],
) -> Result<bool> {
    let values = params![org.as_str(), session.0.as_bytes().as_slice()];
    let mut statement = db.prepare_cached(
        "SELECT delivery_id FROM deliveries WHERE org_id = ?1 AND session_id = ?2 AND body <> ''",
    )?;
    let said = statement.query_map(values, |row| row::text::<EventId>(row, 0))?;
    let mut said: Vec<_> = said.collect::<rusqlite::Result<_>>()?;
    let owed = steps.iter().filter(|step| !step.state.is_at_rest());
    let owed: Vec<_> = owed.map(|step| step.id().event_id()).collect();
    said.retain(|id| !owed.contains(id));
    for id in &said {
        db.prepare_cached(
            "UPDATE deliveries SET body = '' WHERE org_id = ?1 AND delivery_id = ?2",
        )?
        .execute(params![org.as_str(), id.as_str()])?;
    }
    Ok(!said.is_empty())
}

fn read(db: &Connection, org: &OrgId, id: &EventId) -> Result<Option<Delivery>> {
    let sql = format!("SELECT {DELIVERY} FROM deliveries WHERE org_id = ?1 AND delivery_id = ?2");
    let values = params![org.as_str(), id.as_str()];
    Ok(db.prepare_cached(&sql)?.query_row(values, delivery).optional()?)
}

fn attempts(db: &Connection, org: &OrgId, id: &EventId) -> Result<Vec<DeliveryAttempt>> {
    let mut statement = db.prepare_cached(
        "SELECT at, duration_ms, status, error, response FROM delivery_attempts
         WHERE org_id = ?1 AND delivery_id = ?2 ORDER BY number",
    )?;
    let rows = statement.query_map(params![org.as_str(), id.as_str()], |row| {
        Ok(DeliveryAttempt {
            at: row::time(row, 0)?,
            duration_ms: row.get(1)?,
            status: row.get(2)?,
            error: row.get(3)?,
            response: row.get(4)?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn list(
    db: &Connection,
    org: &OrgId,
    filter: &DeliveryFilter,
    page: &PageRequest,
) -> Result<Page<Delivery>> {
    let after = page.after.as_ref();
    let of_session =
        if filter.session.is_some() { "AND session_id = ?2" } else { "AND ?2 IS NULL" };
    let accepted = match filter.accepted {
        None => "",
        Some(true) => "AND accepted_at IS NOT NULL",
        Some(false) => "AND accepted_at IS NULL",
    };
    let mut statement = db.prepare_cached(&format!(
        "SELECT {DELIVERY} FROM deliveries WHERE org_id = ?1 {of_session} {accepted}
           AND created_at <= ?3 AND (created_at, delivery_id) < (?3, ?4)
         ORDER BY created_at DESC, delivery_id DESC LIMIT ?5"
    ))?;
    let rows = statement.query_map(
        params![
            org.as_str(),
            filter.session.as_ref().map(|id| id.0.as_bytes().as_slice()),
            after.map_or(i64::MAX, |cursor| cursor.at),
            after.map_or("", |cursor| cursor.key.as_str()),
            page.limit() + 1,
        ],
        delivery,
    )?;
    let rows = rows.collect::<rusqlite::Result<_>>()?;
    Ok(Page::from_rows(rows, page.limit(), |made: &Delivery| Cursor {
        at: made.created_at.as_millis(),
        key: made.id.to_string(),
    }))
}

fn resend(
    db: &Connection,
    org: &OrgId,
    id: &EventId,
    by: Option<&str>,
    now: Timestamp,
) -> Result<ResendOutcome> {
    let known = read(db, org, id)?.is_some();
    let Some(step_id) = StepId::of_event(id).filter(|_| known) else {
        return Ok(ResendOutcome::NoDelivery);
    };
    let Some(step) = step::read(db, org, step_id)? else { return Ok(ResendOutcome::NoDelivery) };
    match step.state {
        StepState::Owed { .. } | StepState::Leased { .. } | StepState::Waiting => {
            Ok(ResendOutcome::Underway(step.state))
        }
        StepState::Done { .. } | StepState::Skipped { .. } | StepState::Parked { .. } => {
            step::owe_anew(db, &step, by, now)?;
            Ok(ResendOutcome::Due)
        }
    }
}

#[async_trait]
impl DeliveryStore for SqliteStorage {
    async fn list_deliveries(
        &self,
        org: &OrgId,
        filter: &DeliveryFilter,
        page: &PageRequest,
    ) -> Result<Page<Delivery>> {
        let (org, filter, page) = (org.clone(), filter.clone(), page.clone());
        self.readers.read(move |db| list(db, &org, &filter, &page)).await
    }

    async fn delivery(
        &self,
        org: &OrgId,
        id: &EventId,
    ) -> Result<Option<(Delivery, Vec<DeliveryAttempt>)>> {
        let look = |db: &Connection| {
            let Some(found) = read(db, org, id)? else { return Ok(None) };
            Ok(Some((found, attempts(db, org, id)?)))
        };
        self.readers.look(look).await
    }

    async fn resend(
        &self,
        org: &OrgId,
        id: &EventId,
        by: Option<String>,
        now: Timestamp,
    ) -> Result<ResendOutcome> {
        let (org, id) = (org.clone(), id.clone());
        self.writer.decide(move |db| resend(db.connection, &org, &id, by.as_deref(), now)).await
    }
}
