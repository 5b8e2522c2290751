//! The webhook log, sending again, and what a purge leaves of it.

use epilogue_core::{
    EventId, Session, SessionState, StepKind, StepState, Timestamp, session::Context,
};
use serde_json::json;

use super::{
    Backend,
    audit::audit,
    fixture::{START, World, at, every},
    prelude::*,
    steps::step,
};
use crate::{
    AnalysisResult, Delivery, DeliveryAttempt, DeliveryFilter, Product, ResendOutcome, Result,
    SettleOutcome, StepReport, Storage,
};

/// The delivery of an event of this session, after attempt number `attempts`.
fn delivery(session: &Session, kind: StepKind, attempts: u32) -> Delivery {
    Delivery {
        id: step(session, kind).event_id(),
        session: session.id,
        event: "session.ended".into(),
        url: "https://hooks.example.com/x".into(),
        body: r#"{"event":"session.ended"}"#.into(),
        created_at: at(10),
        accepted_at: None,
        attempts,
    }
}

fn attempt(at: Timestamp, status: Option<u16>) -> DeliveryAttempt {
    DeliveryAttempt {
        at,
        duration_ms: 120,
        status,
        error: status.is_none().then(|| "the endpoint is unreachable".into()),
        response: if status.is_some() { "ok".into() } else { String::new() },
    }
}

fn product(delivery: &Delivery, attempt: &DeliveryAttempt) -> Vec<Product> {
    vec![Product::Delivery(Box::new(delivery.clone()), attempt.clone())]
}

/// Delivers one event of a session at its first attempt.
async fn delivered<S: Storage>(
    world: &World<S>,
    session: &Session,
    kind: StepKind,
    now: Timestamp,
) -> Result<Delivery> {
    let sent = Delivery { created_at: now, accepted_at: Some(now), ..delivery(session, kind, 1) };
    let products = product(&sent, &attempt(now, Some(200)));
    world.work(step(session, kind), StepReport::Done, products, now).await?;
    Ok(sent)
}

pub async fn every_attempt_of_a_delivery_is_on_record(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let session = world.finished(1).await?;
    let id = step(&session, StepKind::NotifyEnded);
    let first = delivery(&session, id.kind, 1);
    let failed = attempt(at(10), None);
    let again = StepReport::Again { due_at: at(20) };
    world.work(id, again, product(&first, &failed), at(10)).await?;
    let stored = world.store.delivery(&world.org, &id.event_id()).await?;
    assert_eq!(stored, Some((first, vec![failed.clone()])));

    let second = Delivery { accepted_at: Some(at(20)), ..delivery(&session, id.kind, 2) };
    let accepted = attempt(at(20), Some(204));
    world.work(id, StepReport::Done, product(&second, &accepted), at(20)).await?;
    let stored = world.store.delivery(&world.org, &id.event_id()).await?;
    assert_eq!(stored, Some((second, vec![failed, accepted])));
    let stranger = EventId::from("evt_nonsense");
    assert_eq!(world.store.delivery(&world.org, &stranger).await?, None);
    Ok(())
}

pub async fn deliveries_are_listed_the_latest_first(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let mut sent = Vec::new();
    for n in 1..=5 {
        let session = world.finished(n).await?;
        let id = step(&session, StepKind::NotifyEnded);
        let now = at(10 + u64::from(n));
        let accepted_at = (n != 2).then_some(now);
        let delivery = Delivery { created_at: now, accepted_at, ..delivery(&session, id.kind, 1) };
        let products = product(&delivery, &attempt(now, accepted_at.map(|_| 200)));
        let report = match accepted_at {
            Some(_) => StepReport::Done,
            None => StepReport::Park("gone".into()),
        };
        world.work(id, report, products, now).await?;
        sent.insert(0, delivery);
    }
    let list = async |filter: DeliveryFilter, limit| {
        let fetch = async |page| world.store.list_deliveries(&world.org, &filter, &page).await;
        every(limit, fetch).await
    };
    for limit in [1, 2, 5, 6] {
        assert_eq!(list(DeliveryFilter::default(), limit).await?, sent);
        let accepted = DeliveryFilter { accepted: Some(true), session: None };
        let expected = [&sent[..3], &sent[4..]].concat();
        assert_eq!(list(accepted, limit).await?, expected);
        let open = DeliveryFilter { accepted: Some(false), session: None };
        assert_eq!(list(open, limit).await?, sent[3..4]);
        let one = DeliveryFilter { accepted: None, session: Some(sent[1].session) };
        assert_eq!(list(one, limit).await?, sent[1..2]);
        let none = DeliveryFilter { accepted: Some(false), session: Some(sent[1].session) };
        assert_eq!(list(none, limit).await?, []);
    }
    Ok(())
}

pub async fn a_delivery_is_sent_again_with_the_same_id(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let session = world.finished(1).await?;
    let sent = delivered(&world, &session, StepKind::NotifyEnded, at(10)).await?;
    let id = step(&session, StepKind::NotifyEnded);
    let resend = async |now| world.store.resend(&world.org, &sent.id, None, now).await;
    assert_eq!(resend(at(50)).await?, ResendOutcome::Due);
    let stored = world.step(session.id, id.kind).await?;
    assert_eq!((&stored.state, stored.failures), (&StepState::Owed { due_at: at(50) }, 0));
    assert_eq!(resend(at(51)).await?, ResendOutcome::Underway(stored.state));
    let claimed = world.claimed(id, at(52)).await?;
    assert_eq!((claimed.step.id().event_id(), claimed.step.attempt), (sent.id.clone(), 2));
    assert_eq!(resend(at(53)).await?, ResendOutcome::Underway(claimed.step.state.clone()));
    world.store.settle(world.report(&claimed, StepReport::Done), at(54)).await?;
    let list = async |page| world.store.list_activity(&world.org, None, &page).await;
    let log = every(10, list).await?;
    assert_eq!(log.iter().filter(|activity| activity.kind == "step.resumed").count(), 1);
    audit(&*world.store, &world.org).await
}

pub async fn a_parked_delivery_is_sent_again_too(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let session = world.finished(1).await?;
    let id = step(&session, StepKind::NotifyEnded);
    let products = product(&delivery(&session, id.kind, 1), &attempt(at(10), None));
    world.work(id, StepReport::Park("gone".into()), products, at(10)).await?;
    let outcome = world.store.resend(&world.org, &id.event_id(), None, at(20)).await?;
    assert_eq!(outcome, ResendOutcome::Due);
    let stored = world.step(session.id, id.kind).await?;
    assert_eq!((stored.state, stored.failures), (StepState::Owed { due_at: at(20) }, 0));
    Ok(())
}

pub async fn what_was_never_sent_cannot_be_sent_again(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let session = world.finished(1).await?;
    let unsent = step(&session, StepKind::NotifyEnded).event_id();
    let stranger = step(&world.session(9), StepKind::NotifyEnded).event_id();
    for id in [unsent, stranger, "evt_nonsense".into(), "".into()] {
        let outcome = world.store.resend(&world.org, &id, None, at(9)).await?;
        assert_eq!(outcome, ResendOutcome::NoDelivery, "{id}");
    }
    let stored = world.step(session.id, StepKind::NotifyEnded).await?;
    assert_eq!(stored.state, StepState::Owed { due_at: START });
    Ok(())
}

pub async fn a_final_session_stays_final_when_a_delivery_is_sent_again(
    backend: &impl Backend,
) -> Result<()> {
    let world = World::new(backend).await?;
    let session = world.finished(1).await?;
    let sent = delivered(&world, &session, StepKind::NotifyEnded, at(10)).await?;
    world.finalize(session.id, at(20)).await?;
    let state = world.stored(session.id).await?.state;
    let id = step(&session, StepKind::NotifyEnded);
    let reports = [StepReport::Again { due_at: at(40) }, StepReport::Done];
    assert_eq!(world.store.resend(&world.org, &sent.id, None, at(30)).await?, ResendOutcome::Due);
    for (report, now) in reports.into_iter().zip([at(30), at(40)]) {
        assert_eq!(world.stored(session.id).await?.state, state);
        let outcome = world.work(id, report, vec![], now).await?;
        let nothing = SettleOutcome::Recorded { finalized: false, released: vec![] };
        assert_eq!(outcome, nothing, "a session becomes final once");
    }
    assert_eq!(world.stored(session.id).await?.state, state);
    assert!(matches!(state, SessionState::Final { .. }));
    audit(&*world.store, &world.org).await
}

pub async fn a_purge_removes_what_must_not_stay_and_nothing_else(
    backend: &impl Backend,
) -> Result<()> {
    let world = World::new(backend).await?;
    let other = world.finished(2).await?;
    let theirs = delivered(&world, &other, StepKind::NotifyEnded, at(9)).await?;
    let session = world.finished(1).await?;
    let sent = delivered(&world, &session, StepKind::NotifyEnded, at(10)).await?;
    let form = AnalysisResult { form: "qa".into(), values: json!({ "score": 5 }), at: at(10) };
    let products = vec![Product::Analysis(form.clone())];
    world.work(step(&session, StepKind::Analyze), StepReport::Done, products, at(10)).await?;
    let before = world.stored(session.id).await?;
    assert_ne!(before.context, Context::default());
    let rows = async |page| world.store.list_ledger(&world.org, Some(session.id), &page).await;
    let ledger = every(10, rows).await?;
    world.finalize(session.id, at(20)).await?;

    let after = world.stored(session.id).await?;
    let ended = before.ended().expect("it ended").clone();
    let state = SessionState::Final { ended, finalized_at: at(20) };
    assert_eq!(after, Session { context: Context::default(), messages: 0, state, ..before });
    assert_eq!(world.store.messages(&world.org, session.id, 0, 10).await?, []);
    assert_eq!(world.store.visible_messages(&world.org, session.id, 0, 10).await?, []);
    let (delivery, attempts) =
        world.store.delivery(&world.org, &sent.id).await?.expect("that it was sent stays");
    assert_eq!(delivery, Delivery { body: String::new(), ..sent });
    assert_eq!((attempts.len(), attempts[0].status), (1, Some(200)));
    assert_eq!(every(10, rows).await?, ledger);
    assert_eq!(world.store.steps_of(&world.org, session.id).await?.len(), 6);
    assert_eq!(world.store.analyses_of(&world.org, session.id).await?, [form]);

    assert_eq!(world.stored(other.id).await?, other, "another session keeps everything");
    assert_eq!(world.store.messages(&world.org, other.id, 0, 10).await?.len(), 2);
    let kept = world.store.delivery(&world.org, &theirs.id).await?.map(|(delivery, _)| delivery);
    assert_eq!(kept, Some(theirs));
    audit(&*world.store, &world.org).await
}
