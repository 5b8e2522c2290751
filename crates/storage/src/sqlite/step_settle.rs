//! Recording what an attempt at a step came to, in SQLite.

use std::collections::BTreeSet;

use epilogue_core::{
    OrgId, SessionId, Step, StepId, StepKind, StepState, SubscriptionId, Timestamp,
    event::Activity,
    finalization::{self, Standing},
    step::{Attempt, AttemptOutcome},
};
use rusqlite::{Connection, params};

use super::{activity, delivery, purge, result, row, session, step, writer::Db};
use crate::{GONE_STEPS_MAX, Product, Result, SettleOutcome, SettleRequest, StepReport};

/// Records a report, unless the lease was lost, and draws its consequences.
pub(super) fn settle(
    writer: &Db<'_>,
    request: &SettleRequest,
    now: Timestamp,
) -> Result<SettleOutcome> {
    let (db, org) = (writer.connection, &request.org);
    let mine = |step: &Step| {
        step.attempt == request.attempt && matches!(step.state, StepState::Leased { .. })
    };
    let Some(step) = step::read(db, org, request.step)?.filter(mine) else {
        return Ok(SettleOutcome::LeaseLost);
    };
    for product in &request.products {
        keep(db, org, request.step.session, product)?;
    }
    if request.products.contains(&Product::Purge) {
        writer.removes();
    }
    let attempt = Attempt {
        number: request.attempt,
        started_at: request.started_at,
        finished_at: now,
        outcome: request.outcome,
        detail: request.detail.clone(),
    };
    record_attempt(db, org, request.step, &attempt)?;
    let state = match &request.report {
        StepReport::Done => StepState::Done { at: now },
        StepReport::Skipped(reason) => StepState::Skipped { at: now, reason: reason.clone() },
        StepReport::Again { due_at } => StepState::Owed { due_at: *due_at },
        StepReport::Park(reason) => StepState::Parked { at: now, reason: reason.clone() },
    };
    if let StepState::Parked { reason, .. } = &state {
        let parked = Activity::step_parked(request.step, request.attempt, reason, now);
        activity::record(db, org, &parked)?;
    }
    let failures = match request.outcome {
        AttemptOutcome::Failed | AttemptOutcome::Fatal => step.failures + 1,
        _ => step.failures,
    };
    set_state(db, org, request.step, &state, failures)?;
    // A purge may wait for the first failure of a notification.
    let first_failure = step.failures == 0 && failures > 0;
    if !(state.is_at_rest() || first_failure) {
        return Ok(SettleOutcome::Recorded { finalized: false, released: Vec::new() });
    }
    advance(writer, org, request.step.session, now)
}

/// Why nobody is told.
const GONE: &str = "the subscription is gone";

/// Settles what is still to be told to a subscription that is gone, a part of it at a time.
pub(super) fn skip_all(
    writer: &Db<'_>,
    org: &OrgId,
    gone: SubscriptionId,
    now: Timestamp,
) -> Result<u32> {
    let db = writer.connection;
    let steps = step::to_subscriber(db, org, gone, GONE_STEPS_MAX)?;
    let mut sessions = BTreeSet::new();
    for (step, claimed_at) in &steps {
        if let (StepState::Leased { .. }, Some(started_at)) = (&step.state, claimed_at) {
            // Whoever is at it has lost its lease by now.
            let attempt = Attempt {
                number: step.attempt,
                started_at: *started_at,
                finished_at: now,
                outcome: AttemptOutcome::Skipped,
                detail: GONE.to_owned(),
            };
            record_attempt(db, org, step.id(), &attempt)?;
        }
        let skipped = StepState::Skipped { at: now, reason: GONE.to_owned() };
        set_state(db, org, step.id(), &skipped, step.failures)?;
        sessions.insert(step.session);
    }
    for session in sessions {
        advance(writer, org, session, now)?;
    }
    Ok(u32::try_from(steps.len()).unwrap_or(u32::MAX))
}

/// Releases the steps that may run now, and makes the session final when nothing is owed. What a purge
/// has left for a receiver that was still to be told goes when it is not any more.
fn advance(writer: &Db<'_>, org: &OrgId, id: SessionId, now: Timestamp) -> Result<SettleOutcome> {
    let db = writer.connection;
    let steps = step::of_session(db, org, id)?;
    let is_purged =
        |step: &Step| step.kind == StepKind::Purge && matches!(step.state, StepState::Done { .. });
    if steps.iter().any(is_purged) && delivery::forget(db, org, id, &steps)? {
        writer.removes();
    }
    let standings: Vec<_> = steps.iter().map(Standing::from).collect();
    let mut released = Vec::new();
    if steps.iter().any(|step| step.state == StepState::Waiting)
        && let Some(session) = session::read(db, org, id)?
    {
        for step in steps.iter().filter(|step| step.state == StepState::Waiting) {
            if finalization::is_ready((step.kind, step.target), &session.profile, &standings) {
                set_state(db, org, step.id(), &StepState::Owed { due_at: now }, 0)?;
                released.push(step.kind);
            }
        }
    }
    let finalized = steps.iter().all(|step| step.state.is_settled()) && finalize(db, org, id, now)?;
    Ok(SettleOutcome::Recorded { finalized, released })
}

/// `false`: it was final before.
fn finalize(db: &Connection, org: &OrgId, id: SessionId, now: Timestamp) -> Result<bool> {
    let changed = db
        .prepare_cached(
            "UPDATE sessions SET state = 'final', finalized_at = ?3
             WHERE org_id = ?1 AND session_id = ?2 AND state = 'finalizing'",
        )?
        .execute(params![org.as_str(), id.0.as_bytes().as_slice(), now.as_millis()])?;
    Ok(changed > 0)
}

fn set_state(
    db: &Connection,
    org: &OrgId,
    id: StepId,
    state: &StepState,
    failures: u32,
) -> Result<()> {
    let (due_at, settled_at, reason) = match state {
        StepState::Owed { due_at } => (Some(*due_at), None, None),
        StepState::Done { at } => (None, Some(*at), None),
        StepState::Skipped { at, reason } | StepState::Parked { at, reason } => {
            (None, Some(*at), Some(reason))
        }
        StepState::Leased { until, .. } => (Some(*until), None, None),
        StepState::Waiting => (None, None, None),
    };
    db.prepare_cached(
        "UPDATE steps SET state = ?4, due_at = ?5, settled_at = ?6, reason = ?7, failures = ?8
         WHERE org_id = ?1 AND session_id = ?2 AND kind = ?3 AND target = ?9",
    )?
    .execute(params![
        org.as_str(),
        id.session.0.as_bytes().as_slice(),
        id.kind.as_str(),
        state.as_str(),
        due_at.map(Timestamp::as_millis),
        settled_at.map(Timestamp::as_millis),
        reason,
        failures,
        row::target_bytes(id.target.as_ref()),
    ])?;
    Ok(())
}

/// Puts an attempt on record.
pub(super) fn record_attempt(
    db: &Connection,
    org: &OrgId,
    id: StepId,
    attempt: &Attempt,
) -> Result<()> {
    db.prepare_cached(
        "INSERT INTO step_attempts
            (org_id, session_id, kind, number, started_at, finished_at, outcome, detail, target)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?
    .execute(params![
        org.as_str(),
        id.session.0.as_bytes().as_slice(),
        id.kind.as_str(),
        attempt.number,
        attempt.started_at.as_millis(),
        attempt.finished_at.as_millis(),
        attempt.outcome.as_str(),
        attempt.detail,
        row::target_bytes(id.target.as_ref()),
    ])?;
    Ok(())
}

fn keep(db: &Connection, org: &OrgId, session: SessionId, product: &Product) -> Result<()> {
    match product {
        Product::Analysis(result) => {
            db.prepare_cached(
                "INSERT INTO analyses (org_id, session_id, form, result, at)
                 VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT DO UPDATE SET result = excluded.result, at = excluded.at",
            )?
            .execute(params![
                org.as_str(),
                session.0.as_bytes().as_slice(),
                result.form,
                row::to_json(&result.values)?,
                result.at.as_millis(),
            ])?;
            Ok(())
        }
        Product::Delivery(made, attempt) => delivery::record(db, org, made, attempt),
        Product::Result(made, words) => result::keep(db, org, made, words),
        Product::Activity(entry) => activity::record(db, org, entry),
        Product::Purge => purge::purge(db, org, session),
    }
}
