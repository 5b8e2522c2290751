//! Every message is held once and in order, whatever the server does with what it takes.

use epilogue_core::{SessionId, Span};

use super::{Faults, House, PATIENCE, said};

/// Everything at once: drops a fifth of what it has taken, restarts, reorders, answers 503, stores
/// twice, and takes its time.
fn everything() -> Faults {
    Faults {
        dropped: 20,
        unavailable: 10,
        doubled: 5,
        restarts: 4,
        reorders: true,
        latency: Span::from_millis(1_500),
        ..Faults::default()
    }
}

const PEOPLE: [&str; 4] = ["ann@example.com", "bob@example.com", "cem@example.com", "dora"];

/// Two conversations with each person, and what is held of them in the end.
async fn carried_through(house: &mut House, crashes: bool) {
    let mut by_person: Vec<Vec<SessionId>> = Vec::new();
    for who in PEOPLE {
        let mut sessions = Vec::new();
        for n in 1..=2 {
            sessions.push(house.talked(who, &said(&format!("{who} {n}"), 4)).await);
        }
        by_person.push(sessions);
    }
    let all: Vec<_> = by_person.iter().flatten().copied().collect();
    if crashes {
        for _ in 0..6 {
            for _ in 0..24 {
                house.tick().await;
            }
            house.crash().await;
        }
    }
    house.until_remembered(&all).await;
    for sessions in &by_person {
        let mut expected = Vec::new();
        for session in sessions {
            let of_one = house.expected(*session).await;
            let names: Vec<_> = of_one.iter().map(|(name, _)| name.clone()).collect();
            assert_eq!(house.stored_names(*session), names, "once each, in the order of ingestion");
            expected.extend(of_one);
        }
        assert_eq!(house.held(sessions), expected, "once each, in the order of their times");
    }
}

#[tokio::test]
async fn every_message_is_held_once_and_in_order_whatever_the_server_does() {
    for seed in 1..=4 {
        let mut house = House::new(seed, everything()).await;
        carried_through(&mut house, false).await;
        let lost = house.figure("memory_messages_total{outcome=\"lost\"}").await;
        assert!(lost > 3, "seed {seed}: only {lost} were lost, so that nothing was shown");
        assert!(house.server.posts() > 72, "seed {seed}: nothing was sent again");
        assert!(house.server.queued_most() <= super::AT_ONCE, "seed {seed}: more than it may hold");
    }
}

#[tokio::test]
async fn the_same_holds_when_we_crash_as_well() {
    for seed in 11..=13 {
        let mut house = House::new(seed, everything()).await;
        carried_through(&mut house, true).await;
    }
}

/// What comes between the moment in which it counts as lost and the one in which it would be sent again
/// is found, by a server that would never let go of a double.
#[tokio::test]
async fn what_counts_as_lost_is_looked_for_once_more_before_it_is_sent_again() {
    let late = Span::from_millis(PATIENCE.as_millis() + 2_000);
    let faults = Faults { latency_least: late, deletes_nothing: true, ..Faults::default() };
    let house = House::with(1, faults, |setup| {
        let waits = [0, 5, 5, 5].map(Span::from_secs);
        setup.policies.ingest_memory.schedule = waits.to_vec();
    })
    .await;
    let id = house.talked("ann", &said("first", 3)).await;
    house.until_remembered(&[id]).await;
    assert_eq!(house.held(&[id]), house.expected(id).await);
    assert_eq!(house.server.posts(), 7, "each was sent once");
    assert_eq!(house.figure("memory_messages_total{outcome=\"lost\"}").await, 7);
}

/// What is in the queue when its patience runs out is stored in the end, and so is what was sent again:
/// the one too many is taken out when the conversation is through.
#[tokio::test]
async fn what_comes_after_it_was_given_up_on_is_taken_out_again() {
    let house = House::new(1, Faults::default()).await;
    let id = house.talked("ann", &said("first", 2)).await;
    house.server.with(|faults| faults.latency = Span::from_secs(45));
    house.until_remembered(&[id]).await;
    house.server.with(|faults| faults.latency = Span::ZERO);
    let later = house.talked("ann", &said("second", 2)).await;
    house.until_remembered(&[later]).await;
    let (held, expected) = (house.held(&[later]), house.expected(later).await);
    assert_eq!(held, expected);
}
