//! Health, metrics, the OpenAPI document, and pages of other origins.

use epilogue_api::native;
use serde_json::{Value, json};

use crate::native_support::{Call, SUPPORT, World};

#[tokio::test]
async fn health_is_live_always_and_ready_while_it_takes_work() {
    let world = World::start().await;
    let look = |path: &str| Call::new(&world, "GET", path);
    insta::assert_json_snapshot!("ready", look("//health/ready").send().await.body);
    world.engine.begin_drain();
    let ready = look("//health/ready").send().await;
    assert_eq!((ready.status, &ready.body["status"]), (503, &json!("unavailable")));
    let live = look("//health/live").send().await;
    assert_eq!((live.status, live.body), (200, json!({ "status": "ok" })));
}

#[tokio::test]
async fn steps_that_are_owed_for_too_long_degrade_the_server() {
    let world = World::start().await;
    let (session, _) = world.open().await;
    world.end(&session).await;
    world.wait(900);
    let status = || Call::new(&world, "GET", "//health/ready");
    assert_eq!(status().send().await.body["status"], "ok");
    world.wait(1);
    let stuck = status().send().await;
    assert_eq!((stuck.status, &stuck.body["status"]), (200, &json!("degraded")));
    assert_eq!(stuck.body["oldest_owed_step_seconds"], 901);
}

#[tokio::test]
async fn metrics_are_openmetrics() {
    let world = World::start().await;
    world.open().await;
    let metrics = Call::new(&world, "GET", "//metrics").send().await;
    assert_eq!(
        metrics.header("content-type"),
        Some("application/openmetrics-text; version=1.0.0; charset=utf-8")
    );
    assert!(
        metrics.text.contains(r#"epilogue_sessions_open{dialect="native"} 1"#),
        "{}",
        metrics.text
    );
    assert!(metrics.text.ends_with("# EOF\n"));
}

#[tokio::test]
async fn the_document_is_served_as_it_is_committed() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");
    let made = format!("{}\n", native::document().to_pretty_json().expect("JSON"));
    if std::env::var_os("EPILOGUE_UPDATE_DOCS").is_some() {
        std::fs::write(path, &made).expect("docs/openapi.json can be written");
    }
    let committed = std::fs::read_to_string(path).expect("docs/openapi.json is there");
    assert!(committed == made, "docs/openapi.json is out of date: run with EPILOGUE_UPDATE_DOCS=1");
    let world = World::start().await;
    let served = Call::new(&world, "GET", "//epilogue/openapi.json").send().await;
    assert_eq!(format!("{}\n", served.text), made);
}

#[test]
fn every_operation_says_what_it_does_and_how_it_fails() {
    let document = serde_json::to_value(native::document()).expect("JSON");
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("operations") {
            let said = |name: &str| operation[name].as_str().is_some_and(|text| !text.is_empty());
            assert!(
                said("summary") && said("description") && said("operationId"),
                "{method} {path}"
            );
            let responses = operation["responses"].as_object().expect("responses");
            let v1 = path.starts_with("/epilogue/v1");
            for status in ["400", "401", "403", "500", "503"] {
                assert!(!v1 || responses.contains_key(status), "{method} {path}: {status}");
            }
            for (status, response) in responses {
                let problem = response["content"].get("application/problem+json").is_some();
                assert_eq!(
                    problem,
                    v1 && status.as_str() >= "400" || status == "500",
                    "{path} {status}"
                );
            }
            for parameter in operation["parameters"].as_array().unwrap_or(&Vec::new()) {
                let said = parameter["description"].as_str().is_some_and(|text| !text.is_empty());
                assert!(said, "{method} {path}: {parameter}");
            }
        }
    }
}

/// Whatever refers to a schema refers to one that is there.
#[test]
fn the_document_holds_together() {
    fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(members) => {
                found.extend(members.get("$ref").and_then(Value::as_str));
                members.values().for_each(|member| references(member, found));
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }
    let document = serde_json::to_value(native::document()).expect("JSON");
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(!found.is_empty());
    for reference in found {
        let pointer = reference.strip_prefix('#').expect("a local reference");
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}

#[tokio::test]
async fn pages_of_allowed_origins_may_call_session_paths() {
    let world = World::start().await;
    let preflight = |origin: &str| {
        Call::new(&world, "OPTIONS", "/sessions")
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "authorization,content-type")
    };
    let allowed = preflight("https://app.example.com").send().await;
    assert_eq!(allowed.status, 200);
    let origin = "access-control-allow-origin";
    assert_eq!(allowed.header(origin), Some("https://app.example.com"));
    assert!(
        allowed.header("access-control-allow-headers").is_some_and(|h| h.contains("authorization"))
    );
    assert_eq!(preflight("https://evil.test").send().await.header(origin), None);
    let open = world.post("/sessions").header("origin", "https://app.example.com");
    let open = open.json(json!({ "agent": SUPPORT })).send().await;
    assert_eq!((open.status, open.header(origin)), (201, Some("https://app.example.com")));
    let refused = world.post("/sessions").anonymous().header("origin", "https://app.example.com");
    assert_eq!(refused.send().await.header(origin), Some("https://app.example.com"));
}
