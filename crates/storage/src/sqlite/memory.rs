//! Episodes in SQLite.

use async_trait::async_trait;
use epilogue_core::{MemoryScope, OrgId, Person, PersonKey, Timestamp, memory::Counters};
use rusqlite::{Connection, OptionalExtension, params};

use super::{
    SqliteStorage, memory_erase, memory_expire,
    memory_words::{Document, index},
    row,
    writer::Db,
};
use crate::{Episode, ErasureStep, MemoryStore, RememberOutcome, RememberRequest, Result};

#[async_trait]
impl MemoryStore for SqliteStorage {
    async fn remember(&self, org: &OrgId, request: RememberRequest) -> Result<RememberOutcome> {
        let org = org.clone();
        self.writer.decide(move |db: &Db<'_>| remember(db.connection, &org, &request)).await
    }

    async fn recall(&self, org: &OrgId, scope: &MemoryScope, limit: u32) -> Result<Vec<Episode>> {
        let (org, scope) = (org.clone(), scope.clone());
        let read = move |db: &Connection| {
            let mut statement = db.prepare_cached(
                "SELECT session_id, at, text FROM episodes WHERE org_id = ?1 AND scope = ?2
                 ORDER BY at DESC LIMIT ?3",
            )?;
            let rows = statement.query_map(params![org.as_str(), scope.0, limit], |row| {
                Ok(Episode {
                    scope: scope.clone(),
                    session: row::session_id(row, 0)?,
                    at: row::time(row, 1)?,
                    text: row.get(2)?,
                })
            })?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        };
        self.readers.read(read).await
    }

    async fn scopes_of(&self, org: &OrgId, person: PersonKey) -> Result<Vec<MemoryScope>> {
        let org = org.clone();
        self.readers.read(move |db: &Connection| scopes_of(db, &org, person)).await
    }

    async fn forgotten_at(&self, org: &OrgId, person: PersonKey) -> Result<Option<Timestamp>> {
        let org = org.clone();
        self.readers.read(move |db: &Connection| forgotten_at(db, &org, person)).await
    }

    async fn erase_person(
        &self,
        org: &OrgId,
        person: &Person,
        scopes: &[MemoryScope],
        now: Timestamp,
    ) -> Result<ErasureStep> {
        let (org, person, scopes) = (org.clone(), person.clone(), scopes.to_vec());
        let decision =
            move |db: &Db<'_>| memory_erase::erase_person(db, &org, &person, &scopes, now);
        self.writer.decide(decision).await
    }

    async fn expire_memory(&self, org: &OrgId, before: Timestamp) -> Result<ErasureStep> {
        let org = org.clone();
        self.writer.decide(move |db: &Db<'_>| memory_expire::expire(db, &org, before)).await
    }

    async fn erase_transcripts(
        &self,
        org: &OrgId,
        person: &Person,
        _now: Timestamp,
    ) -> Result<ErasureStep> {
        let (org, person) = (org.clone(), person.clone());
        let decision = move |db: &Db<'_>| memory_erase::erase_transcripts(db, &org, &person);
        self.writer.decide(decision).await
    }
}

pub(super) fn scopes_of(
    db: &Connection,
    org: &OrgId,
    person: PersonKey,
) -> Result<Vec<MemoryScope>> {
    let mut statement =
        db.prepare_cached("SELECT scope FROM memory_scopes WHERE org_id = ?1 AND person = ?2")?;
    let rows = statement
        .query_map(params![org.as_str(), person.0.as_slice()], |row| row.get(0).map(MemoryScope))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

pub(super) fn forgotten_at(
    db: &Connection,
    org: &OrgId,
    person: PersonKey,
) -> Result<Option<Timestamp>> {
    let at = db
        .prepare_cached("SELECT forgotten_at FROM memory_people WHERE org_id = ?1 AND person = ?2")?
        .query_row(params![org.as_str(), person.0.as_slice()], |row| row::time(row, 0))
        .optional()?;
    Ok(at)
}

fn remember(db: &Connection, org: &OrgId, request: &RememberRequest) -> Result<RememberOutcome> {
    let RememberRequest { episode, person, began_at, salt } = request;
    if forgotten_at(db, org, *person)?.is_some_and(|forgotten| *began_at <= forgotten) {
        return Ok(RememberOutcome::Forgotten);
    }
    let fresh = Counters::default();
    db.prepare_cached(
        "INSERT INTO memory_scopes (org_id, scope, person, salt, entities, facts)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING",
    )?
    .execute(params![
        org.as_str(),
        episode.scope.0,
        person.0.as_slice(),
        salt.as_slice(),
        fresh.entities,
        fresh.facts,
    ])?;
    let id = episode.session.0.as_bytes().as_slice();
    let added = db
        .prepare_cached(
            "INSERT INTO episodes (org_id, scope, session_id, at, text)
             VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            org.as_str(),
            episode.scope.0,
            id,
            episode.at.as_millis(),
            episode.text,
        ])?;
    if added == 0 {
        let absorbed = db
            .prepare_cached(
                "SELECT absorbed FROM episodes
                 WHERE org_id = ?1 AND scope = ?2 AND session_id = ?3",
            )?
            .query_row(params![org.as_str(), episode.scope.0, id], |row| row.get(0))?;
        return Ok(RememberOutcome::KnownBefore { absorbed });
    }
    let salt = super::memory_words::salt(db, org, &episode.scope)?.unwrap_or_default();
    let document = Document::Episode(episode.session);
    index(db, org, &episode.scope, &salt, document, &episode.text)?;
    Ok(RememberOutcome::Remembered)
}
