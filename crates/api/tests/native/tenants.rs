//! What belongs to another organization looks as if it did not exist.

use serde_json::{Value, json};

use crate::native_support::{Call, FREE, OTHER, SUPPORT, World};

#[tokio::test]
async fn tenants_do_not_meet() {
    let world = World::start().await;
    let body = json!({ "agent": SUPPORT, "name": "order-17" });
    let opened = world.post("/sessions").json(body).send().await.body;
    let session = opened["session"]["id"].as_str().expect("an id");
    world.end(session).await;
    world.receiver.answers(410);
    world.finalize().await;
    let step = world.get("/steps").send().await.body["items"][0]["id"].clone();
    let step = step.as_str().expect("a step");
    let event = step.replace("stp_", "evt_");
    for (method, path) in [
        ("GET", format!("/sessions/{session}")),
        ("GET", "/sessions/order-17".to_owned()),
        ("POST", format!("/sessions/{session}/end")),
        ("POST", format!("/sessions/{session}/keep-alive")),
        ("GET", format!("/sessions/{session}/why")),
        ("GET", format!("/sessions/{session}/messages")),
        ("GET", format!("/steps?session={session}")),
        ("POST", format!("/steps/{step}/retry")),
        ("GET", format!("/deliveries/{event}")),
        ("POST", format!("/deliveries/{event}/resend")),
        ("GET", format!("/ledger?session={session}")),
        ("GET", format!("/activity?session={session}")),
        ("GET", format!("/agents/{SUPPORT}")),
        ("DELETE", "/keys/key_live_acme_own".to_owned()),
    ] {
        let refused = Call::new(&world, method, &path).key(OTHER).send().await;
        refused.is_problem(404, "not-found");
        // It is there, for whom it belongs to.
        let mine = Call::new(&world, method, &path).key(crate::native_support::OWN).send().await;
        assert_ne!(mine.status, 404, "{method} {path}");
    }
    let turn = world.post(&format!("/sessions/{session}/turns")).key(OTHER);
    turn.json(json!({ "message": "Hello" })).send().await.is_problem(404, "not-found");
    for list in ["sessions", "steps", "deliveries", "inbox", "ledger", "activity"] {
        let seen = world.get(&format!("/{list}")).key(OTHER).send().await.body;
        assert_eq!(seen, json!({ "items": [], "next_cursor": Value::Null }), "{list}");
    }
    let agents = world.get("/agents").key(OTHER).send().await.body;
    assert_eq!(agents["items"].as_array().expect("agents").len(), 1);
    assert_eq!(agents["items"][0]["id"], FREE);
}

#[tokio::test]
async fn a_name_that_is_taken_here_is_free_there() {
    let world = World::start().await;
    let open = |agent: &str| world.post("/sessions").json(json!({ "agent": agent, "name": "x" }));
    assert_eq!(open(SUPPORT).send().await.status, 201);
    assert_eq!(open(FREE).key(OTHER).send().await.status, 201);
}

#[tokio::test]
async fn a_token_knows_of_no_other_session() {
    let world = World::start().await;
    let ((_, token), (another, _)) = (world.open().await, world.open().await);
    let path = format!("/sessions/{another}/messages");
    world.get(&path).key(&token).send().await.is_problem(404, "not-found");
    let end = world.post(&format!("/sessions/{another}/end")).key(&token).send().await;
    end.is_problem(404, "not-found");
    assert_eq!(world.get(&format!("/sessions/{another}")).send().await.body["state"], "active");
}
