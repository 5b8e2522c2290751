//! What Twilio says to a reply, and what follows.

use epilogue_core::{Span, texting::InboundState};
use epilogue_engine::records::ResumeOutcome;
use http::Method;
use serde_json::json;

use crate::{
    support::{FOREIGN_KEY, KEY, READ_KEY},
    texting::{ANN, Texting},
};

#[tokio::test]
async fn row_4_passing_faults_of_twilio_are_tried_again_by_the_schedule() {
    for status in [408, 429, 500, 502, 503] {
        let texting = Texting::start().await;
        texting.twilio.answer(status, None, &json!({}));
        texting.texts("SM1", ANN, "Hello").await;
        texting.work().await;
        let owed = texting.of("SM1").await;
        let due_at = crate::support::NOW + Span::from_secs(2);
        assert_eq!((owed.state, owed.failures), (InboundState::Owed { due_at }, 1), "{status}");
        texting.fixture.clock.advance(Span::from_secs(2));
        texting.work().await;
        assert_eq!(texting.twilio.sent().len(), 2, "{status}");
        assert!(matches!(texting.of("SM1").await.state, InboundState::Done { .. }));
    }
}

#[tokio::test]
async fn row_4_retry_after_is_honoured() {
    let texting = Texting::start().await;
    texting.twilio.answer(429, Some("60"), &json!({ "code": 20429 }));
    texting.texts("SM1", ANN, "Hello").await;
    texting.work().await;
    texting.fixture.clock.advance(Span::from_millis(59_999));
    assert_eq!(texting.work().await, 0);
    texting.fixture.clock.advance(Span::from_millis(1));
    assert_eq!(texting.work().await, 1);
}

#[tokio::test]
async fn row_4_an_answer_that_does_not_come_in_time_is_a_passing_fault() {
    let texting = Texting::start().await;
    let gate = texting.twilio.hold();
    texting.texts("SM1", ANN, "Hello").await;
    let worker = texting.worker.clone();
    let working = tokio::spawn(async move { worker.run_until_idle().await });
    texting.twilio.heard(1).await;
    crate::client::settle().await;
    texting.fixture.clock.advance(Span::from_secs(15));
    working.await.expect("no panic").expect("worked");
    let owed = texting.of("SM1").await;
    assert_eq!(owed.failures, 1);
    assert_eq!(owed.detail, "Twilio did not answer within 15 s");
    gate.add_permits(100);
    texting.fixture.clock.advance(Span::from_secs(2));
    texting.work().await;
    assert_eq!(texting.fixture.models.asked().len(), 1);
}

#[tokio::test]
async fn row_4_what_twilio_refuses_is_parked_at_once_and_resumed_on_demand() {
    let texting = Texting::start().await;
    let words = json!({ "code": 21610, "message": format!("{ANN} has left: Hello") });
    texting.twilio.answer(400, None, &words);
    texting.texts("SM1", ANN, "Hello").await;
    texting.texts("SM2", ANN, "Again").await;
    texting.work().await;
    let parked = texting.of("SM1").await;
    assert!(matches!(parked.state, InboundState::Parked { .. }), "{parked:?}");
    assert_eq!(parked.detail, "Twilio answered 400, code 21610");
    assert_eq!(texting.twilio.bodies(), ["You said: Hello", "You said: Again"], "the line goes on");
    assert_eq!(texting.census().await.parked, 1);
    let (org, id) = ("org_acme".into(), parked.inbound.id);
    let engine = &texting.fixture.engine;
    let resume = async || engine.resume_message(&org, &id, None).await.expect("decided");
    assert_eq!(resume().await, ResumeOutcome::Resumed);
    assert_eq!(resume().await, ResumeOutcome::NotParked);
    texting.work().await;
    assert_eq!(texting.twilio.bodies()[2..], ["You said: Hello"]);
    assert_eq!(texting.fixture.models.asked().len(), 2);
    assert_eq!(texting.census().await.parked, 0);
}

#[tokio::test]
async fn the_operator_sees_what_is_parked_without_what_was_said_and_resumes_it() {
    let texting = Texting::start().await;
    texting.twilio.answer(400, None, &json!({ "code": 21610 }));
    texting.texts("SM1", ANN, "Hello").await;
    texting.work().await;
    let request = |method: Method, path: &str, key: &str| {
        let request = http::Request::builder().method(method).uri(format!("/epilogue/v1{path}"));
        let request = request.header("authorization", format!("Bearer {key}"));
        request.body(axum::body::Body::empty()).expect("a request")
    };
    let list = async |path: &str, key: &str| {
        let answer = texting.fixture.send(request(Method::GET, path, key)).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert!(!answer.body.contains("Hello") && !answer.body.contains(ANN), "{}", answer.body);
        answer.json()["items"].as_array().expect("a list").clone()
    };
    let parked = list("/inbox?state=parked", KEY).await;
    let id = format!("{}:SM1", texting.provider);
    assert_eq!(parked.len(), 1);
    assert_eq!((&parked[0]["id"], &parked[0]["state"]), (&json!(id), &json!("parked")));
    assert_eq!(parked[0]["detail"], "Twilio answered 400, code 21610");
    assert_eq!(list("/inbox", FOREIGN_KEY).await.len(), 0);
    let path = format!("/inbox/{id}/retry");
    for (key, status) in [(FOREIGN_KEY, 404), (READ_KEY, 403), (KEY, 204), (KEY, 409)] {
        let answer = texting.fixture.send(request(Method::POST, &path, key)).await;
        assert_eq!(answer.status, status, "{}", answer.body);
    }
    texting.work().await;
    assert_eq!(list("/inbox?state=parked", KEY).await.len(), 0);
    assert_eq!(texting.twilio.bodies().len(), 2);
}

#[tokio::test]
async fn row_4_the_last_attempt_parks() {
    let texting = Texting::start().await;
    texting.texts("SM1", ANN, "fail").await;
    for (attempt, wait) in [(1, 2), (2, 10), (3, 30), (4, 3_000)] {
        assert_eq!(texting.work().await, 1, "{attempt}");
        assert_eq!(texting.of("SM1").await.attempt, attempt);
        texting.fixture.clock.advance(Span::from_secs(wait));
    }
    assert_eq!(texting.work().await, 0);
    assert!(matches!(texting.of("SM1").await.state, InboundState::Parked { .. }));
    assert!(texting.twilio.sent().is_empty(), "nobody is told of our faults");
}

#[tokio::test]
async fn row_4_parts_that_were_accepted_are_not_sent_again() {
    let texting = Texting::start().await;
    texting.twilio.answer(201, None, &json!({ "sid": "SMa" }));
    texting.twilio.answer(503, None, &json!({}));
    let text = "x".repeat(1_600);
    texting.texts("SM1", ANN, &text).await;
    texting.work().await;
    assert_eq!(texting.of("SM1").await.sent, 1);
    texting.fixture.clock.advance(Span::from_secs(2));
    texting.work().await;
    assert_eq!(texting.twilio.bodies(), ["You said:".to_owned(), text.clone(), text]);
    let sql = "SELECT group_concat(receipt, ' ') FROM inbox_sent ORDER BY part";
    let receipts: String =
        texting.fixture.database().query_row(sql, [], |row| row.get(0)).expect("read");
    assert_eq!(receipts, "SMa SMout3");
}

#[tokio::test]
async fn row_4_a_redirect_is_not_followed() {
    let texting = Texting::start().await;
    texting.twilio.answer(302, None, &json!({}));
    texting.texts("SM1", ANN, "Hello").await;
    texting.work().await;
    assert_eq!(texting.twilio.sent().len(), 1);
    assert_eq!(texting.census().await.parked, 1);
}
