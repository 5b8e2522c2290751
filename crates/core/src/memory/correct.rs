//! What becomes of a fact that somebody corrects: another one takes its place. The old one stays, and never
//! was true as far as is known from now on; what was believed before is still answerable.

use super::{
    extraction::{Extraction, Mention, StatedFact},
    graph::{Counters, Entity, EntityId, EntityKind, Fact, FactId},
    resolve::resolve,
};
use crate::time::Timestamp;

/// What is corrected about a fact. What is absent stays as it was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FactCorrection {
    /// The fact in words.
    pub sentence: Option<String>,
    /// The other end.
    pub object: Option<Mention>,
    /// Since when it has been true in the world.
    pub valid_from: Option<Timestamp>,
    /// Until when it is; `Some(None)`: it still is.
    pub valid_until: Option<Option<Timestamp>>,
}

/// What a correction makes of a fact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Corrected {
    /// The old fact, closed.
    pub closed: Fact,
    /// The one that takes its place.
    pub fact: Fact,
    /// The other end, if it is new or was changed by being named.
    pub entity: Option<Entity>,
}

/// Why a fact cannot be corrected like that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Impossible {
    /// Its subject cannot be its object as well.
    OneEnd,
    /// It would be over before it began.
    OverBefore,
}

/// Corrects a fact. `named` are the entities that have the new object's name.
pub fn correct(
    known: &Fact,
    correction: &FactCorrection,
    named: Vec<Entity>,
    counters: &mut Counters,
    now: Timestamp,
) -> Result<Corrected, Impossible> {
    let (object, entity) = match &correction.object {
        None => (known.object, None),
        Some(mention) if mention.is_person() => (EntityId::PERSON, None),
        Some(mention) => meant(mention, named, counters, now).ok_or(Impossible::OneEnd)?,
    };
    if object == known.subject {
        return Err(Impossible::OneEnd);
    }
    let valid_from = correction.valid_from.unwrap_or(known.valid_from);
    let valid_until = correction.valid_until.unwrap_or(known.valid_until);
    if valid_until.is_some_and(|until| until <= valid_from) {
        return Err(Impossible::OverBefore);
    }
    let fact = Fact {
        id: FactId(counters.facts),
        object,
        sentence: correction.sentence.clone().unwrap_or_else(|| known.sentence.clone()),
        valid_from,
        valid_until,
        learned_at: now,
        unlearned_at: valid_until.map(|_| now),
        told_at: now,
        ..known.clone()
    };
    counters.facts += 1;
    let closed =
        Fact { valid_until: Some(known.valid_from), unlearned_at: Some(now), ..known.clone() };
    Ok(Corrected { closed, fact, entity })
}

/// Who is meant by a name, as if the person had named them.
fn meant(
    mention: &Mention,
    named: Vec<Entity>,
    counters: &mut Counters,
    now: Timestamp,
) -> Option<(EntityId, Option<Entity>)> {
    let person = Mention { name: "user".into(), kind: EntityKind::Person, hint: None };
    let stated = StatedFact {
        subject: person,
        relation: String::new(),
        object: mention.clone(),
        sentence: String::new(),
        from: None,
        until: None,
        exclusive: false,
    };
    let named_once = Extraction { facts: vec![stated], ended: Vec::new() };
    let mut resolved = resolve(&named_once, named, counters, now);
    let object = resolved.claims.first()?.object;
    Some((object, resolved.entities.pop()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn known() -> Fact {
        Fact {
            id: FactId(3),
            subject: EntityId::PERSON,
            relation: "lives_in".into(),
            object: EntityId(1),
            sentence: "The user lives in Ulm.".into(),
            exclusive: true,
            valid_from: at(10),
            valid_until: None,
            learned_at: at(12),
            unlearned_at: None,
            told_at: at(12),
        }
    }

    fn place(name: &str) -> Mention {
        Mention { name: name.into(), kind: EntityKind::Place, hint: None }
    }

    fn corrected(correction: &FactCorrection) -> Result<Corrected, Impossible> {
        let porto = Entity {
            id: EntityId(7),
            name: "Porto".into(),
            kind: EntityKind::Place,
            hint: None,
            mentioned_at: at(1),
        };
        let mut counters = Counters { entities: 9, facts: 4 };
        correct(&known(), correction, vec![porto], &mut counters, at(50))
    }

    #[test]
    fn the_new_fact_holds_and_the_old_one_was_believed_until_now() {
        let correction = FactCorrection {
            sentence: Some("The user lives in Porto.".into()),
            object: Some(place(" PORTO ")),
            ..FactCorrection::default()
        };
        let Corrected { closed, fact, entity } = corrected(&correction).expect("possible");
        assert_eq!((fact.id, fact.object, fact.learned_at), (FactId(4), EntityId(7), at(50)));
        assert!(fact.is_valid_at(at(60)) && fact.exclusive);
        assert!(!closed.is_valid_at(at(20)), "it never was");
        assert!(closed.was_valid_at(at(20), at(49)), "and was believed");
        assert!(!fact.was_valid_at(at(20), at(49)));
        assert_eq!(entity.map(|entity| entity.mentioned_at), Some(at(50)));
    }

    #[test]
    fn a_name_that_nobody_has_is_somebody_new() {
        let object = Some(place("Faro"));
        let corrected = corrected(&FactCorrection { object, ..FactCorrection::default() });
        let Corrected { fact, entity, .. } = corrected.expect("possible");
        assert_eq!((fact.object, fact.sentence), (EntityId(9), known().sentence));
        assert_eq!(entity.expect("new").name, "Faro");
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let themself = FactCorrection { object: Some(place("User")), ..FactCorrection::default() };
        assert_eq!(corrected(&themself), Err(Impossible::OneEnd));
        let until = |until| FactCorrection {
            valid_until: Some(Some(at(until))),
            ..FactCorrection::default()
        };
        assert_eq!(corrected(&until(10)), Err(Impossible::OverBefore));
        let fact = corrected(&until(11)).expect("possible").fact;
        assert_eq!((fact.valid_until, fact.unlearned_at), (Some(at(11)), Some(at(50))));
        let open = FactCorrection { valid_until: Some(None), ..FactCorrection::default() };
        assert_eq!(corrected(&open).expect("possible").fact.valid_until, None);
    }
}
