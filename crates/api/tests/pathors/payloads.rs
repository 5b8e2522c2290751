//! 5: what this API's webhooks say, when, and how often.

use epilogue_core::{Span, StepKind, StepState};
use epilogue_engine::webhook::WebhookRequest;
use http::Method;
use serde_json::{Value, json};

use crate::{client::*, support::Fixture};

const URL: &str = "https://n8n.example.com/webhook/1";

async fn subscribed(house: &Fixture, events: &[&str]) {
    let made = house.send(post("/webhooks", &json!({ "url": URL, "events": events }))).await;
    assert_eq!(made.status, 201, "{}", made.body);
}

/// A conversation of one turn that has ended, and everything that was told of it.
async fn told(house: &Fixture, name: &str) -> Vec<WebhookRequest> {
    house.created(name, json!({})).await;
    house.says(name, "hello").await;
    house.clock.advance(Span::from_millis(61_234));
    house.end(name).await;
    house.run_until_idle().await;
    house.webhooks.heard()
}

/// The only event that was told under this name, as it was sent.
fn event<'a>(heard: &'a [WebhookRequest], name: &str) -> &'a WebhookRequest {
    let is = |request: &&WebhookRequest| {
        let body: Value = serde_json::from_str(&request.body).expect("JSON");
        body["event"] == name
    };
    let found: Vec<_> = heard.iter().filter(is).collect();
    assert_eq!(found.len(), 1, "{heard:?}");
    found[0]
}

/// > `session.ended` | conversation over | `currentNodeId`, `messagesCount`, `extractedVariables`
/// > (object), `reason:"session_ended"` (deprecated alias, still sent)
#[tokio::test]
async fn c5_session_ended_to_the_byte() {
    let house = house().await;
    let heard = told(&house, "user-123").await;
    let sent = event(&heard, "session.ended");
    assert_eq!(
        sent.body,
        concat!(
            r#"{"event":"session.ended","sessionId":"user-123","timestamp":"2024-01-15T10:01:01.234Z","#,
            r#""currentNodeId":null,"messagesCount":2,"extractedVariables":{},"reason":"session_ended"}"#,
        )
    );
    assert_eq!(sent.content_type, "application/json");
    assert_eq!(sent.method.as_str(), "POST");
}

/// > `session.finalized` | all steps done | `projectId`, `currentNodeId`, `messagesCount`,
/// > `extractedVariables`; … for text these are **absent, not null**
#[tokio::test]
async fn c5_session_finalized_to_the_byte_without_what_is_of_calls() {
    let house = house().await;
    subscribed(&house, &["session.finalized"]).await;
    let heard = told(&house, "user-123").await;
    assert_eq!(
        event(&heard, "session.finalized").body,
        concat!(
            r#"{"event":"session.finalized","sessionId":"user-123","timestamp":"2024-01-15T10:01:01.234Z","#,
            r#""projectId":"proj_1","currentNodeId":null,"messagesCount":2,"extractedVariables":{}}"#,
        )
    );
}

/// > `session.started` | new session; subscriptions only (2.11) | … the three common fields + `projectId`
#[tokio::test]
async fn c5_session_started_to_the_byte_and_to_subscribers_alone() {
    let house = house().await;
    subscribed(&house, &["session.started"]).await;
    house.created("user-123", json!({ "variables": { "secret": "s3cr3t" } })).await;
    house.clock.advance(Span::from_secs(5));
    house.run_until_idle().await;
    let heard = house.webhooks.heard();
    assert_eq!(heard.len(), 1);
    assert_eq!(
        event(&heard, "session.started").body,
        concat!(
            r#"{"event":"session.started","sessionId":"user-123","timestamp":"2024-01-15T10:00:00.000Z","#,
            r#""projectId":"proj_1"}"#,
        )
    );
}

/// > `call.ended` | call over; never for text. `recording.ready` | … calls only
#[tokio::test]
async fn c5_what_is_of_calls_is_never_told_of_text() {
    let house = house().await;
    subscribed(&house, &["call.ended"]).await;
    let update = json!({ "postSessionWebhook": {
        "url": "https://own.example.com/", "events": ["call.ended", "recording.ready"],
    } });
    assert_eq!(
        house.send(keyed(DK, Method::PUT, &current("/agent"), update.to_string())).await.status,
        200
    );
    assert_eq!(told(&house, "x").await.len(), 0);
}

/// > Text session order: `session.ended` then `session.finalized`
#[tokio::test]
async fn c5_the_end_is_told_before_it_is_final() {
    let house = house().await;
    subscribed(&house, &["session.finalized", "session.ended"]).await;
    let heard = told(&house, "x").await;
    let last: Value = serde_json::from_str(&heard[heard.len() - 1].body).expect("JSON");
    assert_eq!((heard.len(), &last["event"]), (3, &json!("session.finalized")));
}

/// > `session.finalized` at most once per session; the others can be re-delivered
#[tokio::test]
async fn c5_c7_7_what_is_final_is_told_at_most_once_and_the_end_until_it_is_heard() {
    let house = house().await;
    subscribed(&house, &["session.ended", "session.finalized"]).await;
    let off = json!({ "postSessionWebhook": null }).to_string();
    house.send(keyed(DK, Method::PUT, &current("/agent"), off)).await;
    // The end is refused twice, what is final once.
    house.webhooks.answer(&[500, 503, 200, 500]);
    told(&house, "x").await;
    for _ in 0..4 {
        house.clock.advance(Span::from_secs(3_600));
        house.run_until_idle().await;
    }
    let heard = house.webhooks.heard();
    let ended: Vec<_> = heard.iter().filter(|r| r.body.contains("session.ended")).collect();
    assert_eq!(ended.len(), 3);
    assert!(ended.iter().all(|sent| (&sent.body, &sent.id) == (&ended[0].body, &ended[0].id)));
    event(&heard, "session.finalized");
    let session = house.session("x").await;
    let steps = house.engine.steps_of(&ORG.into(), session.id).await.expect("read");
    let step = steps.iter().find(|(step, _)| step.kind == StepKind::NotifyFinalized);
    assert!(matches!(step.expect("owed").0.state, StepState::Parked { .. }), "and that is shown");
}

/// > A webhook failure or slowness never changes or delays the API answer.
#[tokio::test]
async fn c5_a_receiver_that_fails_changes_no_answer() {
    let house = house().await;
    subscribed(&house, &["session.started", "session.ended"]).await;
    house.webhooks.refuse(100);
    let created = house.create("x", json!({})).await;
    assert!(house.webhooks.heard().is_empty(), "no receiver is waited for");
    house.run_until_idle().await;
    let tried = house.webhooks.heard().len();
    assert_eq!(tried, 1, "it was tried, and failed");
    let ended = house.end("x").await;
    assert_eq!(house.webhooks.heard().len(), tried, "nor is one at the end");
    house.run_until_idle().await;
    assert!(house.webhooks.heard().len() > tried);
    let sound = crate::client::house().await;
    let answers = (sound.create("x", json!({})).await, sound.end("x").await);
    assert_eq!((created.told(), ended.told()), (answers.0.told(), answers.1.told()));
}

/// > two simultaneous ends → … one `session.ended`. Inactive or unknown id: … no webhook.
#[tokio::test]
async fn c2_4_one_end_is_told_once_and_an_end_of_nothing_never() {
    let house = house().await;
    house.end("nobody").await;
    house.created("x", json!({})).await;
    let (first, second) = futures::join!(house.end("x"), house.end("x"));
    assert_eq!(first.told(), second.told());
    house.end("x").await;
    house.run_until_idle().await;
    assert_eq!(house.webhooks.heard().len(), 1);
}

/// > a custom Authorization header is the way to authenticate the sender … **No signature is documented**
#[tokio::test]
async fn c5_custom_headers_are_sent_along() {
    let house = house().await;
    let update = json!({ "postSessionWebhook": {
        "url": "https://own.example.com/hook",
        "headers": [{ "key": "Authorization", "value": "Bearer s3cr3t" }],
    } });
    assert_eq!(
        house.send(keyed(DK, Method::PATCH, &current("/agent"), update.to_string())).await.status,
        200
    );
    let heard = told(&house, "x").await;
    let sent = event(&heard, "session.ended");
    assert_eq!(sent.url.as_str(), "https://own.example.com/hook");
    assert_eq!(sent.headers["authorization"], "Bearer s3cr3t");
    assert!(sent.secrets.is_empty(), "the operator's secret signs for the operator's receiver");
}
