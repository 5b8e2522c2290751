//! Subscriptions: who is told of a project's sessions, and what becomes of that at the edges.

use std::sync::Arc;

use epilogue_core::{
    EndReason, EndRequest, ProjectId, Session, SessionState, StepId, StepKind, StepState,
    Subscription, SubscriptionId, step::AttemptOutcome, subscription::SUBSCRIPTIONS_MAX,
};
use uuid::Uuid;

use super::{
    Backend,
    audit::audit,
    fixture::{START, World, at, every},
    prelude::*,
    race::{contender, each_round, race, race_two},
};
use crate::{
    GONE_STEPS_MAX, OpenOutcome, Page, PageRequest, Result, SettleOutcome, StepFilter, StepReport,
    Storage, SubscribeOutcome,
};

const EVENTS: [&str; 3] = ["session.started", "session.ended", "session.finalized"];

fn project() -> ProjectId {
    ProjectId::from("p")
}

/// Subscription number `n` to these events, at a URL of its own.
fn subscription(n: u32, events: &[&str]) -> Subscription {
    Subscription {
        id: SubscriptionId(Uuid::from_u128(u128::from(n))),
        url: format!("https://{n}.example.com/hook").parse().expect("a URL"),
        events: events.iter().map(ToString::to_string).collect(),
        created_at: START,
    }
}

async fn subscribed<S: Storage>(world: &World<S>, n: u32, events: &[&str]) -> Result<Subscription> {
    let wanted = subscription(n, events);
    let outcome = world.store.subscribe(&world.org, &project(), wanted.clone(), None).await?;
    assert_eq!(outcome, SubscribeOutcome::Subscribed);
    Ok(wanted)
}

async fn unsubscribed<S: Storage>(world: &World<S>, id: SubscriptionId) -> Result<bool> {
    world.store.unsubscribe(&world.org, &project(), id, None, at(1)).await
}

fn session<S: Storage>(world: &World<S>, n: u32) -> Session {
    Session { project: Some(project()), ..world.session(n) }
}

async fn opened<S: Storage>(world: &World<S>, n: u32) -> Result<Session> {
    let session = session(world, n);
    assert_eq!(world.open(&session).await?, OpenOutcome::Opened);
    Ok(session)
}

/// What a session owes or has owed to subscribers: kind, subscriber, state.
async fn told<S: Storage>(
    world: &World<S>,
    session: &Session,
) -> Result<Vec<(StepKind, u32, &'static str)>> {
    let steps = world.store.steps_of(&world.org, session.id).await?;
    let told = steps.into_iter().filter_map(|(step, _)| {
        let n = u32::try_from(step.target?.0.as_u128()).expect("a small number");
        Some((step.kind, n, step.state.as_str()))
    });
    Ok(told.collect())
}

fn step(session: &Session, kind: StepKind, subscription: &Subscription) -> StepId {
    StepId { target: Some(subscription.id), ..StepId::own(session.id, kind) }
}

async fn work<S: Storage>(
    world: &World<S>,
    id: StepId,
    report: StepReport,
) -> Result<SettleOutcome> {
    world.work(id, report, Vec::new(), at(2)).await
}

pub async fn a_url_is_subscribed_once_in_its_project(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let first = subscribed(&world, 1, &EVENTS[..2]).await?;
    let (store, org) = (&world.store, &world.org);
    let again = |events: &[&str]| {
        let wanted =
            Subscription { id: SubscriptionId(Uuid::from_u128(9)), ..subscription(1, events) };
        async move { store.subscribe(org, &project(), wanted, None).await }
    };
    let reversed = [EVENTS[1], EVENTS[0]];
    assert_eq!(again(&reversed).await?, SubscribeOutcome::Known(first.clone()));
    assert_eq!(again(&EVENTS).await?, SubscribeOutcome::OtherEvents(first.clone()));
    let elsewhere = ProjectId::from("q");
    let other = SubscriptionId(Uuid::from_u128(8));
    let other = Subscription { id: other, ..subscription(1, &EVENTS) };
    let theirs = store.subscribe(org, &elsewhere, other, None).await?;
    assert_eq!(theirs, SubscribeOutcome::Subscribed);
    assert_eq!(store.subscription_at(org, &project(), &first.url).await?.as_ref(), Some(&first));
    assert_eq!(store.subscription(org, &project(), first.id).await?.as_ref(), Some(&first));
    assert_eq!(store.subscriptions(org, &project()).await?, std::slice::from_ref(&first));
    let neighbour = world.neighbour("org_2").await?;
    assert!(!unsubscribed(&neighbour, first.id).await?);
    assert_eq!(neighbour.store.subscriptions(&neighbour.org, &project()).await?, []);
    assert!(unsubscribed(&world, first.id).await?);
    assert!(!unsubscribed(&world, first.id).await?, "it is gone");
    assert_eq!(store.subscription_at(org, &project(), &first.url).await?, None);
    assert_eq!(store.subscriptions(org, &elsewhere).await?.len(), 1, "the other's stays");
    let log = store.list_activity(org, None, &PageRequest::first(50)).await?.items;
    let kinds: Vec<_> = log.iter().filter(|e| e.kind.starts_with("subscription.")).collect();
    assert_eq!(kinds.len(), 3, "{log:?}");
    assert!(!format!("{log:?}").contains("example.com/hook"), "a URL may be a secret");
    Ok(())
}

pub async fn a_project_has_as_many_subscriptions_as_it_may_and_no_more(
    backend: &impl Backend,
) -> Result<()> {
    let world = World::new(backend).await?;
    for n in 1..=SUBSCRIPTIONS_MAX {
        subscribed(&world, n, &EVENTS).await?;
    }
    let one_more = subscription(SUBSCRIPTIONS_MAX + 1, &EVENTS);
    let refused = world.store.subscribe(&world.org, &project(), one_more, None).await?;
    assert_eq!(refused, SubscribeOutcome::TooMany);
    let found = world.store.subscriptions(&world.org, &project()).await?;
    assert_eq!(found.len(), SUBSCRIPTIONS_MAX as usize);
    assert!(unsubscribed(&world, found[0].id).await?);
    subscribed(&world, SUBSCRIPTIONS_MAX + 1, &EVENTS).await.map(drop)
}

pub async fn subscribers_are_told_by_steps_of_their_own_from_the_open_on(
    backend: &impl Backend,
) -> Result<()> {
    let world = World::new(backend).await?;
    let all = subscribed(&world, 1, &EVENTS).await?;
    subscribed(&world, 2, &["session.finalized", "call.ended"]).await?;
    let live = opened(&world, 1).await?;
    let stranger = world.opened(2).await?;
    assert_eq!(told(&world, &live).await?, [(StepKind::NotifyStarted, 1, "owed")]);
    assert_eq!(told(&world, &stranger).await?, [], "it belongs to no project");
    let started = step(&live, StepKind::NotifyStarted, &all);
    let settled = work(&world, started, StepReport::Done).await?;
    assert_eq!(settled, SettleOutcome::Recorded { finalized: false, released: vec![] });
    assert!(matches!(world.stored(live.id).await?.state, SessionState::Active { .. }));
    world.turn(live.id, at(3)).await?;
    world.ended(live.id, at(4)).await?;
    assert_eq!(
        told(&world, &live).await?,
        [
            (StepKind::NotifyStarted, 1, "done"),
            (StepKind::NotifyEnded, 1, "owed"),
            (StepKind::NotifyFinalized, 1, "waiting"),
            (StepKind::NotifyFinalized, 2, "waiting"),
        ]
    );
    world.ended(stranger.id, at(4)).await?;
    assert_eq!(told(&world, &stranger).await?, []);
    audit(&*world.store, &world.org).await?;
    let ended = step(&live, StepKind::NotifyEnded, &all);
    assert_ne!(ended.event_id(), StepId::own(live.id, StepKind::NotifyEnded).event_id());
    world.finalize(live.id, at(5)).await?;
    let done = told(&world, &live).await?;
    assert!(done.iter().all(|(.., state)| *state == "done"), "{done:?}");
    audit(&*world.store, &world.org).await
}

pub async fn a_receivers_last_news_waits_for_its_own_start_alone(
    backend: &impl Backend,
) -> Result<()> {
    let world = World::new(backend).await?;
    let first = subscribed(&world, 1, &["session.started", "session.finalized"]).await?;
    let live = opened(&world, 1).await?;
    world.ended(live.id, at(1)).await?;
    for (other, _) in world.store.steps_of(&world.org, live.id).await? {
        let last = [StepKind::NotifyFinalized, StepKind::Purge];
        if other.target.is_none() && !last.contains(&other.kind) {
            world.done(other.id(), at(2)).await?;
        }
    }
    let own = world.step(live.id, StepKind::NotifyFinalized).await?;
    assert_eq!(
        (own.target, own.state),
        (None, StepState::Owed { due_at: at(2) }),
        "another's news"
    );
    let waits = (StepKind::NotifyFinalized, 1, "waiting");
    assert!(told(&world, &live).await?.contains(&waits), "its start is not told yet");
    let started = step(&live, StepKind::NotifyStarted, &first);
    let gone = StepReport::Skipped("the subscription is gone".into());
    let settled = work(&world, started, gone).await?;
    let released = vec![StepKind::NotifyFinalized];
    assert_eq!(settled, SettleOutcome::Recorded { finalized: false, released });
    world.finalize(live.id, at(3)).await?;
    audit(&*world.store, &world.org).await
}

pub async fn what_is_owed_to_a_subscription_is_settled_when_it_goes(
    backend: &impl Backend,
) -> Result<()> {
    let world = World::new(backend).await?;
    let gone = subscribed(&world, 1, &EVENTS).await?;
    subscribed(&world, 2, &["session.ended"]).await?;
    let (live, over) = (opened(&world, 1).await?, opened(&world, 2).await?);
    work(&world, step(&live, StepKind::NotifyStarted, &gone), StepReport::Park("no".into()))
        .await?;
    world.ended(over.id, at(1)).await?;
    for (other, _) in world.store.steps_of(&world.org, over.id).await? {
        if other.target != Some(gone.id) && matches!(other.state, StepState::Owed { .. }) {
            world.done(other.id(), at(2)).await?;
        }
    }
    // One of its steps is being run.
    let claimed = world.claimed(step(&over, StepKind::NotifyEnded, &gone), at(2)).await?;
    assert!(unsubscribed(&world, gone.id).await?);
    assert_eq!(told(&world, &live).await?, [(StepKind::NotifyStarted, 1, "skipped")]);
    let skipped = told(&world, &over).await?;
    let its = skipped.iter().filter(|(_, n, _)| *n == 1);
    assert!(its.clone().count() == 3 && its.clone().all(|(.., state)| *state == "skipped"));
    let late = world.store.settle(world.report(&claimed, StepReport::Done), at(3)).await?;
    assert_eq!(late, SettleOutcome::LeaseLost);
    audit(&*world.store, &world.org).await?;
    world.finalize(over.id, at(4)).await?;
    let again = world.store.skip_gone(&world.org, &project(), gone.id, at(5)).await?;
    assert_eq!(again, 0);
    audit(&*world.store, &world.org).await
}

pub async fn what_is_owed_to_a_subscription_goes_a_part_at_a_time(
    backend: &impl Backend,
) -> Result<()> {
    let world = World::new(backend).await?;
    let gone = subscribed(&world, 1, &["session.started"]).await?;
    for n in 1..=GONE_STEPS_MAX + 1 {
        opened(&world, n).await?;
    }
    let p = project();
    let skip = || world.store.skip_gone(&world.org, &p, gone.id, at(2));
    assert_eq!(skip().await?, 0, "it is there");
    assert!(unsubscribed(&world, gone.id).await?);
    assert_eq!((skip().await?, skip().await?), (1, 0));
    Ok(())
}

pub async fn a_subscribers_step_parks_and_is_resumed_alone(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let all = [subscribed(&world, 1, &EVENTS).await?, subscribed(&world, 2, &EVENTS).await?];
    let live = opened(&world, 1).await?;
    let [first, second] = all.map(|one| step(&live, StepKind::NotifyStarted, &one));
    work(&world, first, StepReport::Park("refused".into())).await?;
    let parked = StepFilter { state: Some("parked".into()) };
    let page = PageRequest::first(10);
    let listed = world.store.list_steps(&world.org, &parked, &page).await?.items;
    assert_eq!(listed.iter().map(epilogue_core::Step::id).collect::<Vec<_>>(), [first]);
    let resumed = world.store.retry(&world.org, first, None, at(3)).await?;
    assert_eq!(resumed, crate::RetryOutcome::Resumed);
    let other = world.store.retry(&world.org, second, None, at(3)).await?;
    assert!(matches!(other, crate::RetryOutcome::NotParked(_)));
    let own = StepId::own(live.id, StepKind::NotifyStarted);
    assert_eq!(world.store.retry(&world.org, own, None, at(3)).await?, crate::RetryOutcome::NoStep);
    let steps = world.store.steps_of(&world.org, live.id).await?;
    let attempts: Vec<_> = steps
        .iter()
        .map(|(step, attempts)| (step.id(), attempts.iter().map(|a| a.outcome).collect::<Vec<_>>()))
        .collect();
    assert_eq!(attempts, [(first, vec![AttemptOutcome::Fatal]), (second, vec![])]);
    Ok(())
}

pub async fn steps_of_one_moment_are_listed_once_each(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    for n in 1..=5 {
        subscribed(&world, n, &EVENTS).await?;
    }
    opened(&world, 1).await?;
    opened(&world, 2).await?;
    let filter = StepFilter::default();
    let list = async |page: PageRequest| -> Result<Page<_>> {
        world.store.list_steps(&world.org, &filter, &page).await
    };
    let mut ids: Vec<_> = every(2, list).await?.iter().map(epilogue_core::Step::id).collect();
    assert_eq!(ids.len(), 10);
    ids.sort_by_key(ToString::to_string);
    ids.dedup();
    assert_eq!(ids.len(), 10);
    Ok(())
}

pub async fn whoever_subscribes_when_a_session_ends_is_told(backend: &impl Backend) -> Result<()> {
    each_round(backend, async |world, dice| {
        let known = subscribed(world, 1, &EVENTS[1..]).await?;
        let live = opened(world, 1).await?;
        let (store, org) = (Arc::clone(&world.store), world.org.clone());
        let asked = EndRequest::asked(EndReason::UserEnd);
        let end = async move { store.end(&org, live.id, asked, at(2)).await };
        let (store, org) = (Arc::clone(&world.store), world.org.clone());
        let leave = async move { store.unsubscribe(&org, &project(), known.id, None, at(2)).await };
        let (ended, left) = race_two(dice, end, leave).await?;
        assert!(ended.is_some_and(|receipt| receipt.outcome.is_new()) && left);
        let owed: Vec<_> =
            told(world, &session(world, 1)).await?.iter().map(|(kind, ..)| *kind).collect();
        let both = [StepKind::NotifyEnded, StepKind::NotifyFinalized];
        assert!(owed.is_empty() || owed == both, "all of it or nothing: {owed:?}");
        assert!(!unsubscribed(world, known.id).await?);
        Ok(())
    })
    .await
}

pub async fn telling_of_the_start_and_the_end_leave_one_final_session(
    backend: &impl Backend,
) -> Result<()> {
    each_round(backend, async |world, dice| {
        let known = subscribed(world, 1, &EVENTS).await?;
        let live = opened(world, 1).await?;
        let id = step(&live, StepKind::NotifyStarted, &known);
        let lane = world.store.steps_of(&world.org, live.id).await?[0].0.lane.clone();
        let claimed = world.store.claim(world.wish(&lane, at(1)), at(1)).await?;
        assert_eq!(claimed[0].step.id(), id);
        let report = world.report(&claimed[0], StepReport::Done);
        let (store, org) = (Arc::clone(&world.store), world.org.clone());
        let end = contender(async move {
            let asked = EndRequest::asked(EndReason::UserEnd);
            store.end(&org, live.id, asked, at(2)).await.map(drop)
        });
        let store = Arc::clone(&world.store);
        let settle = contender(async move {
            let settled = store.settle(report, at(2)).await?;
            let recorded = matches!(settled, SettleOutcome::Recorded { finalized: false, .. });
            assert!(recorded, "{settled:?}");
            Ok(())
        });
        race(dice, vec![end, settle]).await?;
        world.finalize(live.id, at(3)).await?;
        let last = told(world, &live).await?;
        assert_eq!(last.len(), 3);
        assert!(last.iter().all(|(.., state)| *state == "done"), "{last:?}");
        Ok(())
    })
    .await
}

pub async fn of_many_subscribers_of_one_url_one_subscribes(backend: &impl Backend) -> Result<()> {
    each_round(backend, async |world, dice| {
        let asks = (1..5).map(|n| {
            let (store, org) = (Arc::clone(&world.store), world.org.clone());
            let id = SubscriptionId(Uuid::from_u128(n));
            let wanted = Subscription { id, ..subscription(7, &EVENTS) };
            contender(async move { store.subscribe(&org, &project(), wanted, None).await })
        });
        let asks = asks.collect();
        let outcomes = race(dice, asks).await?;
        let new = outcomes.iter().filter(|o| **o == SubscribeOutcome::Subscribed).count();
        let known = outcomes.iter().filter(|o| matches!(o, SubscribeOutcome::Known(_))).count();
        assert_eq!((new, known), (1, 3), "{outcomes:?}");
        Ok(())
    })
    .await
}
