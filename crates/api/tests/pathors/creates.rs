//! 2.2: creating sessions, by every path; names, variables, providers.

use std::sync::Arc;

use epilogue_core::{Span, profile::Keeps};
use futures::future::join_all;
use http::Method;
use serde_json::{Value, json};

use crate::client::*;

#[tokio::test]
async fn c2_2_a_session_is_created_by_every_path() {
    let house = unlimited().await;
    for family in FAMILIES {
        let path = family.replace("{P}", PROJECT);
        let body = json!({ "session_id": family, "variables": { "a": 1 }, "provider": "web" });
        let answer = house.send(keyed(SK, Method::POST, &path, body.to_string())).await;
        let expected = format!(r#"{{"sessionId":"{family}","pathwayId":"{PATHWAY}"}}"#);
        assert_eq!(answer.told(), (200, &*expected));
        let session = house.session(family).await;
        assert_eq!(Value::Object(session.context.bag), json!({ "a": 1 }));
        assert_eq!(session.channel.as_deref(), Some("web"));
        assert_eq!((session.messages, session.project), (0, Some(PROJECT.into())));
        assert_eq!(session.profile.keeps, Keeps::Counters);
    }
}

#[tokio::test]
async fn c2_2_without_a_name_400() {
    let house = house().await;
    let long = "é".repeat(256);
    for session_id in [json!(null), json!(""), json!(" \n"), json!(7), json!(["x"]), json!(long)] {
        let answer = house.send(post("/sessions", &json!({ "session_id": session_id }))).await;
        refused(&answer, 400, "session_id is required");
    }
    for body in ["", "{", "[]", "\"x\"", "null", "{}", r#"{"sessionId":"x"}"#, "{}{}"] {
        let answer = house.send(keyed(DK, Method::POST, &current("/sessions"), body)).await;
        refused(&answer, 400, "session_id is required");
    }
}

#[tokio::test]
async fn c2_2_a_name_is_any_text_up_to_255_characters() {
    let house = house().await;
    let names = [
        "stats",
        "search",
        "terminate",
        "a/b",
        "..",
        "%2F",
        "a b?c#d",
        "\u{1f44b}\u{200d}é",
        "\0x",
        "'; DROP TABLE sessions; --",
        "{{name}}",
        "%_*",
        "0198b7c4-0000-7000-8000-000000000000",
        &"é".repeat(255),
    ];
    for name in names {
        let answer = house.create(name, json!({})).await;
        assert_eq!(answer.json()["sessionId"], name, "{}", answer.body);
        assert_eq!(house.session(name).await.dialect_id, name);
    }
}

#[tokio::test]
async fn c2_2_what_is_given_in_another_form_400() {
    let house = house().await;
    for (more, message) in [
        (json!({ "variables": [] }), "variables must be an object"),
        (json!({ "variables": "a" }), "variables must be an object"),
        (json!({ "provider": 7 }), "provider must be a string"),
        (json!({ "provider": "x".repeat(65) }), "provider must have at most 64 characters"),
    ] {
        refused(&house.create("x", more).await, 400, message);
    }
    for (body, message) in [
        (r#"{"session_id":"x","session_id":"y"}"#, "The body names a member more than once"),
        (
            r#"{"session_id":"x","variables":{"a":1e400}}"#,
            "The body has more levels, or larger numbers, than can be read",
        ),
        (
            r#"{"session_id":"x","variables":{"a":12345678901234567890123}}"#,
            "variables must have no whole number of more than 64 bits: write it as a string",
        ),
        (r#"{"session_id":"x","user_identifier":7}"#, "user_identifier must be a string"),
    ] {
        let answer = house.send(keyed(DK, Method::POST, &current("/sessions"), body)).await;
        refused(&answer, 400, message);
    }
    assert_eq!(house.session_in(PROJECT, "x").await, None, "nothing was opened");
    let fits = json!({ "variables": null, "provider": "x".repeat(64), "other": [1] });
    house.created("x", fits).await;
}

#[tokio::test]
async fn c2_2_a_live_session_of_that_name_stays_and_variables_lie_over_its_own() {
    let house = house().await;
    house
        .created("x", json!({ "variables": { "a": { "b": 1 }, "c": 2 }, "provider": "web" }))
        .await;
    let first = house.session("x").await;
    house.clock.advance(Span::from_secs(60));
    let more = json!({ "variables": { "a": { "d": 1 }, "e": null }, "provider": "api" });
    let answer = house.create("x", more).await;
    assert_eq!(answer.json(), json!({ "sessionId": "x", "pathwayId": PATHWAY }));
    house.created("x", json!({})).await;
    let session = house.session("x").await;
    assert_eq!(session.id, first.id, "no other was opened");
    let merged = json!({ "a": { "d": 1 }, "c": 2, "e": null });
    assert_eq!(Value::Object(session.context.bag), merged);
    assert_eq!(session.channel.as_deref(), Some("web"));
    let names: serde_json::Map<_, _> = (0..1_000).map(|n| (n.to_string(), json!(n))).collect();
    let answer = house.create("x", json!({ "variables": names })).await;
    refused(&answer, 400, "variables must have at most 1000 names and 262144 bytes of JSON in all");
}

/// What is given comes back as it was given.
#[tokio::test]
async fn c2_2_whole_numbers_are_kept_digit_by_digit() {
    let house = house().await;
    let body =
        r#"{"session_id":"x","variables":{"a":18446744073709551615,"b":-9223372036854775808}}"#;
    let answer = house.send(keyed(DK, Method::POST, &current("/sessions"), body)).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let shown = house.query("x").await.body;
    assert!(shown.contains(r#"{"a":18446744073709551615,"b":-9223372036854775808}"#), "{shown}");
}

/// Our extension: whom the agent talks to, for its memory.
#[tokio::test]
async fn c2_2_a_create_may_name_the_person() {
    let house = house().await;
    house.created("x", json!({ "user_identifier": " Ann@Example.com " })).await;
    let person = house.session("x").await.person.expect("named");
    assert_eq!(person.as_str(), "ann@example.com");
    house.created("y", json!({ "user_identifier": "" })).await;
    assert_eq!(house.session("y").await.person, None);
}

/// Only what comes about counts: neither what is wrong nor a create of what is live.
#[tokio::test]
async fn c6_creates_are_limited_by_the_sessions_they_open() {
    let house = house_with(|setup| setup.settings.opens_per_minute = 2).await;
    let broken = async || house.send(post("/sessions", &json!({}))).await;
    for _ in 0..3 {
        refused(&broken().await, 400, "session_id is required");
    }
    house.created("a", json!({})).await;
    for _ in 0..5 {
        house.created("a", json!({})).await;
    }
    house.created("b", json!({})).await;
    let past = house.create("c", json!({})).await;
    refused(&past, 429, "Rate limit exceeded");
    assert_eq!(past.header("retry-after"), Some("60"));
    assert_eq!(past.header("x-ratelimit-limit"), Some("2"));
    house.created("a", json!({})).await;
    refused(&broken().await, 400, "session_id is required");
    house.clock.advance(Span::from_secs(60));
    house.created("c", json!({})).await;
}

/// What the organization's own limits or credits refuse has opened nothing either.
#[tokio::test]
async fn c6_an_open_that_is_refused_is_not_counted() {
    let house = house_with(|setup| {
        setup.settings.opens_per_minute = 2;
        setup.organizations[0].organization.open_max = 1;
    })
    .await;
    house.created("a", json!({})).await;
    for _ in 0..3 {
        refused(&house.create("b", json!({})).await, 429, "Too many sessions are open");
    }
    house.end("a").await;
    house.created("b", json!({})).await;
}

/// 2.2: 500, whose shape is "`{"error":"Internal server error"}`" (8)
#[tokio::test]
async fn c2_2_a_fault_of_ours_500() {
    let house = house().await;
    house.breaks();
    refused(&house.create("x", json!({})).await, 500, "Internal server error");
}

#[tokio::test]
async fn c3_a_name_belongs_to_its_project() {
    let house = house().await;
    house.created("x", json!({ "variables": { "whose": 1 } })).await;
    let path = format!("/v1/projects/{OTHER_PROJECT}/sessions");
    let body = json!({ "session_id": "x", "variables": { "whose": 2 } }).to_string();
    assert_eq!(house.send(keyed(OTHER_SK, Method::POST, &path, body)).await.status, 200);
    let one = house.session_in(PROJECT, "x").await.expect("opened");
    let two = house.session_in(OTHER_PROJECT, "x").await.expect("opened");
    assert_ne!(one.id, two.id);
    assert_eq!((&one.context.bag["whose"], &two.context.bag["whose"]), (&json!(1), &json!(2)));
}

#[tokio::test]
async fn c2_2_one_whose_time_is_up_is_ended_and_another_opened() {
    let house = house().await;
    house.created("x", json!({ "variables": { "old": 1 } })).await;
    let old = house.session("x").await;
    house.clock.advance(Span::from_secs(1_800));
    house.created("x", json!({})).await;
    let fresh = house.session("x").await;
    assert!(fresh.id != old.id && fresh.context.bag.is_empty());
    let log = house.activity(old.id).await;
    let ended = log.iter().find(|entry| entry.kind == "session.ended").expect("it ended");
    assert_eq!(ended.detail["reason"], "idle");
}

#[tokio::test(flavor = "multi_thread")]
async fn c3_of_many_creates_of_one_name_one_opens_and_all_are_answered_alike() {
    let house = Arc::new(unlimited().await);
    let creates = (0..200).map(|n| {
        let house = house.clone();
        let more = json!({ "variables": { format!("v{n}"): n } });
        tokio::spawn(async move { house.create("x", more).await })
    });
    let answers: Vec<_> = join_all(creates).await.into_iter().map(|a| a.expect("one")).collect();
    assert!(answers.iter().all(|answer| answer.told() == answers[0].told()));
    assert_eq!(answers[0].status, 200);
    assert_eq!(house.session("x").await.context.bag.len(), 200, "nobody's variables are lost");
}

#[tokio::test]
async fn an_organization_may_keep_its_messages() {
    let house = house_with(|setup| {
        setup.organizations[0].organization.keep_transcripts = true;
    })
    .await;
    house.created("x", json!({})).await;
    assert_eq!(house.session("x").await.profile.keeps, Keeps::Messages);
}

#[tokio::test]
async fn without_credits_402_and_with_too_many_open_429() {
    let house = house_with(|setup| {
        setup.organizations[0].organization.open_max = 1;
    })
    .await;
    let path = format!("/v1/projects/{BROKE_PROJECT}/sessions");
    let body = r#"{"session_id":"x"}"#;
    let answer = house.send(keyed("tk_live_broke", Method::POST, &path, body)).await;
    refused(&answer, 402, "Insufficient credits");
    house.created("x", json!({})).await;
    house.created("x", json!({})).await;
    let answer = house.create("y", json!({})).await;
    refused(&answer, 429, "Too many sessions are open");
    assert_eq!(answer.header("retry-after"), Some("60"));
}
