//! Two decisions about one session at once: whichever comes first, the other knows of it.

use std::sync::Arc;

use epilogue_core::{EndOutcome, EndReason, EndRequest, MicroCredits, Session, Timestamp};
use rand::Rng as _;

use super::{
    Backend,
    fixture::{IDLE, MS, START, World, at, replied_usage, said_usage},
    prelude::*,
    race::{Contender, contender, each_round, race, race_two},
};
use crate::{
    Admission, BeginTurnOutcome, FinishTurnOutcome, OpenOutcome, OpenRequest, PageRequest, Result,
    SessionFilter, Storage,
};

fn end<S: Storage + 'static>(
    world: &World<S>,
    session: &Session,
    request: EndRequest,
    now: Timestamp,
) -> Contender<Option<EndOutcome>> {
    let (store, org, id) = (Arc::clone(&world.store), world.org.clone(), session.id);
    contender(async move {
        let receipt = store.end(&org, id, request, now).await?;
        Ok(receipt.map(|receipt| receipt.outcome))
    })
}

fn begin<S: Storage + 'static>(
    world: &World<S>,
    session: &Session,
    now: Timestamp,
) -> Contender<BeginTurnOutcome> {
    let (store, request) = (Arc::clone(&world.store), world.begin(session.id, now));
    contender(async move { store.begin_turn(request, now).await })
}

fn finish<S: Storage + 'static>(
    world: &World<S>,
    session: &Session,
    number: u32,
    now: Timestamp,
) -> Contender<FinishTurnOutcome> {
    let (store, request) = (Arc::clone(&world.store), world.finish(session.id, number, now));
    contender(async move { store.finish_turn(request, now).await })
}

pub async fn of_many_ends_one_wins(backend: &impl Backend) -> Result<()> {
    each_round(backend, async |world, dice| {
        let session = world.opened(1).await?;
        world.turn(session.id, at(1)).await?;
        let ends = (0..dice.random_range(2..8)).map(|_| {
            let reason = EndReason::ALL[dice.random_range(0..EndReason::ALL.len())];
            end(world, &session, EndRequest::asked(reason), at(dice.random_range(2..1_000)))
        });
        let ends = ends.collect();
        let outcomes = race(dice, ends).await?;
        let outcomes: Vec<_> = outcomes.into_iter().map(|o| o.expect("it is there")).collect();
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_new()).count(), 1, "{outcomes:?}");
        let stored = world.stored(session.id).await?;
        for outcome in &outcomes {
            assert_eq!(outcome.ended(), stored.ended(), "all learn of the first");
        }
        Ok(())
    })
    .await
}

pub async fn a_turn_finishes_before_the_end_or_is_fenced(backend: &impl Backend) -> Result<()> {
    each_round(backend, async |world, dice| {
        let session = world.opened(1).await?;
        let number = world.begun(session.id, at(1)).await?;
        let asked = EndRequest::asked(EndReason::UserEnd);
        let (ended, finished) = race_two(
            dice,
            end(world, &session, asked, at(2)),
            finish(world, &session, number, at(2)),
        )
        .await?;
        let ended = ended.and_then(|outcome| outcome.ended().cloned()).expect("it ended");
        let stored = world.stored(session.id).await?;
        assert_eq!(stored.ended(), Some(&ended));
        match finished {
            FinishTurnOutcome::Recorded(_) => {
                assert_eq!(stored.usage, said_usage().plus(replied_usage()));
                assert_eq!(stored.messages, 2);
            }
            FinishTurnOutcome::Fenced(first) => {
                assert_eq!(first, ended);
                assert_eq!((stored.usage, stored.messages), (said_usage(), 1));
            }
            other => panic!("recorded or fenced, not {other:?}"),
        }
        Ok(())
    })
    .await
}

pub async fn a_turn_begins_before_the_end_or_not_at_all(backend: &impl Backend) -> Result<()> {
    each_round(backend, async |world, dice| {
        let session = world.opened(1).await?;
        let asked = EndRequest::asked(EndReason::UserEnd);
        let ends = end(world, &session, asked, at(2));
        let (ended, begun) = race_two(dice, ends, begin(world, &session, at(2))).await?;
        let ended = ended.and_then(|outcome| outcome.ended().cloned()).expect("it ended");
        let stored = world.stored(session.id).await?;
        match begun {
            BeginTurnOutcome::Begun { number, .. } => {
                assert_eq!((stored.turns, stored.messages), (number, 1));
            }
            BeginTurnOutcome::Over(first) => {
                assert_eq!(first, ended);
                assert_eq!((stored.turns, stored.messages), (0, 0));
            }
            other => panic!("begun or over, not {other:?}"),
        }
        let late = world.store.finish_turn(world.finish(session.id, 1, at(2)), at(2)).await?;
        assert_eq!(late, FinishTurnOutcome::Fenced(ended));
        Ok(())
    })
    .await
}

pub async fn of_many_turns_one_begins(backend: &impl Backend) -> Result<()> {
    each_round(backend, async |world, dice| {
        let session = world.opened(1).await?;
        let count = dice.random_range(2..6);
        let turns = (0..count).map(|_| begin(world, &session, at(1))).collect();
        let outcomes = race(dice, turns).await?;
        let begun = |outcome: &&BeginTurnOutcome| matches!(outcome, BeginTurnOutcome::Begun { .. });
        let busy = |outcome: &&BeginTurnOutcome| matches!(outcome, BeginTurnOutcome::Busy(_));
        assert_eq!(outcomes.iter().filter(begun).count(), 1, "{outcomes:?}");
        assert_eq!(outcomes.iter().filter(busy).count(), count - 1, "{outcomes:?}");
        assert_eq!(world.stored(session.id).await?.turns, 1);
        Ok(())
    })
    .await
}

pub async fn a_session_that_was_kept_alive_is_not_expired(backend: &impl Backend) -> Result<()> {
    each_round(backend, async |world, dice| {
        let mut session = world.session(1);
        session.profile.keep_alive_counts = true;
        assert_eq!(world.open(&session).await?, OpenOutcome::Opened);
        let (store, org, id) = (Arc::clone(&world.store), world.org.clone(), session.id);
        let last_moment = START + IDLE - MS;
        let keep = async move { store.keep_alive(&org, id, last_moment).await };
        let due = end(world, &session, EndRequest::due(), START + IDLE);
        let (kept, looked) = race_two(dice, keep, due).await?;
        let looked = looked.expect("it is there");
        let due_at = Some(last_moment + IDLE);
        let lives_on = looked == EndOutcome::StillActive { due_at };
        assert_eq!(kept, Some(lives_on), "{looked:?}");
        assert_eq!(world.stored(session.id).await?.ended().is_none(), lives_on);
        Ok(())
    })
    .await
}

pub async fn a_session_with_a_turn_is_not_expired(backend: &impl Backend) -> Result<()> {
    each_round(backend, async |world, dice| {
        let session = world.opened(1).await?;
        let turn = begin(world, &session, START + IDLE - MS);
        let due = end(world, &session, EndRequest::due(), START + IDLE);
        let (begun, looked) = race_two(dice, turn, due).await?;
        match (begun, looked.expect("it is there")) {
            (BeginTurnOutcome::Begun { .. }, EndOutcome::StillActive { .. }) => {
                assert_eq!(world.stored(session.id).await?.ended(), None);
            }
            (BeginTurnOutcome::Over(first), EndOutcome::EndedNow(ended)) => {
                assert_eq!(first, ended);
            }
            (begun, looked) => panic!("{begun:?}, but the timer says {looked:?}"),
        }
        Ok(())
    })
    .await
}

pub async fn of_many_opens_with_one_name_one_succeeds(backend: &impl Backend) -> Result<()> {
    each_round(backend, async |world, dice| {
        let opens: Vec<_> = (1..=dice.random_range(2..6))
            .map(|n| {
                let session = Session {
                    dialect_id: "same".into(),
                    held: MicroCredits(5),
                    ..world.session(n)
                };
                open(world, session, Admission::Free)
            })
            .collect();
        let outcomes = race(dice, opens).await?;
        let opened = outcomes.iter().filter(|outcome| **outcome == OpenOutcome::Opened).count();
        let taken = outcomes.iter().filter(|outcome| **outcome == OpenOutcome::NameTaken).count();
        assert_eq!((opened, taken), (1, outcomes.len() - 1), "{outcomes:?}");
        let (filter, page) = (SessionFilter::default(), PageRequest::first(10));
        assert_eq!(world.store.list(&world.org, &filter, &page).await?.items.len(), 1);
        Ok(())
    })
    .await
}

fn open<S: Storage + 'static>(
    world: &World<S>,
    session: Session,
    admission: Admission,
) -> Contender<OpenOutcome> {
    let store = Arc::clone(&world.store);
    contender(async move {
        store.open(OpenRequest { session, greeting: None, admission, open_max: 0 }, START).await
    })
}

pub async fn the_last_credits_are_held_once(backend: &impl Backend) -> Result<()> {
    each_round(backend, async |world, dice| {
        world.store.grant(&world.org, "opening", MicroCredits(100), START).await?;
        let opens = (1..=6).map(|n| {
            let session = Session { held: MicroCredits(30), ..world.session(n) };
            open(world, session, Admission::Credits { grace: MicroCredits::ZERO })
        });
        let opens = opens.collect();
        let outcomes = race(dice, opens).await?;
        let opened = outcomes.iter().filter(|outcome| **outcome == OpenOutcome::Opened).count();
        assert_eq!(opened, 3, "three holds of 30 fit in 100: {outcomes:?}");
        Ok(())
    })
    .await
}
