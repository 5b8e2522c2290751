//! Forgetting people in SQLite: a part at a time, so that no commit waits long for one erasure. The first
//! part already says that nothing older is to be remembered.

use epilogue_core::{
    MemoryScope, OrgId, Person, SessionId, Timestamp,
    memory::{Fact, FactId},
    profile::Keeps,
};
use rusqlite::{Connection, params};

use super::{
    memory,
    memory_words::{Document, unindex},
    purge, row, session,
    writer::Db,
};
use crate::{ERASED_AT_ONCE, ErasureReport, ErasureStep, Result, TRANSCRIPTS_AT_ONCE};

pub(super) fn erase_person(
    writer: &Db<'_>,
    org: &OrgId,
    person: &Person,
    scopes: &[MemoryScope],
    now: Timestamp,
) -> Result<ErasureStep> {
    let db = writer.connection;
    writer.removes();
    db.prepare_cached(
        "INSERT INTO memory_people (org_id, person, forgotten_at) VALUES (?1, ?2, ?3)
         ON CONFLICT DO UPDATE SET forgotten_at = max(forgotten_at, excluded.forgotten_at)",
    )?
    .execute(params![org.as_str(), person.key().0.as_slice(), now.as_millis()])?;
    let mut all = memory::scopes_of(db, org, person.key())?;
    all.extend(scopes.iter().cloned());
    let (mut report, mut room) = (ErasureReport::default(), ERASED_AT_ONCE);
    for scope in &all {
        erase_scope(db, org, scope, &mut room, &mut report)?;
        if room == 0 {
            return Ok(ErasureStep { report, done: false });
        }
    }
    let recalled = db
        .prepare_cached(
            "UPDATE sessions SET context = json_remove(context, '$.recalled')
             WHERE org_id = ?1 AND person = ?2 AND person IS NOT NULL
                AND json_extract(context, '$.recalled') IS NOT NULL",
        )?
        .execute(params![org.as_str(), person.as_str()])?;
    report.removed("store.recalled", recalled as u64);
    Ok(ErasureStep { report, done: true })
}

/// Removes what there is room for. Facts go first, and the scope itself last: what is left is found again.
pub(super) fn erase_scope(
    db: &Connection,
    org: &OrgId,
    scope: &MemoryScope,
    room: &mut u32,
    report: &mut ErasureReport,
) -> Result<()> {
    for fact in ids(
        db,
        "SELECT fact FROM facts WHERE org_id = ?1 AND scope = ?2 LIMIT ?3",
        org,
        scope,
        *room,
    )? {
        erase_fact(db, org, scope, fact, report)?;
        *room -= 1;
    }
    for session in episodes(db, org, scope, *room)? {
        unindex(db, org, scope, Document::Episode(session))?;
        let gone = db
            .prepare_cached(
                "DELETE FROM episodes WHERE org_id = ?1 AND scope = ?2 AND session_id = ?3",
            )?
            .execute(params![org.as_str(), scope.0, session.0.as_bytes().as_slice()])?;
        report.removed("store.episodes", gone as u64);
        *room -= 1;
    }
    if *room == 0 {
        return Ok(());
    }
    let gone = db
        .prepare_cached(
            "DELETE FROM entities WHERE org_id = ?1 AND scope = ?2 AND entity IN
                (SELECT entity FROM entities WHERE org_id = ?1 AND scope = ?2 LIMIT ?3)",
        )?
        .execute(params![org.as_str(), scope.0, *room])?;
    report.removed("store.entities", gone as u64);
    *room -= u32::try_from(gone).unwrap_or(u32::MAX).min(*room);
    if *room > 0 {
        db.prepare_cached("DELETE FROM memory_scopes WHERE org_id = ?1 AND scope = ?2")?
            .execute(params![org.as_str(), scope.0])?;
    }
    Ok(())
}

/// Removes a fact with all that belongs to it.
pub(super) fn erase_fact(
    db: &Connection,
    org: &OrgId,
    scope: &MemoryScope,
    fact: FactId,
    report: &mut ErasureReport,
) -> Result<()> {
    unindex(db, org, scope, Document::Fact(fact))?;
    for (place, sql) in [
        (
            "store.embeddings",
            "DELETE FROM fact_vectors WHERE org_id = ?1 AND scope = ?2 AND fact = ?3",
        ),
        (
            "store.fact_sources",
            "DELETE FROM fact_sources WHERE org_id = ?1 AND scope = ?2 AND fact = ?3",
        ),
        (
            "store.corrections",
            "DELETE FROM fact_corrections WHERE org_id = ?1 AND scope = ?2 AND fact = ?3",
        ),
        ("store.facts", "DELETE FROM facts WHERE org_id = ?1 AND scope = ?2 AND fact = ?3"),
    ] {
        let gone = db.prepare_cached(sql)?.execute(params![org.as_str(), scope.0, fact.0])?;
        report.removed(place, gone as u64);
    }
    Ok(())
}

/// Removes a fact, and those of its ends of which nothing else is known.
pub(super) fn drop_fact(
    db: &Connection,
    org: &OrgId,
    scope: &MemoryScope,
    known: &Fact,
    report: &mut ErasureReport,
) -> Result<()> {
    erase_fact(db, org, scope, known.id, report)?;
    for end in [known.subject, known.object] {
        let gone = db
            .prepare_cached(
                "DELETE FROM entities WHERE org_id = ?1 AND scope = ?2 AND entity = ?3
                 AND NOT EXISTS (SELECT 1 FROM facts
                    WHERE org_id = ?1 AND scope = ?2 AND subject = ?3)
                 AND NOT EXISTS (SELECT 1 FROM facts
                    WHERE org_id = ?1 AND scope = ?2 AND object = ?3)",
            )?
            .execute(params![org.as_str(), scope.0, end.0])?;
        report.removed("store.entities", gone as u64);
    }
    Ok(())
}

fn ids(
    db: &Connection,
    sql: &str,
    org: &OrgId,
    scope: &MemoryScope,
    limit: u32,
) -> Result<Vec<FactId>> {
    let mut statement = db.prepare_cached(sql)?;
    let rows =
        statement.query_map(params![org.as_str(), scope.0, limit], |row| row.get(0).map(FactId))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn episodes(
    db: &Connection,
    org: &OrgId,
    scope: &MemoryScope,
    limit: u32,
) -> Result<Vec<SessionId>> {
    let mut statement = db.prepare_cached(
        "SELECT session_id FROM episodes WHERE org_id = ?1 AND scope = ?2 LIMIT ?3",
    )?;
    let rows = statement
        .query_map(params![org.as_str(), scope.0, limit], |row| row::session_id(row, 0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Removes what was said in sessions that are final. Each loses its person with it, and is not found here
/// again.
pub(super) fn erase_transcripts(
    writer: &Db<'_>,
    org: &OrgId,
    person: &Person,
) -> Result<ErasureStep> {
    let db = writer.connection;
    let sessions = |sql: &str| -> Result<Vec<SessionId>> {
        let mut statement = db.prepare_cached(sql)?;
        let values = params![org.as_str(), person.as_str(), TRANSCRIPTS_AT_ONCE];
        let rows = statement.query_map(values, |row| row::session_id(row, 0))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    };
    let settled = sessions(
        "SELECT session_id FROM sessions
         WHERE org_id = ?1 AND person = ?2 AND person IS NOT NULL AND state = 'final' LIMIT ?3",
    )?;
    let mut report = ErasureReport::default();
    for id in &settled {
        let Some(session) = session::read(db, org, *id)? else { continue };
        purge::purge_to(db, &session, Keeps::Counters)?;
        db.prepare_cached("DELETE FROM analyses WHERE org_id = ?1 AND session_id = ?2")?
            .execute(params![org.as_str(), id.0.as_bytes().as_slice()])?;
        report.removed("store.transcripts", 1);
    }
    writer.removes();
    let done = settled.len() < TRANSCRIPTS_AT_ONCE as usize;
    if done {
        let open = sessions(
            "SELECT session_id FROM sessions
             WHERE org_id = ?1 AND person = ?2 AND person IS NOT NULL LIMIT ?3",
        )?;
        report.left.extend(open.iter().map(|id| {
            format!("the transcript of session {id}, which is not final: ask again when it is")
        }));
    }
    Ok(ErasureStep { report, done })
}
