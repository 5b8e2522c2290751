use std::sync::Arc;

use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);
const MS: Span = Span::from_millis(1);

fn words(line: &mut Line, id: &str, text: &str, is_final: bool) -> Queued {
    line.push(id, vec![Part::Words(text.to_owned())], is_final, NOW)
}

/// What is said, as far as it can be now.
fn said(line: &mut Line, now: Timestamp) -> Vec<String> {
    let mut said = Vec::new();
    while let Next::Part(_, Part::Words(text), _) = line.next(now) {
        said.push(text);
    }
    said
}

#[test]
fn parts_are_said_in_order_and_a_new_turn_waits_behind() {
    let mut line = Line::default();
    words(&mut line, "a", "a1", false);
    words(&mut line, "b", "b1", true);
    words(&mut line, "a", "a2", true);
    assert_eq!(said(&mut line, NOW), ["a1", "a2", "b1"]);
    assert!(matches!(line.next(NOW), Next::Nothing));
}

#[test]
fn an_open_turn_is_waited_for_and_not_for_ever() {
    let mut line = Line::default();
    words(&mut line, "a", "a1", false);
    words(&mut line, "b", "b1", true);
    assert_eq!(said(&mut line, NOW), ["a1"]);
    let until = NOW + TURN_PATIENCE;
    assert!(matches!(line.next(until - MS), Next::WaitUntil(at) if at == until));
    assert_eq!(said(&mut line, until), ["b1"]);
}

#[test]
fn a_turn_is_closed_without_words() {
    let mut line = Line::default();
    words(&mut line, "a", "a1", false);
    words(&mut line, "b", "b1", true);
    assert!(line.close("a"));
    assert!(!line.close("c"));
    assert_eq!(said(&mut line, NOW), ["a1", "b1"]);
}

#[test]
fn what_comes_of_an_interrupted_turn_is_passed_over() {
    let mut line = Line::default();
    words(&mut line, "heard", "h", true);
    assert_eq!(said(&mut line, NOW), ["h"]);
    words(&mut line, "open", "o1", false);
    words(&mut line, "waiting", "w1", true);
    line.interrupt(true);
    for id in ["heard", "open", "waiting"] {
        assert_eq!(words(&mut line, id, "more", true), Queued::PassedOver, "{id}");
        assert!(line.close(id));
    }
    assert_eq!(words(&mut line, "new", "n", true), Queued::Waiting);
    assert_eq!(said(&mut line, NOW), ["n"]);
    line.interrupt(false);
    assert_eq!(words(&mut line, "new", "n2", true), Queued::Waiting, "it had been said");
}

#[test]
fn a_line_holds_so_many_parts_and_no_more() {
    let mut line = Line::default();
    for _ in 0..PARTS_WAITING_MAX {
        assert_eq!(words(&mut line, "a", "x", true), Queued::Waiting);
    }
    assert_eq!(words(&mut line, "b", "x", true), Queued::Full);
    line.next(NOW);
    assert_eq!(words(&mut line, "b", "x", true), Queued::Waiting);
}

#[test]
fn a_line_holds_so_much_sound_and_no_more() {
    let recording = |lasts| vec![Part::Recording(Clip::new(Arc::new(()), lasts))];
    let mut line = Line::default();
    assert_eq!(line.push("a", recording(SOUND_WAITING_MAX), true, NOW), Queued::Waiting);
    assert_eq!(line.push("b", recording(MS), true, NOW), Queued::Full);
    assert_eq!(words(&mut line, "b", "x", true), Queued::Waiting, "words have no length yet");
}

#[test]
fn so_many_interrupted_turns_are_remembered() {
    let mut line = Line::default();
    for number in 0..=INTERRUPTED_MAX {
        words(&mut line, &number.to_string(), "x", true);
        line.interrupt(false);
    }
    assert_eq!(words(&mut line, "0", "x", true), Queued::Waiting);
    assert_eq!(words(&mut line, "1", "x", true), Queued::PassedOver);
}
