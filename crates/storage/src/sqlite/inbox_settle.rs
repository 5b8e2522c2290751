//! How far a message has come, and what an attempt at it came to, in SQLite.

use epilogue_core::{
    OrgId, SessionId, Timestamp,
    event::Activity,
    texting::{InboundId, InboundMessage, InboundState},
};
use rusqlite::{Connection, OptionalExtension, params};
use serde_json::json;

use super::{activity, inbox, row};
use crate::{InboundClaim, InboundOutcome, InboundReport, Progress, Result, ResumeOutcome};

/// The message, if the claim on it still counts: it does while nobody has claimed it since, even
/// if the lease has run out.
fn claimed(db: &Connection, claim: &InboundClaim) -> Result<Option<InboundMessage>> {
    let found = inbox::read(db, &claim.org, &claim.id)?;
    Ok(found.filter(|message| {
        message.attempt == claim.attempt && matches!(message.state, InboundState::Leased { .. })
    }))
}

pub(super) fn advance(
    db: &Connection,
    claim: &InboundClaim,
    progress: &Progress,
    lease_until: Timestamp,
    now: Timestamp,
) -> Result<InboundOutcome> {
    let Some(mut message) = claimed(db, claim)? else { return Ok(InboundOutcome::LeaseLost) };
    match progress {
        Progress::Session(session) => message.session = Some(*session),
        Progress::Reply(parts) => message.reply = Some(parts.clone()),
        Progress::Sent(receipt) => {
            keep_receipt(db, &message, receipt, now)?;
            if let Some(session) = message.session {
                touch(db, &claim.org, session, now)?;
            }
            message.sent += 1;
        }
    }
    db.prepare_cached(
        "UPDATE inbox SET due_at = ?4, session_id = ?5, reply = ?6, sent = ?7
         WHERE org_id = ?1 AND carrier_id = ?2 AND message_id = ?3",
    )?
    .execute(params![
        claim.org.as_str(),
        claim.id.carrier,
        claim.id.message,
        lease_until.as_millis(),
        message.session.map(|session| session.0.as_bytes().to_vec()),
        message.reply.as_ref().map(row::to_json).transpose()?,
        message.sent,
    ])?;
    Ok(InboundOutcome::Recorded)
}

fn keep_receipt(
    db: &Connection,
    message: &InboundMessage,
    receipt: &str,
    now: Timestamp,
) -> Result<()> {
    let id = &message.inbound.id;
    db.prepare_cached(
        "INSERT INTO inbox_sent (org_id, carrier_id, message_id, part, receipt, sent_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![
        message.org.as_str(),
        id.carrier,
        id.message,
        message.sent,
        receipt,
        now.as_millis(),
    ])?;
    Ok(())
}

/// Counts as activity, while the session is open. The deadline index is corrected when it comes due.
fn touch(db: &Connection, org: &OrgId, session: SessionId, now: Timestamp) -> Result<()> {
    db.prepare_cached(
        "UPDATE sessions SET last_activity = max(last_activity, ?3)
         WHERE org_id = ?1 AND session_id = ?2 AND state = 'active'",
    )?
    .execute(params![org.as_str(), session.0.as_bytes().as_slice(), now.as_millis()])?;
    Ok(())
}

pub(super) fn settle(
    db: &Connection,
    claim: &InboundClaim,
    report: &InboundReport,
    now: Timestamp,
) -> Result<InboundOutcome> {
    let Some(message) = claimed(db, claim)? else { return Ok(InboundOutcome::LeaseLost) };
    match report {
        InboundReport::Done(detail) => {
            finish(db, &message, ("done", detail), now)?;
            forget(db, &message)?;
        }
        InboundReport::Park(detail) => {
            finish(db, &message, ("parked", detail), now)?;
            let entry = about(&message, "parked", detail, None, now);
            activity::record(db, &message.org, &entry)?;
        }
        InboundReport::Again { due_at, detail } => owe(db, &message, (*due_at, 1, detail))?,
        InboundReport::Interrupted => owe(db, &message, (now, 0, &message.detail))?,
    }
    Ok(InboundOutcome::Recorded)
}

fn about(
    message: &InboundMessage,
    verb: &str,
    detail: &str,
    by: Option<String>,
    now: Timestamp,
) -> Activity {
    let id = &message.inbound.id;
    let facts = json!({
        "carrier": id.carrier, "message": id.message, "attempt": message.attempt, "reason": detail,
    });
    let key = format!("{}:{}:{}", id.carrier, id.message, message.attempt);
    let entry = Activity::texting(("message", verb, &key), None, facts, by, now);
    Activity { session: message.session, ..entry }
}

/// The message is owed again, with so many more failures.
fn owe(
    db: &Connection,
    message: &InboundMessage,
    (due_at, failures, detail): (Timestamp, u32, &str),
) -> Result<()> {
    let id = &message.inbound.id;
    db.prepare_cached(
        "UPDATE inbox SET state = 'owed', due_at = ?4, node = NULL, failures = ?5, detail = ?6
         WHERE org_id = ?1 AND carrier_id = ?2 AND message_id = ?3",
    )?
    .execute(params![
        message.org.as_str(),
        id.carrier,
        id.message,
        due_at.as_millis(),
        message.failures + failures,
        detail,
    ])?;
    Ok(())
}

/// The message leaves its line, and the next is due.
fn finish(
    db: &Connection,
    message: &InboundMessage,
    (state, detail): (&str, &str),
    now: Timestamp,
) -> Result<()> {
    let id = &message.inbound.id;
    db.prepare_cached(
        "UPDATE inbox SET state = ?4, due_at = NULL, node = NULL, settled_at = ?5, detail = ?6
         WHERE org_id = ?1 AND carrier_id = ?2 AND message_id = ?3",
    )?
    .execute(params![
        message.org.as_str(),
        id.carrier,
        id.message,
        state,
        now.as_millis(),
        detail
    ])?;
    let line = message.inbound.line();
    let next: Option<i64> = db
        .prepare_cached(
            "SELECT place FROM inbox WHERE org_id = ?1 AND line = ?2 AND settled_at IS NULL
             ORDER BY place LIMIT 1",
        )?
        .query_row(params![message.org.as_str(), line.as_str()], |row| row.get(0))
        .optional()?;
    let Some(next) = next else { return Ok(()) };
    db.prepare_cached(
        "UPDATE inbox SET state = 'owed', due_at = ?4
         WHERE org_id = ?1 AND line = ?2 AND place = ?3",
    )?
    .execute(params![message.org.as_str(), line.as_str(), next, now.as_millis()])?;
    Ok(())
}

/// Removes what was said, and by whom. The name stays, by which the message is known again.
fn forget(db: &Connection, message: &InboundMessage) -> Result<()> {
    let id = &message.inbound.id;
    db.prepare_cached(
        "UPDATE inbox SET sender = '', body = '', reply = NULL
         WHERE org_id = ?1 AND carrier_id = ?2 AND message_id = ?3",
    )?
    .execute(params![message.org.as_str(), id.carrier, id.message])?;
    Ok(())
}

pub(super) fn resume(
    db: &Connection,
    org: &OrgId,
    id: &InboundId,
    by: Option<String>,
    now: Timestamp,
) -> Result<ResumeOutcome> {
    let Some(message) = inbox::read(db, org, id)? else { return Ok(ResumeOutcome::NoMessage) };
    if !matches!(message.state, InboundState::Parked { .. }) {
        return Ok(ResumeOutcome::NotParked);
    }
    let line = message.inbound.line();
    let is_first = inbox::standing(db, org, line.as_str())? == 0;
    let (state, due_at) = if is_first { ("owed", Some(now)) } else { ("waiting", None) };
    db.prepare_cached(
        "UPDATE inbox SET state = ?4, due_at = ?5, failures = 0, settled_at = NULL, place = ?6
         WHERE org_id = ?1 AND carrier_id = ?2 AND message_id = ?3",
    )?
    .execute(params![
        org.as_str(),
        id.carrier,
        id.message,
        state,
        due_at.map(Timestamp::as_millis),
        inbox::last_place(db, org, line.as_str())?,
    ])?;
    activity::record(db, org, &about(&message, "resumed", &message.detail, by, now))?;
    Ok(ResumeOutcome::Resumed)
}
