//! Forms: filled in, asked about again, left null, retried and parked.

use epilogue_core::{SessionId, StepKind, StepState, profile::NotifyEnded, step::AttemptOutcome};
use epilogue_engine::llm::ModelError;
use serde_json::{Value, json};

use crate::support::{
    Setup, TestEngine, is_final,
    model::{end, text},
    org,
};

fn with_form(setup: &mut Setup) {
    setup.agent["analysis"] = json!([{ "name": "qa", "labels": [
        { "name": "resolved", "type": "boolean" },
        { "name": "mood", "type": "selector", "options": ["good", "bad"] },
    ]}]);
}

/// A conversation that has ended. From now on the model answers forms with these, in order.
async fn ended(app: &TestEngine, answers: &[&'static str]) -> SessionId {
    let id = app.open().await;
    app.say(id, "my bill is wrong").await;
    app.model().answers(answers.iter().map(|answer| vec![text(answer), end()]));
    app.end(id).await;
    id
}

async fn values(app: &TestEngine, id: SessionId) -> Vec<Value> {
    let filled = app.engine.analyses_of(&org(), id).await.expect("read");
    filled.into_iter().map(|form| form.values).collect()
}

/// How many requests were about a form.
fn asks(app: &TestEngine) -> usize {
    app.model().asked().iter().filter(|request| request.answer.is_some()).count()
}

#[tokio::test]
async fn a_right_answer_is_kept_as_it_is() {
    let app = TestEngine::with(with_form).await;
    let id = ended(&app, &[r#"{"resolved":true,"mood":"good"}"#]).await;
    app.run_until_idle().await;
    assert_eq!(values(&app, id).await, [json!({ "resolved": true, "mood": "good" })]);
    assert_eq!(asks(&app), 1);
    let request = app.model().asked().pop().expect("asked");
    assert!(request.messages[0].body.content.contains("my bill is wrong"));
}

#[tokio::test]
async fn a_wrong_type_is_asked_about_once_more_and_then_null() {
    let wrong = r#"{"resolved":"yes","mood":"good"}"#;
    let right = r#"{"resolved":true,"mood":"bad"}"#;
    for (second, expected) in [
        (right, json!({ "resolved": true, "mood": "bad" })),
        (wrong, json!({ "resolved": null, "mood": "good" })),
    ] {
        let app = TestEngine::with(with_form).await;
        let id = ended(&app, &[wrong, second]).await;
        app.run_until_idle().await;
        assert_eq!(values(&app, id).await, [expected]);
        assert_eq!(asks(&app), 2);
        let hinted = app.model().asked().pop().expect("asked").system;
        assert!(hinted.contains("`resolved` must match"), "{hinted}");
    }
}

/// Invariant 5: an answer that is no answer is tried again by the schedule, and parked in the end.
/// Nothing is made up.
#[tokio::test]
async fn prose_is_retried_and_parked() {
    let app = TestEngine::with(with_form).await;
    app.model().answers([]);
    let id = app.open().await;
    app.say(id, "hello").await;
    app.model().by_rule(|_| Ok(vec![text("It went well, I think."), end()]));
    app.end(id).await;
    app.run_until_idle().await;
    while let Some(next) = app.storage.next_due_step().await.expect("read") {
        app.advance(next.since(app.now()));
        app.run_until_idle().await;
    }
    let attempts_max = epilogue_engine::StepPolicies::default().analyze.schedule.len();
    let (step, attempts) = app.step(id, StepKind::Analyze).await;
    assert!(matches!(&step.state, StepState::Parked { reason, .. } if reason.contains("qa")));
    assert_eq!((attempts.len(), asks(&app)), (attempts_max, 2 * attempts_max));
    assert!(values(&app, id).await.is_empty());
    assert!(attempts.iter().all(|attempt| !attempt.detail.contains("went well")));

    app.model().answers([vec![text(r#"{"resolved":false,"mood":null}"#), end()]]);
    app.engine.retry_step(&org(), step.id(), None).await.expect("asked");
    app.run_until_idle().await;
    assert_eq!(values(&app, id).await, [json!({ "resolved": false, "mood": null })]);
    assert!(is_final(&app.session(id).await));
}

#[tokio::test]
async fn a_model_that_is_down_is_retried_and_one_that_refuses_is_not() {
    for (status, outcome) in [(503, AttemptOutcome::Failed), (401, AttemptOutcome::Fatal)] {
        let app = TestEngine::with(with_form).await;
        let id = app.open().await;
        app.say(id, "hello").await;
        app.model().by_rule(move |_| {
            Err(ModelError::Refused { status, retry_after_s: None, source: "no".into() })
        });
        app.end(id).await;
        app.run_until_idle().await;
        let (step, attempts) = app.step(id, StepKind::Analyze).await;
        assert_eq!(attempts[0].outcome, outcome);
        assert_eq!(matches!(step.state, StepState::Owed { .. }), status == 503, "{step:?}");
    }
}

/// The webhook carries the analysis where the profile says so, and is not held up by a form
/// that fails.
#[tokio::test]
async fn the_webhook_waits_for_the_analysis_where_the_profile_says_so() {
    for status in [None, Some(401)] {
        let app = TestEngine::with(|setup| {
            with_form(setup);
            setup.profile.notify_ended = NotifyEnded::AfterAnalysis;
        })
        .await;
        let mut hand = app.model().by_hand();
        let id = app.open().await;
        let turn = app.begin(id, "hello").await;
        hand.next().await.say("Hello.");
        drop(turn);
        app.end(id).await;
        assert_eq!(
            app.steps(id).await,
            [(StepKind::Analyze, "owed"), (StepKind::NotifyEnded, "waiting")]
        );
        let worker = app.worker.clone();
        let working = tokio::spawn(async move { worker.run_until_idle().await });
        let asked = hand.next().await;
        assert!(app.webhooks().sent().is_empty());
        match status {
            None => asked.say(r#"{"resolved":true,"mood":"good"}"#),
            Some(status) => {
                asked.fail(ModelError::Refused { status, retry_after_s: None, source: "".into() });
            }
        }
        crate::support::soon(working).await.expect("no panic").expect("worked");
        let sent = app.webhooks().sent();
        assert_eq!(sent.len(), 1);
        let body: Value = serde_json::from_str(&sent[0].body).expect("JSON");
        assert_eq!(body["forms"].as_array().map(Vec::len), Some(1));
        // A form that nobody can fill in is null, and the reason is on record.
        assert_eq!(values(&app, id).await[0].is_null(), status.is_some());
        let (_, attempts) = app.step(id, StepKind::Analyze).await;
        assert_eq!(attempts[0].detail.contains("401"), status.is_some(), "{attempts:?}");
    }
}
