//! 2.4 and 7.6: what an end leaves of a session, wherever one looks. The same with the real binary, killed
//! at each step, is among the server's tests.

use epilogue_core::{Span, StepId, StepKind, StepState, session::Context};
use http::Method;
use serde_json::{Value, json};

use crate::{
    client::*,
    support::{Fixture, KEY},
};

const CANARY: &str = "zqcanary";

/// A conversation with something to remove in every place.
async fn had(house: &Fixture, name: &str) {
    house.created(name, json!({ "variables": { "name": CANARY }, "provider": "web" })).await;
    house.says(name, &format!("I am {CANARY}")).await;
    assert!(house.queried(name).await.to_string().contains(CANARY));
}

/// All that the native API and this one say of a session.
async fn answers(house: &Fixture, name: &str) -> String {
    let id = house.session(name).await.id;
    let mut seen = String::new();
    let session = format!("/sessions/{id}");
    let of_session = ["", "/messages", "/why"].map(|tail| format!("{session}{tail}"));
    let lists = ["/sessions", "/deliveries", "/activity", "/steps"].map(str::to_owned);
    for tail in of_session.into_iter().chain(lists) {
        let path = format!("/epilogue/v1{tail}");
        let answer = house.send(keyed(KEY, Method::GET, &path, axum::body::Body::empty())).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        seen += &answer.body;
    }
    for tail in ["/session-history".to_owned(), format!("/session-history/{name}")] {
        seen += &house.send(get(&tail)).await.body;
    }
    let search = json!({ "search_string": CANARY });
    let found = house.send(post("/sessions/search", &search)).await.json();
    assert_eq!(found["pagination"]["total"], 0, "{found}");
    seen
}

/// The database's file, with everything folded back into it.
async fn file(house: &Fixture) -> String {
    house.storage.tidy().await.expect("folded");
    let path = house.database().path().expect("a file").to_owned();
    String::from_utf8_lossy(&std::fs::read(path).expect("read")).into_owned()
}

/// "All session variables and conversation context are permanently removed when a session is ended"
#[tokio::test]
async fn c2_4_variables_and_context_are_permanently_removed() {
    let house = house().await;
    house.webhooks.say(&format!("thank you for {CANARY}"));
    had(&house, "a").await;
    house.end("a").await;
    assert_eq!(house.query("a").await.status, 404, "at once");
    house.run_until_idle().await;
    let session = house.session("a").await;
    assert_eq!((session.context, session.messages), (Context::default(), 0));
    let (seen, file) = (answers(&house, "a").await, file(&house).await);
    assert!(!seen.contains(CANARY), "{seen}");
    assert!(!file.contains(CANARY));
    let entry = house.send(get("/session-history/a")).await.json();
    assert_eq!(
        (&entry["data"]["messageCount"], &entry["data"]["provider"]),
        (&json!(2), &json!("web"))
    );
}

/// "Same id may be created anew and starts empty."
#[tokio::test]
async fn c2_4_the_same_name_starts_empty() {
    let house = house().await;
    for _ in 0..2 {
        had(&house, "a").await;
        house.end("a").await;
        house.created("a", json!({})).await;
        let anew = house.queried("a").await;
        let state = json!({ "variables": {}, "messages": [] });
        assert_eq!(anew["state"], state, "even before the first has been purged");
        house.end("a").await;
    }
    house.run_until_idle().await;
    assert!(!file(&house).await.contains(CANARY));
}

/// "An organization may opt to keep transcripts": the messages, and nothing else.
#[tokio::test]
async fn c7_6_a_kept_transcript_is_kept_without_its_variables() {
    let house = house_with(|setup| {
        setup.organizations[0].organization.keep_transcripts = true;
    })
    .await;
    house.created("a", json!({ "variables": { "name": CANARY } })).await;
    house.says("a", "What stays").await;
    house.end("a").await;
    house.run_until_idle().await;
    let file = file(&house).await;
    assert!(!file.contains(CANARY) && file.contains("What stays"));
    assert_eq!(house.query("a").await.status, 404, "its live state is gone all the same");
}

/// A dead receiver must not keep a conversation on disk; resumed, it is told of what has stayed.
#[tokio::test]
async fn c2_4_a_dead_receiver_keeps_no_conversation_and_is_told_afterwards() {
    let house = house().await;
    house.webhooks.refuse(1_000);
    house.webhooks.say(CANARY);
    had(&house, "a").await;
    house.end("a").await;
    let id = house.session("a").await.id;
    let told = StepId::own(id, StepKind::NotifyEnded);
    for _ in 0..100 {
        house.run_until_idle().await;
        if state(&house, told).await.is_at_rest() {
            break;
        }
        house.clock.advance(Span::from_secs(36_000));
    }
    assert!(matches!(state(&house, told).await, StepState::Parked { .. }));
    let purge = StepId::own(id, StepKind::Purge);
    assert!(matches!(state(&house, purge).await, StepState::Done { .. }));
    assert!(!answers(&house, "a").await.contains(CANARY) && !file(&house).await.contains(CANARY));

    house.webhooks.refuse(0);
    let path = format!("/epilogue/v1/steps/{told}/retry");
    let retried = house.send(keyed(KEY, Method::POST, &path, "")).await;
    assert!(retried.status.is_success(), "{}", retried.body);
    house.run_until_idle().await;
    assert!(matches!(state(&house, told).await, StepState::Done { .. }));
    let heard = house.webhooks.heard();
    let last = heard.last().expect("told");
    let body: Value = serde_json::from_str(&last.body).expect("JSON");
    assert_eq!((&body["event"], &body["sessionId"]), (&json!("session.ended"), &json!("a")));
    assert_eq!((&body["messagesCount"], &body["extractedVariables"]), (&json!(2), &json!({})));
    assert_eq!(last.id, heard[0].id, "the same event");
    assert!(!file(&house).await.contains(CANARY), "what it answers is not kept either");
}

/// With the schedule as it is shipped: a receiver that stays dead keeps nothing but the words it is owed,
/// and those no longer than it is tried.
#[tokio::test]
async fn c2_4_messages_and_variables_go_at_once_though_a_receiver_stays_dead() {
    let house = house().await;
    let variables = json!([{ "key": "name", "type": "string", "description": "Their name." }]);
    let change = json!({ "variableConfigs": variables }).to_string();
    let changed = house.send(keyed(DK, Method::PATCH, &current("/agent"), change)).await;
    assert_eq!(changed.status, 200, "{}", changed.body);
    house.webhooks.refuse(1_000);
    house.webhooks.say(CANARY);
    had(&house, "a").await;
    house.end("a").await;
    house.run_until_idle().await;
    let id = house.session("a").await.id;
    let (told, purge) = (StepId::own(id, StepKind::NotifyEnded), StepId::own(id, StepKind::Purge));
    assert!(matches!(state(&house, told).await, StepState::Owed { .. }), "it is down");
    assert!(
        matches!(state(&house, purge).await, StepState::Done { .. }),
        "and nobody waits for it"
    );
    let session = house.session("a").await;
    assert_eq!((session.context, session.messages), (Context::default(), 0));
    assert_eq!(file(&house).await.matches(CANARY).count(), 1, "the words that it is owed");
    let first = house.webhooks.heard()[0].body.clone();
    assert!(first.contains(CANARY), "{first}");
    for _ in 0..100 {
        if state(&house, told).await.is_at_rest() {
            break;
        }
        house.clock.advance(Span::from_secs(36_000));
        house.run_until_idle().await;
    }
    assert!(matches!(state(&house, told).await, StepState::Parked { .. }));
    let heard = house.webhooks.heard();
    assert!(heard.len() > 1 && heard.iter().all(|heard| heard.body == first), "the same each time");
    assert!(!answers(&house, "a").await.contains(CANARY) && !file(&house).await.contains(CANARY));
}

async fn state(house: &Fixture, id: StepId) -> StepState {
    let steps = house.engine.steps_of(&ORG.into(), id.session).await.expect("read");
    let step = steps.into_iter().map(|(step, _)| step).find(|step| step.id() == id);
    step.expect("owed").state
}
