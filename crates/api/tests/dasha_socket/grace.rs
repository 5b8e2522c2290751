//! A socket that drops: its session waits a while for the client to come back, and then ends.

use epilogue_core::{EndReason, Span};
use serde_json::{Value, json};

use crate::{
    client::{post, problem, settle},
    page::{Server, listen},
};

const GRACE: Span = Span::from_secs(15);
const PAST_GRACE: Span = Span::from_millis(15_001);

#[tokio::test]
async fn a_dropped_socket_ends_its_session_after_the_grace_and_not_before() {
    let server = Server::start().await;
    let mut page = server.open().await;
    page.talk("hi").await;
    let record = page.record.clone();
    drop(page);
    settle().await;
    server.later(GRACE).await;
    server.sweep().await;
    assert_eq!(server.final_reason(&record).await, Value::Null, "that moment is still its");
    server.later(Span::from_millis(1)).await;
    server.sweep().await;
    assert_eq!(server.final_reason(&record).await, "user_end");
    let ended = server.fixture.session(&record).await.ended().cloned().expect("ended");
    assert_eq!(ended.reason, EndReason::Disconnected, "whoever runs the server sees what it was");
    let why = server.fixture.engine.why(&"org_acme".into(), record.parse().expect("an id")).await;
    let sentence = why.expect("read").expect("known").sentence;
    assert!(sentence.contains("`disconnected`: its connection was lost at"), "{sentence}");
    server.fixture.run_until_idle().await;
    server.fixture.run_until_idle().await;
    let told = server.fixture.webhooks.heard();
    let told: Value = serde_json::from_str(&told[0].body).expect("JSON");
    assert_eq!(
        (&told["type"], &told["result"]["finishReason"]),
        (&json!("CompletedWebHookPayload"), &json!("user_end"))
    );
    let log = post("/activity-logs/search", &json!({ "callIds": [record] }));
    let log = server.fixture.send(log).await.json();
    let completed = log["results"].as_array().expect("a list").iter();
    let completed = completed.filter(|entry| entry["type"] == "CallCompleted").collect::<Vec<_>>();
    assert_eq!(completed.len(), 1, "{log}");
    assert_eq!(completed[0]["metadata"]["final_reason"], "user_end");
}

#[tokio::test]
async fn a_socket_that_is_closed_in_order_starts_the_grace_too() {
    let server = Server::start().await;
    let mut page = server.open().await;
    page.socket.close(None).await.expect("closed");
    server.sweep().await;
    assert_eq!(server.final_reason(&page.record).await, Value::Null);
    server.later(PAST_GRACE).await;
    server.sweep().await;
    assert_eq!(server.final_reason(&page.record).await, "user_end");
}

#[tokio::test]
async fn a_client_that_comes_back_in_time_goes_on() {
    let server = Server::start().await;
    let mut page = server.open().await;
    page.talk("one").await;
    let record = page.record.clone();
    drop(page);
    server.later(GRACE).await;
    let mut back = server.come_back(&record).await;
    server.later(Span::from_secs(10)).await;
    server.sweep().await;
    assert_eq!(back.talk("two").await, "You said: two");
    let asked = server.fixture.models.asked();
    assert_eq!(asked[1].messages.len(), 3, "the model hears all of it");
    drop(back);
    server.later(PAST_GRACE).await;
    server.sweep().await;
    assert_eq!(server.final_reason(&record).await, "user_end", "the grace runs anew");
}

#[tokio::test]
async fn only_the_same_token_comes_back() {
    let server = Server::start().await;
    let page = server.open().await;
    let (_, other) = server.token(json!({ "name": "other" })).await;
    let chat = server.fixture.chat(json!({})).await;
    let unknown = "00000000-0000-4000-8000-000000000000".to_owned();
    for (token, record) in [
        (&other, &page.record),
        (&server.token, &unknown),
        (&server.token, &"nonsense".to_owned()),
        (&server.token, &chat),
    ] {
        let mut stranger = server.connect_with(token, None).await;
        let request = json!({ "callType": "chat" });
        stranger.say(json!({ "type": "initialize", "request": request, "recordId": record })).await;
        stranger.is_refused("Unknown recordId", 1008).await;
    }
}

#[tokio::test]
async fn whoever_comes_back_too_late_hears_how_it_ended() {
    let server = Server::start().await;
    let page = server.open().await;
    let record = page.record.clone();
    drop(page);
    server.later(PAST_GRACE).await;
    server.sweep().await;
    let mut late = server.connect().await;
    let request = json!({ "callType": "chat" });
    late.say(json!({ "type": "initialize", "request": request, "recordId": record })).await;
    assert_eq!(late.hear_end().await["result"]["finishReason"], "user_end");
}

#[tokio::test]
async fn a_second_connection_takes_the_conversation_over() {
    let server = Server::start().await;
    let mut first = server.open().await;
    let mut second = server.come_back(&first.record).await;
    first.is_refused("The conversation goes on in another connection", 1008).await;
    drop(first);
    server.later(PAST_GRACE).await;
    server.sweep().await;
    assert_eq!(second.talk("hi").await, "You said: hi", "the first one let nothing go");
}

#[tokio::test]
async fn a_grace_of_nothing_ends_at_once() {
    let server = Server::with(|setup| setup.settings.disconnect_grace = Span::ZERO).await;
    let page = server.open().await;
    let record = page.record.clone();
    drop(page);
    server.later(Span::from_millis(1)).await;
    server.sweep().await;
    assert_eq!(server.final_reason(&record).await, "user_end");
}

#[tokio::test]
async fn the_sweeper_wakes_for_the_end_of_a_grace() {
    let server = Server::start().await;
    let stop = tokio_util::sync::CancellationToken::new();
    let (engine, stopped) = (server.fixture.engine.clone(), stop.clone());
    let sweeping = tokio::spawn(async move { engine.run_sweeper(stopped).await });
    let page = server.open().await;
    let record = page.record.clone();
    settle().await;
    drop(page);
    server.later(Span::ZERO).await;
    // Fifteen seconds, in steps shorter than the sweeper's own rounds.
    for _ in 0..15 {
        server.later(Span::from_secs(1)).await;
    }
    assert_eq!(server.final_reason(&record).await, Value::Null);
    server.later(Span::from_millis(1)).await;
    assert_eq!(server.final_reason(&record).await, "user_end");
    stop.cancel();
    sweeping.await.expect("stopped");
}

#[tokio::test]
async fn a_restart_lets_every_session_go_and_its_grace_runs_from_there() {
    let server = Server::start().await;
    let (gone, mut back) = (server.open().await, server.open().await);
    back.talk("before").await;
    server.later(Span::from_secs(100)).await;
    // The process dies with its sockets; what it would still say about them is lost.
    let next = server.fixture.beside(|setup| setup.seed = 9).await;
    next.engine.recover(&[]).await.expect("recovered");
    let address = listen(&next).await;
    settle().await;
    server.fixture.clock.advance(GRACE);
    next.engine.sweep().await.expect("swept");
    let mut again = crate::page::connect(address, &server.token, None).await;
    again.initialize(json!({ "recordId": back.record })).await;
    next.clock.advance(Span::from_millis(1));
    next.engine.sweep().await.expect("swept");
    assert_eq!(next.show(&gone.record).await["final_reason"], "user_end");
    assert_eq!(again.talk("after").await, "You said: after");
    let refused = problem(&next.say(&gone.record, "hi").await, 409);
    assert_eq!(refused["status"], 409);
}

#[tokio::test]
async fn a_turn_in_flight_is_carried_through_before_the_session_is_given_up() {
    let server = Server::start().await;
    let mut page = server.open().await;
    page.chat("slowly").await;
    page.hear_text().await;
    let record = page.record.clone();
    drop(page);
    server.later(Span::from_secs(10)).await;
    server.later(Span::from_secs(6)).await;
    server.sweep().await;
    assert_eq!(server.final_reason(&record).await, Value::Null);
    server.later(Span::from_secs(4)).await;
    server.sweep().await;
    let shown = server.fixture.show(&record).await;
    assert_eq!(shown["final_reason"], "user_end");
    assert_eq!(shown["messages"][1]["content"], "One two three");
}

#[tokio::test]
async fn a_session_that_cannot_be_let_go_at_once_is_let_go_later_with_its_grace_from_the_start() {
    let server = Server::start().await;
    let page = server.open().await;
    let record = page.record.clone();
    let database = server.fixture.database();
    let refuse = "CREATE TRIGGER refuse BEFORE UPDATE OF connection_lost_at ON sessions
        BEGIN SELECT RAISE(ABORT, 'the test says no'); END";
    database.execute_batch(refuse).expect("refusing");
    drop(page);
    let lost_at = async || {
        let session = server.fixture.session(&record).await;
        session.connection.expect("one").lost_at
    };
    server.later(Span::from_millis(20)).await;
    assert_eq!(lost_at().await, None);
    database.execute_batch("DROP TRIGGER refuse").expect("dropped");
    server.later(Span::from_secs(5)).await;
    assert_eq!(
        lost_at().await,
        Some(crate::support::NOW),
        "since it was lost, not since it was told"
    );
}
