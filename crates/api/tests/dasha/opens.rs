//! C1: `POST /api/v1/chats`, section 2.2, and the identity of endpoints, section 3.3.

use http::Method;
use serde_json::{Map, Value, json};

use crate::{client::*, support::*};

#[tokio::test]
async fn c1_success_is_201_with_location_and_all_ten_members() {
    let fixture = Fixture::start().await;
    let answer = fixture.open(json!({ "ttl_seconds": 60, "channel": "web" })).await;
    assert_eq!(answer.status, 201);
    assert_eq!(answer.header("location"), Some(&*format!("/api/v1/chats/{}", id(&answer))));
    insta::assert_snapshot!("opened", answer.body);
    let answer = fixture.open(json!({})).await;
    assert_eq!(answer.json().as_object().map(Map::len), Some(10));
    assert_eq!(answer.json()["ttl_seconds"], Value::Null);
}

#[tokio::test]
async fn c1_calls_no_model_and_says_no_greeting() {
    let fixture = Fixture::start().await;
    let id = fixture.chat(json!({})).await;
    assert_eq!(fixture.show(&id).await["messages"], json!([]));
    assert!(fixture.models.asked().is_empty());
    assert!(fixture.webhooks.heard().is_empty());
}

#[tokio::test]
async fn c1_channel_is_web_unless_it_is_named() {
    let fixture = Fixture::start().await;
    for (given, channel) in [
        (json!({}), "web"),
        (json!({ "channel": null }), "web"),
        (json!({ "channel": " " }), "web"),
        (json!({ "channel": "twilio_sms" }), "twilio_sms"),
        (json!({ "channel": "c".repeat(64) }), &*"c".repeat(64)),
    ] {
        assert_eq!(fixture.open(given).await.json()["channel"], channel);
    }
    for wrong_channel in ["Web", "a-b", "é", &*"c".repeat(65)] {
        wrong(&fixture.open(json!({ "channel": wrong_channel })).await, 400, "channel");
    }
}

#[tokio::test]
async fn c1_ttl_seconds_from_60_to_86400_or_null_else_400() {
    let fixture = Fixture::start().await;
    for ttl in [json!(60), json!(86_400), Value::Null] {
        assert_eq!(fixture.open(json!({ "ttl_seconds": ttl })).await.json()["ttl_seconds"], ttl);
    }
    for ttl in [json!(59), json!(86_401), json!(0), json!(-60), json!(60.5), json!("60")] {
        wrong(&fixture.open(json!({ "ttl_seconds": ttl })).await, 400, "ttl_seconds");
    }
}

#[tokio::test]
async fn c1_400_bad_json_missing_agent_and_external_id_that_is_no_object() {
    let fixture = Fixture::start().await;
    for body in ["", "{", "[]", "5", "{} {}"] {
        let answer = fixture.send(keyed(KEY, Method::POST, "/chats", body)).await;
        wrong(&answer, 400, "$");
    }
    for agent in [Value::Null, json!(""), json!("  ")] {
        wrong(&fixture.open(json!({ "agent_id": agent })).await, 400, "agent_id");
    }
    for external_id in [json!("+1"), json!([]), json!(5)] {
        let answer = fixture.open(json!({ "external_id": external_id })).await;
        wrong(&answer, 400, "external_id");
    }
}

#[tokio::test]
async fn c1_unknown_members_are_ignored() {
    let fixture = Fixture::start().await;
    assert_eq!(fixture.open(json!({ "ticket": { "a": 1 }, "note": 5 })).await.status, 201);
}

#[tokio::test]
async fn c1_404_agent_unknown_in_this_organization() {
    let fixture = Fixture::start().await;
    for agent in ["nobody", FOREIGN_AGENT] {
        problem(&fixture.open(json!({ "agent_id": agent })).await, 404);
    }
}

#[tokio::test]
async fn c1_422_agent_that_does_not_write() {
    let fixture = Fixture::start().await;
    problem(&fixture.open(json!({ "agent_id": AVATAR })).await, 422);
}

#[tokio::test]
async fn c1_402_out_of_credits() {
    let fixture = Fixture::start().await;
    let body = json!({ "agent_id": BROKE_AGENT }).to_string();
    problem(&fixture.send(keyed(BROKE_KEY, Method::POST, "/chats", body)).await, 402);
}

#[tokio::test]
async fn c1_429_concurrent_limit_exceeded_at_the_limit_and_not_below() {
    let fixture = Fixture::start().await;
    let mut acme = organizations().remove(0);
    acme.organization.open_max = 2;
    fixture.storage.apply_config(vec![acme], NOW).await.expect("configured");
    let endpoint = json!({ "external_id": { "from": "+1" } });
    let first = fixture.chat(endpoint.clone()).await;
    fixture.chat(json!({})).await;
    let answer = fixture.open(json!({})).await;
    assert_eq!(problem(&answer, 429)["detail"], "Concurrent limit exceeded");
    assert!(answer.header("retry-after").is_some());
    // The session that is there is found all the same.
    assert_eq!(fixture.open(endpoint).await.status, 200);
    fixture.end(&first).await;
    fixture.chat(json!({})).await;
}

#[tokio::test]
async fn the_bound_on_open_sessions_counts_in_every_api() {
    let fixture = Fixture::start().await;
    let mut acme = organizations().remove(0);
    acme.organization.open_max = 1;
    fixture.storage.apply_config(vec![acme], NOW).await.expect("configured");
    let first = fixture.chat(json!({})).await;
    let open = async |path: &str, header: (&str, &str), agent: &str| {
        let body = json!({ agent: AGENT }).to_string();
        let request = http::Request::post(path).header(header.0, header.1);
        fixture.send(request.body(body.into()).expect("a request")).await.status.as_u16()
    };
    let bearer = format!("Bearer {KEY}");
    let native = async || open("/epilogue/v1/sessions", ("Authorization", &bearer), "agent").await;
    let talkifai = async || open("/v1/chat/sessions", ("X-API-Key", KEY), "agent_id").await;
    assert_eq!((native().await, talkifai().await), (429, 429));
    fixture.end(&first).await;
    assert_eq!((native().await, talkifai().await), (201, 429), "one each");
}

#[tokio::test]
async fn c1_413_external_id_past_4_kib_and_bag_past_64_kib() {
    let fixture = Fixture::start().await;
    let object = |bytes: usize| json!({ "a": "x".repeat(bytes - r#"{"a":""}"#.len()) });
    for (part, max) in [("external_id", 4 * 1024), ("additional_data", 64 * 1024)] {
        let with = |bytes| json!({ part: object(bytes) });
        assert_eq!(fixture.open(with(max)).await.status, 201, "{part}");
        wrong(&fixture.open(with(max + 1)).await, 413, part);
    }
    let huge = json!({ "additional_data": object(300 * 1024) });
    wrong(&fixture.open(huge).await, 413, "$");
}

#[tokio::test]
async fn c1_400_objects_past_32_levels() {
    let fixture = Fixture::start().await;
    let nested = |levels| (1..levels).fold(json!({}), |inner, _| json!({ "a": inner }));
    for part in ["external_id", "additional_data"] {
        assert_eq!(fixture.open(json!({ part: nested(32) })).await.status, 201, "{part}");
        wrong(&fixture.open(json!({ part: nested(33) })).await, 400, part);
        let deep = "[".repeat(10_000);
        let body = format!(r#"{{"agent_id":"{CHAT_AGENT}","{part}":{{"a":{deep}"#);
        problem(&fixture.send(keyed(KEY, Method::POST, "/chats", body)).await, 400);
    }
}

#[tokio::test]
async fn dedupe_a_second_open_answers_200_with_the_live_session_unchanged() {
    let fixture = Fixture::start().await;
    let endpoint = json!({ "from": "+1", "to": "+2", "provider_id": 7 });
    let first = fixture
        .chat(json!({ "external_id": endpoint, "channel": "twilio_sms", "ttl_seconds": 60 }));
    let first = first.await;
    fixture.say(&first, "hi").await;
    let before = fixture.show(&first).await;
    for same in [
        r#"{"to":"+2","provider_id":7,"from":"+1"}"#,
        r#"{"provider_id":7.0,"from":"\u002b1","to":"+2"}"#,
        r#"{"provider_id":70e-1,"from":"+1","to":"+2"}"#,
    ] {
        let body = format!(
            r#"{{"agent_id":"{CHAT_AGENT}","channel":"twilio_sms","ttl_seconds":900,"external_id":{same}}}"#
        );
        let answer = fixture.send(keyed(KEY, Method::POST, "/chats", body)).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.json(), before, "no field changed");
    }
}

#[tokio::test]
async fn dedupe_channel_organization_and_the_kinds_of_values_tell_endpoints_apart() {
    let fixture = Fixture::start().await;
    let sms = |from: Value| json!({ "channel": "twilio_sms", "external_id": { "from": from } });
    fixture.chat(sms(json!("1"))).await;
    fixture.chat(sms(json!(1))).await;
    fixture.chat(json!({ "channel": "web", "external_id": { "from": "1" } })).await;
    let mut foreign = sms(json!("1"));
    foreign["agent_id"] = FOREIGN_AGENT.into();
    let request = keyed(FOREIGN_KEY, Method::POST, "/chats", foreign.to_string());
    assert_eq!(fixture.send(request).await.status, 201);
}

#[tokio::test]
async fn dedupe_sessions_without_external_id_are_exempt() {
    let fixture = Fixture::start().await;
    for none in [json!({}), json!({ "external_id": null }), json!({ "external_id": {} })] {
        assert_ne!(fixture.chat(none.clone()).await, fixture.chat(none).await);
    }
}

#[tokio::test]
async fn c1_409_endpoint_live_under_another_agent_names_the_session() {
    let fixture = Fixture::start().await;
    let endpoint = json!({ "external_id": { "from": "+1" } });
    let first = fixture.chat(endpoint.clone()).await;
    let mut other = endpoint;
    other["agent_id"] = QUIET_AGENT.into();
    let body = problem(&fixture.open(other).await, 409);
    assert_eq!(body["session_id"], first);
}

#[tokio::test]
async fn dedupe_comes_before_what_has_become_of_the_agent() {
    let fixture = Fixture::start().await;
    let endpoint = json!({ "external_id": { "from": "+1" } });
    let first = fixture.chat(endpoint.clone()).await;
    let kind = epilogue_core::agent::AgentKind::Avatar;
    let agent = epilogue_core::Agent { kind, ..chat_agent() };
    fixture.storage.put_agent(&"org_acme".into(), agent, NOW).await.expect("written");
    let again = fixture.open(endpoint).await;
    assert_eq!((again.status.as_u16(), id(&again)), (200, first));
    problem(&fixture.open(json!({})).await, 422);
}

#[tokio::test]
async fn dedupe_after_the_end_the_same_endpoint_opens_a_fresh_session() {
    let fixture = Fixture::start().await;
    let endpoint = json!({ "external_id": { "from": "+1" } });
    let first = fixture.chat(endpoint.clone()).await;
    fixture.end(&first).await;
    assert_ne!(fixture.chat(endpoint).await, first);
}
