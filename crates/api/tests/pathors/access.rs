//! Section 1: who may do what, in every generation; and what is none of this API's.

use axum::body::Body;
use epilogue_core::Span;
use http::{Method, Request, header};
use serde_json::json;

use crate::{
    client::*,
    support::{FOREIGN_KEY, WIDGET_KEY},
};

/// Every operation below a project that is about sessions, by all of its paths.
fn operations() -> Vec<(Method, String)> {
    let mut all = Vec::new();
    for family in FAMILIES {
        all.push((Method::POST, family.to_owned()));
        all.push((Method::DELETE, family.to_owned()));
        all.push((Method::GET, format!("{family}/x")));
    }
    for prefix in ["", "/api"] {
        all.push((Method::POST, format!("{prefix}/project/{{P}}/integration/phone/call/outbound")));
        all.push((Method::POST, format!("{prefix}/v1/projects/{{P}}/calls")));
    }
    all
}

#[tokio::test]
async fn c1_anything_wrong_with_the_key_is_the_same_401() {
    let house = house().await;
    let bad = ["nobody", "", OTHER_SK, WIDGET_KEY, FOREIGN_KEY, &"k".repeat(513)];
    for (method, path) in operations() {
        let path = path.replace("{P}", PROJECT);
        for key in bad {
            // Who is not known is not told what is wrong with the body.
            unauthorized(&house.send(keyed(key, method.clone(), &path, "{")).await);
        }
        for scheme in [None, Some(format!("Basic {DK}")), Some(DK.to_owned())] {
            let mut request = Request::builder().method(method.clone()).uri(&path);
            if let Some(scheme) = scheme {
                request = request.header(header::AUTHORIZATION, scheme);
            }
            unauthorized(&house.send(request.body(Body::empty()).expect("a request")).await);
        }
        let by_header = Request::builder().method(method).uri(&path).header("x-api-key", SK);
        unauthorized(&house.send(by_header.body(Body::empty()).expect("a request")).await);
    }
}

#[tokio::test]
async fn c1_all_kinds_of_keys_work_at_every_path() {
    let house = unlimited().await;
    for key in [SK, BUZZ, DK, SECRET] {
        for family in FAMILIES {
            let path = family.replace("{P}", PROJECT);
            let body = json!({ "session_id": format!("{key} {family}") }).to_string();
            let answer = house.send(keyed(key, Method::POST, &path, body)).await;
            assert_eq!(answer.status, 200, "{key} at {path}: {}", answer.body);
        }
    }
    let answer = house.send(keyed(DK, Method::POST, "/v1/projects/proj_2/sessions", "{}")).await;
    refused(&answer, 400, "session_id is required");
}

#[tokio::test]
async fn c8_an_unknown_project_looks_like_a_strangers() {
    let house = house().await;
    for project in ["nobody", FOREIGN_PROJECT, "PROJ_1", "proj_1%20", &"p".repeat(1_000)] {
        for key in [DK, SK] {
            let path = format!("/v1/projects/{project}/sessions");
            unauthorized(&house.send(keyed(key, Method::POST, &path, "{}")).await);
        }
    }
}

#[tokio::test]
async fn c1_a_revoked_key_and_one_that_may_only_look_change_nothing() {
    let house = house().await;
    house.created("x", json!({})).await;
    let body = r#"{"session_id":"x"}"#;
    let path = current("/sessions");
    unauthorized(&house.send(keyed(READ_SK, Method::DELETE, &path, body)).await);
    assert!(house.session("x").await.ended().is_none());
    let id = format!("key_{SK}").into();
    assert!(house.engine.revoke_credential(&ORG.into(), &id, None).await.expect("revoked"));
    unauthorized(&house.send(keyed(SK, Method::DELETE, &path, body)).await);
    assert!(house.session("x").await.ended().is_none());
}

#[tokio::test]
async fn c1_a_projects_key_is_nobodys_key_elsewhere() {
    let house = house().await;
    for (method, path) in [
        (Method::GET, "/epilogue/v1/sessions"),
        (Method::GET, "/epilogue/v1/keys"),
        (Method::POST, "/epilogue/v1/sessions"),
        (Method::GET, "/api/v1/chats"),
        (Method::POST, "/api/v1/chats"),
        (Method::POST, "/v1/chat/sessions"),
    ] {
        for origin in [None, Some("https://example.com"), Some("http://localhost")] {
            let mut request = keyed(SK, method.clone(), path, "{}");
            request.headers_mut().insert("x-api-key", SK.parse().expect("a value"));
            if let Some(origin) = origin {
                request.headers_mut().insert(header::ORIGIN, origin.parse().expect("a value"));
            }
            let answer = house.send(request).await;
            assert!(matches!(answer.status.as_u16(), 401 | 403), "{path}: {:?}", answer.told());
        }
    }
}

#[tokio::test]
async fn c1_a_key_that_is_made_for_a_project_opens_it_until_it_is_revoked() {
    let house = house().await;
    let body = json!({ "name": "Site", "kind": "project", "project": PROJECT });
    let making = keyed(SECRET, Method::POST, "/epilogue/v1/keys", body.to_string());
    let made = house.send(making).await.json();
    let (key, id) = (made["key"].as_str().expect("a key"), made["id"].as_str().expect("an id"));
    let create = async |project: &str| {
        let path = format!("/v1/projects/{project}/sessions");
        house.send(keyed(key, Method::POST, &path, r#"{"session_id":"x"}"#)).await
    };
    assert_eq!(create(PROJECT).await.status, 200);
    unauthorized(&create(OTHER_PROJECT).await);
    let revoke = format!("/epilogue/v1/keys/{id}");
    assert_eq!(house.send(keyed(SECRET, Method::DELETE, &revoke, "")).await.status, 200);
    unauthorized(&create(PROJECT).await);
}

#[tokio::test]
async fn c2_0_what_is_below_this_api_and_none_of_it_404_405() {
    let house = house().await;
    let told = async |method: Method, path: &str| house.send(keyed(DK, method, path, "")).await;
    refused(&told(Method::GET, "/project/proj_1/nothing").await, 404, "Not found");
    refused(&told(Method::GET, "/api/project/proj_1").await, 404, "Not found");
    refused(&told(Method::GET, "/v1/projects/proj_1/sessions/a/b").await, 404, "Not found");
    for path in ["/project", "/project/", "/api/project/"] {
        assert_eq!(told(Method::POST, path).await.status, 404, "{path}");
    }
    let object = json!({ "error": { "message": "Not found", "details": null } });
    for path in [
        "/v1/projects/proj_1/nothing",
        "/api/v1/projects/proj_1/nothing",
        "/v1/projects/proj_1",
        "/v1/projects/",
    ] {
        assert_eq!(told(Method::GET, path).await.json(), object, "{path}");
    }
    for path in ["/project/proj_1/session", "/api/v1/projects/proj_1/sessions"] {
        let answer = told(Method::PATCH, path).await;
        refused(&answer, 405, "Method not allowed");
        assert!(answer.header("allow").is_some_and(|allow| allow.contains("DELETE")));
    }
    // What is Dasha's stays Dasha's.
    let answer = told(Method::GET, "/api/v1/projectiles").await;
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
}

#[tokio::test]
async fn c2_12_outbound_calls_are_not_placed_501() {
    let house = house().await;
    let paths = [
        "/project/proj_1/integration/phone/call/outbound",
        "/api/project/proj_1/integration/phone/call/outbound",
    ];
    for path in paths {
        let body = json!({ "fromNumber": "+1", "toNumber": "+2" }).to_string();
        let answer = house.send(keyed(SK, Method::POST, path, body)).await;
        refused(&answer, 501, "This server does not place calls");
    }
}

#[tokio::test]
async fn c2_12_projects_are_listed_as_far_as_the_key_reaches() {
    let house = house().await;
    for prefix in ["", "/api"] {
        let list = async |key: &str| {
            let path = format!("{prefix}/v1/projects");
            house.send(keyed(key, Method::GET, &path, Body::empty())).await
        };
        let all = list(DK).await;
        let project = |id: &str| {
            json!({
                "id": id,
                "name": format!("Project {id}"),
                "agentId": PATHWAY,
                "createdAt": "2024-01-15T10:00:00.000Z",
            })
        };
        let both = [project(PROJECT), project(OTHER_PROJECT)];
        assert_eq!((all.status.as_u16(), all.json()), (200, json!({ "data": both })));
        assert_eq!(list(OTHER_SK).await.json(), json!({ "data": [project(OTHER_PROJECT)] }));
        assert_eq!(list(READ_SK).await.json(), json!({ "data": [project(PROJECT)] }));
        for nobody in ["nobody", WIDGET_KEY] {
            unauthorized(&list(nobody).await);
        }
    }
}

#[tokio::test]
async fn c8_a_page_may_call_and_read_the_session() {
    let house = house().await;
    let preflight = Request::builder()
        .method(Method::OPTIONS)
        .uri(current("/sessions"))
        .header(header::ORIGIN, "https://page.example")
        .header("access-control-request-method", "DELETE")
        .header("access-control-request-headers", "authorization,content-type,x-session-id")
        .body(Body::empty())
        .expect("a request");
    let answer = house.send(preflight).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("access-control-allow-origin"), Some("https://page.example"));
    let methods = answer.header("access-control-allow-methods").expect("methods");
    assert!(["GET", "POST", "PUT", "PATCH", "DELETE"].iter().all(|m| methods.contains(m)));
    let headers = answer.header("access-control-allow-headers").expect("headers");
    assert_eq!(headers, "authorization,content-type,x-session-id");
    let mut refused = keyed("nobody", Method::POST, &current("/sessions"), "{}");
    refused.headers_mut().insert(header::ORIGIN, "https://page.example".parse().expect("one"));
    let answer = house.send(refused).await;
    assert_eq!(answer.header("access-control-allow-origin"), Some("https://page.example"));
    let exposed = answer.header("access-control-expose-headers").expect("exposed");
    assert!(exposed.contains("x-session-id") && exposed.contains("sunset"), "{exposed}");
}

#[tokio::test]
async fn a_server_that_stops_takes_nothing_new_503() {
    let house = house().await;
    house.engine.begin_drain();
    let answer = house.create("x", json!({})).await;
    refused(&answer, 503, "The server is shutting down");
    assert!(answer.header("retry-after").is_some());
}

#[tokio::test]
async fn opens_are_counted_by_key_429() {
    let house = house_with(|setup| setup.settings.opens_per_minute = 1).await;
    house.created("x", json!({})).await;
    // What is wrong opens nothing, and is told so whatever has been opened.
    let wrong = house.send(keyed(DK, Method::POST, &current("/sessions"), "{")).await;
    refused(&wrong, 400, "session_id is required");
    let answer = house.create("y", json!({})).await;
    refused(&answer, 429, "Rate limit exceeded");
    assert_eq!(answer.header("retry-after"), Some("60"));
    assert_eq!(answer.header("x-ratelimit-remaining"), Some("0"));
    let other = keyed(SK, Method::POST, &current("/sessions"), r#"{"session_id":"y"}"#);
    assert_eq!(house.send(other).await.status, 200, "another key counts on its own");
    house.clock.advance(Span::from_secs(60));
    house.created("z", json!({})).await;
}

#[tokio::test]
async fn a_body_that_is_too_long_413() {
    let house = house().await;
    let at = "x".repeat(256 * 1024 - r#"{"a":""}"#.len());
    for (body, status) in [(json!({ "a": at }), 400), (json!({ "a": format!("{at}x") }), 413)] {
        let answer = house.send(post("/sessions", &body)).await;
        assert_eq!(answer.status, status);
        assert!(answer.json()["error"].is_string(), "{}", answer.body);
    }
    assert_eq!(house.query("x").await.json(), json!({ "error": "Session not found" }));
}
