//! The real store as a seeded round sees it: every call waits for its moment in the schedule, is
//! carried through at once, is put on record, and is answered at another moment.

use std::{
    fmt::Debug,
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use epilogue_core::{
    Agent, AgentId, ConnectionId, EndRequest, EventId, KeyId, MemoryScope, Message, MicroCredits,
    NodeId, OrgId, Person, PersonKey, ProjectId, SessionId, Step, StepId, Subscription,
    SubscriptionId, Timestamp,
    event::Activity,
    integration::{Integration, IntegrationToken},
    ledger::Account,
    memory::{Entity, EntityId, FactId},
    session::AgentVersion,
    step::Attempt,
    texting::{CarrierAccount, Inbound, InboundId, InboundMessage, PhoneNumber},
    upload::{self, Upload},
};
use epilogue_storage::{
    AbsorbOutcome, AbsorbRequest, ActivityCount, ActivityFilter, ActivityOrder, ActivityStore,
    AddIntegrationOutcome, AddNumberOutcome, AddTokenOutcome, AgentRecord, AgentStore, AgentWrite,
    AnalysisResult, AttachOutcome, AttachRequest, BeginTurnOutcome, BeginTurnRequest, CarrierStore,
    ClaimInbound, ClaimRequest, ClaimUploads, ClaimedStep, CommitStats, ConnectionStore,
    CorrectFactOutcome, CorrectFactRequest, Credential, CurationStore, DeleteAgentOutcome,
    Delivery, DeliveryAttempt, DeliveryFilter, DeliveryStore, DetachOutcome, DirectoryStore,
    DroppedUploads, DueInbox, DueLane, DueSession, DueUploads, EndReceipt, Episode, ErasureStep,
    FactQuestion, FactView, FinishTurnOutcome, FinishTurnRequest, FoundFacts, GraphStore,
    HistoryEntry, HistoryPage, HistoryStore, Hits, InboundClaim, InboundOutcome, InboundReport,
    InboxCensus, InboxStore, IntegrationStore, KeyHash, KnownFact, LedgerRow, LedgerStore,
    LiveBounds, LiveConversations, MemoryStore, Mismatch, NewUpload, OffsetPage, OpenOutcome,
    OpenRequest, OpenedWithin, Organization, OrganizationConfig, Page, PageRequest, Progress,
    Project, ProjectAgent, ProjectAgentStore, ProjectStats, PutCarrierOutcome,
    PutIntegrationOutcome, ReceiveOutcome, RecentFilter, RecentSessions, RememberOutcome,
    RememberRequest, ResendOutcome, Result, ResultFacets, ResultFilter, ResultHit, ResultOrder,
    ResultRecord, ResultStore, ResumeOutcome, RetryOutcome, SessionCensus, SessionFilter,
    SessionName, SessionStore, SettleOutcome, SettleRequest, StageStore, StepCensus, StepFilter,
    StepStore, Storage, SubscribeOutcome, SubscriptionStore, TakeStage, TakeStageOutcome,
    TokenHolder, TurnStore, UploadCensus, UploadClaim, UploadOutcome, UploadReport, UploadStore,
    WithTokens, WriteAgentOutcome, WriteProjectAgent, WriteProjectAgentOutcome, WriteSaid,
    WriteSaidOutcome, WriteVariables, WriteVariablesOutcome,
};

use super::schedule::{Schedule, at_once};

/// Whether a process still lives. Nothing that a dead one asks for happens, or is ever answered.
#[derive(Clone, Default)]
pub struct Life(Arc<AtomicBool>);

impl Life {
    pub fn end(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Goes on with the living.
    async fn lived(&self) {
        if self.0.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
    }
}

/// The store of one process in a seeded round.
pub struct SeededStorage {
    real: Arc<dyn Storage>,
    schedule: Arc<Schedule>,
    node: String,
    life: Life,
}

impl SeededStorage {
    pub fn new(
        real: Arc<dyn Storage>,
        schedule: Arc<Schedule>,
        node: impl Into<String>,
        life: Life,
    ) -> Self {
        Self { real, schedule, node: node.into(), life }
    }

    async fn call<T: Debug>(&self, what: &str, call: impl Future<Output = Result<T>>) -> Result<T> {
        self.turn(what, "called").await;
        let answer = at_once(call);
        self.schedule.note(format!("{} {what}: {answer:?}", self.node));
        self.turn(what, "answered").await;
        answer
    }

    async fn turn(&self, what: &str, how: &str) {
        self.schedule.aside(&format!("{} {what} {how}", self.node)).await;
        self.life.lived().await;
    }
}

/// Passes every method of a trait on to the real store.
macro_rules! scheduled {
    ($store:ident { $(fn $method:ident($($argument:ident: $type:ty),*) -> $answer:ty;)* }) => {
        #[async_trait]
        impl $store for SeededStorage {
            $(
                async fn $method(&self, $($argument: $type),*) -> Result<$answer> {
                    let call = $store::$method(&*self.real, $($argument),*);
                    self.call(stringify!($method), call).await
                }
            )*
        }
    };
}

scheduled!(SessionStore {
    fn open(request: OpenRequest, now: Timestamp) -> OpenOutcome;
    fn find(org: &OrgId, name: &SessionName) -> Option<epilogue_core::Session>;
    fn list(org: &OrgId, filter: &SessionFilter, page: &PageRequest) -> Page<epilogue_core::Session>;
    fn list_recent(org: &OrgId, filter: &RecentFilter, skip: u32, take: u32) -> RecentSessions;
    fn conversation(org: &OrgId, id: SessionId) -> Option<(epilogue_core::Session, Vec<Message>)>;
    fn messages(org: &OrgId, id: SessionId, from_seq: u32, limit: u32) -> Vec<Message>;
    fn visible_messages(org: &OrgId, id: SessionId, skip: u32, limit: u32) -> Vec<Message>;
    fn keep_alive(org: &OrgId, id: SessionId, now: Timestamp) -> Option<bool>;
    fn write_variables(request: WriteVariables, now: Timestamp) -> WriteVariablesOutcome;
    fn live_conversations(org: &OrgId, project: &ProjectId, after: Option<&str>, bounds: LiveBounds) -> LiveConversations;
    fn end(org: &OrgId, id: SessionId, request: EndRequest, now: Timestamp) -> Option<EndReceipt>;
    fn due_sessions(now: Timestamp, limit: u32) -> Vec<DueSession>;
    fn next_due_session() -> Option<Timestamp>;
    fn session_census() -> SessionCensus;
});

scheduled!(TurnStore {
    fn begin_turn(request: BeginTurnRequest, now: Timestamp) -> BeginTurnOutcome;
    fn finish_turn(request: FinishTurnRequest, now: Timestamp) -> FinishTurnOutcome;
    fn abandon_turns(alive: &[NodeId], now: Timestamp) -> u64;
});

scheduled!(ConnectionStore {
    fn attach(org: &OrgId, id: SessionId, request: AttachRequest) -> AttachOutcome;
    fn detach(org: &OrgId, id: SessionId, connection: &ConnectionId, now: Timestamp) -> DetachOutcome;
    fn lose_connections(alive: &[NodeId], now: Timestamp) -> u64;
});

scheduled!(StageStore {
    fn take_stage(request: TakeStage, now: Timestamp) -> TakeStageOutcome;
    fn write_said(request: WriteSaid, now: Timestamp) -> WriteSaidOutcome;
});

scheduled!(StepStore {
    fn due_lanes(now: Timestamp, after: Option<&DueLane>, limit: u32) -> Vec<DueLane>;
    fn next_due_step() -> Option<Timestamp>;
    fn claim(request: ClaimRequest, now: Timestamp) -> Vec<ClaimedStep>;
    fn settle(request: SettleRequest, now: Timestamp) -> SettleOutcome;
    fn settle_and_claim(request: SettleRequest, next: ClaimRequest, now: Timestamp) -> (SettleOutcome, Vec<ClaimedStep>);
    fn retry(org: &OrgId, step: StepId, by: Option<String>, now: Timestamp) -> RetryOutcome;
    fn release_leases(alive: &[NodeId], now: Timestamp) -> u64;
    fn list_steps(org: &OrgId, filter: &StepFilter, page: &PageRequest) -> Page<Step>;
    fn steps_of(org: &OrgId, session: SessionId) -> Vec<(Step, Vec<Attempt>)>;
    fn analyses_of(org: &OrgId, session: SessionId) -> Vec<AnalysisResult>;
    fn step_census() -> StepCensus;
});

scheduled!(HistoryStore {
    fn project_history(org: &OrgId, project: &ProjectId, search: Option<&str>, page: HistoryPage) -> Hits<HistoryEntry>;
    fn project_stats(org: &OrgId, project: &ProjectId, opened: OpenedWithin) -> ProjectStats;
});

scheduled!(ProjectAgentStore {
    fn project_agent(org: &OrgId, project: &ProjectId) -> Option<ProjectAgent>;
    fn write_project_agent(org: &OrgId, write: WriteProjectAgent, now: Timestamp) -> WriteProjectAgentOutcome;
});

scheduled!(SubscriptionStore {
    fn subscribe(org: &OrgId, project: &ProjectId, wanted: Subscription, by: Option<String>) -> SubscribeOutcome;
    fn unsubscribe(org: &OrgId, project: &ProjectId, id: SubscriptionId, by: Option<String>, now: Timestamp) -> bool;
    fn skip_gone(org: &OrgId, project: &ProjectId, id: SubscriptionId, now: Timestamp) -> u32;
    fn subscriptions(org: &OrgId, project: &ProjectId) -> Vec<Subscription>;
    fn subscription(org: &OrgId, project: &ProjectId, id: SubscriptionId) -> Option<Subscription>;
    fn subscription_at(org: &OrgId, project: &ProjectId, url: &url::Url) -> Option<Subscription>;
});

scheduled!(DeliveryStore {
    fn list_deliveries(org: &OrgId, filter: &DeliveryFilter, page: &PageRequest) -> Page<Delivery>;
    fn delivery(org: &OrgId, id: &EventId) -> Option<(Delivery, Vec<DeliveryAttempt>)>;
    fn resend(org: &OrgId, id: &EventId, by: Option<String>, now: Timestamp) -> ResendOutcome;
});

scheduled!(LedgerStore {
    fn grant(org: &OrgId, key: &str, amount: MicroCredits, now: Timestamp) -> bool;
    fn balance(org: &OrgId, account: Account) -> MicroCredits;
    fn list_ledger(org: &OrgId, session: Option<SessionId>, page: &PageRequest) -> Page<LedgerRow>;
    fn audit_ledger(org: &OrgId) -> Vec<Mismatch>;
});

scheduled!(DirectoryStore {
    fn apply_config(organizations: Vec<OrganizationConfig>, now: Timestamp) -> ();
    fn organizations() -> Vec<Organization>;
    fn organization(org: &OrgId) -> Option<Organization>;
    fn project(org: &OrgId, id: &ProjectId) -> Option<Project>;
    fn projects(org: &OrgId) -> Vec<Project>;
    fn agent(org: &OrgId, id: &AgentId) -> Option<(AgentVersion, Agent)>;
    fn agent_version(org: &OrgId, version: &AgentVersion) -> Option<Agent>;
    fn agents(org: &OrgId) -> Vec<(AgentVersion, Agent)>;
    fn put_agent(org: &OrgId, agent: Agent, now: Timestamp) -> AgentVersion;
    fn credential(hash: &KeyHash) -> Option<Credential>;
    fn credentials(org: &OrgId) -> Vec<Credential>;
    fn add_credential(credential: Credential, now: Timestamp) -> ();
    fn revoke_credential(org: &OrgId, id: &KeyId, by: Option<String>, now: Timestamp) -> bool;
});

scheduled!(MemoryStore {
    fn remember(org: &OrgId, request: RememberRequest) -> RememberOutcome;
    fn recall(org: &OrgId, scope: &MemoryScope, limit: u32) -> Vec<Episode>;
    fn scopes_of(org: &OrgId, person: PersonKey) -> Vec<MemoryScope>;
    fn forgotten_at(org: &OrgId, person: PersonKey) -> Option<Timestamp>;
    fn erase_person(org: &OrgId, person: &Person, scopes: &[MemoryScope], now: Timestamp) -> ErasureStep;
    fn expire_memory(org: &OrgId, before: Timestamp) -> ErasureStep;
    fn erase_transcripts(org: &OrgId, person: &Person, now: Timestamp) -> ErasureStep;
});

scheduled!(GraphStore {
    fn absorb(org: &OrgId, request: AbsorbRequest, now: Timestamp) -> AbsorbOutcome;
    fn absorbed(org: &OrgId, scope: &MemoryScope, session: SessionId) -> Option<u32>;
    fn find_facts(org: &OrgId, scope: &MemoryScope, question: &FactQuestion) -> FoundFacts;
    fn list_facts(org: &OrgId, scope: &MemoryScope, page: &PageRequest) -> Page<FactView>;
    fn entity(org: &OrgId, scope: &MemoryScope, entity: EntityId) -> Option<(Entity, Vec<FactView>)>;
    fn why(org: &OrgId, scope: &MemoryScope, fact: FactId) -> Option<(FactView, Vec<Episode>)>;
});

scheduled!(CurationStore {
    fn known_facts(org: &OrgId, scope: &MemoryScope, as_of: Option<Timestamp>, sources_max: u32, page: &PageRequest) -> Page<KnownFact>;
    fn pick_facts(org: &OrgId, scope: &MemoryScope, facts: &[FactId]) -> Vec<KnownFact>;
    fn pick_entities(org: &OrgId, scope: &MemoryScope, entities: &[EntityId]) -> Vec<Entity>;
    fn list_entities(org: &OrgId, scope: &MemoryScope, page: &PageRequest) -> Page<Entity>;
    fn list_episodes(org: &OrgId, scope: &MemoryScope, page: &PageRequest) -> Page<Episode>;
    fn correct_fact(request: CorrectFactRequest, now: Timestamp) -> CorrectFactOutcome;
    fn drop_fact(org: &OrgId, scope: &MemoryScope, fact: FactId, by: Option<String>, now: Timestamp) -> bool;
    fn note_erasure(org: &OrgId, entry: Activity) -> ();
});

scheduled!(ActivityStore {
    fn list_activity(org: &OrgId, session: Option<SessionId>, page: &PageRequest) -> Page<Activity>;
    fn search_activity(org: &OrgId, filter: &ActivityFilter, order: ActivityOrder, page: OffsetPage) -> (Hits<Activity>, Vec<ActivityCount>);
});

scheduled!(AgentStore {
    fn agent_record(org: &OrgId, id: &AgentId) -> Option<AgentRecord>;
    fn agent_records(org: &OrgId, skip: u32, limit: u32) -> Vec<AgentRecord>;
    fn write_agent(org: &OrgId, write: AgentWrite, now: Timestamp) -> WriteAgentOutcome;
    fn delete_agent(org: &OrgId, id: &AgentId, by: Option<String>, now: Timestamp) -> DeleteAgentOutcome;
});

scheduled!(IntegrationStore {
    fn add_integration(org: &OrgId, integration: Integration, by: Option<String>, now: Timestamp) -> AddIntegrationOutcome;
    fn put_integration(org: &OrgId, change: (Integration, Integration), by: Option<String>, now: Timestamp) -> PutIntegrationOutcome;
    fn remove_integration(org: &OrgId, id: &str, by: Option<String>, now: Timestamp) -> bool;
    fn integration(org: &OrgId, id: &str) -> Option<WithTokens>;
    fn integrations(org: &OrgId) -> Vec<WithTokens>;
    fn add_token(org: &OrgId, integration: &str, new: (IntegrationToken, KeyHash), by: Option<String>, now: Timestamp) -> AddTokenOutcome;
    fn remove_token(org: &OrgId, token: (&str, &str), by: Option<String>, now: Timestamp) -> bool;
    fn token_holder(hash: &KeyHash) -> Option<TokenHolder>;
    fn token_used(org: &OrgId, hash: &KeyHash, now: Timestamp) -> ();
});

scheduled!(CarrierStore {
    fn put_carrier(org: &OrgId, carrier: CarrierAccount, by: Option<String>, now: Timestamp) -> PutCarrierOutcome;
    fn carrier(org: &OrgId, id: &str) -> Option<CarrierAccount>;
    fn carrier_holder(id: &str) -> Option<(OrgId, CarrierAccount)>;
    fn add_number(org: &OrgId, number: PhoneNumber, by: Option<String>, now: Timestamp) -> AddNumberOutcome;
    fn link_number(org: &OrgId, id: &str, agent: Option<AgentId>, by: Option<String>, now: Timestamp) -> Option<PhoneNumber>;
    fn numbers(org: &OrgId) -> Vec<PhoneNumber>;
    fn number(org: &OrgId, number: &str) -> Option<PhoneNumber>;
});

scheduled!(InboxStore {
    fn receive(org: &OrgId, inbound: Inbound, now: Timestamp) -> ReceiveOutcome;
    fn due_inboxes(now: Timestamp, after: Option<&DueInbox>, limit: u32) -> Vec<DueInbox>;
    fn next_due_inbound() -> Option<Timestamp>;
    fn claim_inbound(request: ClaimInbound, now: Timestamp) -> Vec<InboundMessage>;
    fn advance_inbound(claim: &InboundClaim, progress: Progress, lease_until: Timestamp, now: Timestamp) -> InboundOutcome;
    fn settle_inbound(claim: &InboundClaim, report: InboundReport, now: Timestamp) -> InboundOutcome;
    fn resume_inbound(org: &OrgId, id: &InboundId, by: Option<String>, now: Timestamp) -> ResumeOutcome;
    fn release_inbox(alive: &[NodeId], now: Timestamp) -> u64;
    fn list_inbound(org: &OrgId, state: Option<&str>, page: &PageRequest) -> Page<InboundMessage>;
    fn inbox_census() -> InboxCensus;
});

scheduled!(UploadStore {
    fn enqueue_upload(upload: NewUpload, now: Timestamp) -> Upload;
    fn upload(org: &OrgId, session: SessionId) -> Option<Upload>;
    fn due_uploads(now: Timestamp, after: Option<&OrgId>, limit: u32) -> Vec<DueUploads>;
    fn next_due_upload() -> Option<Timestamp>;
    fn claim_uploads(request: ClaimUploads, now: Timestamp) -> Vec<Upload>;
    fn advance_upload(claim: &UploadClaim, progress: upload::Progress, lease_until: Timestamp) -> UploadOutcome;
    fn settle_upload(claim: &UploadClaim, report: UploadReport, now: Timestamp) -> UploadOutcome;
    fn resume_upload(org: &OrgId, session: SessionId, now: Timestamp) -> bool;
    fn drop_uploads(org: &OrgId, scope: &MemoryScope, now: Timestamp) -> DroppedUploads;
    fn release_uploads(alive: &[NodeId], now: Timestamp) -> u64;
    fn upload_census() -> UploadCensus;
});

scheduled!(ResultStore {
    fn search_results(org: &OrgId, filter: &ResultFilter, order: ResultOrder, page: OffsetPage) -> Hits<ResultHit>;
    fn result_facets(org: &OrgId, filter: &ResultFilter, members: &[String]) -> ResultFacets;
    fn result(org: &OrgId, session: SessionId) -> Option<ResultRecord>;
});

#[async_trait]
impl Storage for SeededStorage {
    fn commit_stats(&self) -> CommitStats {
        self.real.commit_stats()
    }

    async fn tidy(&self) -> Result<()> {
        self.call("tidy", self.real.tidy()).await
    }
}
