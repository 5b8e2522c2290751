//! Taking in, finding, claiming and listing messages in SQLite. Reports are in `inbox_settle`.

use async_trait::async_trait;
use epilogue_core::{
    NodeId, OrgId, Timestamp,
    texting::{Inbound, InboundId, InboundMessage, InboundState, Wish},
};
use rusqlite::{Connection, OptionalExtension, Row, ToSql, params};

use super::{SqliteStorage, inbox_settle, row};
use crate::{
    ClaimInbound, Cursor, DueInbox, INBOX_MAX, InboundClaim, InboundOutcome, InboundReport,
    InboxCensus, InboxStore, LINE_MAX, Page, PageRequest, Progress, ReceiveOutcome, Result,
    ResumeOutcome,
};

/// The columns of [`message`].
const MESSAGE: &str = "org_id, carrier_id, message_id, sender, recipient, body, wish, received_at, \
    state, due_at, node, attempt, failures, session_id, reply, sent, settled_at, detail";

fn message(row: &Row<'_>) -> rusqlite::Result<InboundMessage> {
    let reply = match row.get_ref(14)? {
        rusqlite::types::ValueRef::Null => None,
        _ => Some(row::json(row, 14)?),
    };
    Ok(InboundMessage {
        org: row::text(row, 0)?,
        inbound: Inbound {
            id: InboundId { carrier: row.get(1)?, message: row.get(2)? },
            from: row.get(3)?,
            to: row.get(4)?,
            text: row.get(5)?,
            wish: row::word(row, 6, Wish::parse)?,
        },
        received_at: row::time(row, 7)?,
        state: state(row)?,
        attempt: row.get(11)?,
        failures: row.get(12)?,
        session: row::session_id_opt(row, 13)?,
        reply,
        sent: row.get(15)?,
        detail: row.get(17)?,
    })
}

fn state(row: &Row<'_>) -> rusqlite::Result<InboundState> {
    match row.get_ref(8)?.as_str()? {
        "waiting" => Ok(InboundState::Waiting),
        "owed" => Ok(InboundState::Owed { due_at: row::time(row, 9)? }),
        "leased" => {
            Ok(InboundState::Leased { node: row::text(row, 10)?, until: row::time(row, 9)? })
        }
        "done" => Ok(InboundState::Done { at: row::time(row, 16)? }),
        "parked" => Ok(InboundState::Parked { at: row::time(row, 16)? }),
        other => Err(row::unreadable(8, format!("unknown state `{other}`"))),
    }
}

/// One message.
pub(super) fn read(db: &Connection, org: &OrgId, id: &InboundId) -> Result<Option<InboundMessage>> {
    let sql = format!(
        "SELECT {MESSAGE} FROM inbox WHERE org_id = ?1 AND carrier_id = ?2 AND message_id = ?3"
    );
    let values = params![org.as_str(), id.carrier, id.message];
    Ok(db.prepare_cached(&sql)?.query_row(values, message).optional()?)
}

/// How many rows there are, counted no further than `max`.
fn count_to(db: &Connection, rows: &str, values: &[&dyn ToSql], max: u32) -> Result<u32> {
    let sql = format!("SELECT count(*) FROM (SELECT 1 FROM inbox WHERE {rows} LIMIT {max})");
    Ok(db.prepare_cached(&sql)?.query_row(values, |row| row.get(0))?)
}

/// How many of a line are not settled.
pub(super) fn standing(db: &Connection, org: &OrgId, line: &str) -> Result<u32> {
    let rows = "org_id = ?1 AND line = ?2 AND settled_at IS NULL";
    count_to(db, rows, params![org.as_str(), line], LINE_MAX)
}

/// The place behind everybody who ever stood in a line.
pub(super) fn last_place(db: &Connection, org: &OrgId, line: &str) -> Result<i64> {
    let sql = "SELECT coalesce(max(place), 0) + 1 FROM inbox WHERE org_id = ?1 AND line = ?2";
    Ok(db.prepare_cached(sql)?.query_row(params![org.as_str(), line], |row| row.get(0))?)
}

fn receive(
    db: &Connection,
    org: &OrgId,
    inbound: &Inbound,
    now: Timestamp,
) -> Result<ReceiveOutcome> {
    if read(db, org, &inbound.id)?.is_some() {
        return Ok(ReceiveOutcome::Known);
    }
    let line = inbound.line();
    let before = standing(db, org, line.as_str())?;
    let of_org = "org_id = ?1 AND settled_at IS NULL";
    let all = count_to(db, of_org, params![org.as_str()], INBOX_MAX)?;
    if before >= LINE_MAX || all >= INBOX_MAX {
        return Ok(ReceiveOutcome::TooMany);
    }
    let (state, due_at) = if before == 0 { ("owed", Some(now)) } else { ("waiting", None) };
    db.prepare_cached(
        "INSERT INTO inbox (org_id, carrier_id, message_id, line, place, sender, recipient, body,
            wish, received_at, state, due_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
    )?
    .execute(params![
        org.as_str(),
        inbound.id.carrier,
        inbound.id.message,
        line.as_str(),
        last_place(db, org, line.as_str())?,
        inbound.from,
        inbound.to,
        inbound.text,
        inbound.wish.as_str(),
        now.as_millis(),
        state,
        due_at.map(Timestamp::as_millis),
    ])?;
    Ok(ReceiveOutcome::Received)
}

/// The next carrier in order, with when its first message is due: two seeks in the index.
fn inbox_after(db: &Connection, (org, carrier): (&str, &str)) -> Result<Option<DueInbox>> {
    let in_org = "SELECT org_id, carrier_id, due_at FROM inbox
         WHERE due_at IS NOT NULL AND org_id = ?1 AND carrier_id > ?2
         ORDER BY carrier_id, due_at LIMIT 1";
    let in_next_org = "SELECT org_id, carrier_id, due_at FROM inbox
         WHERE due_at IS NOT NULL AND org_id > ?1 ORDER BY org_id, carrier_id, due_at LIMIT 1";
    if let Some(found) = first(db, in_org, params![org, carrier])? {
        return Ok(Some(found));
    }
    first(db, in_next_org, params![org])
}

fn first(db: &Connection, sql: &str, values: &[&dyn ToSql]) -> Result<Option<DueInbox>> {
    let found = |row: &Row<'_>| {
        Ok(DueInbox { org: row::text(row, 0)?, carrier: row.get(1)?, due_at: row::time(row, 2)? })
    };
    Ok(db.prepare_cached(sql)?.query_row(values, found).optional()?)
}

/// Every carrier that has messages to take, in order: one look-up in the index each.
fn inboxes(db: &Connection, after: Option<&DueInbox>) -> impl Iterator<Item = Result<DueInbox>> {
    let mut place = after.map_or_else(Default::default, |a| (a.org.to_string(), a.carrier.clone()));
    std::iter::from_fn(move || {
        let next = inbox_after(db, (&place.0, &place.1)).transpose()?;
        if let Ok(inbox) = &next {
            place = (inbox.org.to_string(), inbox.carrier.clone());
        }
        Some(next)
    })
}

fn due(
    db: &Connection,
    now: Timestamp,
    after: Option<&DueInbox>,
    limit: u32,
) -> Result<Vec<DueInbox>> {
    inboxes(db, after)
        .filter(|inbox| inbox.as_ref().map_or(true, |inbox| inbox.due_at <= now))
        .take(limit as usize)
        .collect()
}

fn next_due(db: &Connection) -> Result<Option<Timestamp>> {
    let times = inboxes(db, None).map(|inbox| inbox.map(|inbox| inbox.due_at));
    Ok(times.collect::<Result<Vec<_>>>()?.into_iter().min())
}

fn claim(db: &Connection, request: &ClaimInbound, now: Timestamp) -> Result<Vec<InboundMessage>> {
    let sql = format!(
        "SELECT {MESSAGE} FROM inbox
         WHERE org_id = ?1 AND carrier_id = ?2 AND due_at <= ?3 ORDER BY due_at LIMIT ?4"
    );
    let mut statement = db.prepare_cached(&sql)?;
    let values = params![request.org.as_str(), request.carrier, now.as_millis(), request.limit];
    let rows = statement.query_map(values, message)?;
    let due: Vec<_> = rows.collect::<rusqlite::Result<_>>()?;
    due.into_iter().map(|message| lease(db, message, request)).collect()
}

fn lease(
    db: &Connection,
    mut message: InboundMessage,
    request: &ClaimInbound,
) -> Result<InboundMessage> {
    message.attempt += 1;
    let (node, until) = (request.node.clone(), request.lease_until);
    message.state = InboundState::Leased { node, until };
    db.prepare_cached(
        "UPDATE inbox SET state = 'leased', due_at = ?4, node = ?5, attempt = ?6
         WHERE org_id = ?1 AND carrier_id = ?2 AND message_id = ?3",
    )?
    .execute(params![
        message.org.as_str(),
        message.inbound.id.carrier,
        message.inbound.id.message,
        until.as_millis(),
        request.node.as_str(),
        message.attempt,
    ])?;
    Ok(message)
}

/// Makes the leases of nodes that are gone run out now.
fn release(db: &Connection, alive: &[NodeId], now: Timestamp) -> Result<u64> {
    let mut released = 0;
    for org in super::directory::org_ids(db)? {
        let nodes: Vec<String> = db
            .prepare_cached(
                "SELECT DISTINCT node FROM inbox
                 WHERE org_id = ?1 AND due_at IS NOT NULL AND state = 'leased'",
            )?
            .query_map([org.as_str()], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        for gone in nodes.iter().filter(|node| alive.iter().all(|a| a.as_str() != *node)) {
            released += db
                .prepare_cached(
                    "UPDATE inbox SET due_at = min(due_at, ?3)
                     WHERE org_id = ?1 AND due_at IS NOT NULL AND state = 'leased' AND node = ?2",
                )?
                .execute(params![org.as_str(), gone, now.as_millis()])?;
        }
    }
    Ok(released as u64)
}

fn list(
    db: &Connection,
    org: &OrgId,
    state: Option<&str>,
    page: &PageRequest,
) -> Result<Page<InboundMessage>> {
    let after = page.after.as_ref();
    let sql = format!(
        "SELECT {MESSAGE} FROM inbox WHERE org_id = ?1 AND (?2 IS NULL OR state = ?2)
           AND (received_at, carrier_id || ' ' || message_id) < (?3, ?4) AND received_at <= ?3
         ORDER BY received_at DESC, carrier_id || ' ' || message_id DESC LIMIT ?5"
    );
    let mut statement = db.prepare_cached(&sql)?;
    let values = params![
        org.as_str(),
        state,
        after.map_or(i64::MAX, |cursor| cursor.at),
        after.map_or("", |cursor| cursor.key.as_str()),
        page.limit() + 1,
    ];
    let rows = statement.query_map(values, message)?;
    let rows = rows.collect::<rusqlite::Result<_>>()?;
    Ok(Page::from_rows(rows, page.limit(), |message: &InboundMessage| Cursor {
        at: message.received_at.as_millis(),
        key: format!("{} {}", message.inbound.id.carrier, message.inbound.id.message),
    }))
}

fn census(db: &Connection) -> Result<InboxCensus> {
    let (open, oldest): (u64, Option<i64>) = db
        .prepare_cached("SELECT count(*), min(received_at) FROM inbox WHERE settled_at IS NULL")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let parked = db
        .prepare_cached("SELECT count(*) FROM inbox WHERE state = 'parked'")?
        .query_row([], |row| row.get(0))?;
    Ok(InboxCensus { open, parked, oldest_at: oldest.map(Timestamp::from_millis) })
}

#[async_trait]
impl InboxStore for SqliteStorage {
    async fn receive(
        &self,
        org: &OrgId,
        inbound: Inbound,
        now: Timestamp,
    ) -> Result<ReceiveOutcome> {
        let org = org.clone();
        self.writer.decide(move |db| receive(db.connection, &org, &inbound, now)).await
    }

    async fn due_inboxes(
        &self,
        now: Timestamp,
        after: Option<&DueInbox>,
        limit: u32,
    ) -> Result<Vec<DueInbox>> {
        let after = after.cloned();
        self.readers.read(move |db| due(db, now, after.as_ref(), limit)).await
    }

    async fn next_due_inbound(&self) -> Result<Option<Timestamp>> {
        self.readers.read(next_due).await
    }

    async fn claim_inbound(
        &self,
        request: ClaimInbound,
        now: Timestamp,
    ) -> Result<Vec<InboundMessage>> {
        self.writer.decide(move |db| claim(db.connection, &request, now)).await
    }

    async fn advance_inbound(
        &self,
        claim: &InboundClaim,
        progress: Progress,
        lease_until: Timestamp,
        now: Timestamp,
    ) -> Result<InboundOutcome> {
        let claim = claim.clone();
        let decision = move |db: &super::writer::Db<'_>| {
            inbox_settle::advance(db.connection, &claim, &progress, lease_until, now)
        };
        self.writer.decide(decision).await
    }

    async fn settle_inbound(
        &self,
        claim: &InboundClaim,
        report: InboundReport,
        now: Timestamp,
    ) -> Result<InboundOutcome> {
        let claim = claim.clone();
        let decision = move |db: &super::writer::Db<'_>| {
            inbox_settle::settle(db.connection, &claim, &report, now)
        };
        self.writer.decide(decision).await
    }

    async fn resume_inbound(
        &self,
        org: &OrgId,
        id: &InboundId,
        by: Option<String>,
        now: Timestamp,
    ) -> Result<ResumeOutcome> {
        let (org, id) = (org.clone(), id.clone());
        let decision = move |db: &super::writer::Db<'_>| {
            inbox_settle::resume(db.connection, &org, &id, by.clone(), now)
        };
        self.writer.decide(decision).await
    }

    async fn release_inbox(&self, alive: &[NodeId], now: Timestamp) -> Result<u64> {
        let alive = alive.to_vec();
        self.writer.decide(move |db| release(db.connection, &alive, now)).await
    }

    async fn list_inbound(
        &self,
        org: &OrgId,
        state: Option<&str>,
        page: &PageRequest,
    ) -> Result<Page<InboundMessage>> {
        let (org, state, page) = (org.clone(), state.map(str::to_owned), page.clone());
        self.readers.read(move |db| list(db, &org, state.as_deref(), &page)).await
    }

    async fn inbox_census(&self) -> Result<InboxCensus> {
        self.readers.read(census).await
    }
}
