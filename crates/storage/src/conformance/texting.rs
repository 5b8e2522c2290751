//! Carriers, numbers, and what people send: taken in once, claimed by one, answered in order.

use epilogue_core::{
    AgentId, NodeId, Session, Timestamp,
    texting::{
        CarrierAccount, Inbound, InboundId, InboundMessage, InboundState, PhoneNumber, Wish,
    },
};
use serde_json::json;

use super::{
    Backend,
    fixture::{LEASE, MS, NODE, START, World, at, every},
    prelude::*,
    race::{contender, each_round, race},
};
use crate::{
    AddNumberOutcome, CARRIERS_MAX, ClaimInbound, DueInbox, InboundClaim, InboundOutcome,
    InboundReport, InboxCensus, LINE_MAX, NUMBERS_MAX, PageRequest, Progress, PutCarrierOutcome,
    ReceiveOutcome, Result, ResumeOutcome, Storage,
};

const CARRIER: &str = "carrier_1";

fn account(id: &str, name: &str) -> CarrierAccount {
    CarrierAccount {
        id: id.into(),
        account: format!("AC_{id}"),
        name: name.into(),
        secret: "sealed".into(),
        document: json!({ "region": "us1", "kept": [1.5, null] }),
        created_at: at(1),
        updated_at: at(1),
    }
}

fn number(id: &str, number: &str) -> PhoneNumber {
    PhoneNumber {
        id: id.into(),
        carrier: CARRIER.into(),
        number: number.into(),
        agent: None,
        document: json!({ "displayName": "Desk" }),
        created_at: at(1),
        updated_at: at(1),
    }
}

fn named(message: &str) -> InboundId {
    InboundId { carrier: CARRIER.into(), message: message.into() }
}

/// A message from this person.
fn texted(message: &str, from: &str) -> Inbound {
    Inbound {
        id: named(message),
        from: from.into(),
        to: "+1800".into(),
        text: "Where is my train?".into(),
        wish: Wish::Talk,
    }
}

async fn received<S: Storage>(
    world: &World<S>,
    message: &str,
    from: &str,
    now: Timestamp,
) -> Result<()> {
    let outcome = world.store.receive(&world.org, texted(message, from), now).await?;
    assert_eq!(outcome, ReceiveOutcome::Received);
    Ok(())
}

fn wish<S: Storage>(world: &World<S>, now: Timestamp) -> ClaimInbound {
    ClaimInbound {
        org: world.org.clone(),
        carrier: CARRIER.into(),
        node: NodeId::from(NODE),
        lease_until: now + LEASE,
        limit: 100,
    }
}

async fn claimed<S: Storage>(world: &World<S>, now: Timestamp) -> Result<Vec<InboundMessage>> {
    world.store.claim_inbound(wish(world, now), now).await
}

fn names(messages: &[InboundMessage]) -> Vec<&str> {
    messages.iter().map(|message| &*message.inbound.id.message).collect()
}

fn claim_of(message: &InboundMessage) -> InboundClaim {
    InboundClaim {
        org: message.org.clone(),
        id: message.inbound.id.clone(),
        attempt: message.attempt,
    }
}

async fn listed<S: Storage>(world: &World<S>, state: Option<&str>) -> Result<Vec<InboundMessage>> {
    every(2, async |page| world.store.list_inbound(&world.org, state, &page).await).await
}

async fn one<S: Storage>(world: &World<S>, name: &str) -> Result<InboundMessage> {
    let all = listed(world, None).await?;
    Ok(all.into_iter().find(|message| message.inbound.id.message == name).expect("received"))
}

async fn kinds<S: Storage>(world: &World<S>) -> Result<Vec<String>> {
    let list = async |page| world.store.list_activity(&world.org, None, &page).await;
    Ok(every(100, list).await?.into_iter().map(|entry| entry.kind).rev().collect())
}

pub async fn a_carrier_is_kept_found_and_replaced_under_its_name(
    backend: &impl Backend,
) -> Result<()> {
    let world = World::new(backend).await?;
    let (store, org) = (&world.store, &world.org);
    let first = account(CARRIER, "One");
    let put = store.put_carrier(org, first.clone(), Some("key_9".into()), at(1)).await?;
    assert_eq!(put, PutCarrierOutcome::Added);
    assert_eq!(store.carrier(org, CARRIER).await?, Some(first.clone()));
    let holder = store.carrier_holder(CARRIER).await?;
    assert_eq!(holder, Some((org.clone(), first.clone())));
    assert_eq!(store.carrier_holder("unknown").await?, None);
    let drawn_anew = CarrierAccount {
        id: "another".into(),
        secret: "sealed anew".into(),
        created_at: at(2),
        updated_at: at(2),
        ..account(CARRIER, "Two")
    };
    let kept = CarrierAccount { id: CARRIER.into(), created_at: at(1), ..drawn_anew.clone() };
    let put = store.put_carrier(org, drawn_anew, None, at(2)).await?;
    assert_eq!(put, PutCarrierOutcome::Replaced(Box::new(kept.clone())));
    assert_eq!(store.carrier(org, CARRIER).await?, Some(kept));
    assert_eq!(store.carrier(org, "another").await?, None);
    assert_eq!(kinds(&world).await?, ["carrier.created", "carrier.updated"]);
    Ok(())
}

pub async fn an_organization_has_as_many_carriers_and_numbers_as_it_may(
    backend: &impl Backend,
) -> Result<()> {
    let world = World::new(backend).await?;
    let (store, org) = (&world.store, &world.org);
    for n in 1..=CARRIERS_MAX {
        let account = account(&format!("carrier_{n}"), "One");
        let put = store.put_carrier(org, account, None, at(1)).await?;
        assert_eq!(put, PutCarrierOutcome::Added, "{n}");
    }
    let one_more = store.put_carrier(org, account("more", "One"), None, at(1)).await?;
    assert_eq!(one_more, PutCarrierOutcome::TooMany);
    let known = store.put_carrier(org, account(CARRIER, "Two"), None, at(1)).await?;
    assert!(matches!(known, PutCarrierOutcome::Replaced(_)), "{known:?}");
    for n in 1..=NUMBERS_MAX {
        let number = number(&format!("n{n}"), &n.to_string());
        assert_eq!(store.add_number(org, number, None, at(1)).await?, AddNumberOutcome::Added);
    }
    let one_more = store.add_number(org, number("more", "more"), None, at(1)).await?;
    assert_eq!(one_more, AddNumberOutcome::TooMany);
    Ok(())
}

pub async fn a_number_is_unique_and_answered_by_one_agent(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let (store, org) = (&world.store, &world.org);
    let add = async |id: &str| store.add_number(org, number(id, "+1800"), None, at(1)).await;
    assert_eq!(add("n1").await?, AddNumberOutcome::NoCarrier);
    store.put_carrier(org, account(CARRIER, "One"), None, at(1)).await?;
    assert_eq!(add("n1").await?, AddNumberOutcome::Added);
    assert_eq!(add("n2").await?, AddNumberOutcome::Taken);
    assert_eq!(store.number(org, "+1800").await?, Some(number("n1", "+1800")));
    assert_eq!(store.number(org, "+1801").await?, None);
    let link = async |id: &str, agent: Option<&str>, now| {
        store.link_number(org, id, agent.map(AgentId::from), None, now).await
    };
    assert_eq!(link("n2", Some("agent"), at(2)).await?, None);
    for (agent, now) in [(Some("one"), at(2)), (Some("two"), at(3)), (None, at(4))] {
        let expected = PhoneNumber {
            agent: agent.map(AgentId::from),
            updated_at: now,
            ..number("n1", "+1800")
        };
        assert_eq!(link("n1", agent, now).await?, Some(expected.clone()));
        assert_eq!(store.numbers(org).await?, [expected]);
    }
    let told = ["carrier.created", "number.created", "number.linked", "number.linked"];
    assert_eq!(kinds(&world).await?, [&told[..], &["number.unlinked"]].concat());
    Ok(())
}

pub async fn a_message_is_taken_in_once(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    received(&world, "m1", "ann", at(1)).await?;
    let again = Inbound { text: "Something else".into(), ..texted("m1", "bob") };
    let again = world.store.receive(&world.org, again, at(2)).await?;
    assert_eq!(again, ReceiveOutcome::Known);
    let expected = InboundMessage {
        org: world.org.clone(),
        inbound: texted("m1", "ann"),
        received_at: at(1),
        state: InboundState::Owed { due_at: at(1) },
        attempt: 0,
        failures: 0,
        session: None,
        reply: None,
        sent: 0,
        detail: String::new(),
    };
    assert_eq!(listed(&world, None).await?, [expected]);
    let other = Inbound {
        id: InboundId { carrier: "carrier_2".into(), message: "m1".into() },
        ..texted("m1", "ann")
    };
    let other = world.store.receive(&world.org, other, at(2)).await?;
    assert_eq!(other, ReceiveOutcome::Received, "a name belongs to its carrier");
    let census = InboxCensus { open: 2, parked: 0, oldest_at: Some(at(1)) };
    assert_eq!(world.store.inbox_census().await?, census);
    Ok(())
}

pub async fn messages_of_a_line_are_taken_one_at_a_time_in_order(
    backend: &impl Backend,
) -> Result<()> {
    let world = World::new(backend).await?;
    for (name, from) in [("a1", "ann"), ("b1", "bob"), ("a2", "ann"), ("a3", "ann")] {
        received(&world, name, from, at(1)).await?;
    }
    assert_eq!(one(&world, "a2").await?.state, InboundState::Waiting);
    let first = claimed(&world, at(2)).await?;
    assert_eq!(names(&first).len(), 2);
    assert!(names(&first).contains(&"a1") && names(&first).contains(&"b1"));
    assert_eq!(claimed(&world, at(2)).await?, [], "what is leased is not claimed twice");
    let a1 = first.iter().find(|m| m.inbound.id.message == "a1").expect("claimed");
    let settle = async |message: &InboundMessage, report, now| {
        world.store.settle_inbound(&claim_of(message), report, now).await
    };
    let again = InboundReport::Again { due_at: at(9), detail: "busy".into() };
    assert_eq!(settle(a1, again, at(3)).await?, InboundOutcome::Recorded);
    assert_eq!(claimed(&world, at(8)).await?, [], "nobody overtakes it");
    let a1 = claimed(&world, at(9)).await?;
    assert_eq!((names(&a1), a1[0].failures, &*a1[0].detail), (vec!["a1"], 1, "busy"));
    let parked = settle(&a1[0], InboundReport::Park("refused".into()), at(10)).await?;
    assert_eq!(parked, InboundOutcome::Recorded);
    let a2 = claimed(&world, at(10)).await?;
    assert_eq!(names(&a2), ["a2"], "the line goes on past what is parked");
    settle(&a2[0], InboundReport::Done("answered".into()), at(11)).await?;
    assert_eq!(names(&claimed(&world, at(11)).await?), ["a3"]);
    received(&world, "a4", "ann", at(12)).await?;
    assert_eq!(one(&world, "a4").await?.state, InboundState::Waiting);
    Ok(())
}

pub async fn a_line_holds_as_many_as_it_may(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    for n in 0..LINE_MAX {
        received(&world, &format!("m{n}"), "ann", at(1)).await?;
    }
    let one_more = async || world.store.receive(&world.org, texted("more", "ann"), at(2)).await;
    assert_eq!(one_more().await?, ReceiveOutcome::TooMany);
    received(&world, "b", "bob", at(2)).await?;
    let known = world.store.receive(&world.org, texted("m0", "ann"), at(2)).await?;
    assert_eq!(known, ReceiveOutcome::Known, "that it is known comes first");
    let first = claimed(&world, at(3)).await?;
    let first = first.iter().find(|m| m.inbound.from == "ann").expect("claimed");
    let done = InboundReport::Done("answered".into());
    world.store.settle_inbound(&claim_of(first), done, at(3)).await?;
    assert_eq!(one_more().await?, ReceiveOutcome::Received);
    Ok(())
}

/// A session of the fixture's, and a message that is claimed and belongs to it.
async fn bound<S: Storage>(world: &World<S>) -> Result<(Session, InboundMessage)> {
    let session = world.opened(1).await?;
    received(world, "m1", "ann", at(1)).await?;
    let message = claimed(world, at(1)).await?.remove(0);
    let progress = Progress::Session(session.id);
    let until = at(1) + LEASE;
    world.store.advance_inbound(&claim_of(&message), progress, until, at(1)).await?;
    Ok((session, message))
}

pub async fn every_stage_is_on_record_and_extends_the_lease(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let (session, message) = bound(&world).await?;
    let claim = claim_of(&message);
    let advance = async |progress, now: Timestamp| {
        world.store.advance_inbound(&claim, progress, now + LEASE, now).await
    };
    let parts = vec!["On".to_owned(), "time.".to_owned()];
    advance(Progress::Reply(parts.clone()), at(20)).await?;
    advance(Progress::Sent("receipt".into()), at(30)).await?;
    let stored = one(&world, "m1").await?;
    assert_eq!((stored.session, stored.reply, stored.sent), (Some(session.id), Some(parts), 1));
    let until = at(30) + LEASE;
    assert_eq!(stored.state, InboundState::Leased { node: NODE.into(), until });
    assert_eq!(world.stored(session.id).await?.last_activity, at(30), "sending is activity");
    assert_eq!(claimed(&world, until - MS).await?, []);
    assert_eq!(claimed(&world, until).await?.len(), 1);
    Ok(())
}

pub async fn a_part_that_is_sent_after_the_end_moves_nothing(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let (session, message) = bound(&world).await?;
    world.ended(session.id, at(2)).await?;
    let before = world.stored(session.id).await?;
    let sent = Progress::Sent("receipt".into());
    let outcome = world.store.advance_inbound(&claim_of(&message), sent, at(90), at(5)).await?;
    assert_eq!(outcome, InboundOutcome::Recorded);
    assert_eq!(world.stored(session.id).await?, before);
    Ok(())
}

pub async fn what_was_said_is_forgotten_when_it_is_done_and_kept_while_it_is_parked(
    backend: &impl Backend,
) -> Result<()> {
    let world = World::new(backend).await?;
    let (session, message) = bound(&world).await?;
    let claim = claim_of(&message);
    world
        .store
        .advance_inbound(&claim, Progress::Reply(vec!["On time.".into()]), at(90), at(2))
        .await?;
    world.store.settle_inbound(&claim, InboundReport::Park("refused".into()), at(3)).await?;
    let parked = one(&world, "m1").await?;
    assert_eq!(parked.inbound, texted("m1", "ann"));
    assert_eq!(parked.reply, Some(vec!["On time.".to_owned()]));
    world.store.resume_inbound(&world.org, &named("m1"), None, at(4)).await?;
    let message = claimed(&world, at(4)).await?.remove(0);
    let done = InboundReport::Done("answered".into());
    world.store.settle_inbound(&claim_of(&message), done, at(5)).await?;
    let done = one(&world, "m1").await?;
    assert_eq!(done.inbound, Inbound { text: String::new(), ..texted("m1", "") });
    assert_eq!((done.reply, done.session, &*done.detail), (None, Some(session.id), "answered"));
    assert_eq!(done.state, InboundState::Done { at: at(5) });
    Ok(())
}

pub async fn a_lost_claim_on_a_message_writes_nothing(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let (_, stale) = bound(&world).await?;
    let now = at(1) + LEASE;
    let fresh = claimed(&world, now).await?.remove(0);
    assert_eq!((stale.attempt, fresh.attempt, fresh.failures), (1, 2, 0));
    let before = one(&world, "m1").await?;
    let lost = InboundOutcome::LeaseLost;
    let told = async |message: &InboundMessage| {
        let claim = claim_of(message);
        for progress in [
            Progress::Session(session_of_nobody()),
            Progress::Reply(vec!["stale".into()]),
            Progress::Sent("stale".into()),
        ] {
            let outcome = world.store.advance_inbound(&claim, progress, at(900), now).await?;
            assert_eq!(outcome, lost);
        }
        for report in [
            InboundReport::Done("stale".into()),
            InboundReport::Park("stale".into()),
            InboundReport::Interrupted,
            InboundReport::Again { due_at: now, detail: "stale".into() },
        ] {
            assert_eq!(world.store.settle_inbound(&claim, report, now).await?, lost);
        }
        Ok::<_, crate::Error>(())
    };
    told(&stale).await?;
    assert_eq!(one(&world, "m1").await?, before);
    let done = InboundReport::Done("answered".into());
    let recorded = world.store.settle_inbound(&claim_of(&fresh), done, now).await?;
    assert_eq!(recorded, InboundOutcome::Recorded);
    told(&fresh).await?;
    told(&InboundMessage { attempt: 3, ..fresh }).await
}

fn session_of_nobody() -> epilogue_core::SessionId {
    super::fixture::session_id(77, START)
}

pub async fn a_late_word_about_a_message_counts_while_nobody_took_its_place(
    backend: &impl Backend,
) -> Result<()> {
    let world = World::new(backend).await?;
    let (_, message) = bound(&world).await?;
    let late = at(1) + LEASE + LEASE;
    let sent = Progress::Sent("receipt".into());
    let claim = claim_of(&message);
    let outcome = world.store.advance_inbound(&claim, sent, late + LEASE, late).await?;
    assert_eq!(outcome, InboundOutcome::Recorded);
    assert_eq!(claimed(&world, late).await?, []);
    Ok(())
}

pub async fn messages_of_nodes_that_are_gone_are_due_at_once(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    received(&world, "m1", "ann", at(1)).await?;
    received(&world, "m2", "bob", at(1)).await?;
    let other = ClaimInbound { node: "node_2".into(), limit: 1, ..wish(&world, at(1)) };
    let theirs = world.store.claim_inbound(other, at(1)).await?;
    let ours = claimed(&world, at(1)).await?;
    assert_eq!((theirs.len(), ours.len()), (1, 1));
    assert_eq!(world.store.release_inbox(&[NodeId::from(NODE)], at(2)).await?, 1);
    assert_eq!(names(&claimed(&world, at(2)).await?), names(&theirs));
    Ok(())
}

async fn brought<S: Storage>(world: &World<S>, carrier: &str, now: Timestamp) -> Result<()> {
    let id = InboundId { carrier: carrier.into(), message: "m".into() };
    let inbound = Inbound { id, ..texted("m", "ann") };
    let outcome = world.store.receive(&world.org, inbound, now).await?;
    assert_eq!(outcome, ReceiveOutcome::Received);
    Ok(())
}

fn due<S: Storage>(world: &World<S>, carrier: &str, due_at: Timestamp) -> DueInbox {
    DueInbox { org: world.org.clone(), carrier: carrier.into(), due_at }
}

pub async fn due_inboxes_are_read_in_their_order(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let other = world.neighbour("org_2").await?;
    assert_eq!(world.store.next_due_inbound().await?, None);
    brought(&other, "carrier_1", at(3)).await?;
    brought(&world, "carrier_2", at(2)).await?;
    brought(&world, "carrier_1", at(5)).await?;
    let all = [
        due(&world, "carrier_1", at(5)),
        due(&world, "carrier_2", at(2)),
        due(&other, "carrier_1", at(3)),
    ];
    let store = &world.store;
    assert_eq!(store.due_inboxes(at(5), None, 10).await?, all);
    assert_eq!(store.due_inboxes(at(4), None, 10).await?, all[1..]);
    assert_eq!(store.due_inboxes(at(5), None, 2).await?, all[..2]);
    assert_eq!(store.due_inboxes(at(5), Some(&all[1]), 10).await?, all[2..]);
    assert_eq!(store.next_due_inbound().await?, Some(at(2)));
    Ok(())
}

pub async fn a_parked_message_is_resumed_at_the_end_of_its_line(
    backend: &impl Backend,
) -> Result<()> {
    let world = World::new(backend).await?;
    received(&world, "m1", "ann", at(1)).await?;
    let park = async |now| {
        let message = claimed(&world, now).await?.remove(0);
        let report = InboundReport::Park("refused".into());
        world.store.settle_inbound(&claim_of(&message), report, now).await
    };
    let resume = async |name: &str, now| {
        world.store.resume_inbound(&world.org, &named(name), Some("key_9".into()), now).await
    };
    assert_eq!(resume("m1", at(1)).await?, ResumeOutcome::NotParked);
    assert_eq!(resume("unknown", at(1)).await?, ResumeOutcome::NoMessage);
    park(at(1)).await?;
    let census = InboxCensus { open: 0, parked: 1, oldest_at: None };
    assert_eq!(world.store.inbox_census().await?, census);
    assert_eq!(resume("m1", at(2)).await?, ResumeOutcome::Resumed);
    assert_eq!(one(&world, "m1").await?.state, InboundState::Owed { due_at: at(2) });
    park(at(3)).await?;
    received(&world, "m2", "ann", at(3)).await?;
    assert_eq!(resume("m1", at(4)).await?, ResumeOutcome::Resumed);
    assert_eq!(one(&world, "m1").await?.state, InboundState::Waiting);
    let next = claimed(&world, at(4)).await?;
    assert_eq!(names(&next), ["m2"]);
    let done = InboundReport::Done("answered".into());
    world.store.settle_inbound(&claim_of(&next[0]), done, at(5)).await?;
    assert_eq!(names(&claimed(&world, at(5)).await?), ["m1"]);
    let told: Vec<_> = kinds(&world).await?;
    let both = ["message.parked", "message.resumed"];
    assert_eq!(told, [both, both].concat());
    Ok(())
}

pub async fn messages_are_listed_the_latest_first(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    for n in 1..=5 {
        received(&world, &format!("m{n}"), &format!("p{n}"), at(n)).await?;
    }
    let all = listed(&world, None).await?;
    assert_eq!(names(&all), ["m5", "m4", "m3", "m2", "m1"]);
    claimed(&world, at(3)).await?;
    assert_eq!(names(&listed(&world, Some("leased")).await?), ["m3", "m2", "m1"]);
    assert_eq!(names(&listed(&world, Some("owed")).await?), ["m5", "m4"]);
    assert_eq!(listed(&world, Some("parked")).await?, []);
    Ok(())
}

pub async fn anothers_carriers_and_messages_cannot_be_touched(
    backend: &impl Backend,
) -> Result<()> {
    let full = World::new(backend).await?;
    let empty = full.neighbour("org_2").await?;
    let (store, other) = (&full.store, &empty.org);
    store.put_carrier(&full.org, account(CARRIER, "One"), None, at(1)).await?;
    store.add_number(&full.org, number("n1", "+1800"), None, at(1)).await?;
    let (_, message) = bound(&full).await?;
    let before = one(&full, "m1").await?;
    assert_eq!(store.carrier(other, CARRIER).await?, None);
    assert_eq!(store.numbers(other).await?, []);
    assert_eq!(store.number(other, "+1800").await?, None);
    assert_eq!(store.link_number(other, "n1", Some("a".into()), None, at(2)).await?, None);
    let theirs = store.add_number(other, number("n2", "+1801"), None, at(2)).await?;
    assert_eq!(theirs, AddNumberOutcome::NoCarrier);
    assert_eq!(claimed(&empty, at(900)).await?, []);
    assert_eq!(listed(&empty, None).await?, []);
    let claim = InboundClaim { org: other.clone(), ..claim_of(&message) };
    let sent = Progress::Sent("stolen".into());
    let lost = InboundOutcome::LeaseLost;
    assert_eq!(store.advance_inbound(&claim, sent, at(900), at(2)).await?, lost);
    let done = InboundReport::Done("stolen".into());
    assert_eq!(store.settle_inbound(&claim, done, at(2)).await?, lost);
    let resumed = store.resume_inbound(other, &named("m1"), None, at(2)).await?;
    assert_eq!(resumed, ResumeOutcome::NoMessage);
    assert_eq!(one(&full, "m1").await?, before);
    received(&empty, "m1", "ann", at(3)).await?;
    let page = PageRequest::first(10);
    assert_eq!(store.list_inbound(&full.org, None, &page).await?.items, [before]);
    Ok(())
}

pub async fn of_many_deliveries_of_one_message_one_is_new(backend: &impl Backend) -> Result<()> {
    each_round(backend, async |world, dice| {
        let deliveries = (0..8).map(|_| {
            let (store, org) = (world.store.clone(), world.org.clone());
            contender(async move { store.receive(&org, texted("m1", "ann"), at(1)).await })
        });
        let outcomes = race(dice, deliveries.collect()).await?;
        let new = outcomes.iter().filter(|outcome| **outcome == ReceiveOutcome::Received);
        assert_eq!(new.count(), 1, "{outcomes:?}");
        Ok(())
    })
    .await
}

pub async fn no_message_is_claimed_twice_under_live_leases(backend: &impl Backend) -> Result<()> {
    each_round(backend, async |world, dice| {
        for n in 0..6 {
            received(world, &format!("m{n}"), &format!("p{}", n % 3), at(1)).await?;
        }
        let claims = (0..4).map(|node| {
            let (store, node) = (world.store.clone(), NodeId::from(format!("node_{node}")));
            let wish = ClaimInbound { node, limit: 2, ..wish(world, at(1)) };
            contender(async move { store.claim_inbound(wish, at(1)).await })
        });
        let claimed = race(dice, claims.collect()).await?.concat();
        let mut people: Vec<_> = claimed.iter().map(|m| m.inbound.from.clone()).collect();
        people.sort();
        assert_eq!(people, ["p0", "p1", "p2"], "one of each line");
        Ok(())
    })
    .await
}
