//! Facts and entities in SQLite: reading. How more of them come is in `memory_absorb`, how they are found
//! in `memory_find`, how they are corrected and dropped in `memory_curate`.

use async_trait::async_trait;
use epilogue_core::{
    MemoryScope, OrgId, SessionId, Timestamp,
    memory::{Entity, EntityId, EntityKind, Fact, FactId},
};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{SqliteStorage, memory_absorb, memory_curate, memory_find, row, writer::Db};
use crate::{
    AbsorbOutcome, AbsorbRequest, Episode, FOUND_MAX, FactQuestion, FactSource, FactView,
    FoundFacts, GraphStore, Page, PageRequest, Result, SOURCES_SHOWN,
};

/// The columns of [`fact`], of `facts f`.
macro_rules! fact_columns {
    () => {
        "f.fact, f.subject, f.relation, f.object, f.sentence, f.exclusive, f.valid_from, \
         f.valid_until, f.learned_at, f.unlearned_at, f.told_at"
    };
}
pub(super) use fact_columns;

/// How the person is called among the names of a fact's ends.
const PERSON: &str = "user";

pub(super) fn fact(row: &Row<'_>) -> rusqlite::Result<Fact> {
    Ok(Fact {
        id: FactId(row.get(0)?),
        subject: EntityId(row.get(1)?),
        relation: row.get(2)?,
        object: EntityId(row.get(3)?),
        sentence: row.get(4)?,
        exclusive: row.get(5)?,
        valid_from: row::time(row, 6)?,
        valid_until: row::time_opt(row, 7)?,
        learned_at: row::time(row, 8)?,
        unlearned_at: row::time_opt(row, 9)?,
        told_at: row::time(row, 10)?,
    })
}

/// Entities by a condition on `?3`.
pub(super) fn entities(
    db: &Connection,
    org: &OrgId,
    scope: &MemoryScope,
    (column, value): (&'static str, &dyn rusqlite::ToSql),
) -> Result<Vec<Entity>> {
    let mut statement = db.prepare_cached(&format!(
        "SELECT entity, name, kind, hint, mentioned_at FROM entities
         WHERE org_id = ?1 AND scope = ?2 AND {column} = ?3"
    ))?;
    let rows = statement.query_map(params![org.as_str(), scope.0, value], |row| {
        Ok(Entity {
            id: EntityId(row.get(0)?),
            name: row.get(1)?,
            kind: row::word(row, 2, EntityKind::parse)?,
            hint: row.get(3)?,
            mentioned_at: row::time(row, 4)?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn entity(
    db: &Connection,
    org: &OrgId,
    scope: &MemoryScope,
    id: EntityId,
) -> Result<Option<Entity>> {
    Ok(entities(db, org, scope, ("entity", &id.0))?.pop())
}

fn name(db: &Connection, org: &OrgId, scope: &MemoryScope, id: EntityId) -> Result<String> {
    if id == EntityId::PERSON {
        return Ok(PERSON.to_owned());
    }
    Ok(entity(db, org, scope, id)?.map(|entity| entity.name).unwrap_or_default())
}

/// What an entity is called: its name, and what tells it from others of that name, which is often how the
/// person speaks of it ("my sister"). Nothing for the person themself, who stands in nearly every fact.
pub(super) fn called(
    db: &Connection,
    org: &OrgId,
    scope: &MemoryScope,
    id: EntityId,
) -> Result<String> {
    if id == EntityId::PERSON {
        return Ok(String::new());
    }
    let Some(entity) = entity(db, org, scope, id)? else { return Ok(String::new()) };
    Ok(format!("{} {}", entity.name, entity.hint.unwrap_or_default()))
}

/// One fact.
pub(super) fn read(
    db: &Connection,
    org: &OrgId,
    scope: &MemoryScope,
    id: FactId,
) -> Result<Option<Fact>> {
    let found = db
        .prepare_cached(concat!(
            "SELECT ",
            fact_columns!(),
            " FROM facts f WHERE f.org_id = ?1 AND f.scope = ?2 AND f.fact = ?3"
        ))?
        .query_row(params![org.as_str(), scope.0, id.0], fact)
        .optional()?;
    Ok(found)
}

/// Where a fact comes from, the latest first.
pub(super) fn sources(
    db: &Connection,
    org: &OrgId,
    scope: &MemoryScope,
    fact: FactId,
    limit: u32,
) -> Result<Vec<FactSource>> {
    let mut statement = db.prepare_cached(
        "SELECT session_id, part, told_at FROM fact_sources
         WHERE org_id = ?1 AND scope = ?2 AND fact = ?3
         ORDER BY told_at DESC, session_id DESC, part DESC LIMIT ?4",
    )?;
    let rows = statement.query_map(params![org.as_str(), scope.0, fact.0, limit], |row| {
        Ok(FactSource {
            session: row::session_id(row, 0)?,
            part: row.get(1)?,
            told_at: row::time(row, 2)?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// A fact with its names and sources.
pub(super) fn view(
    db: &Connection,
    org: &OrgId,
    scope: &MemoryScope,
    fact: Fact,
) -> Result<FactView> {
    let sources = sources(db, org, scope, fact.id, SOURCES_SHOWN)?;
    let subject = name(db, org, scope, fact.subject)?;
    let object = name(db, org, scope, fact.object)?;
    Ok(FactView { fact, subject, object, sources })
}

#[async_trait]
impl GraphStore for SqliteStorage {
    async fn absorb(
        &self,
        org: &OrgId,
        request: AbsorbRequest,
        now: Timestamp,
    ) -> Result<AbsorbOutcome> {
        let org = org.clone();
        let decision = move |db: &Db<'_>| memory_absorb::absorb(db.connection, &org, &request, now);
        self.writer.decide(decision).await
    }

    async fn absorbed(
        &self,
        org: &OrgId,
        scope: &MemoryScope,
        session: SessionId,
    ) -> Result<Option<u32>> {
        let (org, scope) = (org.clone(), scope.clone());
        let read = move |db: &Connection| memory_absorb::absorbed(db, &org, &scope, session);
        self.readers.read(read).await
    }

    async fn find_facts(
        &self,
        org: &OrgId,
        scope: &MemoryScope,
        question: &FactQuestion,
    ) -> Result<FoundFacts> {
        let (org, scope, question) = (org.clone(), scope.clone(), question.clone());
        let read = move |db: &Connection| memory_find::find(db, &org, &scope, &question);
        self.readers.read(read).await
    }

    async fn list_facts(
        &self,
        org: &OrgId,
        scope: &MemoryScope,
        page: &PageRequest,
    ) -> Result<Page<FactView>> {
        let (org, scope, page) = (org.clone(), scope.clone(), page.clone());
        self.readers.read(move |db: &Connection| list(db, &org, &scope, &page)).await
    }

    async fn entity(
        &self,
        org: &OrgId,
        scope: &MemoryScope,
        id: EntityId,
    ) -> Result<Option<(Entity, Vec<FactView>)>> {
        let (org, scope) = (org.clone(), scope.clone());
        let read = move |db: &Connection| {
            let Some(entity) = entity(db, &org, &scope, id)? else { return Ok(None) };
            let facts = memory_find::around(db, &org, &scope, id, (None, FOUND_MAX))?;
            let mut views = Vec::new();
            for id in facts {
                if let Some(fact) = self::read(db, &org, &scope, id)? {
                    views.push(view(db, &org, &scope, fact)?);
                }
            }
            Ok(Some((entity, views)))
        };
        self.readers.read(read).await
    }

    async fn why(
        &self,
        org: &OrgId,
        scope: &MemoryScope,
        id: FactId,
    ) -> Result<Option<(FactView, Vec<Episode>)>> {
        let (org, scope) = (org.clone(), scope.clone());
        self.readers.read(move |db: &Connection| why(db, &org, &scope, id)).await
    }
}

fn list(
    db: &Connection,
    org: &OrgId,
    scope: &MemoryScope,
    page: &PageRequest,
) -> Result<Page<FactView>> {
    let found = memory_curate::facts(db, org, scope, None, page)?;
    let views = found.items.into_iter().map(|fact| view(db, org, scope, fact));
    Ok(Page { items: views.collect::<Result<_>>()?, next: found.next })
}

fn why(
    db: &Connection,
    org: &OrgId,
    scope: &MemoryScope,
    id: FactId,
) -> Result<Option<(FactView, Vec<Episode>)>> {
    let Some(known) = read(db, org, scope, id)? else { return Ok(None) };
    let view = view(db, org, scope, known)?;
    let mut episodes: Vec<Episode> = Vec::new();
    for source in &view.sources {
        if episodes.iter().any(|episode| episode.session == source.session) {
            continue;
        }
        let found = db
            .prepare_cached(
                "SELECT at, text FROM episodes
                 WHERE org_id = ?1 AND scope = ?2 AND session_id = ?3",
            )?
            .query_row(
                params![org.as_str(), scope.0, source.session.0.as_bytes().as_slice()],
                |row| Ok((row::time(row, 0)?, row.get(1)?)),
            )
            .optional()?;
        episodes.extend(found.map(|(at, text)| Episode {
            scope: scope.clone(),
            session: source.session,
            at,
            text,
        }));
    }
    Ok(Some((view, episodes)))
}
