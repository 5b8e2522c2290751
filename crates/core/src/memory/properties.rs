//! What holds whatever is said, in whatever order it arrives.

use proptest::{collection::vec, option, prelude::*};

use super::{
    absorb_tests::{Graph, lives},
    *,
};
use crate::time::Timestamp;

/// One part of a conversation: when it was told, and what it tells.
type Part = (i64, Vec<Claim>, Vec<Ending>);

prop_compose! {
    fn claim()(
        object in 1..4_u32, relation in 0..2, from in option::of(0..30_i64),
        length in option::of(0..10_i64), exclusive in prop::bool::weighted(0.8),
    ) -> Claim {
        let at = Timestamp::from_millis;
        Claim {
            relation: ["lives_in", "works_at"][usize::from(relation == 1)].into(),
            from: from.map(at),
            until: length.map(|length| at(from.unwrap_or(0) + length)),
            exclusive,
            ..lives(object)
        }
    }
}

prop_compose! {
    fn ending()(claim in claim(), when in option::of(0..30_i64)) -> Ending {
        let Claim { subject, relation, object, .. } = claim;
        Ending { subject, relation, object, when: when.map(Timestamp::from_millis) }
    }
}

fn part() -> impl Strategy<Value = Part> {
    (0..30_i64, vec(claim(), 0..4), vec(ending(), 0..2))
}

fn check(graph: &Graph) {
    let facts: Vec<_> = graph.facts.values().collect();
    for fact in &facts {
        assert!(fact.valid_until.is_none_or(|until| fact.valid_from <= until), "{fact:?}");
        assert_eq!(fact.valid_until.is_some(), fact.unlearned_at.is_some(), "{fact:?}");
        assert!(fact.subject == EntityId::PERSON && fact.id.0 < graph.counters.facts);
        assert!(!graph.sources[&fact.id].is_empty(), "nothing is believed without a source");
    }
    for (place, one) in facts.iter().enumerate() {
        for other in &facts[place + 1..] {
            let rivals = one.exclusive && other.exclusive;
            if one.relation != other.relation || !(rivals || one.object == other.object) {
                continue;
            }
            let starts = [one.valid_from, other.valid_from];
            let both = starts.iter().any(|at| one.is_valid_at(*at) && other.is_valid_at(*at));
            assert!(!both, "two at once: {one:?} {other:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn nothing_is_deleted_and_nothing_exclusive_is_true_twice(parts in vec(part(), 1..12)) {
        let mut graph = Graph::default();
        for (told, claims, endings) in parts {
            let before = graph.facts.clone();
            graph.absorb(told, claims, endings);
            for (id, old) in before {
                let new = &graph.facts[&id];
                let kept = (new.sentence == old.sentence, new.object == old.object,
                    new.learned_at == old.learned_at, new.told_at >= old.told_at);
                prop_assert_eq!(kept, (true, true, true, true));
            }
            check(&graph);
        }
    }

    #[test]
    fn absorbing_a_part_again_changes_nothing(parts in vec(part(), 1..8)) {
        let mut graph = Graph::default();
        for (told, (_, claims, endings)) in (0..).zip(parts) {
            graph.absorb(told, claims.clone(), endings.clone());
            let before = (graph.facts.clone(), graph.sources.clone(), graph.counters);
            let again = graph.absorb(told, claims, endings);
            prop_assert_eq!(again.facts, vec![]);
            prop_assert_eq!((graph.facts.clone(), graph.sources.clone(), graph.counters), before);
        }
    }

    #[test]
    fn the_order_of_arrival_does_not_matter(
        order in Just((1..8_u32).collect::<Vec<_>>()).prop_shuffle()
    ) {
        let mut graph = Graph::default();
        for told in order {
            graph.tell(i64::from(told), lives(told));
            check(&graph);
        }
        for fact in graph.facts.values() {
            let from = i64::from(fact.object.0);
            let until = (from < 7).then_some(Timestamp::from_millis(from + 1));
            prop_assert_eq!(fact.valid_from, Timestamp::from_millis(from));
            prop_assert_eq!(fact.valid_until, until);
        }
    }

    #[test]
    fn whatever_a_model_answers_is_read_or_refused(answer in ".{0,200}") {
        if let Ok(read) = Extraction::read(&answer) {
            prop_assert!(read.extraction.facts.len() <= FACTS_MAX);
        }
    }

    #[test]
    fn leaving_out_adds_nothing_and_breaks_nothing(text in "\\PC{0,80}") {
        let left = redact(&text);
        prop_assert!(left == text || left.contains("[left out]"));
        prop_assert_eq!(redact(&left), left);
        prop_assert!(words(&text).iter().all(|word| !word.is_empty()));
    }
}
