//! 2.1: "The newer SDK may send an `Idempotency-Key` header; honour it for 24 h per KS owner."

use epilogue_core::Span;
use futures::future::join_all;
use http::Request;
use serde_json::json;

use crate::client::*;

const DAY: Span = Span::from_secs(86_400);

fn create(ks: &str, key: &str) -> Request<axum::body::Body> {
    let request = post(BASE).header("authorization", format!("KS {ks}"));
    request.header("idempotency-key", key).with(&json!({ "visualConfig": { "id": "ann" } }))
}

/// "Not idempotent: each call opens a new session."
#[tokio::test]
async fn s2_1_without_a_key_each_call_opens_a_session() {
    let house = House::start().await;
    assert_ne!(house.created().await, house.created().await);
    assert_ne!(
        Client::of(&house.send(create(STATIC_KS, " ")).await),
        Client::of(&house.send(create(STATIC_KS, "")).await)
    );
    assert_eq!(house.stage.count(), 4);
}

/// The same key is the same session, byte for byte, also by the next process, and when it is over.
#[tokio::test]
async fn s2_1_a_repeated_create_is_answered_alike() {
    let house = House::start().await;
    let first = house.send(create(STATIC_KS, "k")).await;
    let client = Client::of(&first);
    assert_eq!(house.send(create(STATIC_KS, "k")).await.body, first.body);
    assert_eq!(house.stage.count(), 1);
    let next = house.next().await;
    assert_eq!(next.send(create(STATIC_KS, "k")).await.body, first.body);
    succeeded(&next.ask(&client, "end").await);
    assert_eq!(next.send(create(STATIC_KS, "k")).await.body, first.body);
    assert_ne!(next.send(create(STATIC_KS, "l")).await.body, first.body);
}

/// "for 24 h"
#[tokio::test]
async fn s2_1_a_key_is_new_again_after_a_day() {
    let house = House::start().await;
    let first = Client::of(&house.send(create(STATIC_KS, "k")).await);
    succeeded(&house.ask(&first, "end").await);
    house.clock.advance(Span::from_millis(DAY.as_millis() - 1));
    assert_eq!(Client::of(&house.send(create(STATIC_KS, "k")).await), first);
    house.clock.advance(Span::from_millis(1));
    let second = Client::of(&house.send(create(STATIC_KS, "k")).await);
    assert_ne!(second.id, first.id);
    assert_eq!(Client::of(&house.send(create(STATIC_KS, "k")).await), second);
}

/// "per KS owner": another partner's key, or another user's, is another key.
#[tokio::test]
async fn s2_1_a_key_is_its_owners() {
    let house = House::start().await;
    let of = |user: &str| ks(PARTNER, 2, in_an_hour(), user);
    let longer = ks(PARTNER, 2, in_an_hour() + DAY, "ann");
    let ann = Client::of(&house.send(create(&of("ann"), "k")).await);
    let bob = Client::of(&house.send(create(&of("bob"), "k")).await);
    let foreign = Client::of(&house.send(create(FOREIGN_KS, "k")).await);
    assert!(ann.id != bob.id && ann.id != foreign.id && bob.id != foreign.id);
    assert_eq!(Client::of(&house.send(create(&longer, "k")).await), ann, "with a KS made anew");
}

/// Of many creates with one key one opens a session.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn s2_1_of_many_creates_with_one_key_one_opens() {
    let house = House::start().await;
    for round in 0..10 {
        let creates = (0..8).map(|_| {
            let (router, request) = (house.router.clone(), create(STATIC_KS, &round.to_string()));
            tokio::spawn(async move {
                let answer = tower::ServiceExt::oneshot(router, request).await.expect("an answer");
                Client::of(&crate::support::Answer::of(answer).await)
            })
        });
        let clients: Vec<_> =
            join_all(creates).await.into_iter().map(|create| create.expect("ran")).collect();
        assert!(clients.iter().all(|client| *client == clients[0]), "{clients:?}");
        assert_eq!(house.stage.count(), round + 1, "the others' places are given back");
    }
}

/// What a key stands for follows from the day. Two creates that meet when it changes are one all the same.
#[tokio::test]
async fn s2_1_two_creates_with_one_key_that_meet_at_midnight_open_one_session() {
    let house = House::start().await;
    let since_midnight = house.engine.now().as_millis().cast_unsigned() % DAY.as_millis();
    house.clock.advance(Span::from_millis(DAY.as_millis() - since_midnight - 1));
    let create = || {
        let (router, request) = (house.router.clone(), create(STATIC_KS, "k"));
        tokio::spawn(tower::ServiceExt::oneshot(router, request))
    };
    let shut = house.stage.doors.write().await;
    let first = create();
    until(|| house.stage.came() == 1).await;
    house.clock.advance(Span::from_millis(1));
    let second = create();
    settle().await;
    drop(shut);
    let mut clients = Vec::new();
    for creating in [first, second] {
        let answer = creating.await.expect("ran").expect("an answer");
        clients.push(Client::of(&crate::support::Answer::of(answer).await));
    }
    assert_eq!(clients[0], clients[1]);
    assert_eq!(house.stage.count(), 1);
}

/// Whoever hangs up while a session is created takes no place on the stage along.
#[tokio::test]
async fn s2_1_a_create_whose_caller_hangs_up_is_carried_through() {
    let house = House::start().await;
    let shut = house.stage.doors.write().await;
    let caller =
        tokio::spawn(tower::ServiceExt::oneshot(house.router.clone(), create(STATIC_KS, "k")));
    until(|| house.stage.came() == 1).await;
    caller.abort();
    assert!(caller.await.expect_err("gone").is_cancelled());
    drop(shut);
    let client = Client::of(&house.send(create(STATIC_KS, "k")).await);
    assert_eq!(house.stage.count(), 1, "it is the session that was being created");
    succeeded(&house.ask(&client, "end").await);
    assert_eq!(house.stage.count(), 0);
}

/// A key at the limit is taken, and one past it is not.
#[tokio::test]
async fn s2_1_a_key_is_no_longer_than_it_may_be() {
    let house = House::start().await;
    Client::of(&house.send(create(STATIC_KS, &"k".repeat(255))).await);
    let answer = house.send(create(STATIC_KS, &"k".repeat(256))).await;
    refused(&answer, 400, "Idempotency-Key is too long (at most 255 bytes)");
}
