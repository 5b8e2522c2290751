//! Putting a part of a conversation into the graph: read what is known, ask `core`, write.

use std::collections::{BTreeMap, BTreeSet};

use epilogue_core::{
    MemoryScope, OrgId, SessionId, Timestamp,
    memory::{
        Claim, Counters, Ending, Entity, EntityId, Fact, FactId, GraphChange, Known, Told,
        absorb as decide, name_key, resolve,
    },
};
use rusqlite::{Connection, OptionalExtension, params};

use super::{
    memory_graph::{called, entities, fact, fact_columns},
    memory_words::{Document, index},
};
use crate::{AbsorbOutcome, AbsorbRequest, Result};

pub(super) fn absorbed(
    db: &Connection,
    org: &OrgId,
    scope: &MemoryScope,
    session: SessionId,
) -> Result<Option<u32>> {
    let absorbed = db
        .prepare_cached(
            "SELECT absorbed FROM episodes WHERE org_id = ?1 AND scope = ?2 AND session_id = ?3",
        )?
        .query_row(params![org.as_str(), scope.0, session.0.as_bytes().as_slice()], |row| {
            row.get(0)
        })
        .optional()?;
    Ok(absorbed)
}

/// What is known of a scope as a whole.
pub(super) fn scope_of(
    db: &Connection,
    org: &OrgId,
    scope: &MemoryScope,
) -> Result<Option<(Vec<u8>, Counters)>> {
    let found = db
        .prepare_cached(
            "SELECT salt, entities, facts FROM memory_scopes WHERE org_id = ?1 AND scope = ?2",
        )?
        .query_row(params![org.as_str(), scope.0], |row| {
            Ok((row.get(0)?, Counters { entities: row.get(1)?, facts: row.get(2)? }))
        })
        .optional()?;
    Ok(found)
}

pub(super) fn absorb(
    db: &Connection,
    org: &OrgId,
    request: &AbsorbRequest,
    now: Timestamp,
) -> Result<AbsorbOutcome> {
    let AbsorbRequest { scope, session, .. } = request;
    let Some(absorbed) = absorbed(db, org, scope, *session)? else {
        return Ok(AbsorbOutcome::Forgotten);
    };
    if absorbed != request.from {
        return Ok(AbsorbOutcome::Elsewhere { absorbed });
    }
    let Some((salt, mut counters)) = scope_of(db, org, scope)? else {
        return Ok(AbsorbOutcome::Forgotten);
    };
    let mut known = Vec::new();
    for name in request.extraction.name_keys() {
        known.extend(entities(db, org, scope, ("name_key", &name))?);
    }
    let resolved = resolve(&request.extraction, known, &mut counters, request.told_at);
    let facts = related(db, org, scope, &resolved.claims, &resolved.endings)?;
    // A part is taken once: none of these can have it as a source.
    let known = Known { facts, told_here: false };
    let told = Told { at: request.told_at, learned_at: now };
    let change = decide(&resolved, &known, &mut counters, told);
    for entity in &resolved.entities {
        write_entity(db, org, scope, entity)?;
    }
    write(db, org, request, (&change, &salt), &known.facts)?;
    db.prepare_cached(
        "UPDATE memory_scopes SET entities = ?3, facts = ?4 WHERE org_id = ?1 AND scope = ?2",
    )?
    .execute(params![org.as_str(), scope.0, counters.entities, counters.facts])?;
    db.prepare_cached(
        "UPDATE episodes SET absorbed = ?4 WHERE org_id = ?1 AND scope = ?2 AND session_id = ?3",
    )?
    .execute(params![
        org.as_str(),
        scope.0,
        session.0.as_bytes().as_slice(),
        request.until
    ])?;
    let GraphChange { learned, confirmed, closed, .. } = change;
    Ok(AbsorbOutcome::Absorbed { learned, confirmed, closed })
}

/// The facts that the decision is about.
fn related(
    db: &Connection,
    org: &OrgId,
    scope: &MemoryScope,
    claims: &[Claim],
    endings: &[Ending],
) -> Result<Vec<Fact>> {
    let mut found = BTreeMap::new();
    let mut add = |sql: &str, values: &[&dyn rusqlite::ToSql]| -> Result<()> {
        let mut statement = db.prepare_cached(sql)?;
        for known in statement.query_map(values, fact)? {
            let known = known?;
            found.insert(known.id, known);
        }
        Ok(())
    };
    let (org, scope) = (org.as_str(), &scope.0);
    let between = |subject: EntityId, object: EntityId| (subject.0, object.0);
    let pairs: BTreeSet<_> = claims
        .iter()
        .map(|claim| between(claim.subject, claim.object))
        .chain(endings.iter().map(|ending| between(ending.subject, ending.object)))
        .collect();
    for (subject, object) in &pairs {
        let sql = concat!(
            "SELECT ",
            fact_columns!(),
            " FROM facts f WHERE f.org_id = ?1 AND f.scope = ?2 AND f.subject = ?3 AND f.object = ?4"
        );
        add(sql, &[&org, scope, subject, object])?;
    }
    let relations: BTreeSet<_> =
        claims.iter().map(|claim| (claim.subject.0, claim.relation.as_str())).collect();
    for (subject, relation) in &relations {
        let sql = concat!(
            "SELECT ",
            fact_columns!(),
            " FROM facts f WHERE f.org_id = ?1 AND f.scope = ?2 AND f.subject = ?3
                AND f.relation = ?4 AND f.exclusive = 1"
        );
        add(sql, &[&org, scope, subject, relation])?;
    }
    Ok(found.into_values().collect())
}

pub(super) fn write_entity(
    db: &Connection,
    org: &OrgId,
    scope: &MemoryScope,
    entity: &Entity,
) -> Result<()> {
    db.prepare_cached(
        "INSERT INTO entities (org_id, scope, entity, name, name_key, kind, hint, mentioned_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
         ON CONFLICT DO UPDATE SET kind = excluded.kind, hint = excluded.hint,
            mentioned_at = excluded.mentioned_at",
    )?
    .execute(params![
        org.as_str(),
        scope.0,
        entity.id.0,
        entity.name,
        name_key(&entity.name),
        entity.kind.as_str(),
        entity.hint,
        entity.mentioned_at.as_millis(),
    ])?;
    Ok(())
}

pub(super) fn write_fact(
    db: &Connection,
    org: &OrgId,
    scope: &MemoryScope,
    fact: &Fact,
) -> Result<()> {
    db.prepare_cached(
        "INSERT INTO facts (org_id, scope, fact, subject, relation, object, sentence, exclusive,
            valid_from, valid_until, learned_at, unlearned_at, told_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
         ON CONFLICT DO UPDATE SET sentence = excluded.sentence, valid_from = excluded.valid_from,
            valid_until = excluded.valid_until, unlearned_at = excluded.unlearned_at,
            told_at = excluded.told_at",
    )?
    .execute(params![
        org.as_str(),
        scope.0,
        fact.id.0,
        fact.subject.0,
        fact.relation,
        fact.object.0,
        fact.sentence,
        fact.exclusive,
        fact.valid_from.as_millis(),
        fact.valid_until.map(Timestamp::as_millis),
        fact.learned_at.as_millis(),
        fact.unlearned_at.map(Timestamp::as_millis),
        fact.told_at.as_millis(),
    ])?;
    Ok(())
}

/// Writes what has changed: facts, their sources, their words and what their sentences are like.
fn write(
    db: &Connection,
    org: &OrgId,
    request: &AbsorbRequest,
    (change, salt): (&GraphChange, &[u8]),
    before: &[Fact],
) -> Result<()> {
    let scope = &request.scope;
    let known: BTreeSet<FactId> = before.iter().map(|fact| fact.id).collect();
    for fact in &change.facts {
        write_fact(db, org, scope, fact)?;
        if !known.contains(&fact.id) {
            index_fact(db, org, scope, salt, fact)?;
            write_vector(db, org, request, fact)?;
        }
    }
    for (from, to) in &change.resumed {
        let values = params![org.as_str(), scope.0, from.0, to.0];
        for sql in [
            "INSERT INTO fact_sources (org_id, scope, fact, session_id, part, told_at)
             SELECT org_id, scope, ?4, session_id, part, told_at FROM fact_sources
             WHERE org_id = ?1 AND scope = ?2 AND fact = ?3 ON CONFLICT DO NOTHING",
            "INSERT INTO fact_vectors (org_id, scope, fact, model, vector)
             SELECT org_id, scope, ?4, model, vector FROM fact_vectors
             WHERE org_id = ?1 AND scope = ?2 AND fact = ?3 ON CONFLICT DO NOTHING",
            "INSERT INTO fact_corrections (org_id, scope, fact, supersedes, by_key, at)
             SELECT org_id, scope, ?4, supersedes, by_key, at FROM fact_corrections
             WHERE org_id = ?1 AND scope = ?2 AND fact = ?3 ON CONFLICT DO NOTHING",
        ] {
            db.prepare_cached(sql)?.execute(values)?;
        }
    }
    for fact in &change.sources {
        db.prepare_cached(
            "INSERT INTO fact_sources (org_id, scope, fact, session_id, part, told_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            org.as_str(),
            scope.0,
            fact.0,
            request.session.0.as_bytes().as_slice(),
            request.from,
            request.told_at.as_millis(),
        ])?;
    }
    Ok(())
}

/// The words by which a fact is found: its sentence, its relation, and what its ends are called.
pub(super) fn index_fact(
    db: &Connection,
    org: &OrgId,
    scope: &MemoryScope,
    salt: &[u8],
    fact: &Fact,
) -> Result<()> {
    let text = [
        fact.sentence.as_str(),
        &called(db, org, scope, fact.subject)?,
        &fact.relation.replace('_', " "),
        &called(db, org, scope, fact.object)?,
    ]
    .join("\n");
    index(db, org, scope, salt, Document::Fact(fact.id), &text)
}

fn write_vector(db: &Connection, org: &OrgId, request: &AbsorbRequest, fact: &Fact) -> Result<()> {
    let Some(vectors) = &request.vectors else { return Ok(()) };
    let stated = &request.extraction.facts;
    let of_it = |sentence: &str| sentence.trim() == fact.sentence;
    let place = stated.iter().position(|stated| of_it(&stated.sentence));
    let Some(vector) = place.and_then(|place| vectors.vectors.get(place)) else { return Ok(()) };
    let bytes: Vec<u8> = vector.iter().flat_map(|number| number.to_le_bytes()).collect();
    db.prepare_cached(
        "INSERT INTO fact_vectors (org_id, scope, fact, model, vector)
         VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING",
    )?
    .execute(params![org.as_str(), request.scope.0, fact.id.0, vectors.model, bytes])?;
    Ok(())
}
