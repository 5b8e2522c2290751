//! What the cases are made of: an organization with an agent, sessions, turns, work. Time is
//! always passed in, and everything can be changed before it is used.

use std::sync::Arc;

use epilogue_core::{
    Agent, EndOutcome, EndReason, EndRequest, Ended, MicroCredits, NodeId, OrgId, Person, Profile,
    Role, Session, SessionId, SessionState, Span, StepId, StepKind, Timestamp, Usage,
    message::{NewMessage, Said, ToolCall},
    profile::{AgentFinish, Hears, Keeps, NotifyEnded, TurnRules},
    session::{AgentVersion, Context},
    step::AttemptOutcome,
};
use serde_json::json;

use super::Backend;
use crate::{
    Admission, BeginTurnOutcome, BeginTurnRequest, ClaimRequest, ClaimedStep, FinishTurnOutcome,
    FinishTurnRequest, OpenOutcome, OpenRequest, Organization, OrganizationConfig, Page,
    PageRequest, Product, Result, SessionName, SettleOutcome, SettleRequest, StepReport, Storage,
};

/// When every case begins.
pub const START: Timestamp = Timestamp::from_millis(1_700_000_000_000);
/// The idle timeout of the fixture's sessions.
pub const IDLE: Span = Span::from_secs(1800);
/// For how long the fixture's nodes are believed.
pub const LEASE: Span = Span::from_secs(60);
/// The least span of time.
pub const MS: Span = Span::from_millis(1);
/// The node that does the work unless a case says otherwise.
pub const NODE: &str = "node_1";
/// How many messages a turn of the fixture is answered with.
pub const HISTORY_MAX: u32 = 40;

/// `seconds` after the start.
pub fn at(seconds: u64) -> Timestamp {
    START + Span::from_secs(seconds)
}

/// An agent whose sessions owe every kind of step once the person has said something.
pub fn busy_agent() -> Agent {
    serde_json::from_value(json!({
        "id": "agent_busy",
        "name": "Busy",
        "model": { "provider": "scripted" },
        "memory": true,
        "keep_transcript": false,
        "price": { "per_1k_tokens": "0.01", "per_minute": "0.001" },
        "webhook": { "url": "https://hooks.example.com/x" },
        "analysis": [{ "name": "qa", "labels": [] }],
    }))
    .expect("the fixture's agent is a sound agent")
}

/// An agent whose sessions owe nothing.
pub fn quiet_agent() -> Agent {
    serde_json::from_value(json!({
        "id": "agent_quiet",
        "name": "Quiet",
        "model": { "provider": "scripted" },
    }))
    .expect("the fixture's agent is a sound agent")
}

/// An organization that is not metered and has one agent.
pub fn organization(id: &str, agent: &Agent) -> OrganizationConfig {
    OrganizationConfig {
        organization: Organization {
            id: id.into(),
            name: format!("The organization {id}"),
            metered: false,
            grace: MicroCredits::ZERO,
            open_max: 0,
            keep_transcripts: false,
        },
        opening_credits: None,
        agents: vec![agent.clone()],
        projects: Vec::new(),
        keys: Vec::new(),
    }
}

/// The rules the fixture's sessions live by.
pub fn profile() -> Profile {
    Profile {
        idle_timeout: Some(IDLE),
        max_duration: None,
        keep_alive_counts: false,
        agent_finish: AgentFinish::EndsSession,
        notify_ended: NotifyEnded::AtOnce,
        notify_finalized: true,
        hears: Hears::Everything,
        holds_media: true,
        keeps: Keeps::Transcript,
        searchable: false,
        turns: TurnRules::ORDINARY,
    }
}

/// The session id number `n` of those drawn at `now`.
pub fn session_id(n: u32, now: Timestamp) -> SessionId {
    let millis = u64::try_from(now.as_millis()).expect("after 1970");
    let mut random = [0; 10];
    random[6..].copy_from_slice(&n.to_be_bytes());
    SessionId(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
}

/// What the person said.
pub fn said(text: &str, at: Timestamp) -> NewMessage {
    NewMessage::text(Role::User, text, at)
}

/// What the agent answered.
pub fn replied(text: &str, at: Timestamp) -> NewMessage {
    NewMessage { tokens: Some(300), ..NewMessage::text(Role::Assistant, text, at) }
}

/// A tool call without words, and its result: neither is visible to the person.
pub fn tool_traffic(at: Timestamp) -> Vec<NewMessage> {
    let call =
        ToolCall { id: "call_1".into(), name: "look".into(), arguments: r#"{"at":1}"#.into() };
    vec![
        NewMessage { tool_calls: vec![call], ..NewMessage::text(Role::Assistant, "", at) },
        NewMessage {
            tool_call_id: Some("call_1".into()),
            ..NewMessage::text(Role::Tool, "{\"seen\":true}", at)
        },
    ]
}

/// What saying something uses.
pub fn said_usage() -> Usage {
    Usage { user_messages: 1, total_messages: 1, input_tokens: 150, ..Usage::default() }
}

/// What answering uses.
pub fn replied_usage() -> Usage {
    Usage {
        total_messages: 1,
        output_tokens: 300,
        prompt_tokens: 700,
        model_calls: 1,
        estimated: true,
        ..Usage::default()
    }
}

/// Reads a list to its end, `limit` rows at a time.
pub async fn every<T>(
    limit: u32,
    fetch: impl AsyncFn(PageRequest) -> Result<Page<T>>,
) -> Result<Vec<T>> {
    let mut request = PageRequest::first(limit);
    let mut all = Vec::new();
    loop {
        let page = fetch(request.clone()).await?;
        assert!(!page.items.is_empty() || page.next.is_none(), "an empty page is the last");
        all.extend(page.items);
        match page.next {
            Some(next) => request.after = Some(next),
            None => return Ok(all),
        }
    }
}

/// One organization in a store, with its agent.
#[derive(Debug)]
pub struct World<S> {
    /// The store.
    pub store: Arc<S>,
    /// The organization.
    pub org: OrgId,
    /// Its agent.
    pub agent: Agent,
    /// That agent's version.
    pub version: AgentVersion,
}

impl<S: Storage> World<S> {
    /// An organization whose agent owes everything, in a store of its own.
    pub async fn new(backend: &impl Backend<Store = S>) -> Result<Self> {
        Self::with_agent(backend, busy_agent()).await
    }

    /// An organization with this agent, in a store of its own.
    pub async fn with_agent(backend: &impl Backend<Store = S>, agent: Agent) -> Result<Self> {
        Self::join(Arc::new(backend.fresh().await), "org_1", agent).await
    }

    /// An organization that is added to a store.
    pub async fn join(store: Arc<S>, org: &str, agent: Agent) -> Result<Self> {
        store.apply_config(vec![organization(org, &agent)], START).await?;
        let org = OrgId::from(org);
        let (version, agent) =
            store.agent(&org, &agent.id).await?.expect("a configured agent is there");
        Ok(Self { store, org, agent, version })
    }

    /// Another organization in the same store, with the same agent.
    pub async fn neighbour(&self, org: &str) -> Result<Self> {
        Self::join(Arc::clone(&self.store), org, self.agent.clone()).await
    }

    /// Session number `n`, not yet opened.
    pub fn session(&self, n: u32) -> Session {
        self.session_at(n, START)
    }

    /// Session number `n`, to be opened at `now`.
    pub fn session_at(&self, n: u32, now: Timestamp) -> Session {
        Session {
            org: self.org.clone(),
            id: session_id(n, now),
            dialect: "native".into(),
            dialect_id: format!("s{n}"),
            project: None,
            agent: self.version.clone(),
            channel: None,
            endpoint: None,
            connection: None,
            person: Person::new("ann@example.com"),
            profile: profile(),
            context: Context {
                metadata: json!({ "order": 7 }),
                variables: [("city".to_owned(), "Ulm".to_owned())].into(),
                recalled: Some("Likes trains.".into()),
                ..Context::default()
            },
            opened_at: now,
            last_activity: now,
            last_seen: now,
            usage: Usage::default(),
            held: MicroCredits::ZERO,
            messages: 0,
            turns: 0,
            state: SessionState::Active { turn: None },
        }
    }

    /// Opens a session that the balance does not concern.
    pub async fn open(&self, session: &Session) -> Result<OpenOutcome> {
        self.open_with(session, Admission::Free).await
    }

    /// Opens a session without a greeting.
    pub async fn open_with(&self, session: &Session, admission: Admission) -> Result<OpenOutcome> {
        let request =
            OpenRequest { session: session.clone(), greeting: None, admission, open_max: 0 };
        self.store.open(request, session.opened_at).await
    }

    /// Opens session number `n`.
    pub async fn opened(&self, n: u32) -> Result<Session> {
        let session = self.session(n);
        assert_eq!(self.open(&session).await?, OpenOutcome::Opened);
        Ok(session)
    }

    /// The session as it is stored.
    pub async fn stored(&self, id: SessionId) -> Result<Session> {
        let found = self.store.find(&self.org, &SessionName::Id(id)).await?;
        Ok(found.expect("the session is there"))
    }

    /// A turn to begin.
    pub fn begin(&self, id: SessionId, now: Timestamp) -> BeginTurnRequest {
        BeginTurnRequest {
            org: self.org.clone(),
            session: id,
            node: NodeId::from(NODE),
            lease_until: now + LEASE,
            messages: vec![Said { body: said("Where is my train?", now), tokens: 150 }],
            key: None,
            history_max: HISTORY_MAX,
        }
    }

    /// A turn to finish.
    pub fn finish(&self, id: SessionId, number: u32, now: Timestamp) -> FinishTurnRequest {
        FinishTurnRequest {
            org: self.org.clone(),
            session: id,
            number,
            messages: vec![replied("On time.", now)],
            said: 0,
            usage: replied_usage(),
            variables: serde_json::Map::new(),
            activity: Vec::new(),
            key: None,
            then_end: None,
            by: None,
        }
    }

    /// Begins a turn that nothing stands against. Returns its number.
    pub async fn begun(&self, id: SessionId, now: Timestamp) -> Result<u32> {
        match self.store.begin_turn(self.begin(id, now), now).await? {
            BeginTurnOutcome::Begun { number, .. } => Ok(number),
            other => panic!("the turn should begin, but: {other:?}"),
        }
    }

    /// Takes a whole turn.
    pub async fn turn(&self, id: SessionId, now: Timestamp) -> Result<Session> {
        let number = self.begun(id, now).await?;
        match self.store.finish_turn(self.finish(id, number, now), now).await? {
            FinishTurnOutcome::Recorded(session) => Ok(*session),
            other => panic!("the turn should be recorded, but: {other:?}"),
        }
    }

    /// Asks for an end that nothing races with, so that the session it answers with is the stored
    /// one.
    pub async fn end(
        &self,
        id: SessionId,
        request: EndRequest,
        now: Timestamp,
    ) -> Result<Option<EndOutcome>> {
        let Some(receipt) = self.store.end(&self.org, id, request, now).await? else {
            return Ok(None);
        };
        assert_eq!(receipt.session, self.stored(id).await?, "the answer is what is stored");
        Ok(Some(receipt.outcome))
    }

    /// Ends a session that has not ended. Returns the facts of its end.
    pub async fn ended(&self, id: SessionId, now: Timestamp) -> Result<Ended> {
        let request = EndRequest::asked(EndReason::UserEnd);
        match self.end(id, request, now).await? {
            Some(EndOutcome::EndedNow(ended)) => Ok(ended),
            other => panic!("the session should end, but: {other:?}"),
        }
    }

    /// Opens session `n`, takes a turn and ends it, all at the start: it owes what its agent asks.
    pub async fn finished(&self, n: u32) -> Result<Session> {
        let session = self.opened(n).await?;
        self.turn(session.id, START).await?;
        self.ended(session.id, START).await?;
        self.stored(session.id).await
    }
}

/// How the fixture works on steps.
impl<S: Storage> World<S> {
    /// A wish to work on a lane.
    pub fn wish(&self, lane: &str, now: Timestamp) -> ClaimRequest {
        ClaimRequest {
            org: self.org.clone(),
            lane: lane.to_owned(),
            node: NodeId::from(NODE),
            lease_until: now + LEASE,
            limit: PageRequest::LIMIT_MAX,
        }
    }

    /// The lane of one step.
    pub async fn lane(&self, session: SessionId, kind: StepKind) -> Result<String> {
        Ok(self.step(session, kind).await?.lane)
    }

    /// One step as it is stored.
    pub async fn step(&self, session: SessionId, kind: StepKind) -> Result<epilogue_core::Step> {
        let steps = self.store.steps_of(&self.org, session).await?;
        let step = steps.into_iter().map(|(step, _)| step).find(|step| step.kind == kind);
        Ok(step.unwrap_or_else(|| panic!("the session owes no {}", kind.as_str())))
    }

    /// Claims the due step of this kind.
    pub async fn claimed(&self, id: StepId, now: Timestamp) -> Result<ClaimedStep> {
        let steps = self.store.steps_of(&self.org, id.session).await?;
        let lane = steps.into_iter().map(|(step, _)| step).find(|step| step.id() == id);
        let lane = lane.unwrap_or_else(|| panic!("the session owes no {id}")).lane;
        let claimed = self.store.claim(self.wish(&lane, now), now).await?;
        let found = claimed.into_iter().find(|claimed| claimed.step.id() == id);
        Ok(found.unwrap_or_else(|| panic!("{id} should be due")))
    }

    /// The report of a claim.
    pub fn report(&self, claimed: &ClaimedStep, report: StepReport) -> SettleRequest {
        let outcome = match &report {
            StepReport::Done => AttemptOutcome::Done,
            StepReport::Skipped(_) => AttemptOutcome::Skipped,
            StepReport::Again { .. } => AttemptOutcome::Failed,
            StepReport::Park(_) => AttemptOutcome::Fatal,
        };
        SettleRequest {
            org: self.org.clone(),
            step: claimed.step.id(),
            attempt: claimed.step.attempt,
            started_at: claimed.claimed_at,
            report,
            outcome,
            detail: "as told".into(),
            products: Vec::new(),
        }
    }

    /// Claims and settles one step.
    pub async fn work(
        &self,
        id: StepId,
        report: StepReport,
        products: Vec<Product>,
        now: Timestamp,
    ) -> Result<SettleOutcome> {
        let claimed = self.claimed(id, now).await?;
        let request = SettleRequest { products, ..self.report(&claimed, report) };
        self.store.settle(request, now).await
    }

    /// Claims one step and reports it done.
    pub async fn done(&self, id: StepId, now: Timestamp) -> Result<SettleOutcome> {
        self.work(id, StepReport::Done, Vec::new(), now).await
    }

    /// Does everything a session still owes, in the order of the kinds. The purge removes what
    /// must not stay.
    pub async fn finalize(&self, session: SessionId, now: Timestamp) -> Result<()> {
        for (step, _) in self.store.steps_of(&self.org, session).await? {
            if step.state.is_settled() {
                continue;
            }
            let purge = (step.kind == StepKind::Purge).then_some(Product::Purge);
            self.work(step.id(), StepReport::Done, purge.into_iter().collect(), now).await?;
        }
        let state = self.stored(session).await?.state;
        assert!(matches!(state, SessionState::Final { .. }), "everything is settled: {state:?}");
        Ok(())
    }
}
