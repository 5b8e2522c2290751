//! A server that is down, wrong, slow or dead: what is noticed, and whom it never holds up.

use std::time::Duration;

use epilogue_core::{Span, StepKind};
use epilogue_engine::memory::Condition;

use super::{Faults, House, PATIENCE, breathe, of, said};
use crate::support::{org, soon};

fn is_stalled(house: &House) -> bool {
    matches!(house.app.engine.memory_condition(), Condition::Stalled { .. })
}

/// One bad message ends the server's worker, while it goes on saying 202 and being healthy.
#[tokio::test]
async fn a_server_that_dies_in_silence_raises_an_alarm_and_is_tried_one_message_at_a_time() {
    let faults = Faults { dies_of: Some("poison"), ..Faults::default() };
    let house = House::new(1, faults).await;
    let good = house.talked("ann", &said("good", 2)).await;
    house.until_remembered(&[good]).await;
    assert!(!is_stalled(&house));
    let bad = house.talked("bob", &["poison".to_owned()]).await;
    let mut others = Vec::new();
    for n in 0..8 {
        others.push(house.talked(&format!("person {n}"), &said("hello", 1)).await);
    }
    house.until("the alarm", async |house| is_stalled(house)).await;
    assert_eq!(house.figure("memory_stalled").await, 1);
    // Those that were under way are given up on for now; from then on one at a time.
    house.app.advance(PATIENCE);
    house.tick().await;
    house.server.restart();
    house.server.with(|faults| faults.dies_of = None);
    house.until_remembered(&others).await;
    house.until_remembered(&[bad]).await;
    assert!(!is_stalled(&house));
    assert_eq!(house.figure("memory_stalled").await, 0);
    for session in others.into_iter().chain([bad]) {
        assert_eq!(house.held(&[session]), house.expected(session).await);
    }
}

/// What stays dead is given up on, visibly, and goes on where it was when somebody resumes it.
#[tokio::test]
async fn an_upload_that_comes_to_nothing_is_parked_with_its_step_and_resumed_with_it() {
    let house = House::with(1, Faults::default(), |setup| {
        setup.policies.ingest_memory.schedule.truncate(3);
    })
    .await;
    let id = house.talked("ann", &said("first", 3)).await;
    house.until("the first is there", async |house| !house.held(&[id]).is_empty()).await;
    house.server.with(|faults| faults.answers = Some(500));
    house.until("given up on", async |house| house.ingestion(id).await == "parked").await;
    let (step, _) = house.app.step(id, StepKind::IngestMemory).await;
    assert_eq!(house.figure("memory_uploads_parked").await, 1);
    house.server.with(|faults| faults.answers = None);
    house.app.engine.retry_step(&org(), step.id(), None).await.expect("asked");
    house.until_remembered(&[id]).await;
    assert_eq!(house.held(&[id]), house.expected(id).await);
    assert_eq!(house.figure("memory_uploads_parked").await, 0);
}

/// What the server cannot read it will never read: it holds up nobody.
#[tokio::test]
async fn a_refused_message_is_given_up_on_at_once_and_the_next_conversation_goes_on() {
    let house = House::new(1, Faults { answers: Some(422), ..Faults::default() }).await;
    let first = house.talked("ann", &said("first", 1)).await;
    house.until("given up on", async |house| house.ingestion(first).await == "parked").await;
    house.server.with(|faults| faults.answers = None);
    let second = house.talked("ann", &said("second", 1)).await;
    house.until_remembered(&[second]).await;
    assert_eq!(house.server.posts(), 3);
}

#[tokio::test]
async fn a_server_that_never_answers_delays_no_open_and_no_end() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", silent.local_addr().expect("an address"));
    let house = House::with(1, Faults::default(), |setup| {
        setup.graphiti.as_mut().expect("set").url = url.parse().expect("a URL");
    })
    .await;
    let mut opening = house.app.opening();
    of(&mut opening, "ann");
    let (engine, began) = (house.app.engine.clone(), house.app.now());
    let open = tokio::spawn(async move { engine.open(opening).await });
    soon(async {
        while !open.is_finished() {
            house.app.advance(Span::from_millis(10));
            breathe(Duration::from_millis(1)).await;
        }
    })
    .await;
    let opened = open.await.expect("no panic").expect("it opens");
    assert_eq!(opened.session.context.recalled, None);
    assert!(house.app.now().since(began) < Span::from_secs(1), "it waited for the server");
    house.app.say(opened.session.id, "hello").await;
    // No time passes at all.
    let before = house.app.now();
    house.app.end(opened.session.id).await;
    assert_eq!(house.app.now(), before);
    house
        .until("it failed", async |house| {
            house
                .app
                .storage
                .upload(&org(), opened.session.id)
                .await
                .expect("read")
                .is_some_and(|upload| upload.failures > 0)
        })
        .await;
}

#[tokio::test]
async fn what_the_server_knows_is_in_the_next_prompt_with_its_dates() {
    let house = House::new(1, Faults::default()).await;
    let id = house.talked("ann", &["I live in Ulm.".to_owned()]).await;
    house.until_remembered(&[id]).await;
    let next = house.app.open_with(|open| of(open, "ann")).await;
    let recalled = house.app.session(next).await.context.recalled.expect("something");
    assert!(
        recalled.contains("I live in Ulm. (since 2025-06-15, said on 2025-06-15)"),
        "{recalled}"
    );
    let stranger = house.app.open_with(|open| of(open, "bob")).await;
    assert_eq!(house.app.session(stranger).await.context.recalled, None);
}
