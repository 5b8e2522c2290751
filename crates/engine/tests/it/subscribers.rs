//! Those who subscribe to a project, what is told at most once, and what is filled in afterwards.

use epilogue_core::{
    ProjectId, SessionId, Span, StepId, StepKind, StepState, Subscription,
    profile::{Hears, Keeps, NotifyEnded},
};
use epilogue_engine::records::SubscribeOutcome;
use serde_json::{Value, json};

use crate::support::{
    Setup, TestEngine, is_final,
    model::{end, text},
    org,
    outside::{Plan, Sent},
};

const ALL: [&str; 3] = ["session.started", "session.ended", "session.finalized"];

fn project() -> ProjectId {
    ProjectId::from("p")
}

pub async fn subscribe(app: &TestEngine, host: &str, events: &[&str]) -> Subscription {
    let url = format!("https://{host}/hook").parse().expect("a URL");
    let events = events.iter().map(ToString::to_string).collect();
    let (org, project) = (org(), project());
    let asked = app.engine.subscribe((&org, &project), (url, events), None);
    let (made, outcome) = asked.await.expect("asked");
    assert_eq!(outcome, SubscribeOutcome::Subscribed);
    made
}

pub async fn open_in_project(app: &TestEngine) -> SessionId {
    app.open_with(|opening| opening.origin.project = Some(project())).await
}

fn of_project(setup: &mut Setup) {
    setup.profile.hears = Hears::TheEnd;
    setup.profile.notify_finalized = true;
    setup.profile.keeps = Keeps::Counters;
}

/// Where each event went, in order.
fn told(sent: &[Sent]) -> Vec<(&'static str, String)> {
    let line = |sent: &Sent| (sent.step().kind.as_str(), sent.url.clone());
    sent.iter().map(line).collect()
}

#[tokio::test]
async fn a_subscriber_is_told_of_the_start_while_the_session_lives_and_of_the_rest_after() {
    let app = TestEngine::with(of_project).await;
    let all = subscribe(&app, "all.example", &ALL).await;
    subscribe(&app, "end.example", &["session.ended"]).await;
    let id = open_in_project(&app).await;
    app.run_until_idle().await;
    let here = |kind, host: &str| (kind, format!("https://{host}/hook"));
    assert_eq!(told(&app.webhooks().sent()), [here("notify_started", "all.example")]);
    assert!(!is_final(&app.session(id).await));
    app.say(id, "hello").await;
    app.end(id).await;
    app.run_until_idle().await;
    assert!(is_final(&app.session(id).await));
    let mut sent = app.webhooks().sent();
    let ids: std::collections::BTreeSet<_> = sent.iter().map(|sent| sent.id.to_string()).collect();
    assert_eq!(ids.len(), 5, "each event to each receiver has an id of its own");
    assert_eq!(
        sent[0].step(),
        StepId { session: id, kind: StepKind::NotifyStarted, target: Some(all.id) }
    );
    let mut last = told(&sent.split_off(1));
    last.sort();
    assert_eq!(
        last,
        [
            here("notify_ended", "all.example"),
            here("notify_ended", "end.example"),
            ("notify_ended", "https://hook.example/ended".to_owned()),
            here("notify_finalized", "all.example"),
        ]
    );
}

#[tokio::test]
async fn whoever_no_longer_subscribes_is_not_told_and_holds_nothing_up() {
    let app = TestEngine::with(of_project).await;
    let gone = subscribe(&app, "gone.example", &ALL).await;
    let id = open_in_project(&app).await;
    app.end(id).await;
    let left = app.engine.unsubscribe(&org(), &project(), gone.id, None).await;
    assert!(left.expect("asked"));
    app.run_until_idle().await;
    assert_eq!(told(&app.webhooks().sent()).len(), 1, "the agent's own webhook alone");
    assert!(is_final(&app.session(id).await));
    let steps = app.engine.steps_of(&org(), id).await.expect("read");
    let skipped = steps.iter().filter(|(step, _)| step.target == Some(gone.id));
    for (step, attempts) in skipped {
        let StepState::Skipped { reason, .. } = &step.state else { panic!("{step:?}") };
        assert_eq!(reason, "the subscription is gone");
        assert_eq!(attempts.len(), 0, "it is settled with the subscription");
    }
}

#[tokio::test]
async fn one_subscriber_that_is_down_delays_no_other() {
    let app = TestEngine::with(of_project).await;
    subscribe(&app, "down.example", &["session.ended"]).await;
    subscribe(&app, "up.example", &["session.ended"]).await;
    app.webhooks().hang_at("down.example");
    let id = open_in_project(&app).await;
    app.end(id).await;
    let worker = app.worker.clone();
    let working = tokio::spawn(async move { worker.run_until_idle().await });
    app.webhooks().arrived(3).await;
    working.abort();
    let urls: Vec<_> = told(&app.webhooks().sent()).into_iter().map(|(_, url)| url).collect();
    assert!(urls.iter().any(|url| url.contains("up.example")), "{urls:?}");
    assert!(!is_final(&app.session(id).await));
}

/// A project whose agent has no webhook of its own.
fn of_subscribers(setup: &mut Setup) {
    of_project(setup);
    setup.agent["webhook"] = Value::Null;
}

/// What became of telling a session's final event, after this came of the first attempt.
async fn once(plan: Plan) -> (usize, &'static str) {
    let app = TestEngine::with(of_subscribers).await;
    subscribe(&app, "all.example", &["session.finalized"]).await;
    let id = open_in_project(&app).await;
    app.end(id).await;
    app.webhooks().plan([plan]);
    for _ in 0..4 {
        app.run_until_idle().await;
        app.advance(Span::from_secs(4 * 3600));
    }
    let (step, _) = app.step(id, StepKind::NotifyFinalized).await;
    let kinds = app.webhooks().kinds();
    (kinds.iter().filter(|kind| **kind == "notify_finalized").count(), step.state.as_str())
}

#[tokio::test]
async fn what_is_told_once_at_most_is_tried_again_only_when_nothing_arrived() {
    assert_eq!(once(Plan::Answer(204, None)).await, (1, "done"));
    assert_eq!(once(Plan::Absent).await, (2, "done"));
    assert_eq!(once(Plan::Answer(503, None)).await, (1, "parked"));
    assert_eq!(once(Plan::Unreachable).await, (1, "parked"));
}

/// A secret that is not there yet keeps the event from being sent at all: that is no reason to give it up.
#[tokio::test]
async fn what_kept_an_event_from_being_sent_does_not_count_as_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("secret");
    let app = TestEngine::with(|setup| {
        of_project(setup);
        setup.agent["webhook"] = json!({
            "url": "https://hook.example/ended",
            "events": ["session.finalized"],
            "headers": { "x-key": format!("file:{}", file.display()) },
        });
    })
    .await;
    let id = open_in_project(&app).await;
    app.end(id).await;
    app.run_until_idle().await;
    let (step, attempts) = app.step(id, StepKind::NotifyFinalized).await;
    assert_eq!((step.state.as_str(), attempts.len()), ("owed", 1));
    std::fs::write(&file, "s3cr3t").expect("written");
    app.advance(Span::from_secs(60));
    app.run_until_idle().await;
    assert_eq!(app.webhooks().kinds(), ["notify_finalized"]);
    assert!(is_final(&app.session(id).await));
}

#[tokio::test]
async fn an_attempt_that_was_cut_may_have_told_it_and_is_not_made_again() {
    let mut app = TestEngine::with(of_subscribers).await;
    subscribe(&app, "all.example", &["session.finalized"]).await;
    let id = open_in_project(&app).await;
    app.end(id).await;
    app.webhooks().plan([Plan::Hang]);
    let process = app.process("doomed");
    process.work();
    app.webhooks().arrived(1).await;
    process.kill();
    app.restart().await;
    app.run_until_idle().await;
    let (step, attempts) = app.step(id, StepKind::NotifyFinalized).await;
    assert_eq!((step.state.as_str(), attempts.len()), ("parked", 2));
    assert_eq!(app.webhooks().sent().len(), 1, "it is not told again");
    let resumed = app.engine.retry_step(&org(), step.id(), None).await;
    resumed.expect("a person may say that it is to be told all the same");
    app.run_until_idle().await;
    assert_eq!(app.webhooks().sent().len(), 2);
    assert!(is_final(&app.session(id).await));
}

fn with_variables(setup: &mut Setup) {
    setup.profile.notify_ended = NotifyEnded::AfterAnalysis;
    setup.agent["variables"] = json!([
        { "key": "city", "description": "Where they live." },
        { "key": "people", "type": "integer" },
        { "key": "mood" },
    ]);
}

fn body(sent: &Sent) -> Value {
    serde_json::from_str(&sent.body).expect("JSON")
}

#[tokio::test]
async fn what_was_not_saved_is_filled_in_after_the_conversation() {
    let app = TestEngine::with(with_variables).await;
    let id = app
        .open_with(|opening| {
            opening.origin.bag.insert("city".to_owned(), json!("Taipei"));
            opening.origin.bag.insert("plan".to_owned(), json!("gold"));
        })
        .await;
    app.say(id, "there are four of us").await;
    app.model().answers([vec![text(r#"{"people":4,"mood":null}"#), end()]]);
    app.end(id).await;
    app.run_until_idle().await;
    let asked = app.model().asked().pop().expect("asked").answer.expect("a form").schema;
    let labels: Vec<_> = asked["properties"].as_object().expect("labels").keys().collect();
    assert_eq!(labels, ["mood", "people"], "what is known is not asked about");
    let sent = app.webhooks().sent();
    assert_eq!(body(&sent[0])["extracted"], json!({ "city": "Taipei", "people": 4 }));
}

#[tokio::test]
async fn receivers_are_told_the_variables_that_they_are_to_have() {
    let app = TestEngine::with(|setup| {
        with_variables(setup);
        setup.agent["variable_keys"] = json!(["people", "unknown"]);
    })
    .await;
    let id = app
        .open_with(|opening| {
            opening.origin.bag.insert("city".to_owned(), json!("Taipei"));
            opening.origin.bag.insert("people".to_owned(), json!(2));
            opening.origin.bag.insert("mood".to_owned(), json!("good"));
        })
        .await;
    app.say(id, "hello").await;
    app.end(id).await;
    app.run_until_idle().await;
    let asks = app.model().asked().into_iter().filter(|request| request.answer.is_some()).count();
    assert_eq!(asks, 0, "everything is known");
    assert_eq!(body(&app.webhooks().sent()[0])["extracted"], json!({ "people": 2 }));
}
