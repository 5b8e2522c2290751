//! W1 to W8, section 2.8 of the contract.

use epilogue_core::Span;
use http::Method;
use serde_json::{Value, json};

use crate::{
    client::{get, keyed, post, problem},
    house::document,
    support::{Answer, CHAT_AGENT, FOREIGN_KEY, Fixture, READ_KEY},
};

fn body() -> Value {
    json!({
        "agentId": CHAT_AGENT,
        "name": "Shop page",
        "enabled": true,
        "description": "On every page.",
        "features": [{ "name": "AllowWebChat", "enabled": true }],
        "origins": ["https://shop.example.com", "*.example.org"],
        "widgetAppearance": { "theme": "dark" },
        "tools": [{ "name": "open_cart" }],
        "resultDelivery": { "kept": true },
    })
}

fn at(id: &str) -> String {
    format!("/web-integrations?integrationId={id}")
}

impl Fixture {
    async fn integrate(&self, body: Value) -> String {
        let answer = self.send(post("/web-integrations", &body)).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        answer.json()["integrationId"].as_str().expect("an id").to_owned()
    }

    async fn token(&self, id: &str, body: Value) -> Answer {
        self.send(post(&format!("/web-integrations/{id}/tokens"), &body)).await
    }

    async fn discover(&self, token: &str, origin: Option<&str>) -> Answer {
        let request =
            http::Request::get(format!("/api/v1/web-integrations/discover?token={token}"));
        let request = match origin {
            Some(origin) => request.header("origin", origin),
            None => request,
        };
        self.send(request.body(axum::body::Body::empty()).expect("a request")).await
    }
}

#[tokio::test]
async fn w1_w2_w3_an_integration_is_made_listed_and_shown() {
    let fixture = Fixture::start().await;
    let made = fixture.send(post("/web-integrations", &body())).await;
    assert_eq!(made.status, 201);
    insta::assert_json_snapshot!("integration", made.json());
    let id = made.json()["integrationId"].as_str().expect("an id").to_owned();
    let path = format!("/web-integrations/integration?integrationId={id}");
    assert_eq!(fixture.send(get(&path)).await.body, made.body);
    assert_eq!(fixture.send(get("/web-integrations")).await.json(), json!([made.json()]));
    let foreign = fixture.send(keyed(FOREIGN_KEY, Method::GET, "/web-integrations", "")).await;
    assert_eq!(foreign.json(), json!([]));
    problem(&fixture.send(keyed(FOREIGN_KEY, Method::GET, &path, "")).await, 404);
    problem(&fixture.send(get("/web-integrations/integration")).await, 400);
    problem(&fixture.send(keyed(READ_KEY, Method::POST, "/web-integrations", "{}")).await, 403);
    problem(&fixture.send(keyed("wrong", Method::GET, "/web-integrations", "")).await, 401);
}

#[tokio::test]
async fn w4_an_update_changes_what_it_names() {
    let fixture = Fixture::start().await;
    let id = fixture.integrate(body()).await;
    let before = fixture.send(get("/web-integrations")).await.json()[0].clone();
    fixture.clock.advance(Span::from_secs(1));
    let answer =
        fixture.ask(Method::PUT, &at(&id), json!({ "enabled": false, "origins": null })).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let mut expected = before;
    expected["enabled"] = json!(false);
    expected["origins"] = json!([]);
    expected["lastUpdateTime"] = json!("2024-01-15T10:00:01.000Z");
    assert_eq!(answer.json(), expected);
    problem(&fixture.ask(Method::PUT, &at("unknown"), json!({})).await, 404);
    let foreign = keyed(FOREIGN_KEY, Method::PUT, &at(&id), "{}");
    problem(&fixture.send(foreign).await, 404);
}

#[tokio::test]
async fn w4_an_integration_whose_agent_is_gone_can_be_switched_off() {
    let fixture = Fixture::start().await;
    let agent = fixture.make(document()).await;
    let id = fixture.integrate(json!({ "agentId": agent, "name": "Shop" })).await;
    fixture.ask(Method::DELETE, &format!("/agents/{agent}"), Value::Null).await;
    let answer = fixture.ask(Method::PUT, &at(&id), json!({ "enabled": false })).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["enabled"]), (200, &json!(false)));
    let other = fixture.make(document()).await;
    fixture.ask(Method::DELETE, &format!("/agents/{other}"), Value::Null).await;
    let moved = fixture.ask(Method::PUT, &at(&id), json!({ "agentId": other })).await;
    assert!(problem(&moved, 400)["errors"]["agentId"].is_array());
}

#[tokio::test]
async fn w4_edits_that_meet_are_both_kept() {
    let fixture = Fixture::start().await;
    let id = fixture.integrate(body()).await;
    let path = at(&id);
    let (one, two) = tokio::join!(
        fixture.ask(Method::PUT, &path, json!({ "enabled": false })),
        fixture.ask(Method::PUT, &path, json!({ "name": "Two" })),
    );
    assert_eq!((one.status.as_u16(), two.status.as_u16()), (200, 200));
    let shown = fixture.send(get("/web-integrations")).await.json()[0].clone();
    assert_eq!((&shown["enabled"], &shown["name"]), (&json!(false), &json!("Two")));
}

#[tokio::test]
async fn w6_w7_a_path_that_is_no_text_names_nothing() {
    let fixture = Fixture::start().await;
    let token = post("/web-integrations/%FF/tokens", &json!({ "name": "page" }));
    problem(&fixture.send(token).await, 404);
    for path in ["/web-integrations/%FF/tokens/x", "/web-integrations/x/tokens/%FF"] {
        problem(&fixture.ask(Method::DELETE, path, Value::Null).await, 404);
        problem(&fixture.send(keyed("wrong", Method::DELETE, path, "")).await, 401);
    }
}

#[tokio::test]
async fn w8_a_page_sees_no_secret_of_a_tool() {
    let fixture = Fixture::start().await;
    let mut body = body();
    body["tools"] = json!([{ "name": "x", "webhook": { "headers": { "Authorization": "s3" } } }]);
    body["origins"] = Value::Null;
    let id = fixture.integrate(body).await;
    let made = fixture.token(&id, json!({ "name": "page" })).await.json();
    let seen = fixture.discover(made["token"].as_str().expect("a token"), None).await;
    assert_eq!(seen.json()["tools"][0]["webhook"]["headers"]["Authorization"], "********");
    let shown = fixture.send(get("/web-integrations")).await;
    assert_eq!(shown.json()[0]["tools"][0]["webhook"]["headers"]["Authorization"], "s3");
}

#[tokio::test]
async fn w5_a_removed_integration_lets_nobody_in() {
    let fixture = Fixture::start().await;
    let id = fixture.integrate(json!({ "agentId": CHAT_AGENT, "name": "Shop" })).await;
    let token = fixture.token(&id, json!({ "name": "page" })).await.json();
    let token = token["token"].as_str().expect("a token").to_owned();
    assert_eq!(fixture.discover(&token, None).await.status, 200);
    problem(&fixture.send(keyed(FOREIGN_KEY, Method::DELETE, &at(&id), "")).await, 404);
    assert_eq!(fixture.ask(Method::DELETE, &at(&id), Value::Null).await.status, 204);
    problem(&fixture.ask(Method::DELETE, &at(&id), Value::Null).await, 404);
    problem(&fixture.discover(&token, None).await, 401);
}

#[tokio::test]
async fn w6_a_token_is_shown_once_and_its_name_is_taken() {
    let fixture = Fixture::start().await;
    let id = fixture.integrate(body()).await;
    let made =
        fixture.token(&id, json!({ "name": "page", "expiresAt": "2024-02-01T00:00:00Z" })).await;
    assert_eq!(made.status, 201);
    assert_eq!(made.header("cache-control"), Some("no-store"));
    insta::assert_json_snapshot!("token", made.json());
    let token = made.json()["token"].as_str().expect("a token").to_owned();
    let shown = fixture.send(get("/web-integrations")).await;
    assert!(!shown.body.contains(&token), "never again");
    insta::assert_json_snapshot!("tokens", shown.json()[0]["tokens"]);
    let stored: i64 = fixture
        .database()
        .query_row(
            "SELECT count(*) FROM integration_tokens WHERE instr(CAST(hash AS TEXT), ?1) > 0",
            [&token],
            |row| row.get(0),
        )
        .expect("counted");
    assert_eq!(stored, 0, "only its hash is kept");
    problem(&fixture.token(&id, json!({ "name": "page" })).await, 409);
    assert_eq!(fixture.token(&id, json!({ "name": "other" })).await.status, 201);
    for (body, part) in [
        (json!({}), "name"),
        (json!({ "name": "" }), "name"),
        (json!({ "name": "x".repeat(101) }), "name"),
        (json!({ "name": "x", "expiresAt": "2024-01-15T10:00:00Z" }), "expiresAt"),
        (json!({ "name": "x", "expiresAt": "soon" }), "expiresAt"),
    ] {
        let refused = problem(&fixture.token(&id, body).await, 400);
        assert!(refused["errors"][part].is_array(), "{refused}");
    }
    assert_eq!(fixture.token(&id, json!({ "name": "x".repeat(100) })).await.status, 201);
    problem(&fixture.token("unknown", json!({ "name": "x" })).await, 404);
}

#[tokio::test]
async fn w6_an_integration_has_a_hundred_tokens_and_no_more() {
    let fixture = Fixture::start().await;
    let id = fixture.integrate(body()).await;
    for n in 0..100 {
        assert_eq!(fixture.token(&id, json!({ "name": format!("t{n}") })).await.status, 201);
    }
    problem(&fixture.token(&id, json!({ "name": "one more" })).await, 409);
}

#[tokio::test]
async fn w7_a_revoked_token_opens_nothing_at_once() {
    let fixture = Fixture::start().await;
    let id = fixture.integrate(json!({ "agentId": CHAT_AGENT, "name": "Shop" })).await;
    let made = fixture.token(&id, json!({ "name": "page" })).await.json();
    let token = made["token"].as_str().expect("a token");
    let path =
        format!("/web-integrations/{id}/tokens/{}", made["tokenId"].as_str().expect("an id"));
    problem(&fixture.send(keyed(FOREIGN_KEY, Method::DELETE, &path, "")).await, 404);
    let answer = fixture.ask(Method::DELETE, &path, Value::Null).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["tokens"]), (200, &json!([])));
    problem(&fixture.discover(token, None).await, 401);
    problem(&fixture.ask(Method::DELETE, &path, Value::Null).await, 404);
}

#[tokio::test]
async fn w8_a_page_sees_what_is_safe_and_only_from_its_origins() {
    let fixture = Fixture::start().await;
    let id = fixture.integrate(body()).await;
    let made =
        fixture.token(&id, json!({ "name": "page", "expiresAt": "2024-01-15T10:05:00Z" })).await;
    let token = made.json()["token"].as_str().expect("a token").to_owned();
    let page = Some("https://shop.example.com");
    let seen = fixture.discover(&token, page).await;
    assert_eq!(seen.status, 200, "{}", seen.body);
    assert!(seen.header("access-control-allow-origin").is_some());
    let mut members: Vec<_> = seen.json().as_object().expect("one").keys().cloned().collect();
    members.sort();
    let published = [
        "agentId",
        "description",
        "enabled",
        "features",
        "integrationId",
        "name",
        "tools",
        "widgetAppearance",
    ];
    assert_eq!(members, published, "and nothing else that its owner wrote");
    insta::assert_json_snapshot!("discovered", seen.json());
    assert_eq!(fixture.discover(&token, Some("https://a.example.org")).await.status, 200);
    for elsewhere in [None, Some("https://example.org"), Some("https://evil.test"), Some("null")] {
        let refused = problem(&fixture.discover(&token, elsewhere).await, 403);
        assert_eq!(refused["detail"], "Origin not allowed", "{elsewhere:?}");
    }
    for (bad, detail) in [("", "Missing token"), ("wi_unknown", "Invalid token")] {
        assert_eq!(problem(&fixture.discover(bad, page).await, 401)["detail"], detail);
    }
    fixture.ask(Method::PUT, &at(&id), json!({ "enabled": false })).await;
    let refused = problem(&fixture.discover(&token, page).await, 403);
    assert_eq!(refused["detail"], "Web integration is not enabled");
    fixture.ask(Method::PUT, &at(&id), json!({ "enabled": true })).await;
    let shown = fixture.send(get("/web-integrations")).await.json();
    assert_eq!(shown[0]["tokens"][0]["lastUsedAt"], "2024-01-15T10:00:00.000Z");
    fixture.clock.advance(Span::from_secs(300));
    problem(&fixture.discover(&token, page).await, 401);
}

#[tokio::test]
async fn a_web_token_is_no_api_key() {
    let fixture = Fixture::start().await;
    let id = fixture.integrate(body()).await;
    let made = fixture.token(&id, json!({ "name": "page" })).await.json();
    let token = made["token"].as_str().expect("a token");
    problem(&fixture.send(keyed(token, Method::GET, "/chats", "")).await, 401);
}

#[tokio::test]
async fn section_10_names_descriptions_and_origins_have_limits() {
    let fixture = Fixture::start().await;
    let with = |member: &str, value: Value| {
        let mut body = body();
        body[member] = value;
        body
    };
    for (member, good) in [
        ("name", json!("x".repeat(100))),
        ("name", json!("A-b_c 9")),
        ("description", json!("x".repeat(500))),
        ("description", json!(null)),
        ("origins", json!(["*"])),
        ("origins", json!(vec!["example.com"; 100])),
        ("features", json!(null)),
    ] {
        fixture.integrate(with(member, good)).await;
    }
    for (member, wrong, part) in [
        ("name", json!("x".repeat(101)), "name"),
        ("name", json!(""), "name"),
        ("name", json!("a/b"), "name"),
        ("description", json!("x".repeat(501)), "description"),
        ("origins", json!("example.com"), "origins"),
        ("origins", json!(["example.com", "example.com:80"]), "origins[1]"),
        ("origins", json!(["https://example.com/path"]), "origins[0]"),
        ("origins", json!(vec!["example.com"; 101]), "origins"),
        ("features", json!([{ "enabled": true }]), "features[0].name"),
        ("enabled", json!("yes"), "enabled"),
        ("agentId", json!("unknown"), "agentId"),
        ("agentId", json!(null), "agentId"),
        ("tools", json!(["x"]), "tools[0]"),
    ] {
        let answer = fixture.send(post("/web-integrations", &with(member, wrong))).await;
        let refused = problem(&answer, 400);
        assert!(refused["errors"][part].is_array(), "{part}: {refused}");
    }
}

#[tokio::test]
async fn changes_are_in_the_activity_log() {
    let fixture = Fixture::start().await;
    let id = fixture.integrate(body()).await;
    fixture.token(&id, json!({ "name": "page" })).await;
    fixture.clock.advance(Span::from_secs(1));
    fixture.ask(Method::PUT, &at(&id), json!({ "enabled": false })).await;
    fixture.clock.advance(Span::from_secs(1));
    fixture.ask(Method::DELETE, &at(&id), Value::Null).await;
    let search = json!({ "agentIds": [CHAT_AGENT] });
    let log = fixture.ask(Method::POST, "/activity-logs/search", search).await.json();
    assert_eq!(
        log["aggregations"]["typeCounts"],
        json!({ "ConfigurationCreated": 2, "ConfigurationUpdated": 1, "ConfigurationDeleted": 1 })
    );
}
