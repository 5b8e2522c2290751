//! Who may do what, for every operation there is.

use epilogue_api::native::{
    self,
    access::{Need, TABLE},
};
use epilogue_engine::records::Role;
use serde_json::{Value, json};

use crate::native_support::{Call, OPERATE, OPERATOR, OWN, READ, WIDGET, World};

/// The operations that anyone may use.
const OPEN: [&str; 3] = ["/health/live", "/health/ready", "/metrics"];

/// Every documented operation: method and path.
fn operations() -> Vec<(String, String)> {
    let document = serde_json::to_value(native::document()).expect("JSON");
    let paths = document["paths"].as_object().expect("paths").iter();
    paths
        .flat_map(|(path, item)| {
            let methods = item.as_object().expect("operations").keys();
            methods.map(|method| (method.to_uppercase(), path.clone()))
        })
        .collect()
}

fn call<'a>(world: &'a World, method: &str, path: &str) -> Call<'a> {
    Call::new(world, method, &format!("/{}", path.replace("{id}", "x").replace("{person}", "ann")))
}

#[tokio::test]
async fn without_a_credential_every_operation_answers_401() {
    let world = World::start().await;
    for (method, path) in operations() {
        if OPEN.contains(&path.as_str()) {
            assert_eq!(call(&world, &method, &path).send().await.status, 200, "{path}");
            continue;
        }
        for refused in [
            call(&world, &method, &path),
            call(&world, &method, &path).key("tk_live_unknown"),
            call(&world, &method, &path).key(&"x".repeat(5_000)),
            call(&world, &method, &path).header("authorization", &format!("Basic {OWN}")),
        ] {
            let refused = refused.raw("not json").send().await;
            refused.is_problem(401, "unauthorized");
            assert_eq!(refused.header("www-authenticate"), Some("Bearer"), "{method} {path}");
        }
    }
}

#[test]
fn the_table_and_the_document_name_the_same_operations() {
    let mut documented = operations();
    documented.retain(|(_, path)| !OPEN.contains(&path.as_str()));
    let mut tabled: Vec<_> =
        TABLE.iter().map(|(method, path, _)| ((*method).to_owned(), (*path).to_owned())).collect();
    documented.sort();
    tabled.sort();
    assert_eq!(documented, tabled);
}

#[tokio::test]
async fn a_key_does_what_its_role_allows_and_no_more() {
    let world = World::start().await;
    for (method, path, need) in TABLE {
        let (Need::Key(needed) | Need::KeyOrWidget(needed) | Need::KeyOrToken(needed)) = need;
        for (key, role) in [(READ, Role::Read), (OPERATE, Role::Operate), (OWN, Role::Own)] {
            let answer = call(&world, method, path).key(key).send().await;
            assert_eq!(answer.status != 403, role >= needed, "{method} {path}: {}", answer.text);
            assert_ne!(answer.status, 401);
        }
    }
}

#[tokio::test]
async fn widget_keys_and_tokens_are_good_for_what_they_are_for() {
    let world = World::start().await;
    let (session, token) = world.open().await;
    for (method, path, need) in TABLE {
        let widget = call(&world, method, path).key(WIDGET).header("origin", "https://example.com");
        let allowed = matches!(need, Need::KeyOrWidget(_));
        assert_eq!(widget.send().await.status != 403, allowed, "widget: {method} {path}");
        let path = path.replace("{id}", &session).replace("{person}", "ann");
        let own = Call::new(&world, method, &format!("/{path}"));
        let own = own.key(&token).json(json!({ "message": "Hello" })).send().await;
        assert_eq!(
            own.status != 403,
            matches!(need, Need::KeyOrToken(_)),
            "token: {method} {path}"
        );
    }
}

#[tokio::test]
async fn a_token_is_good_for_a_day() {
    let world = World::start().await;
    let (session, token) = world.open().await;
    let keep = || world.post(&format!("/sessions/{session}/keep-alive")).key(&token);
    for _ in 0..96 {
        assert_eq!(keep().send().await.status, 200);
        world.wait(900);
    }
    keep().send().await.is_problem(401, "unauthorized");
}

#[tokio::test]
async fn the_operator_says_for_which_organization() {
    let world = World::start().await;
    let show = || world.get("/organization").key(OPERATOR);
    let unsaid = show().send().await;
    let detail = unsaid.is_problem(400, "organization-required");
    assert!(detail.contains("org_acme, org_other, org_poor"), "{detail}");
    let unknown = show().header("epilogue-organization", "org_none").send().await;
    unknown.is_problem(400, "organization-required");
    let said = show().header("epilogue-organization", "org_other").send().await;
    assert_eq!((said.status, &said.body["id"]), (200, &json!("org_other")));
    // A key acts for its own, whatever it says.
    let own = world.get("/organization").header("epilogue-organization", "org_other").send().await;
    assert_eq!(own.body["id"], "org_acme");
}

#[tokio::test]
async fn the_operator_is_named_in_the_log() {
    let world = World::start().await;
    let (session, _) = world.open().await;
    let end = world.post(&format!("/sessions/{session}/end")).key(OPERATOR);
    assert_eq!(end.header("epilogue-organization", "org_acme").send().await.status, 200);
    let log: Value = world.get("/activity").send().await.body;
    assert_eq!(log["items"][0]["by"], "operator");
}
