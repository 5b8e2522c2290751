//! Finding facts in SQLite, in several ways at once. How their orders are made one is `core`'s.

use std::collections::{BTreeMap, BTreeSet};

use epilogue_core::{
    MemoryScope, OrgId, Timestamp,
    memory::{EntityId, Fact, FactId, name_key},
};
use rusqlite::{Connection, params};

use super::{
    memory_graph::{entities, fact, fact_columns, read, view},
    memory_words::{self, seen},
};
use crate::{FOUND_MAX, FactQuestion, FoundFacts, QUESTION_WORDS_MAX, Result, VECTORS_MAX};

/// How many words a name has that is looked for in a question.
const NAME_WORDS_MAX: usize = 4;

/// From how many of the facts that were found by their words the graph is walked.
const SEEDS_MAX: usize = 5;

/// What is looked at.
struct Look<'a> {
    db: &'a Connection,
    org: &'a OrgId,
    scope: &'a MemoryScope,
    as_of: Option<Timestamp>,
}

pub(super) fn find(
    db: &Connection,
    org: &OrgId,
    scope: &MemoryScope,
    question: &FactQuestion,
) -> Result<FoundFacts> {
    let Some(salt) = memory_words::salt(db, org, scope)? else { return Ok(FoundFacts::default()) };
    let look = Look { db, org, scope, as_of: question.as_of };
    let mut found = FoundFacts::default();
    if let Some(words) = memory_words::question(&salt, &question.text) {
        let bounds = (question.as_of, FOUND_MAX);
        found.by_words = memory_words::facts(db, org, scope, &words, bounds)?;
        found.episodes = memory_words::episodes(db, org, scope, &words, FOUND_MAX)?;
        found.by_distance = look.near(&question.text, &found.by_words)?;
    }
    if let Some((model, vector)) = &question.vector {
        found.by_vector = look.alike(model, vector)?;
    }
    let orders = [&found.by_words, &found.by_vector, &found.by_distance];
    let mut facts: BTreeMap<FactId, Fact> = BTreeMap::new();
    for id in orders.into_iter().flatten().collect::<BTreeSet<_>>() {
        facts.extend(read(db, org, scope, *id)?.map(|fact| (*id, fact)));
    }
    // Whoever asks in words of their own is still told what was said last.
    facts.extend(look.last_told()?.into_iter().map(|fact| (fact.id, fact)));
    let mut by_time: Vec<&Fact> = facts.values().collect();
    by_time.sort_by_key(|fact| std::cmp::Reverse((fact.told_at, fact.id)));
    found.by_time = by_time.into_iter().map(|fact| fact.id).collect();
    let views = facts.into_values().map(|fact| view(db, org, scope, fact));
    found.facts = views.collect::<Result<_>>()?;
    Ok(found)
}

/// Facts in which an entity stands, the last told first.
pub(super) fn around(
    db: &Connection,
    org: &OrgId,
    scope: &MemoryScope,
    entity: EntityId,
    (as_of, limit): (Option<Timestamp>, u32),
) -> Result<Vec<FactId>> {
    let look = Look { db, org, scope, as_of };
    let facts = look.touching(entity, limit)?;
    Ok(facts.into_iter().map(|fact| fact.id).collect())
}

impl Look<'_> {
    /// The facts that were told last.
    fn last_told(&self) -> Result<Vec<Fact>> {
        let sql = concat!(
            "SELECT ",
            fact_columns!(),
            " FROM facts f WHERE f.org_id = ?1 AND f.scope = ?2 AND ?3 IS NULL AND ",
            seen!(),
            " ORDER BY f.told_at DESC, f.fact DESC LIMIT ?4"
        );
        let mut statement = self.db.prepare_cached(sql)?;
        let nothing = None::<u32>;
        let values = params![self.org.as_str(), self.scope.0, nothing, FOUND_MAX, self.at()];
        let rows = statement.query_map(values, fact)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    fn at(&self) -> Option<i64> {
        self.as_of.map(Timestamp::as_millis)
    }

    /// Facts in which an entity stands at either end.
    fn touching(&self, entity: EntityId, limit: u32) -> Result<Vec<Fact>> {
        let mut facts = BTreeMap::new();
        for sql in [
            concat!(
                "SELECT ",
                fact_columns!(),
                " FROM facts f WHERE f.org_id = ?1 AND f.scope = ?2 AND f.subject = ?3 AND ",
                seen!(),
                " LIMIT ?4"
            ),
            concat!(
                "SELECT ",
                fact_columns!(),
                " FROM facts f WHERE f.org_id = ?1 AND f.scope = ?2 AND f.object = ?3 AND ",
                seen!(),
                " LIMIT ?4"
            ),
        ] {
            let mut statement = self.db.prepare_cached(sql)?;
            let values = params![self.org.as_str(), self.scope.0, entity.0, limit, self.at()];
            for known in statement.query_map(values, fact)? {
                let known = known?;
                facts.insert(known.id, known);
            }
        }
        let mut facts: Vec<_> = facts.into_values().collect();
        facts.sort_by_key(|fact| std::cmp::Reverse((fact.told_at, fact.id)));
        facts.truncate(limit as usize);
        Ok(facts)
    }

    /// Facts one step away from whatever the question names or its words found, then those two steps away.
    /// The person stands in nearly everything, and is no way from one thing to another.
    fn near(&self, text: &str, by_words: &[FactId]) -> Result<Vec<FactId>> {
        let mut ring: BTreeSet<EntityId> = self.named(text)?;
        for id in by_words.iter().take(SEEDS_MAX) {
            let found = read(self.db, self.org, self.scope, *id)?;
            ring.extend(found.iter().flat_map(|fact| [fact.subject, fact.object]));
        }
        let mut passed = BTreeSet::from([EntityId::PERSON]);
        let mut near: Vec<FactId> = Vec::new();
        for _ in 0..2 {
            let mut next = BTreeSet::new();
            for entity in ring.iter().filter(|entity| !passed.contains(entity)) {
                for fact in self.touching(*entity, FOUND_MAX)? {
                    next.extend([fact.subject, fact.object]);
                    if !near.contains(&fact.id) {
                        near.push(fact.id);
                    }
                }
                if near.len() >= FOUND_MAX as usize {
                    near.truncate(FOUND_MAX as usize);
                    return Ok(near);
                }
            }
            passed.append(&mut ring);
            ring = next;
        }
        Ok(near)
    }

    /// The entities whose names stand in the question.
    fn named(&self, text: &str) -> Result<BTreeSet<EntityId>> {
        let punctuation = |c: char| !c.is_alphanumeric();
        let plain = name_key(text);
        let words: Vec<&str> = plain
            .split(' ')
            .map(|word| word.trim_matches(punctuation))
            .filter(|word| !word.is_empty())
            .take(QUESTION_WORDS_MAX)
            .collect();
        let mut named = BTreeSet::new();
        for start in 0..words.len() {
            for end in start + 1..=words.len().min(start + NAME_WORDS_MAX) {
                let name = words[start..end].join(" ");
                let found = entities(self.db, self.org, self.scope, ("name_key", &name))?;
                named.extend(found.into_iter().map(|entity| entity.id));
            }
        }
        Ok(named)
    }

    /// Facts whose sentences are like the question, compared one by one.
    fn alike(&self, model: &str, vector: &[f32]) -> Result<Vec<FactId>> {
        let mut statement = self.db.prepare_cached(concat!(
            "SELECT f.fact, v.vector FROM fact_vectors v
             JOIN facts f ON f.org_id = v.org_id AND f.scope = v.scope AND f.fact = v.fact
             WHERE v.org_id = ?1 AND v.scope = ?2 AND v.model = ?3 AND ",
            seen!(),
            " ORDER BY v.fact DESC LIMIT ?4"
        ))?;
        let values = params![self.org.as_str(), self.scope.0, model, VECTORS_MAX, self.at()];
        let mut scored: Vec<(f32, FactId)> = Vec::new();
        let mut rows = statement.query(values)?;
        while let Some(row) = rows.next()? {
            let bytes = row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?;
            if let Some(likeness) = likeness(bytes, vector) {
                scored.push((likeness, FactId(row.get(0)?)));
            }
        }
        scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(b.1.cmp(&a.1)));
        Ok(scored.into_iter().take(FOUND_MAX as usize).map(|(_, id)| id).collect())
    }
}

/// The cosine of the angle between a stored vector and another. `None`: they cannot be compared.
fn likeness(stored: &[u8], other: &[f32]) -> Option<f32> {
    let (numbers, rest) = stored.as_chunks::<4>();
    if numbers.len() != other.len() || !rest.is_empty() {
        return None;
    }
    let (mut product, mut own, mut theirs) = (0.0_f32, 0.0_f32, 0.0_f32);
    for (bytes, b) in numbers.iter().zip(other) {
        let a = f32::from_le_bytes(*bytes);
        product += a * b;
        own += a * a;
        theirs += b * b;
    }
    let length = (own * theirs).sqrt();
    (length > 0.0 && length.is_finite()).then(|| product / length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_are_alike_by_their_direction() {
        let bytes =
            |numbers: &[f32]| numbers.iter().flat_map(|n| n.to_le_bytes()).collect::<Vec<_>>();
        let alike = |a: &[f32], b: &[f32]| likeness(&bytes(a), b);
        assert_eq!(alike(&[3.0, 0.0], &[1.0, 0.0]), Some(1.0));
        assert_eq!(alike(&[0.0, 2.0], &[1.0, 0.0]), Some(0.0));
        assert_eq!(alike(&[1.0], &[1.0, 0.0]), None, "of other lengths");
        assert_eq!(alike(&[0.0, 0.0], &[1.0, 0.0]), None, "nothing has no direction");
        assert_eq!(likeness(&[1, 2, 3], &[]), None);
    }
}
