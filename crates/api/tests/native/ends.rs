//! Ending sessions, keeping them alive, and why they ended.

use serde_json::{Value, json};

use crate::native_support::{OPERATE, World};

#[tokio::test]
async fn the_first_end_wins_and_every_other_learns_of_it() {
    let world = World::start().await;
    let (session, _) = world.open().await;
    world.say(&session, "Hello").await;
    let path = format!("/sessions/{session}/end");
    let body = json!({ "reason": "user_end", "note": "They hung up." });
    let first = world.post(&path).json(body).send().await;
    insta::assert_json_snapshot!("ended", first.body);
    world.wait(5);
    let second = world.post(&path).json(json!({ "reason": "operator" })).send().await;
    let mut expected = first.body;
    expected["already_ended"] = Value::Bool(true);
    assert_eq!((second.status, second.body), (200, expected));
}

#[tokio::test]
async fn a_key_ends_as_the_operator_and_a_token_as_the_person() {
    let world = World::start().await;
    let (by_key, _) = world.open().await;
    assert_eq!(world.end(&by_key).await.body["ended"]["reason"], "operator");
    let (by_token, token) = world.open().await;
    let path = format!("/sessions/{by_token}/end");
    let operator = json!({ "reason": "operator" });
    world.post(&path).key(&token).json(operator).send().await.is_problem(403, "forbidden");
    let ended = world.post(&path).key(&token).raw("  \n").send().await;
    assert_eq!(
        (&ended.body["ended"]["reason"], &ended.body["cost"]),
        (&json!("user_end"), &Value::Null)
    );
    let again = world.post(&path).key(&token).send().await;
    assert_eq!((again.status, &again.body["already_ended"]), (200, &json!(true)));
}

#[tokio::test]
async fn a_token_reads_nothing_once_the_session_is_over() {
    let world = World::start().await;
    let (ended, token) = world.open().await;
    let read =
        |session: &str, token: &str| world.get(&format!("/sessions/{session}/messages")).key(token);
    assert_eq!(read(&ended, &token).send().await.status, 200);
    world.end(&ended).await;
    read(&ended, &token).send().await.is_problem(410, "session-over");
    let (lapsed, token) = world.open().await;
    world.wait(1_800);
    read(&lapsed, &token).send().await.is_problem(410, "session-over");
}

#[tokio::test]
async fn a_deadline_that_passed_counts_alike_before_and_after_the_timer_came() {
    let world = World::start().await;
    let ((unswept, _), (swept, _)) = (world.open().await, world.open().await);
    world.wait(1_800);
    let before = world.end(&unswept).await.body;
    world.engine.sweep().await.expect("a sweep");
    let after = world.end(&swept).await.body;
    for ended in [before, after] {
        assert_eq!(
            (&ended["ended"]["reason"], &ended["already_ended"]),
            (&json!("idle"), &json!(true))
        );
        assert_eq!(ended["ended"]["deadline"]["at"], "2026-01-31T12:30:00Z");
    }
}

#[tokio::test]
async fn only_two_reasons_can_be_given_and_a_note_has_a_longest_length() {
    let world = World::start().await;
    let (session, _) = world.open().await;
    let end = |body: Value| world.post(&format!("/sessions/{session}/end")).json(body);
    let refused = end(json!({ "reason": "idle" })).send().await;
    let detail = refused.is_problem(400, "invalid-request");
    assert!(detail.contains("user_end") && detail.contains("operator"), "{detail}");
    end(json!({ "because": "x" })).send().await.is_problem(400, "invalid-request");
    let note = |chars: usize| json!({ "note": "é".repeat(chars) });
    end(note(10_001)).send().await.is_problem(400, "invalid-request");
    assert_eq!(end(note(10_000)).send().await.status, 200);
    world.post("/sessions/none/end").send().await.is_problem(404, "not-found");
}

#[tokio::test]
async fn the_log_keeps_who_ended_it_and_their_note() {
    let world = World::start().await;
    let (session, _) = world.open().await;
    let end = world.post(&format!("/sessions/{session}/end")).key(OPERATE);
    end.json(json!({ "note": "Spam." })).send().await;
    let log = world.get(&format!("/activity?session={session}")).send().await;
    insta::assert_json_snapshot!("activity", log.body);
}

#[tokio::test]
async fn why_says_it_in_a_sentence() {
    let world = World::start().await;
    let (session, _) = world.open().await;
    let why = || world.get(&format!("/sessions/{session}/why"));
    let open = why().send().await.body;
    assert_eq!(
        open["sentence"],
        "It is open; it was last active at 2026-01-31T12:00:00Z and ends by itself at \
         2026-01-31T12:30:00Z (idle)."
    );
    world.wait(1_800);
    world.engine.sweep().await.expect("a sweep");
    insta::assert_json_snapshot!("why", why().send().await.body);
    world.get("/sessions/none/why").send().await.is_problem(404, "not-found");
}

#[tokio::test]
async fn a_keep_alive_counts_and_comes_too_late_for_a_session_that_is_over() {
    let world = World::start().await;
    let (session, token) = world.open().await;
    let keep = || world.post(&format!("/sessions/{session}/keep-alive")).key(&token);
    world.wait(1_799);
    insta::assert_json_snapshot!("kept_alive", keep().send().await.body);
    world.wait(1_799);
    assert_eq!(keep().send().await.status, 200);
    world.wait(1_800);
    keep().send().await.is_problem(410, "session-over");
    world.post("/sessions/none/keep-alive").send().await.is_problem(404, "not-found");
}
