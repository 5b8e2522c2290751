//! One live session per endpoint, a bound on how many an organization holds open, and the list by
//! activity.

use std::{collections::HashSet, sync::Arc};

use epilogue_core::{AgentId, EndReason, EndRequest, EndpointKey, Session, SessionId};
use serde_json::json;

use super::{
    Backend,
    audit::audit,
    fixture::{MS, START, World, at, busy_agent, quiet_agent},
    prelude::*,
    race::{contender, each_round, race},
};
use crate::{Admission, OpenOutcome, OpenRequest, RecentFilter, Result, SessionName, Storage};

fn endpoint(number: u32) -> EndpointKey {
    EndpointKey::of(&json!({ "from": number }))
}

/// Session number `n` on a channel, for endpoint number `number`.
fn of_endpoint<S: Storage>(world: &World<S>, n: u32, number: u32) -> Session {
    Session { channel: Some("web".into()), endpoint: Some(endpoint(number)), ..world.session(n) }
}

fn opening(session: &Session, open_max: u32) -> OpenRequest {
    let admission = Admission::Free;
    OpenRequest { session: session.clone(), greeting: None, admission, open_max }
}

pub async fn an_endpoint_has_one_live_session(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let first = of_endpoint(&world, 1, 1);
    assert_eq!(world.open(&first).await?, OpenOutcome::Opened);
    assert_eq!(world.stored(first.id).await?, first, "channel and endpoint are kept");
    let second = of_endpoint(&world, 2, 1);
    let taken = OpenOutcome::EndpointTaken(Box::new(world.stored(first.id).await?));
    assert_eq!(world.open(&second).await?, taken);
    assert_eq!(world.store.find(&world.org, &SessionName::Id(second.id)).await?, None);
    assert_eq!(world.stored(first.id).await?, first, "nothing changed");
    let name =
        |channel: &str| SessionName::Endpoint("native".into(), channel.to_owned(), endpoint(1));
    let live = world.stored(first.id).await?;
    assert_eq!(world.store.find(&world.org, &name("web")).await?, Some(live));
    assert_eq!(world.store.find(&world.org, &name("sms")).await?, None);
    let neighbour = world.neighbour("org_2").await?;
    assert_eq!(world.store.find(&neighbour.org, &name("web")).await?, None);
    world.ended(first.id, at(1)).await?;
    assert_eq!(world.store.find(&world.org, &name("web")).await?, None, "only while it lives");
    audit(&*world.store, &world.org).await
}

pub async fn an_endpoint_is_told_apart_by_dialect_channel_and_key(
    backend: &impl Backend,
) -> Result<()> {
    let world = World::new(backend).await?;
    let first = of_endpoint(&world, 1, 1);
    let others = [
        of_endpoint(&world, 2, 2),
        Session { channel: Some("sms".into()), ..of_endpoint(&world, 3, 1) },
        Session { dialect: "other".into(), ..of_endpoint(&world, 4, 1) },
        Session { endpoint: None, ..of_endpoint(&world, 5, 1) },
        Session { endpoint: None, ..of_endpoint(&world, 6, 1) },
    ];
    for session in std::iter::once(&first).chain(&others) {
        assert_eq!(world.open(session).await?, OpenOutcome::Opened);
    }
    Ok(())
}

pub async fn an_endpoint_is_free_after_the_end(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    for n in 1..=3 {
        let session = of_endpoint(&world, n, 1);
        assert_eq!(world.open(&session).await?, OpenOutcome::Opened);
        world.ended(session.id, at(1)).await?;
    }
    audit(&*world.store, &world.org).await
}

pub async fn an_endpoint_that_is_taken_comes_before_credits_and_bounds(
    backend: &impl Backend,
) -> Result<()> {
    let world = World::new(backend).await?;
    let first = of_endpoint(&world, 1, 1);
    world.open(&first).await?;
    let admission = Admission::Credits { grace: epilogue_core::MicroCredits::ZERO };
    let request = OpenRequest { admission, ..opening(&of_endpoint(&world, 2, 1), 1) };
    let outcome = world.store.open(request, START).await?;
    assert_eq!(outcome, OpenOutcome::EndpointTaken(Box::new(first)));
    Ok(())
}

pub async fn another_organizations_endpoint_is_another(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let neighbour = world.neighbour("org_2").await?;
    let (own, foreign) = (of_endpoint(&world, 1, 1), of_endpoint(&neighbour, 1, 1));
    assert_eq!(world.open(&own).await?, OpenOutcome::Opened);
    assert_eq!(neighbour.open(&foreign).await?, OpenOutcome::Opened);
    neighbour.ended(foreign.id, at(1)).await?;
    assert_eq!(world.stored(own.id).await?, own);
    Ok(())
}

pub async fn of_many_opens_of_one_endpoint_one_succeeds(backend: &impl Backend) -> Result<()> {
    each_round(backend, async |world, dice| {
        let opens = (1..=6).map(|n| {
            let (store, request) =
                (Arc::clone(&world.store), opening(&of_endpoint(world, n, 1), 0));
            contender(async move { store.open(request, START).await })
        });
        let outcomes = race(dice, opens.collect()).await?;
        let mut opened = 0;
        let mut learned = HashSet::new();
        for outcome in outcomes {
            match outcome {
                OpenOutcome::Opened => opened += 1,
                OpenOutcome::EndpointTaken(live) => drop(learned.insert(live.id)),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!((opened, learned.len()), (1, 1), "all learn of the one");
        let recent = world.store.list_recent(&world.org, &everything(), 0, 10).await?;
        assert_eq!(recent.total, 1);
        Ok(())
    })
    .await
}

pub async fn an_organization_holds_as_many_open_as_it_may(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let neighbour = world.neighbour("org_2").await?;
    neighbour.opened(1).await?;
    for n in 1..=2 {
        let outcome = world.store.open(opening(&world.session(n), 2), START).await?;
        assert_eq!(outcome, OpenOutcome::Opened);
    }
    let third = world.session(3);
    assert_eq!(world.store.open(opening(&third, 2), START).await?, OpenOutcome::TooManyOpen);
    assert_eq!(world.store.find(&world.org, &SessionName::Id(third.id)).await?, None);
    world.ended(world.session(1).id, at(1)).await?;
    assert_eq!(world.store.open(opening(&third, 2), START).await?, OpenOutcome::Opened);
    assert_eq!(world.store.open(opening(&world.session(4), 0), START).await?, OpenOutcome::Opened);
    audit(&*world.store, &world.org).await
}

pub async fn of_many_opens_as_many_succeed_as_may(backend: &impl Backend) -> Result<()> {
    each_round(backend, async |world, dice| {
        let opens = (1..=6).map(|n| {
            let (store, request) = (Arc::clone(&world.store), opening(&world.session(n), 3));
            contender(async move { store.open(request, START).await })
        });
        let outcomes = race(dice, opens.collect()).await?;
        let opened = outcomes.iter().filter(|outcome| **outcome == OpenOutcome::Opened).count();
        assert_eq!(opened, 3, "{outcomes:?}");
        Ok(())
    })
    .await
}

fn everything() -> RecentFilter {
    RecentFilter {
        dialect: "native".into(),
        channel: None,
        agent: None,
        active: None,
        active_after: None,
    }
}

async fn recent<S: Storage>(
    world: &World<S>,
    filter: &RecentFilter,
    (skip, take): (u32, u32),
) -> Result<(Vec<SessionId>, u64)> {
    let found = world.store.list_recent(&world.org, filter, skip, take).await?;
    Ok((found.sessions.into_iter().map(|session| session.id).collect(), found.total))
}

/// Five sessions on channels, in the order of the list: the latest active first, two of one moment
/// by their ids; and two that are in no such list.
async fn five<S: Storage>(world: &World<S>) -> Result<Vec<SessionId>> {
    let quiet = world.store.put_agent(&world.org, quiet_agent(), START).await?;
    for n in 1..=5 {
        let channel = Some(if n == 2 { "sms" } else { "web" }.to_owned());
        let agent = if n == 3 { quiet.clone() } else { world.version.clone() };
        world.open(&Session { channel, agent, ..world.session(n) }).await?;
    }
    world.opened(6).await?;
    world.open(&Session { dialect: "other".into(), ..of_endpoint(world, 7, 7) }).await?;
    for (n, seconds) in [(4, 10), (1, 20), (2, 20), (5, 30)] {
        world.turn(world.session(n).id, at(seconds)).await?;
    }
    world.end(world.session(5).id, EndRequest::asked(EndReason::UserEnd), at(31)).await?;
    Ok([5, 1, 2, 4, 3].map(|n| world.session(n).id).to_vec())
}

pub async fn the_list_by_activity_shows_the_latest_active_first(
    backend: &impl Backend,
) -> Result<()> {
    let world = World::new(backend).await?;
    let expected = five(&world).await?;
    assert_eq!(recent(&world, &everything(), (0, 10)).await?, (expected.clone(), 5));
    assert_eq!(recent(&world, &everything(), (1, 2)).await?, (expected[1..3].to_vec(), 5));
    assert_eq!(recent(&world, &everything(), (5, 2)).await?, (Vec::new(), 5));
    assert_eq!(recent(&world, &everything(), (0, 0)).await?, (Vec::new(), 5));
    let found = world.store.list_recent(&world.org, &everything(), 0, 1).await?;
    assert_eq!(found.sessions[0], world.stored(expected[0]).await?);
    Ok(())
}

pub async fn each_filter_restricts_the_list_by_activity(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let all = five(&world).await?;
    let at_once = (0, 10);
    let sms = RecentFilter { channel: Some("sms".into()), ..everything() };
    assert_eq!(recent(&world, &sms, at_once).await?, (vec![all[2]], 1));
    let quiet = RecentFilter { agent: Some(AgentId::from("agent_quiet")), ..everything() };
    assert_eq!(recent(&world, &quiet, at_once).await?, (vec![all[4]], 1));
    let active = RecentFilter { active: Some(true), ..everything() };
    assert_eq!(recent(&world, &active, at_once).await?, (all[1..].to_vec(), 4));
    let ended = RecentFilter { active: Some(false), ..everything() };
    assert_eq!(recent(&world, &ended, at_once).await?, (vec![all[0]], 1));
    world.finalize(all[0], at(40)).await?;
    assert_eq!(recent(&world, &ended, at_once).await?, (vec![all[0]], 1), "and when it is final");
    let later = RecentFilter { active_after: Some(at(20) - MS), ..everything() };
    assert_eq!(recent(&world, &later, at_once).await?, (all[..3].to_vec(), 3));
    let later = RecentFilter { active_after: Some(at(20)), ..everything() };
    assert_eq!(recent(&world, &later, at_once).await?, (vec![all[0]], 1), "later, not then");
    let other = RecentFilter { dialect: "other".into(), ..everything() };
    assert_eq!(recent(&world, &other, at_once).await?.1, 1);
    let both = RecentFilter { active: Some(false), channel: Some("sms".into()), ..everything() };
    assert_eq!(recent(&world, &both, at_once).await?, (Vec::new(), 0));
    Ok(())
}

pub async fn another_organizations_activity_is_in_no_list(backend: &impl Backend) -> Result<()> {
    let world = World::with_agent(backend, busy_agent()).await?;
    five(&world).await?;
    let neighbour = world.neighbour("org_2").await?;
    assert_eq!(recent(&neighbour, &everything(), (0, 10)).await?, (Vec::new(), 0));
    Ok(())
}
