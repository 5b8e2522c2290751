//! 2.8: browsers call the API directly.

use http::{Method, Request};

use crate::{client::*, support::Setup};

fn preflight(path: &str) -> Request<axum::body::Body> {
    let request = post(path).method(Method::OPTIONS).header("origin", "https://shop.example.com");
    request
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "authorization")
        .empty()
}

fn listed(header: Option<&str>) -> Vec<String> {
    header.unwrap_or_default().split(',').map(|word| word.trim().to_ascii_lowercase()).collect()
}

/// "`OPTIONS` on every path: 204, allow the origin, methods `POST, OPTIONS`, headers `Authorization,
/// Content-Type, Idempotency-Key`, max-age ≥ 600."
#[tokio::test]
async fn s2_8_a_preflight_is_answered_on_every_path() {
    let house = House::start().await;
    let names = ["init-client", "say-text", "say-audio", "interrupt", "keep-alive", "end"];
    let mut paths: Vec<_> =
        names.iter().map(|name| format!("{BASE}/some-session/{name}")).collect();
    paths.extend([BASE.to_owned(), format!("{BASE}/create"), format!("{BASE}/x")]);
    for path in paths {
        let answer = house.send(preflight(&path)).await;
        assert_eq!(answer.told(), (204, ""), "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
        let methods = listed(answer.header("access-control-allow-methods"));
        assert_eq!(methods, ["post", "options"]);
        let headers = listed(answer.header("access-control-allow-headers"));
        for header in ["authorization", "content-type", "idempotency-key"] {
            assert!(headers.iter().any(|allowed| allowed == header), "{header}");
        }
        let age = answer.header("access-control-max-age").and_then(|age| age.parse::<u32>().ok());
        assert!(age.is_some_and(|age| age >= 600));
    }
}

/// "(WHEP also `DELETE`, `PATCH`)"; "On WHEP expose `Location`."
#[tokio::test]
async fn s2_8_viewers_may_also_leave_and_read_where_they_are() {
    let house = House::start().await;
    for path in ["/media/whep/x", "/media/whep/x/y"] {
        let answer = house.send(preflight(path)).await;
        assert_eq!(answer.told(), (204, ""));
        let methods = listed(answer.header("access-control-allow-methods"));
        assert_eq!(methods, ["post", "options", "delete", "patch"]);
    }
    let request = post("/media/whep/x").header("origin", "https://shop.example.com").empty();
    let answer = house.send(request).await;
    let exposed = listed(answer.header("access-control-expose-headers"));
    assert!(exposed.iter().any(|header| header == "location"), "{exposed:?}");
}

/// Every answer is marked, errors included, and only for pages that may call.
#[tokio::test]
async fn s2_8_answers_are_marked_for_the_pages_that_may_call() {
    let configure = |setup: &mut Setup| {
        setup.settings.cors_origins = vec!["https://shop.example.com".into()];
    };
    let house = House::with(configure).await;
    for (origin, marked) in [
        ("https://shop.example.com", Some("https://shop.example.com")),
        ("https://evil.example.com", None),
    ] {
        let request = post(&format!("{BASE}/x/end")).header("origin", origin).empty();
        let answer = house.send(request).await;
        assert_eq!(answer.status, 401);
        assert_eq!(answer.header("access-control-allow-origin"), marked);
        assert_eq!(answer.header("access-control-allow-credentials"), None);
    }
}
