//! What a restarted server can no longer stream, it ends: reason recorded, settled and told as any end.

use epilogue_core::{EndReason, Span};
use serde_json::json;

use crate::client::*;

#[tokio::test]
async fn i5_a_restarted_server_ends_what_had_begun_and_keeps_what_had_not() {
    let house = House::start().await;
    let [initialised, spoken, created] =
        [house.created().await, house.created().await, house.created().await];
    assert_eq!(house.ask(&initialised, "init-client").await.status, 200);
    house.said(&spoken, json!({ "text": "Hello!" })).await;
    house.clock.advance(Span::from_secs(60));
    for client in [&initialised, &spoken, &created] {
        succeeded(&house.ask(client, "keep-alive").await);
    }
    house.clock.advance(Span::from_secs(100));

    let next = house.next().await;
    refused(&next.ask(&initialised, "keep-alive").await, 410, "Session ended");
    refused(&next.ask(&spoken, "end").await, 410, "Session ended");
    next.run_until_idle().await;
    for gone in [&initialised, &spoken] {
        let session = next.session(gone).await;
        let ended = session.ended().expect("it ended");
        assert_eq!(ended.reason, EndReason::Disconnected);
        let last = Some(session.last_seen);
        assert_eq!(ended.deadline.map(|d| d.at), last, "nobody knows that it was shown after that");
        let minute = epilogue_core::MicroCredits(1_000_000);
        assert_eq!(ended.cost, minute, "the time after its last sign of life is not billed");
        refused(&next.ask(gone, "end").await, 410, "Session ended");
    }
    let told: Vec<_> = next.webhooks.heard().iter().map(|request| request.body.clone()).collect();
    let ended = told.iter().filter(|body| {
        let body = String::from_utf8_lossy(body.as_ref());
        body.contains("session.ended") && body.contains("disconnected")
    });
    assert_eq!(ended.count(), 2, "{told:?}");

    succeeded(&next.ask(&created, "keep-alive").await);
    assert_eq!(next.stage.count(), 0);
    assert_eq!(next.ask(&created, "init-client").await.status, 200);
    assert_eq!(next.stage.show().avatar, "ann", "as it was created");
    succeeded(&next.ask(&created, "end").await);
}

/// A server that takes over twice, or without anything lost, ends nothing.
#[tokio::test]
async fn i5_taking_over_again_ends_nothing() {
    let house = House::start().await;
    let client = house.created().await;
    let next = house.next().await;
    assert_eq!(next.ask(&client, "init-client").await.status, 200);
    next.engine.recover(&["node".into()]).await.expect("taken over");
    next.run_until_idle().await;
    succeeded(&next.ask(&client, "keep-alive").await);
}
