//! Taking turns.

use epilogue_engine::Limits;
use serde_json::json;

use crate::native_support::{Answer, World};

fn names(events: &[(String, serde_json::Value)]) -> Vec<&str> {
    events.iter().map(|(name, _)| name.as_str()).collect()
}

#[tokio::test]
async fn a_turn_streams_its_words_and_one_last_event() {
    let world = World::start().await;
    let (session, _) = world.open().await;
    let events = world.say(&session, "two\nlines").await;
    insta::assert_json_snapshot!("turn", events);
}

#[tokio::test]
async fn tools_are_told_of() {
    let world = World::start().await;
    let (session, _) = world.open().await;
    let events = world.say(&session, "How is the weather?").await;
    assert_eq!(names(&events)[..3], ["turn_started", "tool_started", "tool_finished"]);
    assert_eq!(names(&events).last(), Some(&"turn_completed"));
    assert_eq!(events[1].1, json!({ "name": "weather" }));
}

#[tokio::test]
async fn an_agent_that_says_goodbye_ends_the_session() {
    let world = World::start().await;
    let (session, _) = world.open().await;
    let events = world.say(&session, "bye").await;
    assert_eq!(events.last().expect("an event").1["ends_session"], true);
    world.engine.drained().await;
    let shown = world.get(&format!("/sessions/{session}")).send().await;
    assert_eq!(shown.body["ended"]["reason"], "agent_finish");
    assert_eq!(shown.body["ended"]["caused_by"], "agent");
}

#[tokio::test]
async fn the_transcript_has_everything_and_the_person_sees_their_part() {
    let world = World::start().await;
    let (session, token) = world.open().await;
    world.say(&session, "How is the weather?").await;
    let path = format!("/sessions/{session}/messages");
    insta::assert_json_snapshot!("messages", world.get(&path).send().await.body);
    let seen = world.get(&path).key(&token).send().await;
    insta::assert_json_snapshot!("messages_seen_by_the_person", seen.body);
    let visible = world.get(&format!("{path}?visible_only=true")).send().await;
    assert_eq!(visible.body, seen.body);
}

#[tokio::test]
async fn a_message_has_a_shortest_and_a_longest_length() {
    let world = World::start().await;
    let (session, _) = world.open().await;
    world.say(&session, &"é".repeat(10_000)).await;
    let path = format!("/sessions/{session}/turns");
    for message in ["é".repeat(10_001), String::new(), " \n".into()] {
        let refused = world.post(&path).json(json!({ "message": message })).send().await;
        refused.is_problem(400, "invalid-request");
        assert_eq!(refused.body["errors"][0]["path"], "message");
    }
}

#[tokio::test]
async fn a_session_takes_one_turn_at_a_time() {
    let world = World::with(Limits { turns_waiting_max: 0, ..Limits::default() }).await;
    let (session, _) = world.open().await;
    let path = format!("/sessions/{session}/turns");
    let turn = |body| world.post(&path).json(body);
    let slow = turn(json!({ "message": "slowly" })).begin().await;
    assert_eq!(slow.status(), 200);
    let rejected = turn(json!({ "message": "x", "when_busy": "reject" })).send().await;
    rejected.is_problem(409, "turn-running");
    let overrun = turn(json!({ "message": "x", "when_busy": "wait" })).send().await;
    overrun.is_problem(429, "too-many-waiting");
    assert_eq!(overrun.header("retry-after"), Some("1"));
    let wrong = turn(json!({ "message": "x", "when_busy": "panic" })).send().await;
    assert!(wrong.is_problem(400, "invalid-request").contains("interrupt"));
    assert!(world.get(&format!("/sessions/{session}")).send().await.body["turn_running"] == true);
    drop(slow);
}

#[tokio::test]
async fn an_interruption_cuts_the_turn_that_runs() {
    let world = World::start().await;
    let (session, _) = world.open().await;
    let path = format!("/sessions/{session}/turns");
    let slow = world.post(&path).json(json!({ "message": "slowly" })).begin().await;
    let body = json!({ "message": "never mind", "when_busy": "interrupt" });
    let next = world.post(&path).json(body).send().await.events();
    assert_eq!(names(&next).last(), Some(&"turn_completed"));
    let cut = Answer::read(slow).await.events();
    let (name, data) = cut.last().expect("an event");
    assert_eq!((name.as_str(), &data["reason"]), ("turn_failed", &json!("interrupted")));
}

#[tokio::test]
async fn an_end_cuts_the_turn_that_runs_and_keeps_what_was_received() {
    let world = World::start().await;
    let (session, _) = world.open().await;
    let path = format!("/sessions/{session}/turns");
    let slow = world.post(&path).json(json!({ "message": "slowly" })).begin().await;
    world.end(&session).await;
    let cut = Answer::read(slow).await.events();
    assert_eq!(cut.last().expect("an event").1["reason"], "session_ended");
    let messages = world.get(&format!("/sessions/{session}/messages")).send().await;
    let kept = messages.body["items"].as_array().and_then(|items| items.last()).expect("a message");
    assert_eq!((&kept["content"], &kept["cut"]), (&json!("One "), &json!(true)));
}

#[tokio::test]
async fn no_turn_is_taken_where_there_is_no_session_or_it_is_over() {
    let world = World::start().await;
    let (session, token) = world.open().await;
    let body = json!({ "message": "Hello" });
    world.post("/sessions/none/turns").json(body.clone()).send().await.is_problem(404, "not-found");
    let path = format!("/sessions/{session}/turns");
    world.wait(1_800);
    let lapsed = world.post(&path).json(body.clone()).send().await;
    assert!(lapsed.is_problem(410, "session-over").contains("deadline"));
    world.end(&session).await;
    let ended = world.post(&path).json(body.clone()).key(&token).send().await;
    assert!(ended.is_problem(410, "session-over").contains("idle"));
    world.engine.begin_drain();
    world.post(&path).json(body).send().await.is_problem(503, "unavailable");
}
