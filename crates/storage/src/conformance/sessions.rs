//! Opening sessions, finding them, and keeping them alive.

use std::sync::Arc;

use epilogue_core::{
    EndCause, EndOutcome, EndReason, EndRequest, MicroCredits, Session, SessionState, Span,
    ledger::Account,
};

use super::{
    Backend,
    audit::audit,
    fixture::{IDLE, MS, START, World, at, quiet_agent, replied},
    prelude::*,
};
use crate::{Admission, OpenOutcome, OpenRequest, Result, SessionName, Storage};

const GRACE: MicroCredits = MicroCredits(5_000_000);

fn credits(grace: MicroCredits) -> Admission {
    Admission::Credits { grace }
}

async fn balance<S: Storage>(world: &World<S>) -> Result<MicroCredits> {
    world.store.balance(&world.org, Account::Balance).await
}

/// A world whose organization has this balance: granted, or if it is below zero, held away.
async fn with_balance<B: Backend>(backend: &B, micro: i64) -> Result<World<B::Store>> {
    let world = World::new(backend).await?;
    if micro > 0 {
        assert!(world.store.grant(&world.org, "opening", MicroCredits(micro), START).await?);
    } else if micro < 0 {
        let debt = Session { held: MicroCredits(-micro), ..world.session(1_000) };
        assert_eq!(world.open(&debt).await?, OpenOutcome::Opened);
    }
    assert_eq!(balance(&world).await?, MicroCredits(micro));
    Ok(world)
}

pub async fn an_opened_session_is_found_as_it_was_given(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let mut session = world.session(1);
    session.profile.max_duration = Some(Span::from_secs(7200));
    session.usage.total_messages = 1;
    let greeting = replied("Hello!", START);
    let request = OpenRequest {
        session: session.clone(),
        greeting: Some(greeting.clone()),
        admission: Admission::Free,
        open_max: 0,
    };
    assert_eq!(world.store.open(request, START).await?, OpenOutcome::Opened);
    assert_eq!(world.stored(session.id).await?, Session { messages: 1, ..session.clone() });
    let messages = world.store.messages(&world.org, session.id, 0, 10).await?;
    assert_eq!(messages.len(), 1);
    assert_eq!((messages[0].seq, messages[0].turn, &messages[0].body), (0, 0, &greeting));
    audit(&*world.store, &world.org).await
}

pub async fn a_greeting_is_the_first_message_whether_it_was_counted_or_not(
    backend: &impl Backend,
) -> Result<()> {
    let world = World::new(backend).await?;
    for (counted, n) in [(0, 1), (1, 2)] {
        let session = Session { messages: counted, ..world.session(n) };
        let id = session.id;
        let greeting = Some(replied("Hello!", START));
        let request = OpenRequest { session, greeting, admission: Admission::Free, open_max: 0 };
        assert_eq!(world.store.open(request, START).await?, OpenOutcome::Opened);
        assert_eq!(world.turn(id, at(1)).await?.messages, 3);
        let messages = world.store.messages(&world.org, id, 0, 10).await?;
        let places: Vec<_> = messages.iter().map(|message| (message.seq, message.turn)).collect();
        assert_eq!(places, [(0, 0), (1, 1), (2, 1)]);
    }
    audit(&*world.store, &world.org).await
}

pub async fn a_session_without_a_person_or_a_deadline_is_found_too(
    backend: &impl Backend,
) -> Result<()> {
    let world = World::new(backend).await?;
    let mut session = world.session(1);
    session.person = None;
    session.profile.idle_timeout = None;
    session.context = epilogue_core::session::Context::default();
    assert_eq!(world.open(&session).await?, OpenOutcome::Opened);
    assert_eq!(world.stored(session.id).await?, session);
    Ok(())
}

pub async fn a_session_is_found_by_each_of_its_names(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let session = world.opened(1).await?;
    let find = async |name| world.store.find(&world.org, &name).await;
    let names = [
        SessionName::Id(session.id),
        SessionName::Dialect("native".into(), "s1".into()),
        SessionName::Any(session.id.to_string()),
        SessionName::Any("s1".into()),
    ];
    for name in names {
        assert_eq!(find(name.clone()).await?.as_ref(), Some(&session), "{name:?}");
    }
    let strangers = [
        SessionName::Id(world.session(2).id),
        SessionName::Dialect("native".into(), "s2".into()),
        SessionName::Dialect("other".into(), "s1".into()),
        SessionName::Any(world.session(2).id.to_string()),
        SessionName::Any("s2".into()),
        SessionName::Any(String::new()),
    ];
    for name in strangers {
        assert_eq!(find(name.clone()).await?, None, "{name:?}");
    }
    Ok(())
}

pub async fn of_several_dialects_with_one_name_the_latest_is_meant(
    backend: &impl Backend,
) -> Result<()> {
    let world = World::new(backend).await?;
    let named = |n, dialect: &str| Session {
        dialect: dialect.into(),
        dialect_id: "same".into(),
        ..world.session_at(n, at(u64::from(n)))
    };
    // The dialects' own order is neither that of time nor its reverse.
    let sessions = [named(1, "middle"), named(2, "zulu"), named(3, "alpha"), named(4, "mike")];
    for session in &sessions {
        assert_eq!(world.open(session).await?, OpenOutcome::Opened);
        let found = world.store.find(&world.org, &SessionName::Any("same".into())).await?;
        assert_eq!(found.as_ref(), Some(session));
    }
    for session in &sessions {
        let name = SessionName::Dialect(session.dialect.clone(), "same".into());
        assert_eq!(world.store.find(&world.org, &name).await?.as_ref(), Some(session));
    }
    Ok(())
}

pub async fn a_name_is_taken_within_its_dialect_alone(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let first = world.opened(1).await?;
    let twin =
        Session { dialect_id: "s1".into(), held: MicroCredits(7), ..world.session_at(2, at(1)) };
    assert_eq!(world.open(&twin).await?, OpenOutcome::NameTaken);
    assert_eq!(world.store.find(&world.org, &SessionName::Id(twin.id)).await?, None);
    assert_eq!(balance(&world).await?, MicroCredits::ZERO, "no hold is left behind");
    assert_eq!(world.stored(first.id).await?, first);

    let elsewhere = Session { dialect: "other".into(), ..twin.clone() };
    assert_eq!(world.open(&elsewhere).await?, OpenOutcome::Opened);
    let neighbour = world.neighbour("org_2").await?;
    let theirs = Session { dialect_id: "s1".into(), ..neighbour.session(3) };
    assert_eq!(neighbour.open(&theirs).await?, OpenOutcome::Opened);

    world.ended(first.id, at(2)).await?;
    let late = Session { id: world.session(4).id, ..twin };
    assert_eq!(world.open(&late).await?, OpenOutcome::NameTaken, "an ended session keeps its name");
    audit(&*world.store, &world.org).await
}

pub async fn without_a_grace_the_last_credit_must_remain(backend: &impl Backend) -> Result<()> {
    let world = with_balance(backend, 11).await?;
    let holding = |n, held| Session { held: MicroCredits(held), ..world.session(n) };
    let none = credits(MicroCredits::ZERO);
    let refused = OpenOutcome::InsufficientCredits { balance: MicroCredits(11) };
    assert_eq!(world.open_with(&holding(1, 11), none).await?, refused);
    assert_eq!(world.open_with(&holding(2, 10), none).await?, OpenOutcome::Opened);
    assert_eq!(balance(&world).await?, MicroCredits(1));
    assert_eq!(world.open_with(&holding(3, 0), none).await?, OpenOutcome::Opened);
    audit(&*world.store, &world.org).await
}

pub async fn an_open_is_admitted_down_to_the_grace(backend: &impl Backend) -> Result<()> {
    let world = with_balance(backend, -GRACE.0).await?;
    assert_eq!(world.open_with(&world.session(1), credits(GRACE)).await?, OpenOutcome::Opened);
    audit(&*world.store, &world.org).await
}

pub async fn an_open_is_refused_one_below_the_grace(backend: &impl Backend) -> Result<()> {
    let world = with_balance(backend, -GRACE.0 - 1).await?;
    let below = MicroCredits(-GRACE.0 - 1);
    let refused = OpenOutcome::InsufficientCredits { balance: below };
    assert_eq!(world.open_with(&world.session(1), credits(GRACE)).await?, refused);
    Ok(())
}

pub async fn a_hold_counts_against_the_grace(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let holding = |n, held| Session { held: MicroCredits(held), ..world.session(n) };
    let refused = OpenOutcome::InsufficientCredits { balance: MicroCredits::ZERO };
    assert_eq!(world.open_with(&holding(1, GRACE.0 + 1), credits(GRACE)).await?, refused);
    assert_eq!(world.open_with(&holding(2, GRACE.0), credits(GRACE)).await?, OpenOutcome::Opened);
    assert_eq!(balance(&world).await?, -GRACE);
    assert_eq!(world.store.balance(&world.org, Account::Held).await?, GRACE);
    audit(&*world.store, &world.org).await
}

pub async fn a_refused_open_leaves_nothing_behind(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let session = Session { held: MicroCredits(5), messages: 1, ..world.session(1) };
    let request = OpenRequest {
        session: session.clone(),
        greeting: Some(replied("Hello!", START)),
        admission: credits(MicroCredits::ZERO),
        open_max: 0,
    };
    let refused = OpenOutcome::InsufficientCredits { balance: MicroCredits::ZERO };
    assert_eq!(world.store.open(request, START).await?, refused);
    assert_eq!(world.store.find(&world.org, &SessionName::Id(session.id)).await?, None);
    assert_eq!(world.store.messages(&world.org, session.id, 0, 10).await?, []);
    assert_eq!(world.store.next_due_session().await?, None);
    assert_eq!(world.store.balance(&world.org, Account::Held).await?, MicroCredits::ZERO);
    assert_eq!(world.open(&world.session(1)).await?, OpenOutcome::Opened, "its name is free");
    audit(&*world.store, &world.org).await
}

pub async fn an_unmetered_open_does_not_look_at_the_balance(backend: &impl Backend) -> Result<()> {
    let world = with_balance(backend, -1_000).await?;
    assert_eq!(world.open(&world.session(1)).await?, OpenOutcome::Opened);
    Ok(())
}

pub async fn a_keep_alive_moves_what_was_last_seen(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let session = world.opened(1).await?;
    let keep = async |now| world.store.keep_alive(&world.org, session.id, now).await;
    assert_eq!(keep(at(100)).await?, Some(true));
    let stored = world.stored(session.id).await?;
    assert_eq!(stored, Session { last_seen: at(100), ..session.clone() });
    assert_eq!(stored.deadline().map(|d| d.at), Some(START + IDLE), "it does not count here");
    let stranger = world.session(2).id;
    assert_eq!(world.store.keep_alive(&world.org, stranger, START).await?, None);
    world.ended(session.id, at(200)).await?;
    assert_eq!(keep(at(300)).await?, Some(false));
    assert_eq!(world.stored(session.id).await?.last_seen, at(100), "what is over stays as it is");
    Ok(())
}

pub async fn a_keep_alive_never_moves_back(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let session = world.opened(1).await?;
    for now in [at(100), at(99)] {
        assert_eq!(world.store.keep_alive(&world.org, session.id, now).await?, Some(true));
    }
    assert_eq!(world.stored(session.id).await?.last_seen, at(100));
    Ok(())
}

pub async fn a_keep_alive_that_counts_holds_the_session_open(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let mut session = world.session(1);
    session.profile.keep_alive_counts = true;
    assert_eq!(world.open(&session).await?, OpenOutcome::Opened);
    let last_moment = START + IDLE - MS;
    let kept = world.store.keep_alive(&world.org, session.id, last_moment).await?;
    assert_eq!(kept, Some(true));
    let outcome = world.end(session.id, EndRequest::due(), START + IDLE).await?;
    let due_at = Some(last_moment + IDLE);
    assert_eq!(outcome, Some(EndOutcome::StillActive { due_at }));
    Ok(())
}

pub async fn a_keep_alive_at_the_deadline_comes_too_late(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let mut session = world.session(1);
    session.profile.keep_alive_counts = true;
    assert_eq!(world.open(&session).await?, OpenOutcome::Opened);
    let deadline = START + IDLE;
    let kept = world.store.keep_alive(&world.org, session.id, deadline).await?;
    assert_eq!(kept, Some(false), "the deadline has passed, though nobody has ended it yet");
    let outcome = world.end(session.id, EndRequest::due(), deadline + MS).await?;
    let Some(EndOutcome::EndedNow(ended)) = outcome else { panic!("it is due: {outcome:?}") };
    assert_eq!(ended.deadline.map(|d| d.at), Some(deadline));
    Ok(())
}

pub async fn the_census_counts_open_sessions_and_turns(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let census = async || {
        let mut census = world.store.session_census().await?;
        census.open.retain(|(_, count)| *count > 0);
        census.open.sort_by(|a, b| a.0.as_str().cmp(b.0.as_str()));
        Ok::<_, crate::Error>((census.open, census.turns))
    };
    assert_eq!(census().await?, (vec![], 0));
    let first = world.opened(1).await?;
    world.opened(2).await?;
    let other = Session { dialect: "other".into(), ..world.session(3) };
    assert_eq!(world.open(&other).await?, OpenOutcome::Opened);
    let neighbour = world.neighbour("org_2").await?;
    let theirs = neighbour.opened(4).await?;
    let number = world.begun(first.id, at(1)).await?;
    neighbour.begun(theirs.id, at(1)).await?;
    assert_eq!(census().await?, (vec![("native".into(), 3), ("other".into(), 1)], 2));
    world.store.finish_turn(world.finish(first.id, number, at(2)), at(2)).await?;
    neighbour.ended(theirs.id, at(2)).await?;
    assert_eq!(census().await?, (vec![("native".into(), 2), ("other".into(), 1)], 0));
    Ok(())
}

pub async fn a_session_that_owes_nothing_is_final_at_its_end(backend: &impl Backend) -> Result<()> {
    let world = World::with_agent(backend, quiet_agent()).await?;
    let mut session = world.session(1);
    session.profile.holds_media = false;
    assert_eq!(world.open(&session).await?, OpenOutcome::Opened);
    let request = EndRequest {
        cause: EndCause::Asked(EndReason::Operator),
        note: None,
        by: Some("key_1".into()),
        last_words: None,
    };
    let outcome = world.end(session.id, request, at(5)).await?;
    let Some(EndOutcome::EndedNow(ended)) = outcome else { panic!("it ends: {outcome:?}") };
    let state = world.stored(session.id).await?.state;
    assert_eq!(state, SessionState::Final { ended, finalized_at: at(5) });
    audit(&*world.store, &world.org).await
}

pub async fn figures_about_commits_grow(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let before = world.store.commit_stats();
    let opens: Vec<_> = (1..=20)
        .map(|n| {
            let (store, session) = (Arc::clone(&world.store), world.session(n));
            tokio::spawn(async move {
                let admission = Admission::Free;
                store
                    .open(OpenRequest { session, greeting: None, admission, open_max: 0 }, START)
                    .await
            })
        })
        .collect();
    for open in opens {
        assert_eq!(open.await.expect("no panic")?, OpenOutcome::Opened);
    }
    let after = world.store.commit_stats();
    assert_eq!(after.decisions - before.decisions, 20);
    assert!((1..=20).contains(&(after.commits - before.commits)), "{before:?} {after:?}");
    assert_eq!(after.shed, before.shed);
    Ok(())
}
