//! Letting go of what is older than an organization keeps, in SQLite: a few conversations at a time.

use epilogue_core::{MemoryScope, OrgId, SessionId, Timestamp, memory::FactId};
use rusqlite::{Connection, params};

use super::{
    memory_erase::drop_fact,
    memory_graph::read,
    memory_words::{Document, unindex},
    row,
    writer::Db,
};
use crate::{EXPIRED_AT_ONCE, ErasureReport, ErasureStep, Result};

/// A scope in which nothing is left.
const EMPTY: &str = "DELETE FROM memory_scopes WHERE org_id = ?1 AND scope = ?2
    AND NOT EXISTS (SELECT 1 FROM episodes WHERE org_id = ?1 AND scope = ?2)
    AND NOT EXISTS (SELECT 1 FROM facts WHERE org_id = ?1 AND scope = ?2)";

pub(super) fn expire(writer: &Db<'_>, org: &OrgId, before: Timestamp) -> Result<ErasureStep> {
    let db = writer.connection;
    let old = old_episodes(db, org, before)?;
    let mut report = ErasureReport::default();
    for (scope, session) in &old {
        let id = session.0.as_bytes().as_slice();
        for fact in only_known_from(db, org, scope, *session)? {
            if let Some(known) = read(db, org, scope, fact)? {
                drop_fact(db, org, scope, &known, &mut report)?;
            }
        }
        let gone = db
            .prepare_cached(
                "DELETE FROM fact_sources WHERE org_id = ?1 AND scope = ?2 AND session_id = ?3",
            )?
            .execute(params![org.as_str(), scope.0, id])?;
        report.removed("store.fact_sources", gone as u64);
        unindex(db, org, scope, Document::Episode(*session))?;
        let gone = db
            .prepare_cached(
                "DELETE FROM episodes WHERE org_id = ?1 AND scope = ?2 AND session_id = ?3",
            )?
            .execute(params![org.as_str(), scope.0, id])?;
        report.removed("store.episodes", gone as u64);
        db.prepare_cached(EMPTY)?.execute(params![org.as_str(), scope.0])?;
    }
    if !old.is_empty() {
        writer.removes();
    }
    Ok(ErasureStep { report, done: old.len() < EXPIRED_AT_ONCE as usize })
}

fn old_episodes(
    db: &Connection,
    org: &OrgId,
    before: Timestamp,
) -> Result<Vec<(MemoryScope, SessionId)>> {
    let mut statement = db.prepare_cached(
        "SELECT scope, session_id FROM episodes WHERE org_id = ?1 AND at < ?2 ORDER BY at LIMIT ?3",
    )?;
    let rows = statement
        .query_map(params![org.as_str(), before.as_millis(), EXPIRED_AT_ONCE], |row| {
            Ok((MemoryScope(row.get(0)?), row::session_id(row, 1)?))
        })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Facts that no other conversation tells of.
fn only_known_from(
    db: &Connection,
    org: &OrgId,
    scope: &MemoryScope,
    session: SessionId,
) -> Result<Vec<FactId>> {
    let mut statement = db.prepare_cached(
        "SELECT DISTINCT s.fact FROM fact_sources s
         WHERE s.org_id = ?1 AND s.scope = ?2 AND s.session_id = ?3 AND NOT EXISTS
            (SELECT 1 FROM fact_sources o WHERE o.org_id = ?1 AND o.scope = ?2
                AND o.fact = s.fact AND o.session_id <> ?3)",
    )?;
    let id = session.0.as_bytes().as_slice();
    let rows =
        statement.query_map(params![org.as_str(), scope.0, id], |row| row.get(0).map(FactId))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
