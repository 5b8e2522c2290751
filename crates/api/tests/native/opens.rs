//! Opening sessions.

use serde_json::{Value, json};

use crate::native_support::{AVATAR, BODY_BYTES_MAX, FREE, POOR, SUPPORT, WIDGET, World};

#[tokio::test]
async fn an_open_answers_with_the_session_its_token_and_the_greeting() {
    let world = World::start().await;
    let body = json!({
        "agent": SUPPORT, "name": "order-17", "person": " Ann@Example.com ",
        "metadata": { "plan": "gold" }, "variables": { "shop": "Acme" },
    });
    let opened = world.post("/sessions").json(body).send().await;
    assert_eq!(opened.status, 201);
    let mut shown = opened.body.clone();
    shown["session_token"] = Value::from("…");
    insta::assert_json_snapshot!("opened", shown);
    let path = opened.header("location").expect("a location").replace("/epilogue/v1", "");
    assert_eq!(world.get(&path).send().await.body["name"], "order-17");
    assert_eq!(
        world.get("/sessions/order-17").send().await.body["id"],
        opened.body["session"]["id"]
    );
}

#[tokio::test]
async fn a_name_is_taken_once() {
    let world = World::start().await;
    let body = json!({ "agent": SUPPORT, "name": "order-17" });
    assert_eq!(world.post("/sessions").json(body.clone()).send().await.status, 201);
    world.post("/sessions").json(body).send().await.is_problem(409, "name-taken");
    assert_eq!(world.get("/sessions").send().await.body["items"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn an_open_needs_an_agent_that_writes_and_credits() {
    let world = World::start().await;
    let open = |agent: &str| world.post("/sessions").json(json!({ "agent": agent }));
    open("nobody").send().await.is_problem(404, "not-found");
    open(AVATAR).send().await.is_problem(400, "invalid-request");
    open(FREE).key(POOR).send().await.is_problem(402, "insufficient-credits");
}

#[tokio::test]
async fn what_is_wrong_with_a_body_is_named() {
    let world = World::start().await;
    let open = |body: &str| world.post("/sessions").raw(body);
    for (body, path) in [
        (r#"{"agent":"support","variables":{"a":7}}"#, "variables.a"),
        (r#"{"agent":"support","shoe_size":7}"#, "shoe_size"),
        (r#"{"agent":"support","name":"a/b"}"#, "name"),
        (r#"{"agent":"support","person":" "}"#, "person"),
        (r#"{"agent":"support","metadata":[]}"#, "metadata"),
        (r"{}", "."),
        ("", "."),
        ("not json", "."),
    ] {
        let refused = open(body).send().await;
        refused.is_problem(400, "invalid-request");
        assert_eq!(refused.body["errors"][0]["path"], path, "{body}: {}", refused.text);
    }
}

#[tokio::test]
async fn a_body_has_a_longest_length() {
    let world = World::start().await;
    let padded = |bytes| {
        let body = json!({ "agent": SUPPORT }).to_string();
        format!("{body}{}", " ".repeat(bytes - body.len()))
    };
    let open = |bytes| world.post("/sessions").raw(padded(bytes));
    assert_eq!(open(BODY_BYTES_MAX).send().await.status, 201);
    open(BODY_BYTES_MAX + 1).send().await.is_problem(413, "too-large");
}

#[tokio::test]
async fn a_widget_key_opens_sessions_from_its_domains_and_sees_no_more_than_the_person() {
    let world = World::start().await;
    let body = json!({ "agent": SUPPORT, "metadata": { "a": 1 } });
    let open = || world.post("/sessions").key(WIDGET).json(body.clone());
    open().send().await.is_problem(403, "forbidden");
    open().header("origin", "https://evil.test").send().await.is_problem(403, "forbidden");
    let opened = open().header("origin", "https://shop.example.com").send().await;
    assert_eq!((opened.status, &opened.body["session"]["metadata"]), (201, &Value::Null));
    let id = opened.body["session"]["id"].as_str().expect("an id");
    assert_eq!(
        world.get(&format!("/sessions/{id}")).send().await.body["metadata"],
        json!({ "a": 1 })
    );
}

#[tokio::test]
async fn nothing_is_opened_while_the_server_shuts_down() {
    let world = World::start().await;
    world.engine.begin_drain();
    let refused = world.post("/sessions").json(json!({ "agent": SUPPORT })).send().await;
    refused.is_problem(503, "unavailable");
    assert_eq!(refused.header("retry-after"), Some("1"));
}
