//! Looking at what is remembered of people, and forgetting them.

use serde_json::{Value, json};

use crate::native_support::{Call, OTHER, READ, SUPPORT, World};

const ANN: &str = "/memory/Ann%40Example.com";

/// Ann has a conversation that is remembered. The agent is scripted, so that it is kept as it is.
async fn remembered(world: &World) -> String {
    let body = json!({ "agent": SUPPORT, "person": "ann@example.com" });
    let opened = world.post("/sessions").json(body).send().await.body;
    let session = opened["session"]["id"].as_str().expect("an id").to_owned();
    let turn = world.post(&format!("/sessions/{session}/turns"));
    turn.json(json!({ "message": "I like c4n4ries" })).send().await;
    world.end(&session).await;
    world.finalize().await;
    session
}

#[tokio::test]
async fn a_person_is_forgotten_with_their_transcripts_and_the_report_says_so() {
    let world = World::start().await;
    let session = remembered(&world).await;
    let shown = world.get(ANN).key(READ).send().await;
    assert_eq!((shown.status, &shown.body), (200, &json!({ "memories": [] })), "no facts yet");
    let none = Call::new(&world, "DELETE", ANN).key(OTHER).send().await;
    assert_eq!(none.body, json!({ "removed": [], "left": [] }), "another organization's Ann");
    let before = world.get("/ledger").send().await.body;
    let gone = Call::new(&world, "DELETE", &format!("{ANN}?transcripts=true"));
    let gone = gone.key(crate::native_support::OWN).send().await;
    assert_eq!(gone.status, 200, "{}", gone.text);
    let removed = gone.body["removed"].as_array().expect("a list");
    let of = |place: &str| removed.iter().find(|of| of["place"] == place).map(|of| &of["count"]);
    assert_eq!(of("store.transcripts"), Some(&json!(1)), "{}", gone.text);
    assert_eq!(gone.body["left"], json!([]));
    let messages = world.get(&format!("/sessions/{session}/messages")).send().await;
    assert!(!messages.text.contains("c4n4ries"), "{}", messages.text);
    assert_eq!(world.get("/ledger").send().await.body, before, "the books stay");
}

#[tokio::test]
async fn whoever_is_nobody_is_refused_and_whoever_is_unknown_is_not() {
    let world = World::start().await;
    let own = crate::native_support::OWN;
    for (path, status) in [
        ("/memory/%20%09", 400),
        ("/memory/nobody-here", 200),
        ("/memory/nobody?limit=0", 400),
        ("/memory/nobody?limit=501", 400),
        ("/memory/nobody?limit=500", 200),
        ("/memory/nobody?facts=1", 400),
    ] {
        let answer = world.get(path).send().await;
        assert_eq!(answer.status, status, "{path}: {}", answer.text);
    }
    let long = |bytes: usize| format!("/memory/{}", "x".repeat(bytes));
    assert_eq!(world.get(&long(4_096)).send().await.status, 200);
    assert_eq!(world.get(&long(4_097)).send().await.status, 400);
    let unknown = Call::new(&world, "DELETE", "/memory/nobody").key(own).send().await;
    let empty: Value = json!({ "removed": [], "left": [] });
    assert_eq!((unknown.status, unknown.body), (200, empty));
}
