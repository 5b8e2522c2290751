//! One person's conversations one after the other, without using up what another is allowed.

use epilogue_core::{Span, StepKind, step::AttemptOutcome};

use super::{AT_ONCE, Faults, House, PIECE_CHARS_MAX, said};
use crate::support::org;

fn slow(seconds: u64) -> Faults {
    Faults { latency: Span::from_secs(seconds), ..Faults::default() }
}

/// The step is settled when the server shows all of it, and not before; a conversation that waits for
/// an earlier one of the same person uses up nothing.
#[tokio::test]
async fn a_step_waits_for_its_turn_without_using_up_attempts() {
    let house = House::with(1, slow(15), |setup| {
        setup.policies.ingest_memory.schedule.truncate(1);
    })
    .await;
    let first = house.talked("ann", &said("first", 6)).await;
    let second = house.talked("ann", &said("second", 2)).await;
    house.until("half of the first is there", async |house| house.held(&[first]).len() > 6).await;
    assert_eq!(house.ingestion(first).await, "owed");
    assert_eq!(house.ingestion(second).await, "owed");
    assert!(house.held(&[second]).is_empty(), "the second waits");
    house.until_remembered(&[first, second]).await;
    assert_eq!(house.held(&[second]), house.expected(second).await);
    for (session, messages) in [(first, 13), (second, 5)] {
        let (step, attempts) = house.app.step(session, StepKind::IngestMemory).await;
        let outcomes: Vec<_> = attempts.iter().map(|attempt| attempt.outcome).collect();
        assert_eq!(outcomes, [AttemptOutcome::Unfinished, AttemptOutcome::Done]);
        assert_eq!(attempts[1].detail, format!("{messages} messages are in Graphiti"));
        assert_eq!(step.failures, 0);
    }
}

/// Several people are served at once, never more than may be.
#[tokio::test]
async fn different_people_are_served_at_once_within_a_bound() {
    let house = House::new(1, slow(8)).await;
    let mut all = Vec::new();
    for n in 0..3 * AT_ONCE {
        all.push(house.talked(&format!("person {n}"), &said("hello", 1)).await);
    }
    house.until_remembered(&all).await;
    assert_eq!(house.server.queued_most(), AT_ONCE);
}

/// The official server stores what it is sent, and what was sent before a crash was sent.
#[tokio::test]
async fn what_was_sent_before_a_crash_is_looked_for_and_not_sent_again() {
    let mut house = House::new(1, slow(4)).await;
    let id = house.talked("ann", &said("first", 3)).await;
    for _ in 0..4 {
        let posts = house.server.posts();
        house.until("the next is sent", async |house| house.server.posts() > posts).await;
        house.crash().await;
    }
    house.until_remembered(&[id]).await;
    assert_eq!(house.held(&[id]), house.expected(id).await);
    assert_eq!(house.server.posts(), 7, "each was sent once");
}

/// A conversation that comes late is found behind what was said after it.
#[tokio::test]
async fn a_conversation_is_found_behind_many_later_messages() {
    let house = House::with(1, Faults::default(), |setup| {
        setup.policies.ingest_memory.schedule.truncate(1);
    })
    .await;
    house.server.with(|faults| faults.answers = Some(422));
    let early = house.talked("ann", &said("early", 3)).await;
    house.until("given up on", async |house| house.ingestion(early).await == "parked").await;
    house.server.with(|faults| faults.answers = None);
    let late = house.talked("ann", &said("late", 40)).await;
    house.until_remembered(&[late]).await;
    let (step, _) = house.app.step(early, StepKind::IngestMemory).await;
    house.app.engine.retry_step(&org(), step.id(), None).await.expect("asked");
    house.until_remembered(&[early]).await;
    assert_eq!(house.held(&[early]), house.expected(early).await);
    assert_eq!(house.server.posts(), 7 + 81, "each was sent once");
}

#[tokio::test]
async fn a_long_message_is_sent_in_parts_and_a_strange_one_in_plain_letters() {
    let house = House::new(1, Faults::default()).await;
    let long = "ü".repeat(PIECE_CHARS_MAX + 1);
    let id = house.talked("ann", &[long, "a\0b".to_owned()]).await;
    house.until_remembered(&[id]).await;
    let held = house.held(&[id]);
    let lengths: Vec<_> = held.iter().map(|(_, text)| text.chars().count()).collect();
    assert_eq!(lengths, [6, PIECE_CHARS_MAX, 1, PIECE_CHARS_MAX, 11, 3, 13]);
    assert_eq!(held[5].1, "a b");
}

/// What is dated later than the server's clock is stored and not shown, which looks like a loss.
#[tokio::test]
async fn nothing_is_sent_that_the_servers_clock_has_not_reached() {
    let faults = Faults { clock_behind: Span::from_secs(60), ..Faults::default() };
    let house = House::new(1, faults).await;
    let id = house.talked("ann", &said("first", 3)).await;
    house.until_remembered(&[id]).await;
    assert_eq!(house.held(&[id]), house.expected(id).await);
    assert_eq!(house.server.posts(), 7, "each was sent once");
}
