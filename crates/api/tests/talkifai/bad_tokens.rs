//! Who may not: what C2, C3 and C4 answer to everyone but the session's own client.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use epilogue_api::token::{SessionTokens, TOKEN_BYTES_MAX};
use epilogue_core::Span;
use http::{Method, Request, header};

use crate::{
    client::{Held, about, assert_refused},
    support::*,
};

/// The three endpoints that take a session's token.
const ENDPOINTS: [(Method, &str); 3] =
    [(Method::POST, "messages"), (Method::GET, "messages"), (Method::POST, "end")];

/// Asserts that every endpoint refuses `token` for the session `named` so.
async fn assert_all_refuse(
    fixture: &Fixture,
    named: &str,
    token: &str,
    (status, text): (u16, &str),
) {
    for (method, what) in ENDPOINTS {
        // What is wrong with the body is not said to whoever may not ask.
        let answer = fixture.send(about(named, token, method, what, "{")).await;
        assert_refused(&answer, status, text);
    }
}

const INVALID: (u16, &str) = (401, "Invalid token");
const WRONG_SESSION: (u16, &str) = (403, "Conversation ID does not match session token");

/// The session is as it was: its own client can end it.
async fn assert_unharmed(fixture: &Fixture, held: &Held) {
    assert_eq!(fixture.send(held.end()).await.status, 200);
}

fn with_header(token: &str, header: &str) -> String {
    let (_, rest) = token.split_once('.').expect("a token");
    format!("{}.{rest}", URL_SAFE_NO_PAD.encode(header))
}

#[tokio::test]
async fn a_token_that_is_damaged_forged_or_unsigned_is_401() {
    let fixture = Fixture::start().await;
    let held = fixture.hold().await;
    let token = &held.token;
    let (unsigned, signature) = token.rsplit_once('.').expect("a token");
    let (header, claims) = unsigned.split_once('.').expect("a token");
    let claims = String::from_utf8(URL_SAFE_NO_PAD.decode(claims).expect("base64")).expect("text");
    let other = claims.replace("org_acme", "org_other");
    let bad = [
        String::new(),
        "not-a-token".to_owned(),
        token[..token.len() - 1].to_owned(),
        unsigned.to_owned(),
        format!("{unsigned}."),
        format!("{header}.{}.{signature}", URL_SAFE_NO_PAD.encode(other)),
        with_header(token, r#"{"typ":"JWT","alg":"none"}"#),
        format!("{}.", with_header(unsigned, r#"{"typ":"JWT","alg":"none"}"#)),
        with_header(token, r#"{"typ":"JWT","alg":"HS512"}"#),
        format!("{token} {token}"),
        format!("{token}{}", "x".repeat(TOKEN_BYTES_MAX)),
        KEY.to_owned(),
    ];
    for token in &bad {
        assert_all_refuse(&fixture, &held.conversation_id, token, INVALID).await;
    }
    assert_unharmed(&fixture, &held).await;
}

#[tokio::test]
async fn a_token_signed_by_somebody_else_is_401() {
    let fixture = Fixture::start().await;
    let held = fixture.hold().await;
    let session = fixture.session(&held.conversation_id).await;
    let stranger = SessionTokens::new(&"another secret of thirty-two bytes".into());
    let forged = stranger.sign(&session, "key_acme", NOW).expect("signed");
    assert_all_refuse(&fixture, &held.conversation_id, &forged, INVALID).await;
    assert_unharmed(&fixture, &held).await;
}

#[tokio::test]
async fn a_token_past_its_day_is_401_though_its_session_lives() {
    let fixture = Fixture::start().await;
    let held = fixture.hold().await;
    for _ in 0..48 {
        fixture.clock.advance(Span::from_secs(1_799));
        assert_eq!(fixture.send(held.message("still here")).await.status, 200);
    }
    fixture.clock.advance(Span::from_secs(86_400 - 48 * 1_799));
    assert_all_refuse(&fixture, &held.conversation_id, &held.token, INVALID).await;
}

#[tokio::test]
async fn another_sessions_token_is_403_whether_or_not_the_session_exists() {
    let fixture = Fixture::start().await;
    let (held, other) = (fixture.hold().await, fixture.hold().await);
    for named in [held.conversation_id.as_str(), "chat_abc123", "%ff"] {
        assert_all_refuse(&fixture, named, &other.token, WRONG_SESSION).await;
    }
    // 403 comes before the session's own state: it stays 403 when both are over.
    assert_unharmed(&fixture, &held).await;
    assert_unharmed(&fixture, &other).await;
    assert_all_refuse(&fixture, &held.conversation_id, &other.token, WRONG_SESSION).await;
}

#[tokio::test]
async fn no_authorization_or_another_scheme_is_401() {
    let fixture = Fixture::start().await;
    let held = fixture.hold().await;
    for (method, what) in ENDPOINTS {
        for value in [None, Some("Basic YTpi".to_owned()), Some(held.token.clone())] {
            let uri = format!("/v1/chat/sessions/{}/{what}", held.conversation_id);
            let mut request = Request::builder().method(method.clone()).uri(uri);
            if let Some(value) = value {
                request = request.header(header::AUTHORIZATION, value);
            }
            let request = request.body(axum::body::Body::empty()).expect("a request");
            assert_refused(&fixture.send(request).await, 401, "Invalid token");
        }
    }
    assert_unharmed(&fixture, &held).await;
}

#[tokio::test]
async fn a_widget_key_is_403_where_a_sessions_token_belongs() {
    let fixture = Fixture::start().await;
    let held = fixture.hold().await;
    let refusal = (403, "A widget key can only create sessions");
    assert_all_refuse(&fixture, &held.conversation_id, WIDGET_KEY, refusal).await;
    let with_key = |mut request: Request<axum::body::Body>, key: &str| {
        request.headers_mut().insert("X-API-Key", key.parse().expect("a value"));
        request
    };
    let mut request = with_key(held.end(), WIDGET_KEY);
    request.headers_mut().remove(header::AUTHORIZATION);
    assert_refused(&fixture.send(request).await, 403, refusal.1);
    // A secret key opens sessions; it does not speak for one.
    let mut request = with_key(held.end(), KEY);
    request.headers_mut().remove(header::AUTHORIZATION);
    assert_refused(&fixture.send(request).await, 401, "Invalid token");
    // Beside the session's own token, a key that is sent along does not matter.
    assert_eq!(fixture.send(with_key(held.end(), WIDGET_KEY)).await.status, 200);
}
