//! What pages and operators need around the endpoints: CORS, unknown paths and methods, health.

use axum::body::Body;
use http::{Method, Request};

use crate::{client::assert_refused, support::*};

const PATHS: [(&str, &str); 4] = [
    ("POST", "/v1/chat/sessions"),
    ("POST", "/v1/chat/sessions/chat_abc123/messages"),
    ("GET", "/v1/chat/sessions/chat_abc123/messages"),
    ("POST", "/v1/chat/sessions/chat_abc123/end"),
];

fn preflight(method: &str, path: &str, origin: &str) -> Request<Body> {
    Request::builder()
        .method(Method::OPTIONS)
        .uri(path)
        .header("Origin", origin)
        .header("Access-Control-Request-Method", method)
        .header("Access-Control-Request-Headers", "authorization,content-type")
        .body(Body::empty())
        .expect("a request")
}

#[tokio::test]
async fn a_preflight_succeeds_without_credentials_on_every_chat_path() {
    let fixture = Fixture::start().await;
    for (method, path) in PATHS {
        let answer = fixture.send(preflight(method, path, "https://anyone.test")).await;
        assert_eq!(answer.told(), (200, ""), "{method} {path}");
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
        assert_eq!(answer.header("access-control-allow-methods"), Some("GET,POST,OPTIONS"));
        let allowed = "content-type,authorization,x-api-key,x-studio-token,origin";
        assert_eq!(answer.header("access-control-allow-headers"), Some(allowed));
    }
}

#[tokio::test]
async fn every_answer_may_be_read_by_a_page_errors_included() {
    let fixture = Fixture::start().await;
    let held = fixture.hold().await;
    let mut end = held.end();
    end.headers_mut().insert("Origin", "https://anyone.test".parse().expect("a value"));
    let mut again = held.end();
    again.headers_mut().insert("Origin", "https://anyone.test".parse().expect("a value"));
    for (request, status) in [(end, 200), (again, 401)] {
        let answer = fixture.send(request).await;
        assert_eq!(answer.status, status);
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
        let exposed = "retry-after,x-ratelimit-limit,x-ratelimit-remaining,x-ratelimit-reset";
        assert_eq!(answer.header("access-control-expose-headers"), Some(exposed));
    }
}

#[tokio::test]
async fn only_the_configured_origins_are_let_in() {
    let origins = vec!["https://example.com".to_owned(), "not\na header".to_owned()];
    let fixture = Fixture::with(|setup| setup.settings.cors_origins = origins).await;
    let origin = |answer: &Answer| answer.header("access-control-allow-origin").map(str::to_owned);
    let (method, path) = PATHS[0];
    let known = fixture.send(preflight(method, path, "https://example.com")).await;
    assert_eq!(origin(&known).as_deref(), Some("https://example.com"));
    let unknown = fixture.send(preflight(method, path, "https://example.org")).await;
    assert_eq!(origin(&unknown), None);
}

#[tokio::test]
async fn unknown_paths_and_methods_are_answered_in_this_apis_words() {
    let fixture = Fixture::start().await;
    let ask = |method: &str, path: &str| {
        Request::builder().method(method).uri(path).body(Body::empty()).expect("a request")
    };
    for path in ["/v1/chat/voice-sessions", "/v1/chat/sessions/a", "/v1/chat/sessions/a/b/c"] {
        assert_refused(&fixture.send(ask("POST", path)).await, 404, "Not Found");
    }
    for (method, path) in [("GET", PATHS[0].1), ("DELETE", PATHS[1].1), ("GET", PATHS[3].1)] {
        assert_refused(&fixture.send(ask(method, path)).await, 405, "Method Not Allowed");
    }
}

#[tokio::test]
async fn health_says_that_memory_is_not_graphiti() {
    let fixture = Fixture::start().await;
    let request = Request::get("/health").body(Body::empty()).expect("a request");
    let answer = fixture.send(request).await;
    assert_eq!(answer.status, 200);
    insta::assert_snapshot!("health", answer.body);
}
