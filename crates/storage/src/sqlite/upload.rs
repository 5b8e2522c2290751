//! Putting uploads into their lanes, finding and claiming them in SQLite. Reports are in
//! `upload_settle`.

use async_trait::async_trait;
use epilogue_core::{
    MemoryScope, NodeId, OrgId, SessionId, Timestamp,
    upload::{Progress, Upload, UploadState},
};
use rusqlite::{Connection, OptionalExtension, Row, ToSql, params};

use super::{SqliteStorage, directory, memory, row, upload_settle};
use crate::{
    ClaimUploads, DroppedUploads, DueUploads, NewUpload, Result, UploadCensus, UploadClaim,
    UploadOutcome, UploadReport, UploadStore,
};

/// The columns of [`upload`].
const UPLOAD: &str = "org_id, session_id, scope, ended_at, state, due_at, node, attempt, failures, \
    confirmed, sent_at, lost, queued_at, settled_at, detail";

fn upload(row: &Row<'_>) -> rusqlite::Result<Upload> {
    Ok(Upload {
        org: row::text(row, 0)?,
        session: row::session_id(row, 1)?,
        scope: MemoryScope(row.get(2)?),
        ended_at: row::time(row, 3)?,
        state: state(row)?,
        attempt: row.get(7)?,
        failures: row.get(8)?,
        progress: Progress {
            confirmed: row.get(9)?,
            sent_at: row::time_opt(row, 10)?,
            lost: row.get(11)?,
        },
        queued_at: row::time(row, 12)?,
        detail: row.get(14)?,
    })
}

fn state(row: &Row<'_>) -> rusqlite::Result<UploadState> {
    match row.get_ref(4)?.as_str()? {
        "waiting" => Ok(UploadState::Waiting),
        "owed" => Ok(UploadState::Owed { due_at: row::time(row, 5)? }),
        "leased" => Ok(UploadState::Leased { node: row::text(row, 6)?, until: row::time(row, 5)? }),
        "done" => Ok(UploadState::Done { at: row::time(row, 13)? }),
        "parked" => Ok(UploadState::Parked { at: row::time(row, 13)? }),
        "dropped" => Ok(UploadState::Dropped { at: row::time(row, 13)? }),
        other => Err(row::unreadable(4, format!("unknown state `{other}`"))),
    }
}

/// One upload.
pub(super) fn read(db: &Connection, org: &OrgId, session: SessionId) -> Result<Option<Upload>> {
    let sql = format!("SELECT {UPLOAD} FROM uploads WHERE org_id = ?1 AND session_id = ?2");
    let values = params![org.as_str(), session.0.as_bytes().as_slice()];
    Ok(db.prepare_cached(&sql)?.query_row(values, upload).optional()?)
}

/// Whether anything of a lane is not settled.
pub(super) fn is_busy(db: &Connection, org: &OrgId, scope: &MemoryScope) -> Result<bool> {
    let sql = "SELECT EXISTS (
            SELECT 1 FROM uploads WHERE org_id = ?1 AND scope = ?2 AND settled_at IS NULL)";
    Ok(db.prepare_cached(sql)?.query_row(params![org.as_str(), scope.0], |row| row.get(0))?)
}

/// Puts a conversation into its lane, unless it stands there.
fn enqueue(db: &Connection, new: &NewUpload, now: Timestamp) -> Result<Upload> {
    if let Some(known) = read(db, &new.org, new.session)? {
        return Ok(known);
    }
    let forgotten_at = memory::forgotten_at(db, &new.org, new.person)?;
    let state = if forgotten_at.is_some_and(|forgotten| new.began_at <= forgotten) {
        UploadState::Dropped { at: now }
    } else if upload_settle::gives_way(db, new)? || !is_busy(db, &new.org, &new.scope)? {
        UploadState::Owed { due_at: new.due_at }
    } else {
        UploadState::Waiting
    };
    let due_at = matches!(state, UploadState::Owed { .. }).then_some(new.due_at.as_millis());
    let settled_at = matches!(state, UploadState::Dropped { .. }).then_some(now.as_millis());
    db.prepare_cached(
        "INSERT INTO uploads
            (org_id, session_id, scope, ended_at, state, due_at, queued_at, settled_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?
    .execute(params![
        new.org.as_str(),
        new.session.0.as_bytes().as_slice(),
        new.scope.0,
        new.ended_at.as_millis(),
        state.as_str(),
        due_at,
        now.as_millis(),
        settled_at,
    ])?;
    Ok(Upload {
        org: new.org.clone(),
        session: new.session,
        scope: new.scope.clone(),
        ended_at: new.ended_at,
        state,
        progress: Progress::default(),
        attempt: 0,
        failures: 0,
        queued_at: now,
        detail: String::new(),
    })
}

/// The next organization in order, with when its first upload is due: two seeks in the index.
fn due_after(db: &Connection, org: &str) -> Result<Option<DueUploads>> {
    let sql = "SELECT org_id, due_at FROM uploads
         WHERE due_at IS NOT NULL AND org_id > ?1 ORDER BY org_id, due_at LIMIT 1";
    let found =
        |row: &Row<'_>| Ok(DueUploads { org: row::text(row, 0)?, due_at: row::time(row, 1)? });
    Ok(db.prepare_cached(sql)?.query_row([org], found).optional()?)
}

/// Every organization that has uploads to go on with, in order: one look-up in the index each.
fn all_due(db: &Connection, after: Option<&OrgId>) -> impl Iterator<Item = Result<DueUploads>> {
    let mut place = after.map(OrgId::to_string).unwrap_or_default();
    std::iter::from_fn(move || {
        let next = due_after(db, &place).transpose()?;
        if let Ok(due) = &next {
            place = due.org.to_string();
        }
        Some(next)
    })
}

fn due(
    db: &Connection,
    now: Timestamp,
    after: Option<&OrgId>,
    limit: u32,
) -> Result<Vec<DueUploads>> {
    all_due(db, after)
        .filter(|due| due.as_ref().map_or(true, |due| due.due_at <= now))
        .take(limit as usize)
        .collect()
}

fn next_due(db: &Connection) -> Result<Option<Timestamp>> {
    let times = all_due(db, None).map(|due| due.map(|due| due.due_at));
    Ok(times.collect::<Result<Vec<_>>>()?.into_iter().min())
}

fn claim(db: &Connection, request: &ClaimUploads, now: Timestamp) -> Result<Vec<Upload>> {
    let sql = format!(
        "SELECT {UPLOAD} FROM uploads WHERE org_id = ?1 AND due_at <= ?2 ORDER BY due_at LIMIT ?3"
    );
    let mut statement = db.prepare_cached(&sql)?;
    let values = params![request.org.as_str(), now.as_millis(), request.limit];
    let rows = statement.query_map(values, upload)?;
    let due: Vec<_> = rows.collect::<rusqlite::Result<_>>()?;
    due.into_iter().map(|upload| lease(db, upload, request)).collect()
}

fn lease(db: &Connection, mut upload: Upload, request: &ClaimUploads) -> Result<Upload> {
    upload.attempt += 1;
    let (node, until) = (request.node.clone(), request.lease_until);
    db.prepare_cached(
        "UPDATE uploads SET state = 'leased', due_at = ?3, node = ?4, attempt = ?5
         WHERE org_id = ?1 AND session_id = ?2",
    )?
    .execute(params![
        upload.org.as_str(),
        upload.session.0.as_bytes().as_slice(),
        until.as_millis(),
        node.as_str(),
        upload.attempt,
    ])?;
    upload.state = UploadState::Leased { node, until };
    Ok(upload)
}

/// Makes the leases of nodes that are gone run out now.
fn release(db: &Connection, alive: &[NodeId], now: Timestamp) -> Result<u64> {
    let mut released = 0;
    for org in directory::org_ids(db)? {
        let nodes: Vec<String> = db
            .prepare_cached(
                "SELECT DISTINCT node FROM uploads
                 WHERE org_id = ?1 AND due_at IS NOT NULL AND state = 'leased'",
            )?
            .query_map([org.as_str()], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        for gone in nodes.iter().filter(|node| alive.iter().all(|a| a.as_str() != *node)) {
            released += db
                .prepare_cached(
                    "UPDATE uploads SET due_at = min(due_at, ?3)
                     WHERE org_id = ?1 AND due_at IS NOT NULL AND state = 'leased' AND node = ?2",
                )?
                .execute(params![org.as_str(), gone, now.as_millis()])?;
        }
    }
    Ok(released as u64)
}

fn census(db: &Connection) -> Result<UploadCensus> {
    let count = |sql: &str, values: &[&dyn ToSql]| -> Result<(u64, Option<i64>)> {
        Ok(db.prepare_cached(sql)?.query_row(values, |row| Ok((row.get(0)?, row.get(1)?)))?)
    };
    let open = "SELECT count(*), min(queued_at) FROM uploads WHERE settled_at IS NULL";
    let parked = "SELECT count(*), NULL FROM uploads WHERE state = 'parked'";
    let (open, oldest) = count(open, &[])?;
    let (parked, _) = count(parked, &[])?;
    Ok(UploadCensus { open, parked, oldest_at: oldest.map(Timestamp::from_millis) })
}

#[async_trait]
impl UploadStore for SqliteStorage {
    async fn enqueue_upload(&self, upload: NewUpload, now: Timestamp) -> Result<Upload> {
        self.writer.decide(move |db| enqueue(db.connection, &upload, now)).await
    }

    async fn upload(&self, org: &OrgId, session: SessionId) -> Result<Option<Upload>> {
        let org = org.clone();
        self.readers.read(move |db| read(db, &org, session)).await
    }

    async fn due_uploads(
        &self,
        now: Timestamp,
        after: Option<&OrgId>,
        limit: u32,
    ) -> Result<Vec<DueUploads>> {
        let after = after.cloned();
        self.readers.read(move |db| due(db, now, after.as_ref(), limit)).await
    }

    async fn next_due_upload(&self) -> Result<Option<Timestamp>> {
        self.readers.read(next_due).await
    }

    async fn claim_uploads(&self, request: ClaimUploads, now: Timestamp) -> Result<Vec<Upload>> {
        self.writer.decide(move |db| claim(db.connection, &request, now)).await
    }

    async fn advance_upload(
        &self,
        claim: &UploadClaim,
        progress: Progress,
        lease_until: Timestamp,
    ) -> Result<UploadOutcome> {
        let claim = claim.clone();
        let decision = move |db: &super::writer::Db<'_>| {
            upload_settle::advance(db.connection, &claim, progress, lease_until)
        };
        self.writer.decide(decision).await
    }

    async fn settle_upload(
        &self,
        claim: &UploadClaim,
        report: UploadReport,
        now: Timestamp,
    ) -> Result<UploadOutcome> {
        let claim = claim.clone();
        let decision = move |db: &super::writer::Db<'_>| {
            upload_settle::settle(db.connection, &claim, &report, now)
        };
        self.writer.decide(decision).await
    }

    async fn resume_upload(&self, org: &OrgId, session: SessionId, now: Timestamp) -> Result<bool> {
        let org = org.clone();
        let decision = move |db: &super::writer::Db<'_>| {
            upload_settle::resume(db.connection, &org, session, now)
        };
        self.writer.decide(decision).await
    }

    async fn drop_uploads(
        &self,
        org: &OrgId,
        scope: &MemoryScope,
        now: Timestamp,
    ) -> Result<DroppedUploads> {
        let (org, scope) = (org.clone(), scope.clone());
        let decision = move |db: &super::writer::Db<'_>| {
            upload_settle::drop_lane(db.connection, &org, &scope, now)
        };
        self.writer.decide(decision).await
    }

    async fn release_uploads(&self, alive: &[NodeId], now: Timestamp) -> Result<u64> {
        let alive = alive.to_vec();
        self.writer.decide(move |db| release(db.connection, &alive, now)).await
    }

    async fn upload_census(&self) -> Result<UploadCensus> {
        self.readers.read(census).await
    }
}
