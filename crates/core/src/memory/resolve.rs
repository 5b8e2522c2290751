//! Who is meant: names to entities.

use std::collections::BTreeMap;

use super::{
    extraction::{Extraction, Mention},
    graph::{Counters, Entity, EntityId},
    names::name_key,
};
use crate::time::Timestamp;

/// A stated fact whose ends are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Of whom or what.
    pub subject: EntityId,
    /// How subject and object belong together.
    pub relation: String,
    /// The other end.
    pub object: EntityId,
    /// The fact in words.
    pub sentence: String,
    /// Since when, if that was said.
    pub from: Option<Timestamp>,
    /// Until when, if that was said.
    pub until: Option<Timestamp>,
    /// Whether there is one object at a time.
    pub exclusive: bool,
}

/// The end of a fact between known entities.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// Of whom or what.
    pub subject: EntityId,
    /// How subject and object belonged together.
    pub relation: String,
    /// The other end.
    pub object: EntityId,
    /// When, if that was said.
    pub when: Option<Timestamp>,
}

/// An extraction whose names are entities.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resolved {
    /// What is stated.
    pub claims: Vec<Claim>,
    /// What is ended.
    pub endings: Vec<Ending>,
    /// Entities that are new, or known and changed.
    pub entities: Vec<Entity>,
}

/// The names that are looked up to resolve an extraction, as they are compared.
impl Extraction {
    /// Each name once.
    pub fn name_keys(&self) -> Vec<String> {
        let facts = self.facts.iter().flat_map(|fact| [&fact.subject, &fact.object]);
        let ended = self.ended.iter().flat_map(|end| [&end.subject, &end.object]);
        let others = facts.chain(ended).filter(|mention| !mention.is_person());
        let keys: std::collections::BTreeSet<_> =
            others.map(|mention| name_key(&mention.name)).collect();
        keys.into_iter().collect()
    }
}

/// Says who is meant by each name, given every known entity of these names. New entities take the
/// numbers that are free next. What is ended makes nobody known.
pub fn resolve(
    extraction: &Extraction,
    known: Vec<Entity>,
    counters: &mut Counters,
    told_at: Timestamp,
) -> Resolved {
    let mut people = Names { known: BTreeMap::new(), changed: Vec::new(), counters, told_at };
    for entity in known {
        people.known.entry(name_key(&entity.name)).or_default().push(entity);
    }
    let mut resolved = Resolved::default();
    for fact in &extraction.facts {
        let (subject, object) = (people.meant(&fact.subject), people.meant(&fact.object));
        if subject == object {
            continue;
        }
        resolved.claims.push(Claim {
            subject,
            relation: fact.relation.clone(),
            object,
            sentence: fact.sentence.trim().to_owned(),
            from: fact.from,
            until: fact.until,
            exclusive: fact.exclusive,
        });
    }
    for end in &extraction.ended {
        let (Some(subject), Some(object)) = (people.found(&end.subject), people.found(&end.object))
        else {
            continue;
        };
        let relation = end.relation.clone();
        resolved.endings.push(Ending { subject, relation, object, when: end.when });
    }
    let Names { known, changed, .. } = people;
    let all = known.into_values().flatten();
    resolved.entities = all.filter(|entity| changed.contains(&entity.id)).collect();
    resolved.entities.sort_by_key(|entity| entity.id);
    resolved
}

struct Names<'a> {
    /// By name, as it is compared.
    known: BTreeMap<String, Vec<Entity>>,
    changed: Vec<EntityId>,
    counters: &'a mut Counters,
    told_at: Timestamp,
}

impl Names<'_> {
    /// Whoever is meant, known or not.
    fn meant(&mut self, mention: &Mention) -> EntityId {
        if mention.is_person() {
            return EntityId::PERSON;
        }
        let named = self.known.entry(name_key(&mention.name)).or_default();
        if let Some(place) = chosen(named, mention) {
            let entity = &mut named[place];
            let before = entity.clone();
            entity.mentioned_at = entity.mentioned_at.max(self.told_at);
            entity.hint = entity.hint.take().or_else(|| hint_of(mention));
            if entity.kind == super::EntityKind::Other {
                entity.kind = mention.kind;
            }
            if *entity != before {
                self.changed.push(entity.id);
            }
            return entity.id;
        }
        let id = EntityId(self.counters.entities);
        self.counters.entities += 1;
        self.changed.push(id);
        named.push(Entity {
            id,
            name: mention.name.split_whitespace().collect::<Vec<_>>().join(" "),
            kind: mention.kind,
            hint: hint_of(mention),
            mentioned_at: self.told_at,
        });
        id
    }

    /// Whoever is meant, if anybody of that name is known.
    fn found(&self, mention: &Mention) -> Option<EntityId> {
        if mention.is_person() {
            return Some(EntityId::PERSON);
        }
        let named = self.known.get(&name_key(&mention.name))?;
        chosen(named, mention).map(|place| named[place].id)
    }
}

fn hint_of(mention: &Mention) -> Option<String> {
    mention.hint.as_deref().map(str::trim).filter(|hint| !hint.is_empty()).map(str::to_owned)
}

/// Which of one name is meant. The same hint is the same one; another hint is another one; without a
/// hint it is the one that was spoken of last.
fn chosen(named: &[Entity], mention: &Mention) -> Option<usize> {
    let hint = hint_of(mention).map(|hint| name_key(&hint));
    let theirs = |entity: &Entity| entity.hint.as_deref().map(name_key);
    let fitting = named.iter().enumerate().filter(|(_, entity)| entity.kind.fits(mention.kind));
    let ranked = fitting.filter_map(|(place, entity)| {
        let rank = match (&hint, theirs(entity)) {
            (Some(hint), Some(own)) if *hint == own => 2,
            (Some(_), Some(_)) => return None,
            (Some(_), None) => 1,
            (None, _) => 0,
        };
        Some((rank, entity.mentioned_at, entity.id, place))
    });
    ranked.max().map(|(.., place)| place)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::{EntityKind, StatedEnd, StatedFact};

    fn mention(name: &str, kind: EntityKind, hint: Option<&str>) -> Mention {
        Mention { name: name.into(), kind, hint: hint.map(Into::into) }
    }

    fn knows(object: Mention) -> StatedFact {
        StatedFact {
            subject: mention("User", EntityKind::Person, None),
            relation: "knows".into(),
            object,
            sentence: " They know each other. ".into(),
            from: None,
            until: None,
            exclusive: false,
        }
    }

    /// Resolves mentions one conversation after the other, each a day later.
    fn ids(mentions: &[Mention]) -> Vec<u32> {
        let (mut counters, mut known) = (Counters::default(), BTreeMap::new());
        let mut ids = Vec::new();
        for (day, mention) in mentions.iter().enumerate() {
            let told = Timestamp::from_millis(i64::try_from(day).expect("small"));
            let said = Extraction { facts: vec![knows(mention.clone())], ended: vec![] };
            let same: Vec<Entity> = known.values().cloned().collect();
            let resolved = resolve(&said, same, &mut counters, told);
            known.extend(resolved.entities.into_iter().map(|entity| (entity.id, entity)));
            ids.extend(resolved.claims.iter().map(|claim| claim.object.0));
        }
        ids
    }

    #[test]
    fn one_name_is_one_person_however_it_is_written() {
        let ann = |name| mention(name, EntityKind::Person, None);
        assert_eq!(ids(&[ann("Ann Lee"), ann(" ann  LEE"), ann("Anna Lee")]), [1, 1, 2]);
    }

    #[test]
    fn hints_tell_two_of_one_name_apart_and_without_one_the_last_is_meant() {
        let ann = |hint| mention("Ann", EntityKind::Person, hint);
        let said = [
            ann(Some("sister")),
            ann(Some("colleague")),
            ann(None),
            ann(Some("Sister")),
            ann(None),
        ];
        assert_eq!(ids(&said), [1, 2, 2, 1, 1]);
    }

    #[test]
    fn a_hint_that_comes_later_belongs_to_whom_it_is_said_of() {
        let ann = |hint| mention("Ann", EntityKind::Person, hint);
        assert_eq!(ids(&[ann(None), ann(Some("sister")), ann(Some("boss"))]), [1, 1, 2]);
    }

    #[test]
    fn kinds_that_cannot_be_one_are_two() {
        let said = [
            mention("Paris", EntityKind::Place, None),
            mention("Paris", EntityKind::Person, None),
            mention("Paris", EntityKind::Other, None),
            mention("Paris", EntityKind::Place, None),
        ];
        assert_eq!(ids(&said), [1, 2, 2, 1]);
    }

    #[test]
    fn an_end_makes_nobody_known_and_the_person_is_nobody_elses_name() {
        let rex = mention("Rex", EntityKind::Animal, None);
        let person = mention(" USER ", EntityKind::Other, None);
        let end = StatedEnd {
            subject: person.clone(),
            relation: "has_pet".into(),
            object: rex.clone(),
            when: None,
        };
        let mut counters = Counters::default();
        let ended = Extraction { facts: vec![], ended: vec![end] };
        let told = Timestamp::from_millis(1);
        let resolved = resolve(&ended, vec![], &mut counters, told);
        assert_eq!((resolved, counters), (Resolved::default(), Counters::default()));
        assert_eq!(ended.name_keys(), ["rex"]);
        let both = Extraction { facts: vec![knows(rex), knows(person)], ..ended };
        let resolved = resolve(&both, vec![], &mut counters, told);
        assert_eq!((resolved.claims.len(), resolved.endings.len()), (1, 1));
        assert_eq!(resolved.claims[0].sentence, "They know each other.");
        assert_eq!(resolved.entities.len(), 1);
    }
}
