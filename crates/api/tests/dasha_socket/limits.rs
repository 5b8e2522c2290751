//! How much a page may ask for, how long it may be silent, and how slowly it may read.

use epilogue_core::Span;
use serde_json::json;
use tokio::net::TcpSocket;

use crate::{
    client::settle,
    page::{Server, handshake},
};

#[tokio::test]
async fn sixteen_messages_wait_and_not_one_more() {
    let server = Server::start().await;
    let mut page = server.open().await;
    page.chat("for ever").await;
    page.hear_text().await;
    for number in 0..16 {
        page.chat(&format!("number {number}")).await;
    }
    settle().await;
    page.hear().await;
    page.hears_nothing().await;
    page.chat("one too many").await;
    assert_eq!(page.complaint().await, "Too many messages wait for this conversation");
}

#[tokio::test]
async fn messages_per_minute_count_here_too() {
    let server = Server::with(|setup| setup.settings.messages_per_minute = 2).await;
    let mut page = server.open().await;
    page.talk("one").await;
    page.talk("two").await;
    page.chat("three").await;
    assert_eq!(page.complaint().await, "Rate limit exceeded");
    for _ in 0..3 {
        server.later(Span::from_secs(20)).await;
        page.hears_nothing().await;
    }
    assert_eq!(page.talk("four").await, "You said: four");
}

#[tokio::test]
async fn opens_per_minute_count_for_each_token() {
    let server = Server::with(|setup| setup.settings.opens_per_minute = 2).await;
    let (first, _second) = (server.open().await, server.open().await);
    let mut third = server.connect().await;
    third.say(json!({ "type": "initialize", "request": { "callType": "chat" } })).await;
    assert_eq!(third.hear().await["name"], "failedOpen");
    third.is_refused("Rate limit exceeded", 1013).await;
    let (_, other) = server.token(json!({ "name": "other" })).await;
    server.connect_with(&other, None).await.initialize(json!({})).await;
    drop(server.come_back(&first.record).await);
}

#[tokio::test]
async fn a_client_that_says_nothing_at_all_is_gone_after_a_minute() {
    let server = Server::start().await;
    let page = server.open().await;
    let mut reading = server.open().await;
    let (silent, alive) = (page.record.clone(), reading.record.clone());
    // Both are asked every twenty seconds. One answers, for it reads.
    for _ in 0..4 {
        server.later(Span::from_secs(20)).await;
        reading.hears_nothing().await;
    }
    server.later(Span::from_secs(20)).await;
    reading.hears_nothing().await;
    let lost = |session: epilogue_core::Session| session.connection.expect("one").lost_at.is_some();
    assert!(lost(server.fixture.session(&silent).await), "it answered no ping");
    assert!(!lost(server.fixture.session(&alive).await));
    drop(page);
}

#[tokio::test]
async fn a_client_that_does_not_read_is_gone_after_ten_seconds_and_not_before() {
    let server = Server::start().await;
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4_096).expect("small");
    let stream = socket.connect(server.address).await.expect("connected");
    let mut page = handshake(stream, server.address, &server.token, None).await;
    page.initialize(json!({})).await;
    // Each is echoed and answered: more than the system keeps for a reader that does not read.
    let text = "x".repeat(32 * 1024 - 64);
    for _ in 0..6 {
        page.chat(&text).await;
    }
    server.later(Span::from_millis(9_999)).await;
    let session = server.fixture.session(&page.record).await;
    assert!(session.connection.expect("one").lost_at.is_none(), "it is waited for");
    assert!(session.turns < 6, "what waits behind it is bounded");
    server.later(Span::from_millis(1)).await;
    let session = server.fixture.session(&page.record).await;
    assert!(session.ended().is_none(), "its session waits for it");
    assert!(session.connection.expect("one").lost_at.is_some(), "it is gone");
}

#[tokio::test]
async fn many_sockets_talk_at_once() {
    let server = Server::with(|setup| {
        setup.settings.opens_per_minute = 0;
        setup.settings.messages_per_minute = 0;
    })
    .await;
    let server = &server;
    let talks = (0..200).map(|number| async move {
        let mut page = server.open().await;
        let text = format!("I am number {number}");
        assert_eq!(page.talk(&text).await, format!("You said: {text}"));
        page.say(json!({ "type": "terminate" })).await;
        page.hear_end().await;
        page.record
    });
    let records = futures::future::join_all(talks).await;
    let distinct: std::collections::BTreeSet<_> = records.iter().collect();
    assert_eq!(distinct.len(), 200);
    let census = server.fixture.engine.snapshot().await.expect("read").sessions;
    assert_eq!(census.open, [], "none is left open");
}
