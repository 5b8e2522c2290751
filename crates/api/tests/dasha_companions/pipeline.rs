//! Sections 4 and 5 of the contract: what an end tells, how it is told, and what stands of it.

use epilogue_core::{EndReason, EndRequest, Span};
use serde_json::{Value, json};

use crate::{
    house::{document, with},
    support::Fixture,
};

fn body(fixture: &Fixture, place: usize) -> Value {
    serde_json::from_str(&fixture.webhooks.heard()[place].body).expect("JSON")
}

#[tokio::test]
async fn the_completed_payload_carries_the_analysis_and_what_was_said() {
    let fixture = Fixture::start().await;
    let agent = fixture.make(document()).await;
    let chat = fixture
        .chat(json!({ "agent_id": agent, "additional_data": { "customer": "Ann", "n": 7 } }))
        .await;
    fixture.clock.advance(Span::from_millis(1_500));
    fixture.say(&chat, "Is it resolved?").await;
    fixture.clock.advance(Span::from_secs(60));
    assert_eq!(fixture.end(&chat).await.status, 200);
    fixture.run_until_idle().await;
    let heard = fixture.webhooks.heard();
    assert_eq!(heard.len(), 1);
    insta::assert_json_snapshot!("completed", body(&fixture, 0));
    assert!(heard[0].secrets.is_empty(), "no signature");
    assert_eq!(heard[0].method.as_str(), "POST");
    assert_eq!(heard[0].timeout, Span::from_secs(30));
    assert_eq!(heard[0].headers["authorization"], "Bearer receiver");
    assert_eq!(heard[0].headers["x-team"], "file:/etc/passwd", "a value names nothing here");
    assert_eq!(heard[0].content_type, "application/json");
}

#[tokio::test]
async fn every_final_reason_is_told_as_completed() {
    let fixture = Fixture::start().await;
    let agent = fixture.make(document()).await;
    let quiet = fixture.chat(json!({ "agent_id": agent, "ttl_seconds": 60 })).await;
    fixture.talk(&agent, &["goodbye"]).await;
    fixture.run_until_idle().await;
    fixture.clock.advance(Span::from_secs(61));
    fixture.run_until_idle().await;
    let told = |place| {
        let body = body(&fixture, place);
        (body["type"].clone(), body["result"]["finishReason"].clone())
    };
    assert_eq!(told(0), (json!("CompletedWebHookPayload"), json!("agent_finish")));
    assert_eq!(told(1), (json!("CompletedWebHookPayload"), json!("ttl")));
    let silent = body(&fixture, 1);
    assert_eq!(silent["callId"], json!(quiet));
    assert_eq!(silent["result"]["postCallAnalysis"], json!({}), "nobody said anything");
}

#[tokio::test]
async fn a_conversation_that_broke_is_told_as_failed() {
    let fixture = Fixture::start().await;
    let agent = fixture.make(document()).await;
    let chat = fixture.talk(&agent, &["hello"]).await;
    let session = fixture.session(&chat).await;
    let failed = EndRequest::asked(EndReason::Failed);
    fixture.engine.end(&session.org, session.id, failed).await.expect("ended");
    fixture.run_until_idle().await;
    insta::assert_json_snapshot!("failed", body(&fixture, 0));
    assert_eq!(fixture.types_of(&chat).await.last().map(String::as_str), Some("WebhookSuccess"));
    assert!(fixture.types_of(&chat).await.contains(&"CallFailed".to_owned()));
}

/// How often a receiver that answers like this is asked, and what the log says of it in the end.
async fn asked(statuses: &[u16]) -> (usize, Vec<String>) {
    let fixture = Fixture::start().await;
    let agent = fixture.make(document()).await;
    let chat = fixture.talk(&agent, &["hello"]).await;
    fixture.webhooks.answer(statuses);
    fixture.end(&chat).await;
    fixture.a_minute_passes().await;
    let heard = fixture.webhooks.heard();
    assert!(heard.iter().all(|sent| (&sent.id, &sent.body) == (&heard[0].id, &heard[0].body)));
    let told = fixture.types_of(&chat).await.into_iter().filter(|word| word.starts_with("Webhook"));
    (heard.len(), told.collect())
}

#[tokio::test]
async fn section_5_4_what_is_told_again_and_what_is_not() {
    let success = vec!["WebhookSuccess".to_owned()];
    let failure = vec!["WebhookFailed".to_owned()];
    for good in [200, 204, 299] {
        assert_eq!(asked(&[good]).await, (1, success.clone()), "2xx: delivered");
    }
    for bad in [400, 404, 410, 429] {
        assert_eq!(asked(&[bad]).await, (1, failure.clone()), "4xx: never again");
    }
    assert_eq!(asked(&[302]).await, (1, failure.clone()), "3xx: not followed, not again");
    assert_eq!(asked(&[500, 503, 200]).await, (3, success.clone()), "5xx: again");
    assert_eq!(asked(&[0, 200]).await, (2, success), "no answer in time: again");
    assert_eq!(asked(&[500; 9]).await, (5, failure), "five attempts in all");
}

#[tokio::test]
async fn attempts_wait_1_2_4_and_8_seconds_and_some_jitter() {
    let fixture = Fixture::start().await;
    let agent = fixture.make(document()).await;
    let chat = fixture.talk(&agent, &["hello"]).await;
    fixture.webhooks.refuse(9);
    fixture.end(&chat).await;
    for _ in 0..400 {
        fixture.run_until_idle().await;
        fixture.clock.advance(Span::from_millis(50));
    }
    let times: Vec<_> = fixture.webhooks.heard().iter().map(|sent| sent.at).collect();
    let waits: Vec<_> = times.windows(2).map(|two| two[1].since(two[0]).as_millis()).collect();
    assert_eq!(waits.len(), 4);
    for (wait, least) in waits.iter().zip([1_000, 2_000, 4_000, 8_000]) {
        assert!((least..=least * 12 / 10 + 50).contains(wait), "{waits:?}");
    }
}

#[tokio::test]
async fn custom_settings_change_method_query_and_body() {
    let fixture = Fixture::start().await;
    let settings = json!({
        "httpMethod": "PUT",
        "queryParams": { "source": "a b" },
        "bodyFormat": {
            "type": "json",
            "template": "{\"id\":\"{{callId}}\",\"why\":\"{{result.finishReason}}\",\"all\":{{transcription}}}",
        },
    });
    let agent = fixture.make(with("/config/resultWebhook/customSettings", settings)).await;
    let chat = fixture.talk(&agent, &["say \"hi\""]).await;
    fixture.end(&chat).await;
    fixture.run_until_idle().await;
    let sent = fixture.webhooks.heard().pop().expect("sent");
    assert_eq!(sent.method.as_str(), "PUT");
    assert_eq!(sent.url.as_str(), "https://hooks.example.test/result?source=a+b");
    let body = body(&fixture, 0);
    assert_eq!((&body["id"], &body["why"]), (&json!(chat), &json!("user_end")));
    assert_eq!(body["all"][0]["text"], json!("say \"hi\""));
}

#[tokio::test]
async fn a_form_that_fails_is_null_and_does_not_hold_the_webhook_up() {
    let fixture = Fixture::start().await;
    let agent = fixture.make(document()).await;
    let chat = fixture.talk(&agent, &["hello"]).await;
    // From here on the model cannot be had: the agent names one that nobody lists.
    let nobody = with("/config/llmConfig/vendor", json!("nobody"));
    fixture.ask(http::Method::PUT, &format!("/agents/{agent}"), nobody).await;
    fixture.end(&chat).await;
    fixture.a_minute_passes().await;
    let body = body(&fixture, 0);
    assert_eq!(body["result"]["postCallAnalysis"], json!({ "qa": null }));
    let session = fixture.session(&chat).await;
    let steps = fixture.engine.steps_of(&session.org, session.id).await.expect("read");
    let analysis = steps.iter().find(|(step, _)| step.kind == epilogue_core::StepKind::Analyze);
    let (step, attempts) = analysis.expect("owed");
    assert_eq!(step.state.as_str(), "done");
    assert!(attempts.last().is_some_and(|last| last.detail.contains("nobody")), "{attempts:?}");
}

#[tokio::test]
async fn section_4_the_audit_entry_has_reason_channel_and_note_and_the_webhook_has_no_note() {
    let fixture = Fixture::start().await;
    let agent = fixture.make(document()).await;
    let chat = fixture.talk(&agent, &["hello"]).await;
    fixture.clock.advance(Span::from_secs(1));
    let path = format!("/chats/{chat}/end");
    let note = json!({ "note": "The caller said \"enough\"." });
    fixture.ask(http::Method::POST, &path, note).await;
    fixture.run_until_idle().await;
    let search = json!({ "types": ["CallCompleted"], "searchText": "said \"ENOUGH\"" });
    let log = fixture.ask(http::Method::POST, "/activity-logs/search", search).await.json();
    insta::assert_json_snapshot!("call_completed", log["results"]);
    assert!(!fixture.webhooks.heard()[0].body.contains("enough"));
    let types = fixture.types_of(&chat).await;
    assert_eq!(types, ["CallCreated", "CallCompleted", "WebhookSuccess"]);
}

#[tokio::test]
async fn a_webhook_that_cannot_be_worded_is_logged_as_failed() {
    let fixture = Fixture::start().await;
    let template = "{{callAdditionalData.big}}".repeat(40);
    let settings = json!({ "bodyFormat": { "type": "text", "template": template } });
    let agent = fixture.make(with("/config/resultWebhook/customSettings", settings)).await;
    let data = json!({ "big": "x".repeat(32 * 1024) });
    let chat = fixture.chat(json!({ "agent_id": agent, "additional_data": data })).await;
    fixture.end(&chat).await;
    fixture.a_minute_passes().await;
    assert!(fixture.webhooks.heard().is_empty());
    let told = fixture.types_of(&chat).await;
    assert!(told.contains(&"WebhookFailed".to_owned()), "{told:?}");
}
