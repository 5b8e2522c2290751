//! Messages of one person are answered one after another, those of others beside them; and what one
//! process has begun another brings to its end.

use epilogue_core::{Span, texting::InboundState};

use crate::{
    client::settle,
    texting::{ANN, BOB, Texting, worker},
};

#[tokio::test]
async fn two_messages_of_one_person_are_answered_in_order_and_anothers_does_not_wait() {
    let texting = Texting::start().await;
    texting.texts("SM1", ANN, "slowly").await;
    texting.texts("SM2", ANN, "and then").await;
    texting.texts("SM3", BOB, "Hello").await;
    let worker = texting.worker.clone();
    let working = tokio::spawn(async move { worker.run_until_idle().await });
    texting.twilio.heard(1).await;
    settle().await;
    assert_eq!(texting.twilio.bodies(), ["You said: Hello"], "Bob does not wait for Ann");
    assert_eq!(texting.of("SM2").await.state, InboundState::Waiting);
    for _ in 0..20 {
        texting.fixture.clock.advance(Span::from_secs(5));
        settle().await;
    }
    working.await.expect("no panic").expect("worked");
    assert_eq!(texting.twilio.bodies(), ["You said: Hello", "One two three", "You said: and then"]);
}

#[tokio::test]
async fn a_message_that_is_retried_is_not_overtaken() {
    let texting = Texting::start().await;
    texting.twilio.answer(503, None, &serde_json::json!({}));
    texting.texts("SM1", ANN, "First").await;
    texting.texts("SM2", ANN, "Second").await;
    texting.work().await;
    assert_eq!(texting.twilio.bodies(), ["You said: First"]);
    texting.fixture.clock.advance(Span::from_secs(2));
    texting.work().await;
    let said = ["You said: First", "You said: First", "You said: Second"];
    assert_eq!(texting.twilio.bodies(), said);
    assert_eq!(texting.fixture.models.asked().len(), 2, "the turn is not taken again");
}

#[tokio::test]
async fn a_part_whose_fate_is_unknown_is_sent_again_and_the_late_process_writes_nothing() {
    let texting = Texting::start().await;
    let gate = texting.twilio.hold();
    texting.texts("SM1", ANN, "goodbye").await;
    let first = texting.worker.clone();
    let stuck = tokio::spawn(async move { first.run_until_idle().await });
    texting.twilio.heard(1).await;
    // Another process takes over, as after a crash: the turn has ended the session, and is replayed.
    let second = texting.fixture.beside(|setup| {
        setup.settings.twilio.api_url = texting.twilio.url.parse().expect("a URL");
    });
    let second = second.await;
    second.engine.recover(&[]).await.expect("recovered");
    let worker = worker(&second);
    let working = tokio::spawn(async move { worker.run_until_idle().await });
    texting.twilio.heard(2).await;
    gate.add_permits(2);
    working.await.expect("no panic").expect("worked");
    stuck.await.expect("no panic").expect("worked");
    assert_eq!(texting.twilio.bodies(), ["Take care!", "Take care!"]);
    let models = texting.fixture.models.asked().len() + second.models.asked().len();
    assert_eq!((models, texting.chats().await.len()), (1, 1));
    let done = texting.of("SM1").await;
    assert_eq!((done.attempt, done.sent), (2, 1), "the first process recorded nothing");
    assert!(matches!(done.state, InboundState::Done { .. }));
}

#[tokio::test]
async fn a_turn_that_ended_the_session_is_not_taken_again_in_another() {
    let texting = Texting::start().await;
    texting.twilio.answer(500, None, &serde_json::json!({}));
    texting.texts("SM1", ANN, "goodbye").await;
    texting.work().await;
    // As if the answer had not been put on record before the crash.
    let forgotten = "UPDATE inbox SET reply = NULL";
    texting.fixture.database().execute(forgotten, []).expect("changed");
    texting.fixture.clock.advance(Span::from_secs(2));
    texting.work().await;
    assert_eq!(texting.twilio.bodies(), ["Take care!", "Take care!"]);
    assert_eq!(texting.chats().await.len(), 1);
    assert_eq!(texting.fixture.models.asked().len(), 1);
}

#[tokio::test]
async fn a_message_whose_session_ended_before_its_turn_begins_another() {
    let texting = Texting::start().await;
    texting.texts("SM1", ANN, "fail").await;
    texting.work().await;
    let chat = texting.chats().await[0]["id"].as_str().expect("an id").to_owned();
    assert_eq!(texting.fixture.end(&chat).await.status, 200);
    let better = "UPDATE inbox SET body = 'Hello'";
    texting.fixture.database().execute(better, []).expect("changed");
    texting.fixture.clock.advance(Span::from_secs(2));
    texting.work().await;
    assert_eq!(texting.twilio.bodies(), ["You said: Hello"]);
    assert_eq!(texting.chats().await.len(), 2);
}

#[tokio::test]
async fn a_line_holds_as_many_as_it_may_and_the_next_is_429() {
    let texting = Texting::start().await;
    for number in 0..epilogue_engine::records::LINE_MAX {
        texting.texts(&format!("SM{number}"), ANN, "Hello").await;
    }
    let one_more = texting.tells(&texting.message("SMmore", ANN, "Hello")).await;
    assert_eq!(one_more.status, 429, "{}", one_more.body);
    assert!(one_more.header("retry-after").is_some());
    texting.texts("SM0", ANN, "Hello").await;
    texting.texts("SMbob", BOB, "Hello").await;
}

#[tokio::test]
async fn a_server_that_stops_leaves_the_message_for_the_next() {
    let texting = Texting::start().await;
    texting.texts("SM1", ANN, "Hello").await;
    texting.fixture.engine.begin_drain();
    let stop = tokio_util::sync::CancellationToken::new();
    let running = tokio::spawn({
        let (worker, stop) = (texting.worker.clone(), stop.clone());
        async move { worker.run(stop).await }
    });
    settle().await;
    stop.cancel();
    running.await.expect("stopped");
    assert_eq!(texting.of("SM1").await.failures, 0);
    let next = texting.fixture.beside(|setup| {
        setup.settings.twilio.api_url = texting.twilio.url.parse().expect("a URL");
    });
    let next = next.await;
    next.engine.recover(&[]).await.expect("recovered");
    worker(&next).run_until_idle().await.expect("worked");
    assert_eq!(texting.twilio.bodies(), ["You said: Hello"]);
}
