//! How far an upload has come, and what an attempt at it came to, in SQLite.

use epilogue_core::{
    MemoryScope, OrgId, SessionId, StepKind, Timestamp,
    upload::{Progress, Upload, UploadState},
};
use rusqlite::{Connection, OptionalExtension, params};

use super::{row, upload};
use crate::{DroppedUploads, NewUpload, Result, UploadClaim, UploadOutcome, UploadReport};

/// The upload, if the claim on it still counts: it does while nobody has claimed it since, even if
/// the lease has run out.
fn claimed(db: &Connection, claim: &UploadClaim) -> Result<Option<Upload>> {
    let found = upload::read(db, &claim.org, claim.session)?;
    Ok(found.filter(|upload| {
        upload.attempt == claim.attempt && matches!(upload.state, UploadState::Leased { .. })
    }))
}

pub(super) fn advance(
    db: &Connection,
    claim: &UploadClaim,
    progress: Progress,
    lease_until: Timestamp,
) -> Result<UploadOutcome> {
    let Some(upload) = claimed(db, claim)? else { return Ok(UploadOutcome::LeaseLost) };
    let has_come_on = progress.confirmed > upload.progress.confirmed;
    let failures = if has_come_on { 0 } else { upload.failures };
    db.prepare_cached(
        "UPDATE uploads SET confirmed = ?3, sent_at = ?4, lost = ?5, failures = ?6, due_at = ?7
         WHERE org_id = ?1 AND session_id = ?2",
    )?
    .execute(params![
        claim.org.as_str(),
        claim.session.0.as_bytes().as_slice(),
        progress.confirmed,
        progress.sent_at.map(Timestamp::as_millis),
        progress.lost,
        failures,
        lease_until.as_millis(),
    ])?;
    Ok(UploadOutcome::Recorded)
}

pub(super) fn settle(
    db: &Connection,
    claim: &UploadClaim,
    report: &UploadReport,
    now: Timestamp,
) -> Result<UploadOutcome> {
    let Some(upload) = claimed(db, claim)? else { return Ok(UploadOutcome::LeaseLost) };
    match report {
        UploadReport::Done(detail) => {
            finish(db, &upload, (&UploadState::Done { at: now }, detail), now)?;
        }
        UploadReport::Park(detail) => {
            finish(db, &upload, (&UploadState::Parked { at: now }, detail), now)?;
        }
        UploadReport::GoesOn { due_at } => owe(db, &upload, (*due_at, 0, &upload.detail))?,
        UploadReport::Again { due_at, detail } => owe(db, &upload, (*due_at, 1, detail))?,
    }
    Ok(UploadOutcome::Recorded)
}

/// The upload is owed again, with so many more failures.
fn owe(
    db: &Connection,
    upload: &Upload,
    (due_at, failures, detail): (Timestamp, u32, &str),
) -> Result<()> {
    db.prepare_cached(
        "UPDATE uploads SET state = 'owed', due_at = ?3, node = NULL, failures = ?4, detail = ?5
         WHERE org_id = ?1 AND session_id = ?2",
    )?
    .execute(params![
        upload.org.as_str(),
        upload.session.0.as_bytes().as_slice(),
        due_at.as_millis(),
        upload.failures + failures,
        detail,
    ])?;
    Ok(())
}

/// The upload leaves its lane, and the next is due.
fn finish(
    db: &Connection,
    upload: &Upload,
    (state, detail): (&UploadState, &str),
    now: Timestamp,
) -> Result<()> {
    rest(db, &upload.org, upload.session, (state, detail), now)?;
    let next: Option<SessionId> = db
        .prepare_cached(
            "SELECT session_id FROM uploads WHERE org_id = ?1 AND scope = ?2 AND settled_at IS NULL
             ORDER BY ended_at, session_id LIMIT 1",
        )?
        .query_row(params![upload.org.as_str(), upload.scope.0], |row| row::session_id(row, 0))
        .optional()?;
    match next {
        Some(next) => admit(db, &upload.org, next, Some(now)),
        None => Ok(()),
    }
}

/// Nothing more happens to the upload, and the step that waits for that is due.
fn rest(
    db: &Connection,
    org: &OrgId,
    session: SessionId,
    (state, detail): (&UploadState, &str),
    now: Timestamp,
) -> Result<()> {
    let session = session.0.as_bytes().as_slice();
    db.prepare_cached(
        "UPDATE uploads SET state = ?3, due_at = NULL, node = NULL, settled_at = ?4, detail = ?5
         WHERE org_id = ?1 AND session_id = ?2",
    )?
    .execute(params![org.as_str(), session, state.as_str(), now.as_millis(), detail])?;
    db.prepare_cached(
        "UPDATE steps SET due_at = min(due_at, ?4)
         WHERE org_id = ?1 AND session_id = ?2 AND kind = ?3 AND state = 'owed'",
    )?
    .execute(params![
        org.as_str(),
        session,
        StepKind::IngestMemory.as_str(),
        now.as_millis()
    ])?;
    Ok(())
}

/// The upload is the first of its lane, due then, or it waits for others.
fn admit(
    db: &Connection,
    org: &OrgId,
    session: SessionId,
    due_at: Option<Timestamp>,
) -> Result<()> {
    let state = if due_at.is_some() { "owed" } else { "waiting" };
    db.prepare_cached(
        "UPDATE uploads SET state = ?3, due_at = ?4 WHERE org_id = ?1 AND session_id = ?2",
    )?
    .execute(params![
        org.as_str(),
        session.0.as_bytes().as_slice(),
        state,
        due_at.map(Timestamp::as_millis),
    ])?;
    Ok(())
}

/// Whether the first of a lane, which nobody has begun with, ended later than another that comes now.
/// Then it waits for that.
pub(super) fn gives_way(db: &Connection, to: &NewUpload) -> Result<bool> {
    let changed = db
        .prepare_cached(
            "UPDATE uploads SET state = 'waiting', due_at = NULL
             WHERE org_id = ?1 AND scope = ?2 AND settled_at IS NULL AND state = 'owed'
               AND attempt = 0 AND (ended_at, session_id) > (?3, ?4)",
        )?
        .execute(params![
            to.org.as_str(),
            to.scope.0,
            to.ended_at.as_millis(),
            to.session.0.as_bytes().as_slice(),
        ])?;
    Ok(changed > 0)
}

pub(super) fn resume(
    db: &Connection,
    org: &OrgId,
    session: SessionId,
    now: Timestamp,
) -> Result<bool> {
    let Some(parked) = upload::read(db, org, session)? else { return Ok(false) };
    if !matches!(parked.state, UploadState::Parked { .. }) {
        return Ok(false);
    }
    let is_free = !upload::is_busy(db, org, &parked.scope)?;
    db.prepare_cached(
        "UPDATE uploads SET failures = 0, settled_at = NULL WHERE org_id = ?1 AND session_id = ?2",
    )?
    .execute(params![org.as_str(), session.0.as_bytes().as_slice()])?;
    admit(db, org, session, is_free.then_some(now))?;
    Ok(true)
}

/// Why an upload was dropped.
const FORGOTTEN: &str = "the person was forgotten";

pub(super) fn drop_lane(
    db: &Connection,
    org: &OrgId,
    scope: &MemoryScope,
    now: Timestamp,
) -> Result<DroppedUploads> {
    let mut dropped = DroppedUploads::default();
    let open: Vec<(SessionId, bool)> = db
        .prepare_cached(
            "SELECT session_id, sent_at IS NOT NULL FROM uploads
             WHERE org_id = ?1 AND scope = ?2 AND (settled_at IS NULL OR state = 'parked')",
        )?
        .query_map(params![org.as_str(), scope.0], |row| {
            Ok((row::session_id(row, 0)?, row.get(1)?))
        })?
        .collect::<rusqlite::Result<_>>()?;
    for (session, is_sent) in open {
        rest(db, org, session, (&UploadState::Dropped { at: now }, FORGOTTEN), now)?;
        dropped.conversations += 1;
        dropped.on_their_way += u64::from(is_sent);
    }
    db.prepare_cached("DELETE FROM uploads WHERE org_id = ?1 AND scope = ?2 AND state = 'done'")?
        .execute(params![org.as_str(), scope.0])?;
    Ok(dropped)
}
