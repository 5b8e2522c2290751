//! Keys, agents and the organization.

use serde_json::{Value, json};

use crate::native_support::{Call, SUPPORT, World};

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().expect("a text")
}

#[tokio::test]
async fn a_key_is_shown_once_works_and_is_revoked_for_good() {
    let world = World::start().await;
    let body = json!({ "name": "CI", "role": "read" });
    let made = world.post("/keys").json(body).send().await;
    assert_eq!((made.status, made.header("cache-control")), (201, Some("no-store")));
    let (key, id) = (text(&made.body, "key").to_owned(), text(&made.body, "id").to_owned());
    assert!(key.starts_with("tk_live_") && key.len() == "tk_live_".len() + 43, "{key}");
    let mut shown = made.body.clone();
    shown["key"] = "…".into();
    insta::assert_json_snapshot!("new_key", shown);
    let listed = world.get("/keys").send().await;
    assert!(listed.text.contains(&id) && !listed.text.contains(&key));

    assert_eq!(world.get("/sessions").key(&key).send().await.status, 200);
    world.post("/sessions").key(&key).send().await.is_problem(403, "forbidden");
    for _ in 0..2 {
        let revoked = world.delete(&format!("/keys/{id}")).send().await;
        assert_eq!(
            (revoked.status, text(&revoked.body, "revoked_at")),
            (200, "2026-01-31T12:00:00Z")
        );
    }
    world.get("/sessions").key(&key).send().await.is_problem(401, "unauthorized");
    let log = world.get("/activity").send().await.body;
    assert_eq!(log["items"].as_array().expect("entries").len(), 2);
}

#[tokio::test]
async fn a_key_stops_by_itself() {
    let world = World::start().await;
    let body = json!({ "name": "x", "kind": "secret", "expires_at": "2026-01-31T13:00:00Z" });
    let made = world.post("/keys").json(body).send().await.body;
    let look = || world.get("/sessions").key(text(&made, "key"));
    world.wait(3_599);
    assert_eq!(look().send().await.status, 200);
    world.wait(1);
    look().send().await.is_problem(401, "unauthorized");
}

#[tokio::test]
async fn a_widget_key_has_domains() {
    let world = World::start().await;
    let body = json!({ "name": "Shop", "kind": "widget", "domains": ["shop.test"] });
    let made = world.post("/keys").json(body).send().await;
    assert!(text(&made.body, "key").starts_with("tk_widget_"), "{}", made.text);
    let open = world.post("/sessions").key(text(&made.body, "key"));
    let open = open.header("origin", "https://shop.test").json(json!({ "agent": SUPPORT }));
    assert_eq!(open.send().await.status, 201);
}

#[tokio::test]
async fn a_projects_key_opens_its_project_and_nothing_here() {
    let world = World::start().await;
    let body = json!({ "name": "Site", "kind": "project", "project": "proj_1", "role": "own" });
    let made = world.post("/keys").json(body).send().await;
    assert_eq!((made.status, text(&made.body, "project")), (201, "proj_1"), "{}", made.text);
    let key = text(&made.body, "key").to_owned();
    assert!(key.starts_with("sk_"), "{key}");
    for (method, path) in [
        ("GET", "/sessions"),
        ("POST", "/sessions"),
        ("GET", "/keys"),
        ("GET", "/agents"),
        ("GET", "/organization"),
        ("POST", "/sessions/x/end"),
    ] {
        let refused = Call::new(&world, method, path).key(&key).json(json!({})).send().await;
        refused.is_problem(403, "forbidden");
    }
}

#[tokio::test]
async fn what_a_key_cannot_be_is_refused() {
    let world = World::start().await;
    for (body, path) in [
        (json!({ "name": "", "kind": "secret" }), "name"),
        (json!({ "name": "x".repeat(51), "kind": "secret" }), "name"),
        (json!({ "name": "x", "kind": "master" }), "kind"),
        (json!({ "name": "x", "kind": "secret", "role": "god" }), "role"),
        (json!({ "name": "x", "kind": "secret", "domains": ["a.test"] }), "domains"),
        (json!({ "name": "x", "kind": "widget" }), "domains"),
        (json!({ "name": "x", "kind": "widget", "domains": ["a.test"], "role": "own" }), "role"),
        (json!({ "name": "x", "kind": "widget", "domains": ["a.test", "/"] }), "domains[1]"),
        (json!({ "name": "x", "kind": "secret", "project": "proj_1" }), "project"),
        (
            json!({ "name": "x", "kind": "widget", "domains": ["a.test"], "project": "proj_1" }),
            "project",
        ),
        (json!({ "name": "x", "kind": "project" }), "project"),
        (json!({ "name": "x", "kind": "project", "project": "proj_2" }), "project"),
        (
            json!({ "name": "x", "kind": "project", "project": "proj_1", "domains": ["a.test"] }),
            "domains",
        ),
        (
            json!({ "name": "x", "kind": "secret", "expires_at": "2020-01-01T00:00:00Z" }),
            "expires_at",
        ),
    ] {
        let refused = world.post("/keys").json(body).send().await;
        refused.is_problem(400, "invalid-request");
        assert_eq!(refused.body["errors"][0]["path"], path, "{}", refused.text);
    }
    let longest = json!({ "name": "x".repeat(50), "kind": "secret" });
    assert_eq!(world.post("/keys").json(longest).send().await.status, 201);
}

#[tokio::test]
async fn a_configured_key_is_removed_in_the_configuration() {
    let world = World::start().await;
    let refused = world.delete("/keys/key_live_acme_read").send().await;
    assert!(refused.is_problem(409, "wrong-state").contains("configuration"));
    world.delete("/keys/none").send().await.is_problem(404, "not-found");
    insta::assert_json_snapshot!("keys", world.get("/keys").send().await.body);
}

#[tokio::test]
async fn agents_and_the_organization_are_shown_without_secrets() {
    let world = World::start().await;
    let agents = world.get("/agents").send().await;
    assert_eq!(agents.body["items"].as_array().map(Vec::len), Some(3));
    assert!(!agents.text.contains("whsec_"));
    let agent = world.get(&format!("/agents/{SUPPORT}")).send().await.body;
    insta::assert_json_snapshot!("agent", agent);
    world.get("/agents/none").send().await.is_problem(404, "not-found");
    insta::assert_json_snapshot!("organization", world.get("/organization").send().await.body);
}
