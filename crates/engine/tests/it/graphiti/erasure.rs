//! Forgetting somebody: what is gone, and what the report says of what is not.

use epilogue_core::{Person, Span};
use epilogue_engine::memory::{ForgetRequest, Memory as _, graphiti::ANSWER_BYTES_MAX};
use epilogue_storage::ErasureReport;

use super::{Faults, House, said, scope};
use crate::support::org;

async fn forgotten(house: &House, who: &str) -> ErasureReport {
    let request = ForgetRequest {
        org: org(),
        person: Person::new(who).expect("a person"),
        scopes: vec![scope(who)],
    };
    house.app.graphiti().forget(&request).await.expect("asked")
}

#[tokio::test]
async fn a_person_is_forgotten_and_nobody_else() {
    let house = House::new(1, Faults::default()).await;
    let ann = house.talked("ann", &said("canary", 2)).await;
    let bob = house.talked("bob", &said("other", 2)).await;
    house.until_remembered(&[ann, bob]).await;
    let report = forgotten(&house, "ann").await;
    assert_eq!((report.count("graphiti.messages"), report.left.len()), (5, 0), "{report:?}");
    assert!(house.held(&[ann]).is_empty());
    assert_eq!(house.held(&[bob]), house.expected(bob).await);
    assert!(forgotten(&house, "ann").await.is_empty(), "there is nothing left");
    assert!(forgotten(&house, "nobody").await.is_empty());
}

/// With `FalkorDB` the server answers that it has deleted the group, and has not.
#[tokio::test]
async fn what_the_server_keeps_all_the_same_is_in_the_report() {
    let faults = Faults { deletes_nothing: true, ..Faults::default() };
    let house = House::new(1, faults).await;
    let ann = house.talked("ann", &said("canary", 2)).await;
    house.until_remembered(&[ann]).await;
    let report = forgotten(&house, "ann").await;
    assert_eq!(report.count("graphiti.messages"), 0);
    assert!(report.left[0].contains("5 messages and 5 facts are still in Graphiti"), "{report:?}");
}

#[tokio::test]
async fn what_is_under_way_is_dropped_and_what_was_sent_is_told_of() {
    let faults = Faults { latency: Span::from_secs(15), ..Faults::default() };
    let house = House::new(1, faults).await;
    let first = house.talked("ann", &said("canary", 2)).await;
    let second = house.talked("ann", &said("canary", 2)).await;
    house.until("something was sent", async |house| house.server.posts() > 0).await;
    let report = forgotten(&house, "ann").await;
    assert_eq!(report.count("graphiti.waiting_conversations"), 2);
    assert!(report.left[0].starts_with("1 messages may still stand in Graphiti's queue"));
    for session in [first, second] {
        house.until("skipped", async |house| house.ingestion(session).await == "skipped").await;
    }
    for _ in 0..120 {
        house.tick().await;
    }
    assert_eq!(house.server.posts(), 1, "nothing more is sent");
    let report = forgotten(&house, "ann").await;
    assert_eq!((report.count("graphiti.messages"), report.left.len()), (1, 0), "{report:?}");
    assert!(house.held(&[first, second]).is_empty());
}

#[tokio::test]
async fn a_server_that_cannot_be_asked_is_in_the_report() {
    let house = House::new(1, Faults { answers: Some(502), ..Faults::default() }).await;
    let report = forgotten(&house, "ann").await;
    assert_eq!(report.left, ["Graphiti could not be asked: it answered 502"]);
}

/// A server that talks without end is cut off at a limit, and one that stays within it is not.
#[tokio::test]
async fn an_answer_is_read_to_its_limit_and_no_further() {
    for (bytes, expected) in [(ANSWER_BYTES_MAX, 0), (ANSWER_BYTES_MAX + 1, 1)] {
        let padded = move || async move { format!("{}[]", " ".repeat(bytes - 2)) };
        let facts = || async { r#"{"facts":[]}"# };
        let router = axum::Router::new()
            .route("/episodes/{group}", axum::routing::get(padded))
            .route("/search", axum::routing::post(facts));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        tokio::spawn(async move { axum::serve(listener, router).await.expect("serves") });
        let house = House::with(1, Faults::default(), |setup| {
            setup.graphiti.as_mut().expect("set").url = url.parse().expect("a URL");
        })
        .await;
        assert_eq!(forgotten(&house, "ann").await.left.len(), expected, "{bytes}");
    }
}
