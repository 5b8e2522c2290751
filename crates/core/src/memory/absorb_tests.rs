//! What becomes of facts, case by case. Times are days.

use std::collections::BTreeMap;

use super::*;
use crate::time::Timestamp;

fn day(day: i64) -> Timestamp {
    Timestamp::from_millis(day)
}

/// A memory in memory.
#[derive(Default)]
pub(super) struct Graph {
    pub facts: BTreeMap<FactId, Fact>,
    pub sources: BTreeMap<FactId, Vec<i64>>,
    pub counters: Counters,
}

impl Graph {
    /// Absorbs what was said on a day, as a store does.
    pub fn absorb(&mut self, told: i64, claims: Vec<Claim>, endings: Vec<Ending>) -> GraphChange {
        let resolved = Resolved { claims, endings, entities: Vec::new() };
        let known = Known {
            facts: self.facts.values().cloned().collect(),
            told_here: self.sources.values().any(|days| days.contains(&told)),
        };
        let when = Told { at: day(told), learned_at: day(1_000 + told) };
        let change = absorb(&resolved, &known, &mut self.counters, when);
        for fact in &change.facts {
            self.facts.insert(fact.id, fact.clone());
        }
        for (from, to) in &change.resumed {
            let sources = self.sources.get(from).cloned().unwrap_or_default();
            self.sources.insert(*to, sources);
        }
        for id in &change.sources {
            let days = self.sources.entry(*id).or_default();
            if !days.contains(&told) {
                days.push(told);
            }
        }
        change
    }

    pub fn tell(&mut self, told: i64, claim: Claim) -> GraphChange {
        self.absorb(told, vec![claim], vec![])
    }

    /// Object, from, until, of what was ever true, in the order of time.
    fn shown(&self) -> Vec<(u32, i64, Option<i64>)> {
        let time = |at: Timestamp| if at == BEGINNING { -1 } else { at.as_millis() };
        let held = self.facts.values().filter(|f| f.valid_until != Some(f.valid_from));
        let mut shown: Vec<_> =
            held.map(|f| (f.object.0, time(f.valid_from), f.valid_until.map(time))).collect();
        shown.sort_by_key(|(object, from, _)| (*from, *object));
        shown
    }
}

/// That the person lives there, since nobody said when.
pub(super) fn lives(place: u32) -> Claim {
    Claim {
        subject: EntityId::PERSON,
        relation: "lives_in".into(),
        object: EntityId(place),
        sentence: format!("The user lives in {place}."),
        from: None,
        until: None,
        exclusive: true,
    }
}

fn during(place: u32, from: Option<i64>, until: Option<i64>) -> Claim {
    Claim { from: from.map(day), until: until.map(day), ..lives(place) }
}

fn likes(what: u32) -> Claim {
    Claim { relation: "likes".into(), exclusive: false, ..lives(what) }
}

fn no_longer(claim: &Claim, when: Option<i64>) -> Ending {
    let Claim { subject, relation, object, .. } = claim.clone();
    Ending { subject, relation, object, when: when.map(day) }
}

#[test]
fn a_new_place_closes_the_old_one_and_keeps_it() {
    let mut graph = Graph::default();
    graph.tell(1, lives(1));
    let change = graph.tell(5, lives(2));
    assert_eq!((change.learned, change.closed, change.confirmed), (1, 1, 0));
    assert_eq!(graph.shown(), [(1, 1, Some(5)), (2, 5, None)]);
    let old = &graph.facts[&FactId(0)];
    assert_eq!((old.learned_at, old.unlearned_at), (day(1_001), Some(day(1_005))));
    assert_eq!(old.sentence, "The user lives in 1.");
}

#[test]
fn what_is_told_again_has_another_source_and_is_no_second_fact() {
    let mut graph = Graph::default();
    graph.tell(1, likes(1));
    let change = graph.tell(4, Claim { sentence: "In other words.".into(), ..likes(1) });
    assert_eq!((change.learned, change.confirmed, change.closed), (0, 1, 0));
    assert_eq!((graph.facts.len(), &graph.sources[&FactId(0)]), (1, &vec![1, 4]));
    assert_eq!(graph.facts[&FactId(0)].sentence, "The user lives in 1.");
    assert_eq!(graph.facts[&FactId(0)].told_at, day(4));
}

#[test]
fn what_one_may_have_many_of_closes_nothing() {
    let mut graph = Graph::default();
    graph.tell(1, likes(1));
    graph.tell(2, likes(2));
    graph.tell(3, Claim { exclusive: true, ..likes(3) });
    assert_eq!(graph.shown(), [(1, 1, None), (2, 2, None), (3, 3, None)]);
}

#[test]
fn a_conversation_that_comes_late_closes_nothing_newer() {
    let mut graph = Graph::default();
    graph.tell(5, lives(2));
    let change = graph.tell(1, lives(1));
    assert_eq!(change.closed, 0);
    assert_eq!(graph.shown(), [(1, 1, Some(5)), (2, 5, None)]);
    graph.tell(3, lives(3));
    assert_eq!(graph.shown(), [(1, 1, Some(3)), (3, 3, Some(5)), (2, 5, None)]);
}

#[test]
fn what_was_said_later_counts_also_about_the_time_before() {
    let mut graph = Graph::default();
    graph.tell(3, lives(1));
    graph.tell(5, during(2, Some(2), None));
    assert_eq!(graph.shown(), [(2, 2, None)]);
    assert_eq!(graph.facts.len(), 2, "the mistake is kept");
    let mut late = Graph::default();
    late.tell(5, during(2, Some(2), None));
    late.tell(3, lives(1));
    assert_eq!((late.shown(), late.facts.len()), (graph.shown(), 2));
}

#[test]
fn a_while_elsewhere_interrupts_and_life_goes_on() {
    let mut graph = Graph::default();
    graph.tell(1, lives(1));
    let change = graph.tell(9, during(2, Some(4), Some(6)));
    assert_eq!(graph.shown(), [(1, 1, Some(4)), (2, 4, Some(6)), (1, 6, None)]);
    assert_eq!(change.resumed, [(FactId(0), FactId(1))]);
    assert_eq!(graph.sources[&change.resumed[0].1], [1]);
    let mut late = Graph::default();
    late.tell(9, during(2, Some(4), Some(6)));
    late.tell(1, lives(1));
    assert_eq!(late.shown(), graph.shown());
}

#[test]
fn what_is_announced_begins_when_it_was_announced_for() {
    let mut graph = Graph::default();
    graph.tell(1, lives(1));
    graph.tell(2, during(2, Some(9), None));
    assert_eq!(graph.shown(), [(1, 1, Some(9)), (2, 9, None)]);
    graph.tell(4, lives(1));
    assert_eq!(graph.shown(), [(1, 1, Some(9)), (2, 9, None)], "still there for now");
    graph.tell(5, lives(3));
    assert_eq!(graph.shown(), [(1, 1, Some(5)), (3, 5, Some(9)), (2, 9, None)]);
}

#[test]
fn back_where_one_was_is_a_fact_of_its_own() {
    let mut graph = Graph::default();
    for (told, place) in [(1, 1), (3, 2), (5, 1)] {
        graph.tell(told, lives(place));
    }
    assert_eq!(graph.shown(), [(1, 1, Some(3)), (2, 3, Some(5)), (1, 5, None)]);
}

#[test]
fn an_earlier_beginning_is_the_same_fact() {
    let mut graph = Graph::default();
    graph.tell(5, lives(1));
    graph.tell(7, during(1, Some(2), None));
    assert_eq!((graph.shown(), graph.facts.len()), (vec![(1, 2, None)], 1));
    graph.tell(1, lives(1));
    assert_eq!((graph.shown(), graph.facts.len()), (vec![(1, 1, None)], 1));
}

#[test]
fn until_then_means_since_nobody_knows_when_but_not_before_what_is_known() {
    let mut graph = Graph::default();
    graph.tell(9, during(1, None, Some(4)));
    assert_eq!(graph.shown(), [(1, -1, Some(4))]);
    assert!(graph.facts[&FactId(0)].is_valid_at(day(-400)));
    let mut graph = Graph::default();
    graph.tell(8, during(2, Some(1), Some(3)));
    graph.tell(9, during(1, None, Some(6)));
    assert_eq!(graph.shown(), [(2, 1, Some(3)), (1, 3, Some(6))]);
}

#[test]
fn an_end_closes_what_is_known_and_nothing_else() {
    let mut graph = Graph::default();
    graph.absorb(1, vec![likes(1), likes(2)], vec![]);
    let change =
        graph.absorb(6, vec![], vec![no_longer(&likes(1), Some(4)), no_longer(&likes(9), None)]);
    assert_eq!((change.closed, change.learned), (1, 0));
    assert_eq!(graph.shown(), [(1, 1, Some(4)), (2, 1, None)]);
    assert_eq!(graph.sources[&FactId(0)], [1, 6]);
    graph.absorb(8, vec![], vec![no_longer(&likes(2), None)]);
    assert_eq!(graph.shown(), [(1, 1, Some(4)), (2, 1, Some(8))]);
    assert_eq!(graph.facts[&FactId(1)].unlearned_at, Some(day(1_008)));
}

#[test]
fn an_end_that_comes_late_closes_nothing_newer() {
    let mut graph = Graph::default();
    graph.tell(5, likes(1));
    graph.absorb(2, vec![], vec![no_longer(&likes(1), None)]);
    assert_eq!(graph.shown(), [(1, 5, None)]);
}

#[test]
fn what_was_ended_and_is_heard_of_late_stays_ended() {
    let mut graph = Graph::default();
    graph.tell(2, likes(1));
    graph.absorb(6, vec![], vec![no_longer(&likes(1), None)]);
    graph.tell(4, likes(1));
    assert_eq!(graph.shown(), [(1, 2, Some(6))]);
    graph.tell(8, likes(1));
    assert_eq!(graph.shown(), [(1, 2, Some(6)), (1, 8, None)]);
}

#[test]
fn an_end_in_other_words_is_understood_where_nothing_else_can_be_meant() {
    let mut graph = Graph::default();
    graph.tell(1, likes(1));
    let in_other_words = Ending { relation: "is_fond_of".into(), ..no_longer(&likes(1), None) };
    graph.absorb(3, vec![], vec![in_other_words.clone()]);
    assert_eq!(graph.shown(), [(1, 1, Some(3))]);
    let mut two = Graph::default();
    two.absorb(1, vec![likes(1), Claim { relation: "knows".into(), ..likes(1) }], vec![]);
    two.absorb(3, vec![], vec![in_other_words]);
    assert_eq!(two.shown(), [(1, 1, None), (1, 1, None)]);
}

#[test]
fn an_end_is_of_the_old_and_not_of_what_is_said_with_it() {
    let mut graph = Graph::default();
    graph.tell(1, lives(1));
    let moved = vec![no_longer(&lives(1), None)];
    graph.absorb(4, vec![lives(2)], moved);
    assert_eq!(graph.shown(), [(1, 1, Some(4)), (2, 4, None)]);
}

#[test]
fn the_later_of_two_contradictions_in_one_breath_counts() {
    let mut graph = Graph::default();
    graph.absorb(1, vec![lives(1), lives(2)], vec![]);
    assert_eq!((graph.shown(), graph.facts.len()), (vec![(2, 1, None)], 2));
    let before = graph.facts.clone();
    graph.absorb(1, vec![lives(1), lives(2)], vec![]);
    assert_eq!(graph.facts, before, "and is not said a second time by a repeat");
}
