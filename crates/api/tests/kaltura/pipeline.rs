//! What an end owes is what every end owes: it is settled by the minute, remembered, asked about, and told.

use epilogue_core::{MicroCredits, Span, StepKind};
use serde_json::json;

use crate::client::*;

/// "the same pipeline as everywhere": every step is done, in the words of the native API's webhook.
#[tokio::test]
async fn i5_an_end_is_settled_remembered_asked_about_and_told() {
    let house = House::start().await;
    let body = json!({ "visualConfig": { "id": "ann" } });
    let key = format!("KS {}", ks(PARTNER, 2, in_an_hour(), "ann@example.com"));
    let client = Client::of(&house.send(post(BASE).header("authorization", key).with(&body)).await);
    house.said(&client, json!({ "text": "Welcome to the shop." })).await;
    house.heard(1).await;
    house.clock.advance(Span::from_secs(90));
    succeeded(&house.ask(&client, "end").await);
    house.run_until_idle().await;

    let session = house.session(&client).await;
    let ended = session.ended().expect("it ended");
    assert_eq!(ended.cost, MicroCredits(1_500_000), "by the minute");
    let steps = house.engine.steps_of(&ORG.into(), session.id).await.expect("read");
    let done: Vec<_> = steps
        .iter()
        .map(|(step, _)| (step.kind, step.state.as_str()))
        .filter(|(kind, _)| !matches!(kind, StepKind::Purge | StepKind::RecordResult))
        .collect();
    for kind in [
        StepKind::ReleaseMedia,
        StepKind::IngestMemory,
        StepKind::Analyze,
        StepKind::NotifyEnded,
        StepKind::NotifyFinalized,
    ] {
        assert!(done.contains(&(kind, "done")), "{kind:?} in {done:?}");
    }
    let told: Vec<serde_json::Value> = house
        .webhooks
        .heard()
        .iter()
        .map(|request| serde_json::from_slice(request.body.as_ref()).expect("JSON"))
        .collect();
    let types: Vec<_> = told.iter().map(|event| event["type"].as_str().expect("a text")).collect();
    assert_eq!(types, ["session.ended", "session.finalized"]);
    let told = &told[0]["data"]["session"];
    assert_eq!((&told["dialect"], &told["name"]), (&json!("kaltura"), &json!(client.id)));
    assert!(!told.to_string().contains("Nobody hears this"), "an avatar's greeting is not spoken");
}

/// Nothing was said: there is nothing to remember or to ask about, and the end is told all the same.
#[tokio::test]
async fn i5_a_silent_session_is_neither_remembered_nor_asked_about() {
    let house = House::start().await;
    let client = house.created().await;
    succeeded(&house.ask(&client, "end").await);
    house.run_until_idle().await;
    let id = house.session(&client).await.id;
    let steps = house.engine.steps_of(&ORG.into(), id).await.expect("read");
    let kinds: Vec<_> = steps.iter().map(|(step, _)| step.kind).collect();
    assert!(!kinds.contains(&StepKind::IngestMemory) && !kinds.contains(&StepKind::Analyze));
    assert_eq!(house.webhooks.heard().len(), 2);
}
