//! Finding, claiming and listing steps in SQLite. Reports are in `step_settle`.

use async_trait::async_trait;
use epilogue_core::{
    OrgId, Session, SessionId, Step, StepId, StepKind, StepState, SubscriptionId, Timestamp,
    event::Activity,
    finalization::OwedStep,
    step::{Attempt, AttemptOutcome},
};
use rusqlite::{Connection, OptionalExtension, Row, ToSql, params};

use super::{SqliteStorage, activity, row, step_settle, upload_settle, writer::Db};
use crate::{
    AnalysisResult, ClaimRequest, ClaimedStep, Cursor, DueLane, Page, PageRequest, Result,
    RetryOutcome, SettleOutcome, SettleRequest, StepCensus, StepFilter, StepStore,
};

/// The columns of [`step`].
const STEP: &str = "org_id, session_id, kind, lane, state, due_at, node, attempt, failures, \
    owed_at, settled_at, reason, target";

fn step(row: &Row<'_>) -> rusqlite::Result<Step> {
    Ok(Step {
        org: row::text(row, 0)?,
        session: row::session_id(row, 1)?,
        kind: row::word(row, 2, StepKind::parse)?,
        target: row::target(row, 12)?,
        lane: row.get(3)?,
        state: state(row)?,
        attempt: row.get(7)?,
        failures: row.get(8)?,
        owed_at: row::time(row, 9)?,
    })
}

fn state(row: &Row<'_>) -> rusqlite::Result<StepState> {
    match row.get_ref(4)?.as_str()? {
        "waiting" => Ok(StepState::Waiting),
        "owed" => Ok(StepState::Owed { due_at: row::time(row, 5)? }),
        "leased" => Ok(StepState::Leased { node: row::text(row, 6)?, until: row::time(row, 5)? }),
        "done" => Ok(StepState::Done { at: row::time(row, 10)? }),
        "skipped" => Ok(StepState::Skipped { at: row::time(row, 10)?, reason: row.get(11)? }),
        "parked" => Ok(StepState::Parked { at: row::time(row, 10)?, reason: row.get(11)? }),
        other => Err(row::unreadable(4, format!("unknown state `{other}`"))),
    }
}

/// One step.
pub(super) fn read(db: &Connection, org: &OrgId, id: StepId) -> Result<Option<Step>> {
    let sql = format!(
        "SELECT {STEP} FROM steps
         WHERE org_id = ?1 AND session_id = ?2 AND kind = ?3 AND target = ?4"
    );
    let values = params![
        org.as_str(),
        id.session.0.as_bytes().as_slice(),
        id.kind.as_str(),
        row::target_bytes(id.target.as_ref()),
    ];
    Ok(db.prepare_cached(&sql)?.query_row(values, step).optional()?)
}

/// All steps of a session, in the order of their kinds, the agent's own webhook before subscribers.
pub(super) fn of_session(db: &Connection, org: &OrgId, session: SessionId) -> Result<Vec<Step>> {
    let sql = format!("SELECT {STEP} FROM steps WHERE org_id = ?1 AND session_id = ?2");
    let mut statement = db.prepare_cached(&sql)?;
    let rows = statement.query_map(params![org.as_str(), session.0.as_bytes().as_slice()], step)?;
    let mut steps: Vec<Step> = rows.collect::<rusqlite::Result<_>>()?;
    steps.sort_by_key(|step| (step.kind, step.target));
    Ok(steps)
}

/// What is still to be told to a subscriber, with when it was claimed, the longest owed first.
pub(super) fn to_subscriber(
    db: &Connection,
    org: &OrgId,
    target: SubscriptionId,
    limit: u32,
) -> Result<Vec<(Step, Option<Timestamp>)>> {
    // Spelt out, so that the partial index of these steps is used.
    let sql = format!(
        "SELECT {STEP}, claimed_at FROM steps
         WHERE org_id = ?1 AND target = ?2 AND target <> x''
            AND state <> 'done' AND state <> 'skipped' LIMIT ?3"
    );
    let mut statement = db.prepare_cached(&sql)?;
    let values = params![org.as_str(), row::target_bytes(Some(&target)), limit];
    let rows = statement.query_map(values, |row| Ok((step(row)?, row::time_opt(row, 13)?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Writes the steps that a decision owes.
pub(super) fn owe(
    db: &Connection,
    session: &Session,
    steps: &[OwedStep],
    now: Timestamp,
) -> Result<()> {
    let mut statement = db.prepare_cached(
        "INSERT INTO steps
            (org_id, session_id, kind, target, lane, state, due_at, attempt, failures, owed_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 0, 0, ?8)",
    )?;
    for step in steps {
        let due_at = match &step.state {
            StepState::Owed { due_at } => Some(due_at.as_millis()),
            _ => None,
        };
        statement.execute(params![
            session.org.as_str(),
            session.id.0.as_bytes().as_slice(),
            step.kind.as_str(),
            row::target_bytes(step.target.as_ref()),
            step.lane,
            step.state.as_str(),
            due_at,
            now.as_millis(),
        ])?;
    }
    Ok(())
}

/// The next lane in order, with when its first step is due. Two seeks: comparing (org, lane) as one
/// row value would seek by the organization alone and then read every step of the lane before.
pub(super) fn lane_after(db: &Connection, (org, lane): (&str, &str)) -> Result<Option<DueLane>> {
    let in_org = "SELECT org_id, lane, due_at FROM steps
         WHERE due_at IS NOT NULL AND org_id = ?1 AND lane > ?2 ORDER BY lane, due_at LIMIT 1";
    let in_next_org = "SELECT org_id, lane, due_at FROM steps
         WHERE due_at IS NOT NULL AND org_id > ?1 ORDER BY org_id, lane, due_at LIMIT 1";
    if let Some(found) = first_lane(db, in_org, params![org, lane])? {
        return Ok(Some(found));
    }
    first_lane(db, in_next_org, params![org])
}

fn first_lane(db: &Connection, sql: &str, values: &[&dyn ToSql]) -> Result<Option<DueLane>> {
    let found = db
        .prepare_cached(sql)?
        .query_row(values, |row| {
            Ok(DueLane { org: row::text(row, 0)?, lane: row.get(1)?, due_at: row::time(row, 2)? })
        })
        .optional()?;
    Ok(found)
}

/// Every lane that has steps to do, in order: one look-up in the index each.
fn lanes(db: &Connection, after: Option<&DueLane>) -> impl Iterator<Item = Result<DueLane>> {
    let mut place = after.map_or_else(Default::default, |a| (a.org.to_string(), a.lane.clone()));
    std::iter::from_fn(move || {
        let next = lane_after(db, (&place.0, &place.1)).transpose()?;
        if let Ok(lane) = &next {
            place = (lane.org.to_string(), lane.lane.clone());
        }
        Some(next)
    })
}

fn due_lanes(
    db: &Connection,
    now: Timestamp,
    after: Option<&DueLane>,
    limit: u32,
) -> Result<Vec<DueLane>> {
    lanes(db, after)
        .filter(|lane| lane.as_ref().map_or(true, |lane| lane.due_at <= now))
        .take(limit as usize)
        .collect()
}

fn next_due(db: &Connection) -> Result<Option<Timestamp>> {
    let times: Vec<_> =
        lanes(db, None).map(|lane| lane.map(|lane| lane.due_at)).collect::<Result<_>>()?;
    Ok(times.into_iter().min())
}

fn claim(db: &Db<'_>, request: &ClaimRequest, now: Timestamp) -> Result<Vec<ClaimedStep>> {
    let db = db.connection;
    let sql = format!(
        "SELECT {STEP}, claimed_at FROM steps
         WHERE org_id = ?1 AND lane = ?2 AND due_at <= ?3 ORDER BY due_at LIMIT ?4"
    );
    let mut statement = db.prepare_cached(&sql)?;
    let values = params![request.org.as_str(), request.lane, now.as_millis(), request.limit];
    let rows = statement.query_map(values, |row| Ok((step(row)?, row::time_opt(row, 13)?)))?;
    let due: Vec<_> = rows.collect::<rusqlite::Result<_>>()?;
    due.into_iter()
        .map(|(step, claimed_at)| {
            if let (StepState::Leased { node, .. }, Some(since)) = (&step.state, claimed_at) {
                record_interruption(db, &step, since, node.as_str(), now)?;
            }
            lease(db, step, request, now)
        })
        .collect()
}

fn lease(
    db: &Connection,
    mut step: Step,
    request: &ClaimRequest,
    now: Timestamp,
) -> Result<ClaimedStep> {
    step.attempt += 1;
    step.state = StepState::Leased { node: request.node.clone(), until: request.lease_until };
    db.prepare_cached(
        "UPDATE steps SET state = 'leased', due_at = ?4, node = ?5, claimed_at = ?6, attempt = ?7
         WHERE org_id = ?1 AND session_id = ?2 AND kind = ?3 AND target = ?8",
    )?
    .execute(params![
        step.org.as_str(),
        step.session.0.as_bytes().as_slice(),
        step.kind.as_str(),
        request.lease_until.as_millis(),
        request.node.as_str(),
        now.as_millis(),
        step.attempt,
        row::target_bytes(step.target.as_ref()),
    ])?;
    Ok(ClaimedStep { step, claimed_at: now })
}

/// Puts on record that a claim was never reported: its node died or was too slow.
fn record_interruption(
    db: &Connection,
    step: &Step,
    since: Timestamp,
    node: &str,
    now: Timestamp,
) -> Result<()> {
    let attempt = Attempt {
        number: step.attempt,
        started_at: since,
        finished_at: now,
        outcome: AttemptOutcome::Interrupted,
        detail: format!("node {node} did not report"),
    };
    step_settle::record_attempt(db, &step.org, step.id(), &attempt)
}

fn retry(
    db: &Connection,
    org: &OrgId,
    id: StepId,
    by: Option<&str>,
    now: Timestamp,
) -> Result<RetryOutcome> {
    let Some(step) = read(db, org, id)? else { return Ok(RetryOutcome::NoStep) };
    if !matches!(step.state, StepState::Parked { .. }) {
        return Ok(RetryOutcome::NotParked(step.state));
    }
    owe_anew(db, &step, by, now)?;
    if id.kind == StepKind::IngestMemory {
        // What it waits for may have been given up on.
        upload_settle::resume(db, org, id.session, now)?;
    }
    Ok(RetryOutcome::Resumed)
}

/// Makes a step due at once, with a fresh schedule.
pub(super) fn owe_anew(
    db: &Connection,
    step: &Step,
    by: Option<&str>,
    now: Timestamp,
) -> Result<()> {
    db.prepare_cached(
        "UPDATE steps SET state = 'owed', due_at = ?4, failures = 0, settled_at = NULL,
            reason = NULL
         WHERE org_id = ?1 AND session_id = ?2 AND kind = ?3 AND target = ?5",
    )?
    .execute(params![
        step.org.as_str(),
        step.session.0.as_bytes().as_slice(),
        step.kind.as_str(),
        now.as_millis(),
        row::target_bytes(step.target.as_ref()),
    ])?;
    activity::record(
        db,
        &step.org,
        &Activity::step_resumed(step.id(), step.attempt, by.map(str::to_owned), now),
    )
}

/// Makes the leases of nodes that are gone run out now. They are recorded as interrupted when
/// they are claimed again.
fn release(db: &Connection, alive: &[epilogue_core::NodeId], now: Timestamp) -> Result<u64> {
    let mut released = 0;
    for org in super::directory::org_ids(db)? {
        let nodes: Vec<String> = db
            .prepare_cached(
                "SELECT DISTINCT node FROM steps
                 WHERE org_id = ?1 AND due_at IS NOT NULL AND state = 'leased'",
            )?
            .query_map([org.as_str()], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        for gone in nodes.iter().filter(|node| alive.iter().all(|a| a.as_str() != *node)) {
            released += db
                .prepare_cached(
                    "UPDATE steps SET due_at = min(due_at, ?3)
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
    filter: &StepFilter,
    page: &PageRequest,
) -> Result<Page<Step>> {
    let after = page.after.as_ref();
    let in_state = match filter.state.as_deref() {
        None => "AND ?2 IS NULL",
        // Spelt out, so that the partial indexes of these states are used.
        Some("parked") => "AND state = 'parked' AND ?2 = state",
        Some("owed" | "leased") => "AND due_at IS NOT NULL AND state = ?2",
        Some(_) => "AND state = ?2",
    };
    let sql = format!(
        "SELECT {STEP} FROM steps WHERE org_id = ?1 {in_state}
           AND (owed_at, hex(session_id) || kind || hex(target)) < (?3, ?4) AND owed_at <= ?3
         ORDER BY owed_at DESC, hex(session_id) || kind || hex(target) DESC LIMIT ?5"
    );
    let mut statement = db.prepare_cached(&sql)?;
    let values = params![
        org.as_str(),
        filter.state,
        after.map_or(i64::MAX, |cursor| cursor.at),
        after.map_or("", |cursor| cursor.key.as_str()),
        page.limit() + 1,
    ];
    let rows = statement.query_map(values, step)?;
    let rows = rows.collect::<rusqlite::Result<_>>()?;
    Ok(Page::from_rows(rows, page.limit(), |step: &Step| Cursor {
        at: step.owed_at.as_millis(),
        key: cursor_key(step.id()),
    }))
}

/// What orders steps of one moment: the same text as in the query of [`list`].
fn cursor_key(id: StepId) -> String {
    let target = id.target.map_or_else(String::new, |target| format!("{:X}", target.0.simple()));
    format!("{:X}{}{target}", id.session.0.simple(), id.kind.as_str())
}

fn attempts_of(db: &Connection, step: &Step) -> Result<Vec<Attempt>> {
    let mut statement = db.prepare_cached(
        "SELECT number, started_at, finished_at, outcome, detail FROM step_attempts
         WHERE org_id = ?1 AND session_id = ?2 AND kind = ?3 AND target = ?4 ORDER BY number",
    )?;
    let values = params![
        step.org.as_str(),
        step.session.0.as_bytes().as_slice(),
        step.kind.as_str(),
        row::target_bytes(step.target.as_ref()),
    ];
    let rows = statement.query_map(values, |row| {
        Ok(Attempt {
            number: row.get(0)?,
            started_at: row::time(row, 1)?,
            finished_at: row::time(row, 2)?,
            outcome: row::word(row, 3, AttemptOutcome::parse)?,
            detail: row.get(4)?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

pub(super) fn analyses(
    db: &Connection,
    org: &OrgId,
    session: SessionId,
) -> Result<Vec<AnalysisResult>> {
    let mut statement = db.prepare_cached(
        "SELECT form, result, at FROM analyses WHERE org_id = ?1 AND session_id = ?2 ORDER BY form",
    )?;
    let values = params![org.as_str(), session.0.as_bytes().as_slice()];
    let rows = statement.query_map(values, |row| {
        Ok(AnalysisResult { form: row.get(0)?, values: row::json(row, 1)?, at: row::time(row, 2)? })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn census(db: &Connection) -> Result<StepCensus> {
    let (owed, oldest): (u64, Option<i64>) = db
        .prepare_cached("SELECT count(*), min(owed_at) FROM steps WHERE due_at IS NOT NULL")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let parked = db
        .prepare_cached("SELECT count(*) FROM steps WHERE state = 'parked'")?
        .query_row([], |row| row.get(0))?;
    Ok(StepCensus { owed, parked, oldest_owed_at: oldest.map(Timestamp::from_millis) })
}

#[async_trait]
impl StepStore for SqliteStorage {
    async fn due_lanes(
        &self,
        now: Timestamp,
        after: Option<&DueLane>,
        limit: u32,
    ) -> Result<Vec<DueLane>> {
        let after = after.cloned();
        self.readers.read(move |db| due_lanes(db, now, after.as_ref(), limit)).await
    }

    async fn next_due_step(&self) -> Result<Option<Timestamp>> {
        self.readers.read(next_due).await
    }

    async fn claim(&self, request: ClaimRequest, now: Timestamp) -> Result<Vec<ClaimedStep>> {
        self.writer.decide(move |db| claim(db, &request, now)).await
    }

    async fn settle(&self, request: SettleRequest, now: Timestamp) -> Result<SettleOutcome> {
        self.writer.decide(move |db| step_settle::settle(db, &request, now)).await
    }

    async fn settle_and_claim(
        &self,
        request: SettleRequest,
        next: ClaimRequest,
        now: Timestamp,
    ) -> Result<(SettleOutcome, Vec<ClaimedStep>)> {
        let decision = move |db: &Db<'_>| {
            let outcome = step_settle::settle(db, &request, now)?;
            let claimed = match outcome {
                SettleOutcome::Recorded { .. } => claim(db, &next, now)?,
                SettleOutcome::LeaseLost => Vec::new(),
            };
            Ok((outcome, claimed))
        };
        self.writer.decide(decision).await
    }

    async fn retry(
        &self,
        org: &OrgId,
        step: StepId,
        by: Option<String>,
        now: Timestamp,
    ) -> Result<RetryOutcome> {
        let org = org.clone();
        self.writer.decide(move |db| retry(db.connection, &org, step, by.as_deref(), now)).await
    }

    async fn release_leases(&self, alive: &[epilogue_core::NodeId], now: Timestamp) -> Result<u64> {
        let alive = alive.to_vec();
        self.writer.decide(move |db| release(db.connection, &alive, now)).await
    }

    async fn list_steps(
        &self,
        org: &OrgId,
        filter: &StepFilter,
        page: &PageRequest,
    ) -> Result<Page<Step>> {
        let (org, filter, page) = (org.clone(), filter.clone(), page.clone());
        self.readers.read(move |db| list(db, &org, &filter, &page)).await
    }

    async fn steps_of(&self, org: &OrgId, session: SessionId) -> Result<Vec<(Step, Vec<Attempt>)>> {
        let org = org.clone();
        let read = move |db: &Connection| {
            let steps = of_session(db, &org, session)?.into_iter();
            steps.map(|step| attempts_of(db, &step).map(|attempts| (step, attempts))).collect()
        };
        self.readers.read(read).await
    }

    async fn analyses_of(&self, org: &OrgId, session: SessionId) -> Result<Vec<AnalysisResult>> {
        self.readers.look(|db| analyses(db, org, session)).await
    }

    async fn step_census(&self) -> Result<StepCensus> {
        self.readers.read(census).await
    }
}
