//! Opening a session.

use std::collections::BTreeMap;

use epilogue_core::{
    Agent, AgentId, Connection, Dialect, EndpointKey, MicroCredits, OrgId, Person, Profile,
    ProjectId, Role, Session, SessionId, SessionState, Staging, Timestamp, Usage,
    agent::AgentKind,
    message::NewMessage,
    overlay,
    session::{AgentVersion, Context},
};
use epilogue_storage::{Admission, OpenOutcome, OpenRequest, SessionName};
use serde_json::{Map, Value};

use crate::{Engine, Error, clock::within, memory::RecallRequest};

/// How many facts an open recalls.
const FACTS_RECALLED: u32 = 40;

/// A session to be opened.
#[derive(Clone, Debug)]
pub struct OpenSession {
    /// The tenant.
    pub org: OrgId,
    /// Its identity, from [`Engine::new_session_id`].
    pub id: SessionId,
    /// Which API opens it.
    pub dialect: Dialect,
    /// Its name in that API.
    pub dialect_id: String,
    /// With which agent.
    pub agent: AgentId,
    /// What the agent must be able to do.
    pub kind: AgentKind,
    /// The API's own profile; the agent may set its own times.
    pub profile: Profile,
    /// Who the agent talks to, if the client says so.
    pub person: Option<Person>,
    /// The client's own data.
    pub metadata: Value,
    /// Values for the prompt's template variables.
    pub variables: BTreeMap<String, String>,
    /// Where it comes from, in APIs that have channels.
    pub origin: Origin,
}

/// Where a session comes from.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    /// The project it belongs to, among whose live sessions its name must be the only one.
    pub project: Option<ProjectId>,
    /// Through which channel.
    pub channel: Option<String>,
    /// The address of its endpoint, which has at most one live session; null for none.
    pub address: Value,
    /// The client's bag of prompt variables.
    pub bag: Map<String, Value>,
    /// Prompt variables that are the server's to say.
    pub reserved: BTreeMap<String, String>,
    /// The connection it lives by, from [`Engine::new_connection`].
    pub connection: Option<Connection>,
    /// How its avatar appears, if it has one.
    pub staging: Option<Staging>,
}

/// A session that is open.
#[derive(Clone, Debug)]
pub struct Opened {
    /// The session.
    pub session: Session,
    /// Its agent.
    pub agent: Agent,
    /// What the agent says first.
    pub greeting: Option<String>,
}

/// Why a session was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The organization has no such agent.
    #[error("no such agent")]
    NoAgent,
    /// The agent takes no new conversations.
    #[error("the agent is disabled")]
    Disabled,
    /// The agent cannot do what the API is for.
    #[error("the agent is of another kind")]
    WrongKind,
    /// The organization has too few credits.
    #[error("insufficient credits")]
    InsufficientCredits {
        /// What it has.
        balance: MicroCredits,
    },
    /// The API already has a session of that name.
    #[error("the name is taken")]
    NameTaken,
    /// The endpoint has a live session.
    #[error("the endpoint has a live session")]
    EndpointTaken(Box<Session>),
    /// The organization has as many sessions open as it may.
    #[error("too many sessions are open")]
    TooManyOpen,
    /// Our fault.
    #[error(transparent)]
    Engine(#[from] Error),
}

impl From<epilogue_storage::Error> for OpenError {
    fn from(error: epilogue_storage::Error) -> Self {
        Self::Engine(error.into())
    }
}

impl Engine {
    /// Opens a session: recalls what is remembered of the person, sets credits aside, greets.
    pub async fn open(&self, mut request: OpenSession) -> Result<Opened, OpenError> {
        if self.is_draining() {
            return Err(Error::Draining.into());
        }
        // A project that has changed its agent has one of its own.
        if let Some(project) = &request.origin.project
            && self.store().project_agent(&request.org, project).await?.is_some()
        {
            request.agent = overlay::agent_id(project);
        }
        let found = self.store().agent(&request.org, &request.agent).await?;
        let Some((version, agent)) = found else {
            // One that never was has no sessions that could go on.
            let known = self.store().agent_record(&request.org, &request.agent).await?;
            return Err(match known {
                Some(_) => self.refuse(&request, OpenError::NoAgent).await?,
                None => OpenError::NoAgent,
            });
        };
        if !agent.enabled {
            return Err(self.refuse(&request, OpenError::Disabled).await?);
        }
        if agent.kind != request.kind {
            return Err(self.refuse(&request, OpenError::WrongKind).await?);
        }
        let (admission, open_max) = self.admission(&request.org).await?;
        let asked_at = self.now();
        let recalled = self.recall(&request, &agent).await;
        let (mut session, greeting) = self.draft(request, version, &agent, recalled);
        let open = OpenRequest {
            session: session.clone(),
            greeting: greeting.clone(),
            admission,
            open_max,
        };
        match self.store().open(open, self.now()).await? {
            OpenOutcome::Opened => {}
            OpenOutcome::InsufficientCredits { balance } => {
                return Err(OpenError::InsufficientCredits { balance });
            }
            OpenOutcome::NameTaken => return Err(OpenError::NameTaken),
            OpenOutcome::EndpointTaken(live) => return Err(OpenError::EndpointTaken(live)),
            OpenOutcome::TooManyOpen => return Err(OpenError::TooManyOpen),
        }
        self.unrecall(&mut session, asked_at).await?;
        if let Some(due_at) = session.due_at() {
            self.inner.alarm.due_at(due_at);
        }
        if session.project.is_some() {
            // Subscribers may be owed the news.
            self.inner.new_steps.notify_one();
        }
        self.inner.metrics.session_opened(&session.dialect);
        tracing::info!(org = %session.org, session = %session.id, dialect = %session.dialect, "opened");
        Ok(Opened { session, agent, greeting: greeting.map(|message| message.content) })
    }

    /// What to say to an open whose agent takes none: that its endpoint has a live session comes
    /// first, for those that run go on whatever has become of their agent.
    async fn refuse(
        &self,
        request: &OpenSession,
        refusal: OpenError,
    ) -> Result<OpenError, OpenError> {
        let (Some(channel), Some(endpoint)) =
            (request.origin.channel.clone(), endpoint(&request.origin))
        else {
            return Ok(refusal);
        };
        let name = SessionName::Endpoint(request.dialect.clone(), channel, endpoint);
        let live = self.store().find(&request.org, &name).await?;
        Ok(live.map_or(refusal, |live| OpenError::EndpointTaken(Box::new(live))))
    }

    /// Whether the balance is looked at, and how many sessions may be open.
    async fn admission(&self, org: &OrgId) -> Result<(Admission, u32), OpenError> {
        let organization = self.store().organization(org).await?;
        let open_max = organization.as_ref().map_or(0, |organization| organization.open_max);
        let metered = organization.filter(|organization| organization.metered);
        let admission = metered.map_or(Admission::Free, |organization| Admission::Credits {
            grace: organization.grace,
        });
        Ok((admission, open_max))
    }

    /// What is remembered of the person. Late or failing memory never fails an open.
    async fn recall(&self, request: &OpenSession, agent: &Agent) -> Option<String> {
        let person = request.person.as_ref().filter(|_| agent.memory.recalls())?;
        let asked = RecallRequest {
            org: request.org.clone(),
            scope: person.memory_scope(agent.remembers_as()),
            query: None,
            // Also what is announced for later, and what was: each says since and until when.
            as_of: None,
            limit: FACTS_RECALLED,
        };
        let recall = self.inner.parts.memory.recall(&asked);
        match within(&**self.clock(), self.limits().recall, recall).await {
            Some(Ok(recalled)) => recalled.map(|recalled| recalled.to_prompt()),
            Some(Err(error)) => {
                self.inner.metrics.recall_failed();
                tracing::warn!(error = &error as &dyn std::error::Error, "memory was not recalled");
                None
            }
            None => {
                self.inner.metrics.recall_failed();
                tracing::warn!(limit = ?self.limits().recall, "memory came too late for an open");
                None
            }
        }
    }

    /// Takes out again what was recalled of a person who was forgotten between the recall and the open.
    /// Whoever is forgotten from now on is looked for in the session that is open.
    async fn unrecall(&self, session: &mut Session, asked_at: Timestamp) -> Result<(), OpenError> {
        let Some(person) = session.person.as_ref().filter(|_| session.context.recalled.is_some())
        else {
            return Ok(());
        };
        let forgotten = self.store().forgotten_at(&session.org, person.key()).await?;
        if let Some(at) = forgotten.filter(|at| *at >= asked_at) {
            self.store().erase_person(&session.org, person, &[], at).await?;
            session.context.recalled = None;
        }
        Ok(())
    }

    fn draft(
        &self,
        request: OpenSession,
        agent_version: AgentVersion,
        agent: &Agent,
        recalled: Option<String>,
    ) -> (Session, Option<NewMessage>) {
        let now = self.now();
        let greets = request.profile.turns.greets;
        let greeting = agent.greeting.as_ref().filter(|text| greets && !text.is_empty());
        let greeting = greeting.map(|text| NewMessage::text(Role::Assistant, text.clone(), now));
        let messages = u32::from(greeting.is_some());
        let session = Session {
            org: request.org,
            id: request.id,
            dialect: request.dialect,
            dialect_id: request.dialect_id,
            agent: agent_version,
            endpoint: endpoint(&request.origin),
            project: request.origin.project,
            channel: request.origin.channel,
            connection: request.origin.connection,
            person: request.person,
            profile: request.profile.for_agent(agent),
            context: Context {
                metadata: request.metadata,
                variables: request.variables,
                recalled,
                bag: request.origin.bag,
                reserved: request.origin.reserved,
                address: request.origin.address,
                staging: request.origin.staging,
            },
            opened_at: now,
            last_activity: now,
            last_seen: now,
            usage: Usage { total_messages: messages, ..Usage::default() },
            held: agent.hold(),
            messages,
            turns: 0,
            state: SessionState::Active { turn: None },
        };
        (session, greeting)
    }
}

/// The endpoint of an address that a channel gives.
pub(crate) fn endpoint(origin: &Origin) -> Option<EndpointKey> {
    let named = origin.channel.is_some() && !origin.address.is_null();
    named.then(|| EndpointKey::of(&origin.address))
}
