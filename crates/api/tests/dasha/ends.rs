//! C5: `POST /api/v1/chats/{id}/end`, section 2.6, and what an end sets going, section 4.

use std::sync::Arc;

use epilogue_core::{EndReason, Span, StepKind};
use http::Method;
use serde_json::{Value, json};

use crate::{client::*, support::*};

impl Fixture {
    async fn end_with(&self, id: &str, body: impl Into<axum::body::Body>) -> Answer {
        self.send(keyed(KEY, Method::POST, &format!("/chats/{id}/end"), body)).await
    }
}

#[tokio::test]
async fn c5_answers_the_final_session_as_the_seed_shows_it() {
    let fixture = Fixture::start().await;
    let id = fixture.chat(json!({ "ttl_seconds": 120 })).await;
    fixture.say(&id, "look it up").await;
    fixture.clock.advance(Span::from_secs(2));
    let answer = fixture.end(&id).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json(), fixture.show(&id).await);
    insta::assert_json_snapshot!("ended", answer.json());
}

#[tokio::test]
async fn c5_takes_an_empty_body_an_empty_object_and_a_note() {
    let fixture = Fixture::start().await;
    for body in ["", " ", "{}", r#"{"note":null}"#, r#"{"note":"by hand","more":1}"#] {
        let id = fixture.chat(json!({})).await;
        let answer = fixture.end_with(&id, body).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.json()["final_reason"]),
            (200, &json!("user_end"))
        );
    }
}

#[tokio::test]
async fn c5_400_note_that_is_no_text_and_past_4000_characters() {
    let fixture = unlimited().await;
    let id = fixture.chat(json!({})).await;
    wrong(&fixture.end_with(&id, r#"{"note":5}"#).await, 400, "note");
    wrong(&fixture.end_with(&id, "[]").await, 400, "$");
    let note = |chars| json!({ "note": "é".repeat(chars) }).to_string();
    wrong(&fixture.end_with(&id, note(4_001)).await, 400, "note");
    let megabyte = json!({ "note": "x".repeat(1024 * 1024) }).to_string();
    problem(&fixture.end_with(&id, megabyte).await, 413);
    assert_eq!(fixture.show(&id).await["is_final"], false, "nothing has ended it");
    assert_eq!(fixture.end_with(&id, note(4_000)).await.status, 200);
}

#[tokio::test]
async fn c5_note_goes_to_the_activity_log_verbatim_and_nowhere_else() {
    let fixture = Fixture::start().await;
    let id = fixture.chat(json!({})).await;
    fixture.say(&id, "hi").await;
    let note = " angry \u{1f600}\ncustomer ";
    let answer = fixture.end_with(&id, json!({ "note": note }).to_string()).await;
    assert!(!answer.body.contains("angry"));
    fixture.run_until_idle().await;
    let log = fixture.activity(&id).await;
    let ended: Vec<_> = log.iter().filter(|entry| entry.kind == "session.ended").collect();
    assert_eq!(ended.len(), 1);
    assert_eq!(ended[0].detail["note"], note);
    assert_eq!(ended[0].by.as_deref(), Some("key_acme"));
    assert!(fixture.webhooks.heard().iter().all(|request| !request.body.contains("angry")));
    assert!(fixture.models.asked().iter().all(|asked| !format!("{asked:?}").contains("angry")));
}

#[tokio::test]
async fn c5_of_a_final_session_answers_the_stored_snapshot_and_the_first_reason() {
    let fixture = Fixture::start().await;
    let id = fixture.chat(json!({})).await;
    fixture.say(&id, "goodbye").await;
    let before = fixture.show(&id).await;
    fixture.run_until_idle().await;
    let steps = fixture.steps(&id).await;
    fixture.clock.advance(Span::from_secs(60));
    for _ in 0..3 {
        let answer = fixture.end_with(&id, r#"{"note":"too late"}"#).await;
        assert_eq!((answer.status.as_u16(), answer.json()), (200, before.clone()));
    }
    assert_eq!(before["final_reason"], "agent_finish");
    fixture.run_until_idle().await;
    assert_eq!(fixture.steps(&id).await, steps, "nothing is run again");
    let log = fixture.activity(&id).await;
    assert!(log.iter().all(|entry| entry.detail["note"].is_null()), "its note is ignored");
}

#[tokio::test]
async fn section_4_an_end_owes_analysis_then_webhook_once_and_answers_before_them() {
    let fixture = Fixture::start().await;
    let id = fixture.chat(json!({})).await;
    fixture.say(&id, "hi").await;
    fixture.end(&id).await;
    assert_eq!(fixture.models.asked().len(), 1, "no analysis is awaited");
    let kinds = |steps: Vec<(StepKind, usize)>| steps.into_iter().map(|(kind, _)| kind);
    let owed: Vec<_> = kinds(fixture.steps(&id).await).collect();
    assert!(owed.contains(&StepKind::Analyze) && owed.contains(&StepKind::NotifyEnded));
    fixture.run_until_idle().await;
    assert_eq!(fixture.models.asked().len(), 2, "one form, asked once");
    assert!(fixture.steps(&id).await.iter().all(|(_, attempts)| *attempts == 1));
}

#[tokio::test]
async fn section_4_without_a_user_message_the_analysis_is_skipped() {
    let fixture = Fixture::start().await;
    let id = fixture.chat(json!({})).await;
    fixture.end(&id).await;
    let owed: Vec<_> = fixture.steps(&id).await.into_iter().map(|(kind, _)| kind).collect();
    assert!(!owed.contains(&StepKind::Analyze) && owed.contains(&StepKind::NotifyEnded));
}

#[tokio::test]
async fn c5_waits_for_the_turn_in_flight_so_that_the_transcript_is_complete() {
    let fixture = Arc::new(Fixture::start().await);
    let id = fixture.chat(json!({})).await;
    let (turn, end) = turn_and_end(&fixture, &id, "slowly").await;
    for _ in 0..2 {
        settle().await;
        fixture.clock.advance(Span::from_secs(10));
    }
    assert_eq!(turn.await.expect("no panic").json()["is_final"], false);
    let ended = end.await.expect("no panic").json();
    assert_eq!(ended["final_reason"], "user_end");
    assert_eq!(ended["messages"][1]["content"], "One two three");
}

#[tokio::test]
async fn c5_waits_no_longer_than_30_seconds_and_a_cut_turn_leaves_nothing() {
    let fixture = Arc::new(Fixture::start().await);
    let id = fixture.chat(json!({})).await;
    let (turn, end) = turn_and_end(&fixture, &id, "for ever").await;
    fixture.clock.advance(Span::from_millis(29_999));
    settle().await;
    assert!(!end.is_finished(), "not yet");
    fixture.clock.advance(Span::from_millis(1));
    let ended = end.await.expect("no panic").json();
    assert_eq!((&ended["final_reason"], &ended["messages"]), (&json!("user_end"), &json!([])));
    problem(&turn.await.expect("no panic"), 409);
    assert_eq!(fixture.session(&id).await.usage.user_messages, 0);
}

#[tokio::test]
async fn c5_of_a_session_that_its_turn_finishes_answers_agent_finish() {
    let fixture = Arc::new(Fixture::start().await);
    let id = fixture.chat(json!({})).await;
    let (turn, end) = turn_and_end(&fixture, &id, "slow goodbye").await;
    fixture.clock.advance(Span::from_secs(10));
    assert_eq!(turn.await.expect("no panic").json()["is_final"], true);
    let ended = end.await.expect("no panic").json();
    assert_eq!(ended["final_reason"], "agent_finish");
    assert_eq!(ended["messages"][2]["content"], "Take care!");
}

/// A turn in flight, and an end that has met it.
async fn turn_and_end(
    fixture: &Arc<Fixture>,
    id: &str,
    content: &'static str,
) -> (tokio::task::JoinHandle<Answer>, tokio::task::JoinHandle<Answer>) {
    let turn = {
        let (fixture, id) = (fixture.clone(), id.to_owned());
        tokio::spawn(async move { fixture.say(&id, content).await })
    };
    fixture.asked(1).await;
    let end = {
        let (fixture, id) = (fixture.clone(), id.to_owned());
        tokio::spawn(async move { fixture.end(&id).await })
    };
    settle().await;
    assert!(!end.is_finished(), "it waits");
    (turn, end)
}

#[tokio::test]
async fn other_ends_have_their_words_too() {
    let fixture = Fixture::start().await;
    for (reason, word) in
        [(EndReason::Operator, "operator"), (EndReason::Failed, "error"), (EndReason::Idle, "ttl")]
    {
        let id = fixture.chat(json!({})).await;
        let request = epilogue_core::EndRequest::asked(reason);
        let session = id.parse().expect("an id");
        fixture.engine.end(&"org_acme".into(), session, request).await.expect("ended");
        let shown: Value = fixture.show(&id).await;
        assert_eq!((&shown["final_reason"], &shown["status"]), (&json!(word), &json!("final")));
    }
}
