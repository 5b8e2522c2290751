//! Looking at what is known of somebody, and correcting it, in SQLite.

use async_trait::async_trait;
use epilogue_core::{
    MemoryScope, OrgId, Timestamp,
    event::Activity,
    memory::{Corrected, Entity, EntityId, EntityKind, Fact, FactId, correct as decide, name_key},
};
use rusqlite::{Connection, OptionalExtension, params};

use super::{
    SqliteStorage, activity,
    memory_absorb::{index_fact, scope_of, write_entity, write_fact},
    memory_erase,
    memory_graph::{entities, fact, fact_columns, read, sources, view},
    row,
    writer::Db,
};
use crate::{
    CorrectFactOutcome, CorrectFactRequest, CorrectedBy, CurationStore, Cursor, Episode,
    ErasureReport, KnownFact, Page, PageRequest, Result,
};

#[async_trait]
impl CurationStore for SqliteStorage {
    async fn known_facts(
        &self,
        org: &OrgId,
        scope: &MemoryScope,
        as_of: Option<Timestamp>,
        sources_max: u32,
        page: &PageRequest,
    ) -> Result<Page<KnownFact>> {
        let (org, scope, page) = (org.clone(), scope.clone(), page.clone());
        let read = move |db: &Connection| {
            let found = facts(db, &org, &scope, as_of, &page)?;
            let known = |fact: Fact| {
                let mut known = known(db, &org, &scope, fact)?;
                known.view.sources = sources(db, &org, &scope, known.view.fact.id, sources_max)?;
                Ok(known)
            };
            let items = found.items.into_iter().map(known).collect::<Result<_>>()?;
            Ok(Page { items, next: found.next })
        };
        self.readers.read(read).await
    }

    async fn pick_facts(
        &self,
        org: &OrgId,
        scope: &MemoryScope,
        ids: &[FactId],
    ) -> Result<Vec<KnownFact>> {
        let (org, scope, ids) = (org.clone(), scope.clone(), ids.to_vec());
        let pick = move |db: &Connection| {
            let mut picked = Vec::new();
            for id in ids {
                if let Some(fact) = read(db, &org, &scope, id)? {
                    picked.push(known(db, &org, &scope, fact)?);
                }
            }
            Ok(picked)
        };
        self.readers.read(pick).await
    }

    async fn pick_entities(
        &self,
        org: &OrgId,
        scope: &MemoryScope,
        ids: &[EntityId],
    ) -> Result<Vec<Entity>> {
        let (org, scope, ids) = (org.clone(), scope.clone(), ids.to_vec());
        let pick = move |db: &Connection| {
            let mut picked = Vec::new();
            for id in ids {
                picked.extend(entities(db, &org, &scope, ("entity", &id.0))?);
            }
            Ok(picked)
        };
        self.readers.read(pick).await
    }

    async fn list_entities(
        &self,
        org: &OrgId,
        scope: &MemoryScope,
        page: &PageRequest,
    ) -> Result<Page<Entity>> {
        let (org, scope, page) = (org.clone(), scope.clone(), page.clone());
        self.readers.read(move |db: &Connection| all_entities(db, &org, &scope, &page)).await
    }

    async fn list_episodes(
        &self,
        org: &OrgId,
        scope: &MemoryScope,
        page: &PageRequest,
    ) -> Result<Page<Episode>> {
        let (org, scope, page) = (org.clone(), scope.clone(), page.clone());
        self.readers.read(move |db: &Connection| all_episodes(db, &org, &scope, &page)).await
    }

    async fn correct_fact(
        &self,
        request: CorrectFactRequest,
        now: Timestamp,
    ) -> Result<CorrectFactOutcome> {
        self.writer.decide(move |db: &Db<'_>| correct(db.connection, &request, now)).await
    }

    async fn drop_fact(
        &self,
        org: &OrgId,
        scope: &MemoryScope,
        id: FactId,
        by: Option<String>,
        now: Timestamp,
    ) -> Result<bool> {
        let (org, scope) = (org.clone(), scope.clone());
        let decision = move |db: &Db<'_>| {
            let Some(known) = read(db.connection, &org, &scope, id)? else { return Ok(false) };
            db.removes();
            memory_erase::drop_fact(
                db.connection,
                &org,
                &scope,
                &known,
                &mut ErasureReport::default(),
            )?;
            let entry = Activity::fact_deleted(&scope, id, by.clone(), now);
            activity::record(db.connection, &org, &entry)?;
            Ok(true)
        };
        self.writer.decide(decision).await
    }

    async fn note_erasure(&self, org: &OrgId, entry: Activity) -> Result<()> {
        let org = org.clone();
        self.writer.decide(move |db: &Db<'_>| activity::record(db.connection, &org, &entry)).await
    }
}

/// A page of facts, the last told first.
pub(super) fn facts(
    db: &Connection,
    org: &OrgId,
    scope: &MemoryScope,
    as_of: Option<Timestamp>,
    page: &PageRequest,
) -> Result<Page<Fact>> {
    let after = page.after.as_ref();
    let key = after.and_then(|cursor| cursor.key.parse().ok()).unwrap_or(i64::MAX);
    let mut statement = db.prepare_cached(concat!(
        "SELECT ",
        fact_columns!(),
        " FROM facts f WHERE f.org_id = ?1 AND f.scope = ?2 AND (f.told_at, f.fact) < (?3, ?4)
         AND (?6 IS NULL OR (f.valid_from <= ?6 AND (f.valid_until IS NULL OR ?6 < f.valid_until)))
         ORDER BY f.told_at DESC, f.fact DESC LIMIT ?5"
    ))?;
    let from = after.map_or(i64::MAX, |cursor| cursor.at);
    let as_of = as_of.map(Timestamp::as_millis);
    let values = params![org.as_str(), scope.0, from, key, page.limit() + 1, as_of];
    let found = statement.query_map(values, fact)?.collect::<rusqlite::Result<_>>()?;
    Ok(Page::from_rows(found, page.limit(), |fact: &Fact| Cursor {
        at: fact.told_at.as_millis(),
        key: fact.id.0.to_string(),
    }))
}

fn known(db: &Connection, org: &OrgId, scope: &MemoryScope, fact: Fact) -> Result<KnownFact> {
    let correction = db
        .prepare_cached(
            "SELECT supersedes, by_key, at FROM fact_corrections
             WHERE org_id = ?1 AND scope = ?2 AND fact = ?3",
        )?
        .query_row(params![org.as_str(), scope.0, fact.id.0], |row| {
            Ok(CorrectedBy {
                supersedes: FactId(row.get(0)?),
                by: row.get(1)?,
                at: row::time(row, 2)?,
            })
        })
        .optional()?;
    let superseded_by = successor(db, org, scope, fact.id)?;
    Ok(KnownFact { view: view(db, org, scope, fact)?, correction, superseded_by })
}

fn successor(
    db: &Connection,
    org: &OrgId,
    scope: &MemoryScope,
    fact: FactId,
) -> Result<Option<FactId>> {
    let found = db
        .prepare_cached(
            "SELECT fact FROM fact_corrections
             WHERE org_id = ?1 AND scope = ?2 AND supersedes = ?3 ORDER BY fact LIMIT 1",
        )?
        .query_row(params![org.as_str(), scope.0, fact.0], |row| row.get(0).map(FactId))
        .optional()?;
    Ok(found)
}

fn all_entities(
    db: &Connection,
    org: &OrgId,
    scope: &MemoryScope,
    page: &PageRequest,
) -> Result<Page<Entity>> {
    let mut statement = db.prepare_cached(
        "SELECT entity, name, kind, hint, mentioned_at FROM entities
         WHERE org_id = ?1 AND scope = ?2 AND entity > ?3 ORDER BY entity LIMIT ?4",
    )?;
    let after = page.after.as_ref().map_or(-1, |cursor| cursor.at);
    let values = params![org.as_str(), scope.0, after, page.limit() + 1];
    let rows = statement.query_map(values, |row| {
        Ok(Entity {
            id: EntityId(row.get(0)?),
            name: row.get(1)?,
            kind: row::word(row, 2, EntityKind::parse)?,
            hint: row.get(3)?,
            mentioned_at: row::time(row, 4)?,
        })
    })?;
    let found = rows.collect::<rusqlite::Result<_>>()?;
    Ok(Page::from_rows(found, page.limit(), |entity: &Entity| Cursor {
        at: i64::from(entity.id.0),
        key: String::new(),
    }))
}

fn all_episodes(
    db: &Connection,
    org: &OrgId,
    scope: &MemoryScope,
    page: &PageRequest,
) -> Result<Page<Episode>> {
    let after = page.after.as_ref();
    let mut statement = db.prepare_cached(
        "SELECT session_id, at, text FROM episodes
         WHERE org_id = ?1 AND scope = ?2 AND (at, hex(session_id)) < (?3, ?4)
         ORDER BY at DESC, session_id DESC LIMIT ?5",
    )?;
    let (from, key) = after.map_or((i64::MAX, "~"), |cursor| (cursor.at, cursor.key.as_str()));
    let values = params![org.as_str(), scope.0, from, key, page.limit() + 1];
    let rows = statement.query_map(values, |row| {
        Ok(Episode {
            scope: scope.clone(),
            session: row::session_id(row, 0)?,
            at: row::time(row, 1)?,
            text: row.get(2)?,
        })
    })?;
    let found = rows.collect::<rusqlite::Result<_>>()?;
    Ok(Page::from_rows(found, page.limit(), |episode: &Episode| Cursor {
        at: episode.at.as_millis(),
        key: episode.session.0.simple().to_string().to_uppercase(),
    }))
}

fn correct(
    db: &Connection,
    request: &CorrectFactRequest,
    now: Timestamp,
) -> Result<CorrectFactOutcome> {
    let CorrectFactRequest { org, scope, fact: id, correction, by } = request;
    let Some(known) = read(db, org, scope, *id)? else { return Ok(CorrectFactOutcome::Unknown) };
    if let Some(successor) = successor(db, org, scope, *id)? {
        return Ok(CorrectFactOutcome::Superseded(successor));
    }
    let Some((salt, mut counters)) = scope_of(db, org, scope)? else {
        return Ok(CorrectFactOutcome::Unknown);
    };
    let named = match &correction.object {
        Some(mention) => entities(db, org, scope, ("name_key", &name_key(&mention.name)))?,
        None => Vec::new(),
    };
    let corrected = match decide(&known, correction, named, &mut counters, now) {
        Ok(corrected) => corrected,
        Err(impossible) => return Ok(CorrectFactOutcome::Impossible(impossible)),
    };
    let Corrected { closed, fact, entity } = corrected;
    if let Some(entity) = entity {
        write_entity(db, org, scope, &entity)?;
    }
    write_fact(db, org, scope, &closed)?;
    write_fact(db, org, scope, &fact)?;
    index_fact(db, org, scope, &salt, &fact)?;
    db.prepare_cached(
        "UPDATE memory_scopes SET entities = ?3, facts = ?4 WHERE org_id = ?1 AND scope = ?2",
    )?
    .execute(params![org.as_str(), scope.0, counters.entities, counters.facts])?;
    db.prepare_cached(
        "INSERT INTO fact_corrections (org_id, scope, fact, supersedes, by_key, at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![org.as_str(), scope.0, fact.id.0, id.0, by, now.as_millis()])?;
    let entry = Activity::fact_corrected(scope, (*id, fact.id), by.clone(), now);
    activity::record(db, org, &entry)?;
    Ok(CorrectFactOutcome::Corrected(fact.id))
}
