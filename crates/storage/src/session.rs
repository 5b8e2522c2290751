//! Decisions about sessions.

use async_trait::async_trait;
use epilogue_core::{
    AgentId, Dialect, EndOutcome, EndReason, EndRequest, EndpointKey, Message, MicroCredits, OrgId,
    Person, ProjectId, Session, SessionId, Timestamp, ledger::Transaction, message::NewMessage,
    variables::Nulls,
};
use serde_json::{Map, Value};

use crate::{Page, PageRequest, Result};

/// A session to be opened.
#[derive(Clone, Debug)]
pub struct OpenRequest {
    /// The session, active, with its hold, if any, in `held`.
    pub session: Session,
    /// Its first message, if the agent speaks first. Already counted in the session's usage.
    pub greeting: Option<NewMessage>,
    /// Whether the organization's balance is looked at.
    pub admission: Admission,
    /// How many sessions the organization may have open, this one included; 0 for any number.
    pub open_max: u32,
}

impl OpenRequest {
    /// The transaction that sets the session's hold aside, if it has one.
    pub fn hold(&self) -> Option<Transaction> {
        Transaction::hold(self.session.id, self.session.held)
    }
}

/// Whether an open looks at the balance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It does not: the organization is not metered.
    Free,
    /// [`epilogue_core::ledger::may_open`] must say yes with this grace.
    Credits {
        /// How far below zero the balance may go.
        grace: MicroCredits,
    },
}

/// What became of an open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OpenOutcome {
    /// It is open.
    Opened,
    /// The organization has too few credits.
    InsufficientCredits {
        /// What it has.
        balance: MicroCredits,
    },
    /// This dialect already has a session of that name, or its project a live one.
    NameTaken,
    /// The endpoint has a live session, which stays as it is. This comes before every other refusal.
    EndpointTaken(Box<Session>),
    /// The organization has as many sessions open as it may.
    TooManyOpen,
}

/// How a caller names a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionName {
    /// By its identity in the core.
    Id(SessionId),
    /// By its name in one dialect, where it belongs to no project.
    Dialect(Dialect, String),
    /// As the live one of that name in a project.
    LiveInProject(ProjectId, String),
    /// As the latest of that name in a project, live or not.
    LatestInProject(ProjectId, String),
    /// As the live one of an endpoint, in one dialect and channel.
    Endpoint(Dialect, String, EndpointKey),
    /// By either: the core's id, or the name it has in any dialect (the latest, if several do).
    Any(String),
}

/// Which sessions a list shows. Absent parts do not restrict.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionFilter {
    /// Opened by this API.
    pub dialect: Option<Dialect>,
    /// Belonging to this project.
    pub project: Option<ProjectId>,
    /// In this state.
    pub state: Option<StateFilter>,
    /// With this agent.
    pub agent: Option<AgentId>,
    /// Ended for this reason.
    pub reason: Option<EndReason>,
    /// By this person.
    pub person: Option<Person>,
    /// Opened then or later.
    pub opened_from: Option<Timestamp>,
    /// Opened before then.
    pub opened_before: Option<Timestamp>,
}

/// Which sessions of one dialect's channels a list by activity shows. Absent parts do not restrict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecentFilter {
    /// Opened by this API.
    pub dialect: Dialect,
    /// Through this channel.
    pub channel: Option<String>,
    /// With this agent.
    pub agent: Option<AgentId>,
    /// Active, or ended.
    pub active: Option<bool>,
    /// Last active later than then.
    pub active_after: Option<Timestamp>,
}

/// Part of a list by activity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecentSessions {
    /// The sessions, the latest active first, those of one moment by their ids.
    pub sessions: Vec<Session>,
    /// How many there are in all.
    pub total: u64,
}

/// What became of a request to end a session.
#[derive(Clone, Debug, PartialEq)]
pub struct EndReceipt {
    /// The session as it is now.
    pub session: Session,
    /// What the request did.
    pub outcome: EndOutcome,
}

/// Prompt variables to be written into a live session's bag.
#[derive(Clone, Debug)]
pub struct WriteVariables {
    /// The tenant.
    pub org: OrgId,
    /// The session.
    pub session: SessionId,
    /// What is laid over its bag, name by name.
    pub variables: Map<String, Value>,
    /// What a null among them means.
    pub nulls: Nulls,
}

/// What became of them.
#[derive(Clone, Debug, PartialEq)]
pub enum WriteVariablesOutcome {
    /// They are in the bag of the session, which is as it is now.
    Written(Box<Session>),
    /// The bag would be too long. Nothing changed.
    TooLong,
    /// The session has ended, or a deadline of its has passed. Nothing changed.
    Over,
    /// This organization has no such session.
    NoSession,
}

/// Live sessions of a project with what was said in them, in the order of their names.
#[derive(Clone, Debug, PartialEq)]
pub struct LiveConversations {
    /// Each with its whole transcript, all as of one moment.
    pub items: Vec<(Session, Vec<Message>)>,
    /// The name after which the next part begins. `None`: this is the last.
    pub next: Option<String>,
}

/// How much of the live sessions of a project is read at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LiveBounds {
    /// At most so many sessions.
    pub sessions_max: u32,
    /// No further one once so many bytes were said.
    pub bytes_max: usize,
}

/// The states of a session, without their facts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateFilter {
    /// Taking turns.
    Active,
    /// Ended, with steps still owed or parked.
    Finalizing,
    /// Everything has settled.
    Final,
}

/// A session whose entry in the deadline index has come due. The entry may be early: the session
/// itself knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueSession {
    /// The tenant.
    pub org: OrgId,
    /// The session.
    pub id: SessionId,
    /// The entry.
    pub due_at: Timestamp,
}

/// How many sessions there are, for metrics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionCensus {
    /// Active sessions, by dialect.
    pub open: Vec<(Dialect, u64)>,
    /// Turns in flight.
    pub turns: u64,
}

/// The durable decisions about sessions.
#[async_trait]
pub trait SessionStore: Send + Sync {
    /// Opens a session: its row, greeting, hold and place in the deadline index, all or nothing. Of
    /// many opens for one endpoint one succeeds, and the others learn of its session.
    async fn open(&self, request: OpenRequest, now: Timestamp) -> Result<OpenOutcome>;

    /// `None` if this organization has no such session, whoever else may have one.
    async fn find(&self, org: &OrgId, name: &SessionName) -> Result<Option<Session>>;

    /// The organization's sessions, the latest opened first.
    async fn list(
        &self,
        org: &OrgId,
        filter: &SessionFilter,
        page: &PageRequest,
    ) -> Result<Page<Session>>;

    /// The organization's sessions of one dialect's channels, the latest active first: `take` of them
    /// after `skip`. Pages by place, so that they move with every activity.
    async fn list_recent(
        &self,
        org: &OrgId,
        filter: &RecentFilter,
        skip: u32,
        take: u32,
    ) -> Result<RecentSessions>;

    /// Part of a transcript, oldest first: `limit` messages from number `from_seq` on.
    async fn messages(
        &self,
        org: &OrgId,
        id: SessionId,
        from_seq: u32,
        limit: u32,
    ) -> Result<Vec<Message>>;

    /// A session with its whole transcript, both as of one moment. `None`: no such session.
    async fn conversation(
        &self,
        org: &OrgId,
        id: SessionId,
    ) -> Result<Option<(Session, Vec<Message>)>>;

    /// Part of what the person saw, oldest first: after `skip` visible messages, `limit` of them.
    async fn visible_messages(
        &self,
        org: &OrgId,
        id: SessionId,
        skip: u32,
        limit: u32,
    ) -> Result<Vec<Message>>;

    /// Records that the client is still there. `None`: no such session. `Some(false)`: it is over.
    async fn keep_alive(&self, org: &OrgId, id: SessionId, now: Timestamp) -> Result<Option<bool>>;

    /// Lays variables over the bag of a live session, and counts as activity. A turn in flight goes
    /// on with those it began with.
    async fn write_variables(
        &self,
        request: WriteVariables,
        now: Timestamp,
    ) -> Result<WriteVariablesOutcome>;

    /// Part of a project's live sessions, those whose names come after `after`.
    async fn live_conversations(
        &self,
        org: &OrgId,
        project: &ProjectId,
        after: Option<&str>,
        bounds: LiveBounds,
    ) -> Result<LiveConversations>;

    /// Ends the session unless it has ended: its state, settlement, owed steps and activity entry,
    /// all or nothing. A look by the timer that comes too early only corrects the deadline index.
    /// `None`: no such session.
    async fn end(
        &self,
        org: &OrgId,
        id: SessionId,
        request: EndRequest,
        now: Timestamp,
    ) -> Result<Option<EndReceipt>>;

    /// Sessions whose index entry is `now` or earlier, fairly from all organizations, each one's
    /// oldest first. A plain read: the decision is [`Self::end`]'s.
    async fn due_sessions(&self, now: Timestamp, limit: u32) -> Result<Vec<DueSession>>;

    /// The earliest entry of the deadline index.
    async fn next_due_session(&self) -> Result<Option<Timestamp>>;

    /// How many sessions there are.
    async fn session_census(&self) -> Result<SessionCensus>;
}
