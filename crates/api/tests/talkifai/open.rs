//! C1: `POST /v1/chat/sessions`.

use epilogue_core::{OrgId, Span};
use http::header;
use serde_json::json;

use crate::{
    client::{Held, assert_refused, open, open_with},
    support::*,
};

fn body() -> String {
    json!({ "agent_id": AGENT }).to_string()
}

#[tokio::test]
async fn an_open_answers_with_exactly_the_published_fields() {
    let fixture = Fixture::start().await;
    let answer = fixture.send(open(&json!({ "agent_id": AGENT }))).await;
    let token = Held::of(&answer).token;
    assert_eq!(answer.header("content-type"), Some("application/json"));
    insta::assert_snapshot!("opened", answer.body.replace(&token, "<token>"));
}

#[tokio::test]
async fn a_session_token_is_an_hs256_jwt_for_a_day_with_the_published_claims() {
    let fixture = Fixture::start().await;
    let held = fixture.hold().await;
    assert!(held.token.starts_with("eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9."), "{}", held.token);
    let tokens = epilogue_api::token::SessionTokens::new(&TOKEN_SECRET.into());
    let claims = tokens.read(&held.token, NOW).expect("our own");
    assert_eq!(claims.conversation_id, held.conversation_id);
    assert_eq!((claims.agent_id.as_str(), claims.organization_id.as_str()), (AGENT, "org_acme"));
    assert_eq!((claims.iat, claims.exp), (NOW.as_secs(), NOW.as_secs() + 86_400));
}

#[tokio::test]
async fn an_agent_whose_user_speaks_first_has_a_null_greeting() {
    let fixture = Fixture::start().await;
    let answer = fixture.send(open(&json!({ "agent_id": QUIET_AGENT }))).await;
    assert_eq!(answer.json()["greeting"], json!(null));
    let held = Held::of(&answer);
    let history = fixture.send(held.history("")).await;
    assert_eq!(history.body, r#"{"messages":[],"count":0}"#);
    // A scripted agent has no model, and says so.
    assert_eq!(answer.json()["agent_model"], "scripted");
}

#[tokio::test]
async fn what_the_client_says_of_the_user_is_kept_with_the_session() {
    let fixture = Fixture::start().await;
    let held = fixture
        .hold_with(&json!({
            "agent_id": AGENT,
            "metadata": { "source": "widget" },
            "user_identifier": " Ann@Example.com ",
            "unknown": [1],
        }))
        .await;
    let session = fixture.session(&held.conversation_id).await;
    assert_eq!(session.context.metadata, json!({ "source": "widget" }));
    assert_eq!(session.person.expect("a person").as_str(), "ann@example.com");
}

#[tokio::test]
async fn a_studio_token_is_the_sign_in_with_a_secret_key() {
    let fixture = Fixture::start().await;
    Held::of(&fixture.send(open_with(&[("X-Studio-Token", KEY)], body())).await);
    for token in ["nobody", WIDGET_KEY, "\u{e9}"] {
        let answer = fixture.send(open_with(&[("X-Studio-Token", token)], body())).await;
        assert_refused(&answer, 401, "Invalid or expired studio session");
    }
}

#[tokio::test]
async fn with_both_credentials_the_api_key_counts() {
    let fixture = Fixture::start().await;
    let headers = [("X-Studio-Token", KEY), ("X-API-Key", "nobody")];
    assert_refused(&fixture.send(open_with(&headers, body())).await, 401, "Invalid API key");
    let headers = [("X-Studio-Token", "nobody"), ("x-api-key", KEY)];
    Held::of(&fixture.send(open_with(&headers, body())).await);
}

#[tokio::test]
async fn without_a_credential_an_open_is_401() {
    let fixture = Fixture::start().await;
    let bearer = format!("Bearer {KEY}");
    let given: [&[(&str, &str)]; 3] =
        [&[], &[("X-API-Key", " "), ("X-Studio-Token", "")], &[("Authorization", &bearer)]];
    for headers in given {
        // Who is not known is not told what is wrong with the body.
        let answer = fixture.send(open_with(headers, "{")).await;
        let text = "Authentication required: provide X-API-Key or X-Studio-Token";
        assert_refused(&answer, 401, text);
    }
}

#[tokio::test]
async fn a_key_that_is_unknown_revoked_or_expired_is_401_at_once() {
    let fixture = Fixture::start().await;
    let with = |key: &str| open_with(&[("X-API-Key", key)], body());
    let long = "k".repeat(epilogue_api::auth::KEY_BYTES_MAX + 1);
    for key in ["nobody", &long, "\u{e9}"] {
        assert_refused(&fixture.send(with(key)).await, 401, "Invalid API key");
    }
    Held::of(&fixture.send(with(SHORT_KEY)).await);
    fixture.clock.advance(Span::from_secs(24 * 3600));
    assert_refused(&fixture.send(with(SHORT_KEY)).await, 401, "Invalid API key");
    Held::of(&fixture.send(with(KEY)).await);
    let acme = OrgId::from("org_acme");
    let revoked = fixture.engine.revoke_credential(&acme, &"key_acme".into(), None).await;
    assert!(revoked.expect("revoked"));
    assert_refused(&fixture.send(with(KEY)).await, 401, "Invalid API key");
}

#[tokio::test]
async fn a_widget_key_opens_from_its_domains_and_from_localhost_alone() {
    let fixture = Fixture::start().await;
    let from = |origin: &str| open_with(&[("X-API-Key", WIDGET_KEY), ("Origin", origin)], body());
    for origin in ["https://example.com", "https://www.example.com", "http://localhost:3000"] {
        Held::of(&fixture.send(from(origin)).await);
    }
    for origin in ["https://example.org", "https://notexample.com", "null"] {
        let answer = fixture.send(from(origin)).await;
        assert_refused(&answer, 403, "Origin not allowed for this API key");
    }
    let answer = fixture.send(open_with(&[("X-API-Key", WIDGET_KEY)], body())).await;
    assert_refused(&answer, 403, "Origin not allowed for this API key");
}

#[tokio::test]
async fn a_key_that_may_only_look_opens_nothing() {
    let fixture = Fixture::start().await;
    let answer = fixture.send(open_with(&[("X-API-Key", READ_KEY)], body())).await;
    assert_refused(&answer, 403, "This API key may not create sessions");
}

#[tokio::test]
async fn without_an_agent_id_an_open_is_400() {
    let fixture = Fixture::start().await;
    for body in [json!({}), json!({ "agent_id": "" }), json!({ "agent_id": null })] {
        assert_refused(&fixture.send(open(&body)).await, 400, "Agent ID is required");
    }
}

#[tokio::test]
async fn an_agent_that_is_unknown_or_another_organizations_is_404() {
    let fixture = Fixture::start().await;
    for agent in ["nobody", FOREIGN_AGENT] {
        let answer = fixture.send(open(&json!({ "agent_id": agent }))).await;
        let text = format!("Agent {agent} not found or does not belong to your organization");
        assert_refused(&answer, 404, &text);
    }
}

#[tokio::test]
async fn an_agent_that_does_not_write_is_400() {
    let fixture = Fixture::start().await;
    let answer = fixture.send(open(&json!({ "agent_id": AVATAR }))).await;
    assert_refused(&answer, 400, "Agent must be Text architecture for chat sessions");
}

#[tokio::test]
async fn without_credits_an_open_is_402() {
    let fixture = Fixture::start().await;
    let body = json!({ "agent_id": BROKE_AGENT }).to_string();
    let answer = fixture.send(open_with(&[("X-API-Key", BROKE_KEY)], body)).await;
    assert_refused(&answer, 402, "Insufficient credits. Please add credits to continue.");
}

#[tokio::test]
async fn an_open_that_cannot_be_recorded_is_503_and_never_free() {
    let fixture = Fixture::start().await;
    let database = fixture.database();
    database.execute_batch("ALTER TABLE messages RENAME TO away").expect("broken");
    let answer = fixture.send(open(&json!({ "agent_id": AGENT }))).await;
    assert_refused(&answer, 503, "Billing service unavailable: the database failed");
    assert_eq!(answer.header("retry-after"), Some("2"));
    database.execute_batch("ALTER TABLE away RENAME TO messages").expect("mended");
    fixture.hold().await;
    let count = database.query_row("SELECT count(*) FROM sessions", [], |row| row.get(0));
    assert_eq!(count, Ok(1));
}

#[tokio::test]
async fn a_server_that_stops_opens_nothing_new() {
    let fixture = Fixture::start().await;
    fixture.engine.begin_drain();
    let answer = fixture.send(open(&json!({ "agent_id": AGENT }))).await;
    assert_refused(&answer, 503, "The server is restarting. Please try again.");
    assert!(answer.headers.contains_key(header::RETRY_AFTER));
}

#[tokio::test]
async fn sessions_of_the_same_millisecond_have_different_names() {
    let fixture = Fixture::start().await;
    let names: std::collections::BTreeSet<_> = [fixture.hold().await, fixture.hold().await]
        .into_iter()
        .map(|held| held.conversation_id)
        .collect();
    assert_eq!(names.len(), 2);
}

#[tokio::test]
async fn a_name_that_is_taken_is_drawn_again_within_bounds() {
    let fixture = Fixture::start().await;
    let mut names = Vec::new();
    for _ in 0..4 {
        names.push(fixture.hold().await.conversation_id);
    }
    // A process with the same seed at the same moment draws the same names.
    let twin = fixture.beside(|_| ()).await;
    let answer = twin.send(open(&json!({ "agent_id": AGENT }))).await;
    assert_refused(&answer, 500, "Internal server error");
    let held = twin.hold().await;
    assert!(!names.contains(&held.conversation_id));
}

#[tokio::test]
async fn wrong_types_and_malformed_json_are_422_with_a_list() {
    let fixture = Fixture::start().await;
    let wrong = json!({ "agent_id": 5, "metadata": "text" });
    let answer = fixture.send(open(&wrong)).await;
    assert_eq!(answer.status, 422);
    insta::assert_snapshot!("wrong_types", answer.body);
    let malformed = open_with(&[("X-API-Key", KEY)], "{\"agent_id\": }");
    let answer = fixture.send(malformed).await;
    assert_eq!(answer.status, 422);
    insta::assert_snapshot!("malformed_json", answer.body);
}

#[tokio::test]
async fn metadata_as_deep_as_it_may_be_opens_a_session_that_can_be_ended() {
    let fixture = Fixture::start().await;
    let nested = |depth: usize| {
        let (open, close) = (r#"{"a":"#.repeat(depth), "}".repeat(depth));
        format!(r#"{{"agent_id":"{AGENT}","metadata":{open}1{close}}}"#)
    };
    let with = |depth| open_with(&[("X-API-Key", KEY)], nested(depth));
    // The reader's own limit is 127 levels.
    assert_eq!(fixture.send(with(127)).await.status, 422);
    let held = Held::of(&fixture.send(with(126)).await);
    assert_eq!(fixture.send(held.message("hi")).await.status, 200);
    assert_eq!(fixture.send(held.end()).await.status, 200);
}
