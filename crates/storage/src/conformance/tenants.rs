//! Tenants do not meet: what belongs to another organization looks as if it did not exist, and
//! cannot be changed. Each case does to a full organization what another might try.

use epilogue_core::{
    AgentId, EndReason, EndRequest, KeyId, MemoryScope, MicroCredits, SessionId, StepId, StepKind,
    ledger::Account, memory::FactId,
};
use serde_json::json;

use super::{
    Backend,
    audit::audit,
    curation,
    fixture::{START, World, at, every, quiet_agent},
    graphs,
    memory::{ann, remembering},
    prelude::*,
    steps::step,
};
use crate::{
    AnalysisResult, BeginTurnOutcome, ClaimRequest, CorrectFactOutcome, Credential, CredentialKind,
    Delivery, DeliveryAttempt, DeliveryFilter, Episode, FinishTurnOutcome, KeyHash, PageRequest,
    Product, RememberOutcome, RememberRequest, ResendOutcome, Result, RetryOutcome, Role,
    SessionFilter, SessionName, SettleOutcome, StepFilter, StepReport, Storage,
};

/// An organization with something of everything, and another that has nothing but an agent.
struct Two<S> {
    full: World<S>,
    empty: World<S>,
    /// Active, with a turn in flight.
    active: SessionId,
    /// Ended, with a claimed analysis and a parked webhook.
    ended: SessionId,
}

fn parked(session: SessionId) -> StepId {
    StepId::own(session, StepKind::NotifyEnded)
}

async fn two<B: Backend>(backend: &B) -> Result<Two<B::Store>> {
    let full = World::new(backend).await?;
    full.store.grant(&full.org, "opening", MicroCredits(1_000), START).await?;
    let active = full.opened(1).await?.id;
    full.begun(active, at(1)).await?;
    let ended = full.finished(2).await?;
    full.claimed(step(&ended, StepKind::Analyze), at(2)).await?;
    let delivery = Delivery {
        id: parked(ended.id).event_id(),
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
        duration_ms: 1,
        status: Some(410),
        error: None,
        response: String::new(),
    };
    let form = AnalysisResult { form: "qa".into(), values: json!({}), at: at(2) };
    let products = vec![Product::Delivery(Box::new(delivery), attempt), Product::Analysis(form)];
    full.work(parked(ended.id), StepReport::Park("gone".into()), products, at(2)).await?;
    let episode =
        Episode { scope: scope(), session: ended.id, at: at(2), text: "Person: hello".into() };
    full.store.remember(&full.org, remembering(episode)).await?;
    graphs::absorbed(&full, ended.id, &scope()).await?;
    full.store.add_credential(key(&full), at(2)).await?;
    full.store.put_agent(&full.org, quiet_agent(), at(2)).await?;
    let empty = full.neighbour("org_2").await?;
    Ok(Two { full, empty, active, ended: ended.id })
}

fn scope() -> MemoryScope {
    MemoryScope("ann".into())
}

fn key<S>(world: &World<S>) -> Credential {
    Credential {
        id: KeyId::from("key_1"),
        hash: KeyHash([1; 32]),
        org: world.org.clone(),
        kind: CredentialKind::Secret,
        role: Role::Own,
        name: "Mine".into(),
        created_at: START,
        expires_at: None,
        revoked_at: None,
        configured: false,
    }
}

impl<S: Storage> Two<S> {
    /// Everything the full organization can see of itself.
    async fn everything(&self) -> Result<Vec<String>> {
        let (store, org) = (&self.full.store, &self.full.org);
        let mut seen = Vec::new();
        for id in [self.active, self.ended] {
            seen.push(format!("{:?}", self.full.stored(id).await?));
            seen.push(format!("{:?}", store.messages(org, id, 0, 100).await?));
            seen.push(format!("{:?}", store.steps_of(org, id).await?));
            seen.push(format!("{:?}", store.analyses_of(org, id).await?));
        }
        let event = parked(self.ended).event_id();
        seen.push(format!("{:?}", store.delivery(org, &event).await?));
        seen.push(format!("{:?}", store.recall(org, &scope(), 10).await?));
        let facts = store.list_facts(org, &scope(), &PageRequest::first(10)).await?;
        assert_eq!(facts.items.len(), 1);
        seen.push(format!("{facts:?}"));
        seen.push(format!("{:?}", store.credentials(org).await?));
        seen.push(format!("{:?}", store.agents(org).await?));
        let ledger = async |page| store.list_ledger(org, None, &page).await;
        seen.push(format!("{:?}", every(100, ledger).await?));
        let log = async |page| store.list_activity(org, None, &page).await;
        seen.push(format!("{:?}", every(100, log).await?));
        Ok(seen)
    }
}

pub async fn anothers_sessions_cannot_be_found(backend: &impl Backend) -> Result<()> {
    let two = two(backend).await?;
    let (store, org) = (&two.empty.store, &two.empty.org);
    for id in [two.active, two.ended] {
        let names = [
            SessionName::Id(id),
            SessionName::Any(id.to_string()),
            SessionName::Any("s1".into()),
            SessionName::Any("s2".into()),
            SessionName::Dialect("native".into(), "s1".into()),
        ];
        for name in names {
            assert_eq!(store.find(org, &name).await?, None, "{name:?}");
        }
        assert_eq!(store.messages(org, id, 0, 10).await?, []);
        assert_eq!(store.visible_messages(org, id, 0, 10).await?, []);
        assert_eq!(store.steps_of(org, id).await?, []);
        assert_eq!(store.analyses_of(org, id).await?, []);
    }
    Ok(())
}

pub async fn anothers_things_are_in_no_list(backend: &impl Backend) -> Result<()> {
    let two = two(backend).await?;
    let (store, org) = (&two.empty.store, &two.empty.org);
    let page = PageRequest::first(100);
    assert_eq!(store.list(org, &SessionFilter::default(), &page).await?.items, []);
    assert_eq!(store.list_steps(org, &StepFilter::default(), &page).await?.items, []);
    let deliveries = store.list_deliveries(org, &DeliveryFilter::default(), &page).await?;
    assert_eq!(deliveries.items, []);
    let one = DeliveryFilter { session: Some(two.ended), accepted: None };
    assert_eq!(store.list_deliveries(org, &one, &page).await?.items, []);
    for session in [None, Some(two.ended)] {
        assert_eq!(store.list_ledger(org, session, &page).await?.items, []);
        let log = store.list_activity(org, session, &page).await?;
        assert!(log.items.iter().all(|activity| activity.session.is_none()), "{log:?}");
    }
    assert_eq!(store.credentials(org).await?, []);
    assert_eq!(store.agents(org).await?.len(), 1);
    assert_eq!(store.agent(org, &AgentId::from("agent_quiet")).await?, None);
    let version = epilogue_core::session::AgentVersion { id: "agent_quiet".into(), version: 1 };
    assert_eq!(store.agent_version(org, &version).await?, None);
    assert_eq!(store.delivery(org, &parked(two.ended).event_id()).await?, None);
    assert_eq!(store.recall(org, &scope(), 10).await?, []);
    graphs::knows_nothing(&**store, org, &scope(), two.ended).await?;
    for account in Account::ALL {
        assert_eq!(store.balance(org, account).await?, MicroCredits::ZERO);
    }
    assert_eq!(store.audit_ledger(org).await?, []);
    Ok(())
}

pub async fn anothers_sessions_cannot_be_touched(backend: &impl Backend) -> Result<()> {
    let two = two(backend).await?;
    let before = two.everything().await?;
    let (store, org) = (&two.empty.store, &two.empty.org);
    for id in [two.active, two.ended] {
        let later = at(1_000_000);
        assert_eq!(store.keep_alive(org, id, later).await?, None);
        for request in [EndRequest::due(), EndRequest::asked(EndReason::Operator)] {
            assert_eq!(store.end(org, id, request, later).await?, None);
        }
        let begin = store.begin_turn(two.empty.begin(id, at(3)), at(3)).await?;
        assert_eq!(begin, BeginTurnOutcome::NoSession);
        let finish = store.finish_turn(two.empty.finish(id, 1, at(3)), at(3)).await?;
        assert_eq!(finish, FinishTurnOutcome::NoSession);
    }
    assert_eq!(two.everything().await?, before);
    audit(&**store, org).await
}

pub async fn anothers_steps_cannot_be_touched(backend: &impl Backend) -> Result<()> {
    let two = two(backend).await?;
    let before = two.everything().await?;
    let (store, org) = (&two.empty.store, &two.empty.org);
    let steps = store.steps_of(&two.full.org, two.ended).await?;
    assert_eq!(steps.len(), 6);
    for (step, _) in steps {
        let later = at(1_000_000);
        let wish = ClaimRequest { org: org.clone(), ..two.full.wish(&step.lane, later) };
        assert_eq!(store.claim(wish, later).await?, []);
        let claimed = crate::ClaimedStep { step: step.clone(), claimed_at: at(2) };
        let report = two.empty.report(&claimed, StepReport::Done);
        assert_eq!(store.settle(report, at(3)).await?, SettleOutcome::LeaseLost);
        assert_eq!(store.retry(org, step.id(), None, at(3)).await?, RetryOutcome::NoStep);
        let resent = store.resend(org, &step.id().event_id(), None, at(3)).await?;
        assert_eq!(resent, ResendOutcome::NoDelivery);
    }
    assert_eq!(two.everything().await?, before);
    Ok(())
}

pub async fn anothers_keys_and_memories_cannot_be_touched(backend: &impl Backend) -> Result<()> {
    let two = two(backend).await?;
    let before = two.everything().await?;
    let (store, org) = (&two.empty.store, &two.empty.org);
    assert!(!store.revoke_credential(org, &"key_1".into(), None, at(3)).await?);
    let erased = store.erase_person(org, &ann(), &[scope()], at(3)).await?;
    assert!(erased.done && erased.report.is_empty(), "{erased:?}");
    let erased = store.erase_transcripts(org, &ann(), at(3)).await?;
    assert!(erased.done && erased.report.is_empty(), "{erased:?}");
    assert!(!store.drop_fact(org, &scope(), FactId(0), None, at(3)).await?);
    let corrected = store.correct_fact(curation::says(org, &scope(), "Mine"), at(3)).await?;
    assert_eq!(corrected, CorrectFactOutcome::Unknown);
    curation::shows_nothing(&**store, org, &scope()).await?;
    let episode = Episode { scope: scope(), session: two.ended, at: at(4), text: "Mine".into() };
    let request = RememberRequest { began_at: at(4), ..remembering(episode.clone()) };
    let mine = store.remember(org, request).await?;
    assert_eq!(mine, RememberOutcome::Remembered, "its own memory of the same name");
    assert_eq!(store.recall(org, &scope(), 10).await?, [episode]);
    let version = store.put_agent(org, quiet_agent(), at(3)).await?;
    assert_eq!(version.version, 1, "its own agent of the same name");
    assert!(store.grant(org, "opening", MicroCredits(7), at(3)).await?);
    assert_eq!(two.everything().await?, before);
    let found = store.credential(&KeyHash([1; 32])).await?;
    assert_eq!(found, Some(key(&two.full)), "a key tells its organization");
    Ok(())
}

pub async fn equal_ids_in_two_organizations_are_two_sessions(backend: &impl Backend) -> Result<()> {
    let two = two(backend).await?;
    let before = two.everything().await?;
    let twin = two.empty.finished(2).await?;
    assert_eq!(twin.id, two.ended);
    two.empty.finalize(twin.id, at(5)).await?;
    let active = two.empty.opened(1).await?;
    two.empty.ended(active.id, at(6)).await?;
    assert_eq!(two.everything().await?, before);
    audit(&*two.full.store, &two.full.org).await?;
    audit(&*two.empty.store, &two.empty.org).await
}
