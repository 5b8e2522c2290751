//! What was answered with success is there after the store was closed and opened again.

use std::sync::Arc;

use epilogue_core::{
    EndOutcome, EndRequest, KeyId, MemoryScope, MicroCredits, SessionId, StepKind, Timestamp,
    ledger::Account,
};
use serde_json::json;

use super::{
    Backend,
    audit::audit,
    fixture::{IDLE, START, World, at, every, quiet_agent},
    memory::remembering,
    prelude::*,
    steps::step,
};
use crate::{
    AnalysisResult, Credential, CredentialKind, Delivery, DeliveryAttempt, DeliveryFilter, Episode,
    KeyHash, Product, Result, Role, SessionFilter, SettleOutcome, StepFilter, StepReport, Storage,
};

/// Closes the store and opens it again.
async fn reopened<B: Backend>(backend: &B, world: World<B::Store>) -> World<B::Store> {
    let store = Arc::into_inner(world.store).expect("nobody else holds the store");
    World { store: Arc::new(backend.reopen(store).await), ..world }
}

/// All that can be read, in words.
async fn everything<S: Storage>(world: &World<S>) -> Result<Vec<String>> {
    let (store, org) = (&world.store, &world.org);
    let filter = SessionFilter::default();
    let sessions = every(100, async |page| store.list(org, &filter, &page).await).await?;
    let mut seen = Vec::new();
    for session in &sessions {
        seen.push(format!("{session:?}"));
        seen.push(format!("{:?}", store.messages(org, session.id, 0, 100).await?));
        seen.push(format!("{:?}", store.steps_of(org, session.id).await?));
        seen.push(format!("{:?}", store.analyses_of(org, session.id).await?));
    }
    let (steps, deliveries) = (StepFilter::default(), DeliveryFilter::default());
    let list = async |page| store.list_steps(org, &steps, &page).await;
    seen.push(format!("{:?}", every(100, list).await?));
    let list = async |page| store.list_deliveries(org, &deliveries, &page).await;
    for delivery in every(100, list).await? {
        seen.push(format!("{:?}", store.delivery(org, &delivery.id).await?));
    }
    let list = async |page| store.list_ledger(org, None, &page).await;
    seen.push(format!("{:?}", every(100, list).await?));
    let list = async |page| store.list_activity(org, None, &page).await;
    seen.push(format!("{:?}", every(100, list).await?));
    for account in Account::ALL {
        seen.push(format!("{:?}", store.balance(org, account).await?));
    }
    let scope = MemoryScope("ann".into());
    seen.push(format!("{:?}", store.recall(org, &scope, 10).await?));
    seen.push(format!("{:?}", store.organizations().await?));
    seen.push(format!("{:?}", store.agents(org).await?));
    seen.push(format!("{:?}", store.agent_version(org, &world.version).await?));
    seen.push(format!("{:?}", store.credentials(org).await?));
    seen.push(format!("{:?}", store.credential(&KeyHash([1; 32])).await?));
    seen.push(format!("{:?}", store.due_sessions(at(1_000_000), 100).await?));
    seen.push(format!("{:?}", store.due_lanes(at(1_000_000), None, 100).await?));
    seen.push(format!("{:?}", store.next_due_session().await?));
    seen.push(format!("{:?}", store.next_due_step().await?));
    seen.push(format!("{:?}", store.session_census().await?));
    seen.push(format!("{:?}", store.step_census().await?));
    Ok(seen)
}

/// Writes something of everything.
async fn filled<S: Storage>(world: &World<S>) -> Result<SessionId> {
    let (store, org) = (&world.store, &world.org);
    store.grant(org, "opening", MicroCredits(1_000), START).await?;
    store.put_agent(org, quiet_agent(), at(1)).await?;
    let key = Credential {
        id: KeyId::from("key_1"),
        hash: KeyHash([1; 32]),
        org: org.clone(),
        kind: CredentialKind::Widget { domains: vec!["example.com".into()] },
        role: Role::Read,
        name: "Page".into(),
        created_at: START,
        expires_at: Some(at(900)),
        revoked_at: None,
        configured: false,
    };
    store.add_credential(key, at(1)).await?;
    let ended = world.finished(1).await?;
    let form = AnalysisResult { form: "qa".into(), values: json!({ "ok": true }), at: at(2) };
    let products = vec![Product::Analysis(form)];
    world.work(step(&ended, StepKind::Analyze), StepReport::Done, products, at(2)).await?;
    let id = step(&ended, StepKind::NotifyEnded);
    let delivery = Delivery {
        id: id.event_id(),
        session: ended.id,
        event: "session.ended".into(),
        url: "https://hooks.example.com/x".into(),
        body: "{}".into(),
        created_at: at(2),
        accepted_at: None,
        attempts: 1,
    };
    let attempt = DeliveryAttempt {
        at: at(2),
        duration_ms: 3,
        status: None,
        error: Some("unreachable".into()),
        response: String::new(),
    };
    let products = vec![Product::Delivery(Box::new(delivery), attempt)];
    world.work(id, StepReport::Park("gone".into()), products, at(2)).await?;
    world.claimed(step(&ended, StepKind::IngestMemory), at(3)).await?;
    let scope = MemoryScope("ann".into());
    let episode = Episode { scope, session: ended.id, at: at(2), text: "Person: hello".into() };
    store.remember(org, remembering(episode)).await?;
    let active = world.opened(2).await?;
    world.turn(active.id, at(4)).await?;
    world.begun(active.id, at(5)).await?;
    Ok(active.id)
}

pub async fn everything_is_there_after_a_restart(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    filled(&world).await?;
    let before = everything(&world).await?;
    let world = reopened(backend, world).await;
    assert_eq!(everything(&world).await?, before);
    audit(&*world.store, &world.org).await
}

pub async fn work_goes_on_after_a_restart(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let active = filled(&world).await?;
    let ended = world.session(1);
    let stale = world.claimed(step(&ended, StepKind::ReleaseMedia), at(6)).await?;
    let world = reopened(backend, world).await;
    // The process that held turn and leases is gone.
    assert_eq!(world.store.abandon_turns(&[], at(10)).await?, 1);
    assert_eq!(world.store.release_leases(&[], at(10)).await?, 2);
    let claimed = world.claimed(step(&ended, StepKind::ReleaseMedia), at(10)).await?;
    assert_eq!(claimed.step.attempt, 2);
    let outcome = world.store.settle(world.report(&stale, StepReport::Done), at(11)).await?;
    assert_eq!(outcome, SettleOutcome::LeaseLost);
    assert!(!world.store.grant(&world.org, "opening", MicroCredits(1), at(11)).await?);
    let turn = world.turn(active, at(12)).await?;
    assert_eq!(turn.turns, 3);
    audit(&*world.store, &world.org).await
}

pub async fn what_is_overdue_after_a_restart_keeps_its_deadline(
    backend: &impl Backend,
) -> Result<()> {
    let world = World::new(backend).await?;
    let session = world.opened(1).await?;
    let world = reopened(backend, world).await;
    let later: Timestamp = at(1_000_000);
    let due = world.store.due_sessions(later, 10).await?;
    assert_eq!(due.iter().map(|due| due.id).collect::<Vec<_>>(), [session.id]);
    let outcome = world.end(session.id, EndRequest::due(), later).await?;
    let Some(EndOutcome::EndedNow(ended)) = outcome else { panic!("it is due: {outcome:?}") };
    assert_eq!(ended.deadline.map(|deadline| deadline.at), Some(START + IDLE));
    audit(&*world.store, &world.org).await
}
