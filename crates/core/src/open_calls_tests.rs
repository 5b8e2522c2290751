use proptest::prelude::*;

use super::*;

const NOW: Timestamp = Timestamp::from_millis(7);

fn call(id: &str) -> ToolCall {
    ToolCall { id: id.into(), name: "look".into(), arguments: "{}".into() }
}

fn text(role: Role, content: &str) -> Said {
    Said { body: NewMessage::text(role, content, NOW), tokens: 1 }
}

fn calling(ids: &[&str]) -> Said {
    let mut said = text(Role::Assistant, "");
    said.body.tool_calls = ids.iter().map(|id| call(id)).collect();
    said
}

fn result_of(id: &str) -> Said {
    let mut said = text(Role::Tool, "seen");
    said.body.tool_call_id = Some(id.into());
    said
}

/// What is written, in short.
fn shown(said: &[Said]) -> Vec<String> {
    let shown = said.iter().map(|said| match (&said.body.tool_call_id, said.body.role) {
        (Some(id), _) if said.body.content == NO_RESULT => format!("{id}: nothing"),
        (Some(id), _) => format!("{id}: result"),
        (None, role) => role.as_str().to_owned(),
    });
    shown.collect()
}

fn fitted(open: &[&str], input: Vec<Said>) -> Result<Vec<String>, Misfit> {
    let open: Vec<_> = open.iter().map(|id| call(id)).collect();
    fit(&open, input, NOW).map(|written| shown(&written))
}

#[test]
fn what_follows_without_open_calls_is_written_as_it_is() {
    let input = [Role::System, Role::User, Role::Assistant, Role::User];
    let input = input.map(|role| text(role, "x")).to_vec();
    assert_eq!(
        fitted(&[], input),
        Ok(["system", "user", "assistant", "user"].map(Into::into).into())
    );
    assert_eq!(fitted(&[], Vec::new()), Err(Misfit::Nothing));
}

#[test]
fn results_answer_all_open_calls_and_nothing_else() {
    let both = vec![result_of("b"), result_of("a"), text(Role::User, "and?")];
    assert_eq!(
        fitted(&["a", "b"], both),
        Ok(["a: result", "b: result", "user"].map(Into::into).into())
    );
    let misfit = |ids: &[&str]| fitted(&["a", "b"], ids.iter().map(|id| result_of(id)).collect());
    assert_eq!(misfit(&["a"]), Err(Misfit::Missing("b".into())));
    assert_eq!(misfit(&["a", "a"]), Err(Misfit::Doubled("a".into())));
    assert_eq!(misfit(&["a", "b", "c"]), Err(Misfit::Unasked("c".into())));
    let nameless = vec![text(Role::Tool, "of nothing")];
    assert_eq!(fitted(&[], nameless), Err(Misfit::Unasked(String::new())));
}

#[test]
fn whoever_says_something_else_leaves_the_calls_without_a_result() {
    let closed = fitted(&["a", "b"], vec![text(Role::User, "never mind")]);
    assert_eq!(closed, Ok(["a: nothing", "b: nothing", "user"].map(Into::into).into()));
    let late = vec![text(Role::User, "never mind"), result_of("a")];
    assert_eq!(fitted(&["a"], late), Err(Misfit::Unasked("a".into())));
}

#[test]
fn calls_that_are_sent_back_are_passed_over_with_what_came_before() {
    let loops =
        vec![text(Role::User, "look"), calling(&["b", "a"]), result_of("a"), result_of("b")];
    assert_eq!(fitted(&["a", "b"], loops), Ok(["a: result", "b: result"].map(Into::into).into()));
    let alone = vec![text(Role::User, "look"), calling(&["a"])];
    assert_eq!(fitted(&["a"], alone), Err(Misfit::Missing("a".into())));
}

#[test]
fn calls_within_the_input_are_held_to_the_same_rule() {
    let earlier = vec![calling(&["x"]), result_of("x"), text(Role::User, "on")];
    assert_eq!(fitted(&[], earlier), Ok(["assistant", "x: result", "user"].map(Into::into).into()));
    let open = vec![calling(&["x"]), text(Role::User, "on")];
    assert_eq!(fitted(&[], open), Ok(["assistant", "x: nothing", "user"].map(Into::into).into()));
    assert_eq!(fitted(&[], vec![calling(&["x", "x"])]), Err(Misfit::Doubled("x".into())));
}

#[test]
fn the_open_calls_are_those_at_the_end_that_have_no_result() {
    let ids = |transcript: &[Said]| -> Vec<String> {
        let bodies: Vec<_> = transcript.iter().map(|said| said.body.clone()).collect();
        open_calls(&bodies).into_iter().map(|call| call.id.clone()).collect()
    };
    assert_eq!(
        ids(&[text(Role::User, "x"), calling(&["a", "b", "c"]), result_of("b")]),
        ["a", "c"]
    );
    assert_eq!(ids(&[calling(&["a", "a"]), result_of("a")]), ["a"], "one of the two is answered");
    assert_eq!(ids(&[calling(&["a"]), text(Role::User, "x")]), Vec::<String>::new());
    assert_eq!(ids(&[result_of("a")]), Vec::<String>::new());
}

#[test]
fn calls_have_ids_of_their_own() {
    let ids = |given: &[&str]| -> Vec<String> {
        let mut calls: Vec<_> = given.iter().map(|id| call(id)).collect();
        with_ids(&mut calls, 2, 1);
        calls.into_iter().map(|call| call.id).collect()
    };
    assert_eq!(ids(&["a", "b"]), ["a", "b"]);
    assert_eq!(ids(&["a", "a", ""]), ["a", "call_2_1_1", "call_2_1_2"]);
    assert_eq!(ids(&["", "call_2_1_0"]), ["call_2_1_0_", "call_2_1_0"]);
}

/// Whether a transcript can be replayed: results follow their calls, in order, and none is missing.
fn is_valid(transcript: &[NewMessage]) -> bool {
    let mut open: Vec<&str> = Vec::new();
    for message in transcript {
        match (&message.tool_call_id, message.role) {
            (Some(id), Role::Tool) if open.first() == Some(&id.as_str()) => drop(open.remove(0)),
            (_, Role::Tool) => return false,
            _ if !open.is_empty() => return false,
            _ => open = message.tool_calls.iter().map(|call| call.id.as_str()).collect(),
        }
    }
    open.is_empty()
}

fn any_said() -> impl Strategy<Value = Said> {
    let id = prop_oneof![Just("a"), Just("b"), Just("c")];
    prop_oneof![
        Just(text(Role::User, "said")),
        Just(text(Role::System, "told")),
        proptest::collection::vec(id.clone(), 0..3).prop_map(|ids| calling(&ids)),
        id.prop_map(result_of),
    ]
}

proptest! {
    #[test]
    fn whatever_fits_leaves_a_transcript_that_can_be_replayed(
        open in proptest::sample::subsequence(vec!["a", "b", "c"], 0..=3),
        input in proptest::collection::vec(any_said(), 0..8),
    ) {
        let before = calling(&open).body;
        let calls = before.tool_calls.clone();
        match fit(&calls, input.clone(), NOW) {
            Ok(written) => {
                let mut whole = vec![before];
                whole.extend(written.iter().map(|said| said.body.clone()));
                prop_assert!(is_valid(&whole), "{:?}", shown(&written));
                prop_assert!(open_calls(&whole).is_empty());
                // Nothing is made up but closings, and nothing is lost after what is passed over.
                let own: Vec<_> = written.iter().filter(|s| s.body.content != NO_RESULT).collect();
                prop_assert!(own.iter().all(|said| input.contains(said)));
                let repeats = |s: &Said| s.body.tool_calls.iter().any(|c| has(&calls, &c.id));
                let from = input.iter().rposition(repeats).map_or(0, |place| place + 1);
                prop_assert_eq!(own.len(), input.len() - from);
            }
            Err(Misfit::Nothing) => prop_assert!(input.is_empty()),
            Err(_) => {
                let traffic = |s: &Said| s.body.role == Role::Tool || !s.body.tool_calls.is_empty();
                prop_assert!(input.iter().any(traffic), "plain words always fit");
            }
        }
    }
}
