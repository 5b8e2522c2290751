//! The order of checks, and whose token opens what.

use epilogue_core::Span;
use serde_json::json;

use crate::client::*;

const ALL: [&str; 6] = ["init-client", "say-text", "say-audio", "interrupt", "keep-alive", "end"];

/// Steps 1 and 2: "missing, malformed, foreign or expired Bearer" is 401 before anything else is looked at.
#[tokio::test]
async fn s2_order_1_2_a_bad_credential_is_401_whatever_it_names() {
    let house = House::start().await;
    let client = house.created().await;
    let mut bent = client.token.clone();
    bent.replace_range(40..41, if &bent[40..41] == "A" { "B" } else { "A" });
    let none_of_ours = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.";
    for name in ALL {
        for id in [client.id.as_str(), "unknown", "not!a!name"] {
            let path = format!("{BASE}/{id}/{name}");
            refused(&house.send(post(&path).empty()).await, 401, "Invalid or expired token");
            for credential in [
                "Bearer".to_owned(),
                client.token.clone(),
                format!("KS {STATIC_KS}"),
                format!("KS {}", client.token),
                format!("Bearer {STATIC_KS}"),
                format!("Bearer {bent}"),
                format!("Bearer {none_of_ours}"),
                format!("Bearer {}", "x".repeat(100_000)),
            ] {
                let request = post(&path).header("authorization", credential).empty();
                refused(&house.send(request).await, 401, "Invalid or expired token");
            }
        }
    }
}

/// Step 3: "session id unknown → 404"; "reject ids over 128 chars or with characters outside … with 404".
#[tokio::test]
async fn s2_order_3_an_unknown_session_is_404() {
    let house = House::start().await;
    let client = house.created().await;
    let long = "a".repeat(129);
    for id in ["unknown", "00000000-0000-4000-8000-000000000000", "not!a!name", "%FF", "%2e", &long]
    {
        for name in ALL {
            let path = format!("{BASE}/{id}/{name}");
            let credential = format!("Bearer {}", client.token);
            let answer = house.send(post(&path).header("authorization", credential).empty()).await;
            refused(&answer, 404, "Session not found");
        }
    }
}

/// Step 4: "Token of another (live) session on this path → 401", also where this one is over.
#[tokio::test]
async fn s2_order_4_another_sessions_token_is_401() {
    let house = House::start().await;
    let (mine, other) = (house.created().await, house.created().await);
    let crossed = Client { id: other.id.clone(), token: mine.token.clone() };
    for name in ALL {
        refused(&house.ask(&crossed, name).await, 401, "Invalid or expired token");
    }
    succeeded(&house.ask(&other, "end").await);
    refused(&house.ask(&crossed, "keep-alive").await, 401, "Invalid or expired token");
    succeeded(&house.ask(&mine, "keep-alive").await);
}

/// What belongs to another organization is not there.
#[tokio::test]
async fn s2_order_3_another_organizations_session_is_404() {
    let house = House::start().await;
    let mine = house.created().await;
    let body = json!({ "visualConfig": { "id": "ann" } });
    let request = post(BASE).header("authorization", format!("KS {FOREIGN_KS}")).with(&body);
    let theirs = Client::of(&house.send(request).await);
    let crossed = Client { id: mine.id.clone(), token: theirs.token };
    for name in ALL {
        refused(&house.ask(&crossed, name).await, 404, "Session not found");
    }
}

/// Steps 5 and 6: "session over → 410; validate body → 400".
#[tokio::test]
async fn s2_order_5_6_a_session_that_is_over_is_410_before_its_body_is_read() {
    let house = House::start().await;
    let client = house.created().await;
    for name in ["init-client", "interrupt", "keep-alive", "end"] {
        let answer = house.send(client.post(name).text("application/json", "{")).await;
        refused(&answer, 400, "Request body must be a JSON object");
        let answer = house.send(client.post(name).text("application/json", "[]")).await;
        refused(&answer, 400, "Request body must be a JSON object");
    }
    succeeded(&house.ask(&client, "end").await);
    for name in ALL {
        let answer = house.send(client.post(name).text("application/json", "{")).await;
        refused(&answer, 410, "Session ended");
    }
}

/// "An ended session must therefore stay known as a tombstone, at least as long as its token could live
/// (24 h), so that its own token gets 410, not 401"; then it is 401.
#[tokio::test]
async fn s2_a_tombstone_lasts_as_long_as_the_token_could() {
    let house = House::start().await;
    let client = house.created().await;
    succeeded(&house.ask(&client, "end").await);
    house.run_until_idle().await;
    house.clock.advance(Span::from_millis(86_399_999));
    refused(&house.ask(&client, "keep-alive").await, 410, "Session ended");
    refused(&house.ask(&client, "end").await, 410, "Session ended");
    house.clock.advance(Span::from_millis(1));
    refused(&house.ask(&client, "keep-alive").await, 401, "Invalid or expired token");
}

/// "Accept: absent, zero length, `{}`, any JSON object, with any or no Content-Type, on 2/5/6/7."
#[tokio::test]
async fn s2_bodies_that_say_nothing_are_accepted_in_every_form() {
    let house = House::start().await;
    let client = house.created().await;
    for name in ["init-client", "interrupt", "keep-alive", "end"] {
        for (kind, body) in [
            ("application/json", ""),
            ("application/json", "{}"),
            ("Application/JSON; charset=utf-8", " {\"a\": [1]} "),
            ("text/plain;charset=UTF-8", "{}"),
            ("text/plain", "anything"),
            ("application/octet-stream", "\u{1}"),
        ] {
            let client = if name == "end" { house.created().await } else { client.clone() };
            let answer = house.send(client.post(name).text(kind, body)).await;
            assert_eq!(answer.status, 200, "{name}, {kind}, {body}: {}", answer.body);
        }
    }
    let plain = client.post("keep-alive").body("{}".into()).expect("a request");
    succeeded(&house.send(plain).await);
}

/// "500 `Internal server error`", and nothing of the cause.
#[tokio::test]
async fn s2_a_fault_of_ours_is_500_without_its_cause() {
    let house = House::start().await;
    let client = house.created().await;
    house.database().execute_batch("ALTER TABLE sessions RENAME TO lost").expect("broken");
    refused(&house.ask(&client, "end").await, 500, "Internal server error");
}
