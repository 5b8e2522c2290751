//! Taking a turn: a user message and everything the agent does until it is silent again.

use epilogue_core::{
    EndReason, Ended, Message, OrgId, Role, Session, SessionId, Span, Timestamp, Usage,
    message::{CONTEXT_ITEMS_MAX, NewMessage, Said},
    open_calls::Misfit,
    reason::Deadline,
};
use epilogue_storage::{BeginTurnOutcome, BeginTurnRequest, FinishTurnOutcome, FinishTurnRequest};
use serde_json::{Map, Value};
use tokio::sync::{mpsc, oneshot};

use crate::{
    Engine, Error,
    client_tool::ClientTool,
    llm::{ToolDefinition, tokens},
    session::{
        turn_run::{Start, TurnRun},
        turns::{Patience, Place, Refused},
    },
};

/// How many events wait for a slow reader before the turn waits too.
const EVENTS_MAX: usize = 64;

/// How much longer than a turn may take its node is believed.
const LEASE_SLACK: Span = Span::from_secs(30);

/// Something said to the agent.
#[derive(Clone, Debug)]
pub struct TurnRequest {
    /// The tenant.
    pub org: OrgId,
    /// The session.
    pub session: SessionId,
    /// What is said. The dialect has checked its length.
    pub input: TurnInput,
    /// What to do if a turn is running.
    pub when_busy: WhenBusy,
    /// What not every turn has.
    pub extras: TurnExtras,
}

/// What is said to the agent in a turn.
#[derive(Clone, Debug)]
pub enum TurnInput {
    /// A message from the person.
    Text(String),
    /// Several messages, whose times are those of the turn. Results of tools answer the calls that the
    /// last turn left open, see [`epilogue_core::open_calls::fit`].
    Messages(Vec<NewMessage>),
}

impl From<String> for TurnInput {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl TurnInput {
    fn said(self, at: Timestamp) -> Vec<Said> {
        let messages = match self {
            Self::Text(text) => vec![NewMessage::text(Role::User, text, at)],
            Self::Messages(messages) => messages,
        };
        let said = messages.into_iter().map(|body| {
            let tokens = tokens::count(&body.content);
            Said { body: NewMessage { at, ..body }, tokens }
        });
        said.collect()
    }
}

/// What not every turn has.
#[derive(Clone, Debug, Default)]
pub struct TurnExtras {
    /// The caller's name for the turn: asked for again under it, it is answered from the record.
    pub key: Option<String>,
    /// Prompt variables for this turn alone, over those of the session.
    pub variables: Map<String, Value>,
    /// Tools that the client runs, beside the agent's own.
    pub tools: Vec<ClientTool>,
    /// Tools that the caller runs after the turn, beside the agent's own, where the session lets turns
    /// end with calls open.
    pub deferred: Vec<ToolDefinition>,
    /// The caller hears of the reply only when it is whole: to it, a turn that fails has said nothing.
    pub told_whole: bool,
    /// What was said before, in the client's keeping: it goes to the model in place of the session's
    /// transcript, and is written down with the first turn.
    pub history: Option<Vec<NewMessage>>,
    /// The turn is the last: it ends the session for this reason.
    pub then_end: Option<EndReason>,
    /// The credential that asks for that end, for the activity log.
    pub ended_by: Option<String>,
}

/// What to do with a message while a turn is running.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenBusy {
    /// Wait, in order.
    #[default]
    Wait,
    /// Refuse.
    Reject,
    /// Cut the turn that runs, then take the place after whoever waits already.
    Interrupt,
}

/// A turn that has begun: the message is in the transcript, the reply is on its way.
#[derive(Debug)]
pub struct TurnStream {
    /// Who answers.
    pub agent_name: String,
    /// The turn's number in its session.
    pub number: u32,
    /// What happens. Ends with exactly one `Completed` or `Failed`. Dropping it cuts the turn. A turn
    /// that is answered from the record has only its end.
    pub events: mpsc::Receiver<TurnEvent>,
    /// What the turn came to, from when it has completed on.
    pub record: oneshot::Receiver<TurnRecord>,
}

/// What a turn came to, as it is on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TurnRecord {
    /// The session: after the turn, or as it is now if the turn was on record.
    pub session: Session,
    /// What the turn wrote into the transcript.
    pub messages: Vec<Message>,
    /// How many of these, the first ones, were said to the agent.
    pub said: u32,
}

/// What happens in a turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TurnEvent {
    /// More of the reply.
    Text(String),
    /// A tool is being called.
    ToolStarted {
        /// Which.
        name: String,
    },
    /// It has answered, or failed; the agent has been told which.
    ToolFinished {
        /// Which.
        name: String,
    },
    /// The turn is complete, and on disk.
    Completed {
        /// What it used.
        usage: TurnUsage,
        /// The agent has said goodbye.
        finish: bool,
    },
    /// The turn failed or was cut. What the person received is kept.
    Failed(TurnFailure),
}

/// What one turn used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TurnUsage {
    /// Tokens of the person's message.
    pub input_tokens: u64,
    /// Tokens of the reply.
    pub output_tokens: u64,
}

/// Why a turn did not complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TurnFailure {
    /// The model failed; the log says how.
    #[error("The agent could not answer. Please try again.")]
    Model,
    /// The model did not answer in time.
    #[error("The agent could not answer. Please try again.")]
    ModelTimeout,
    /// The agent's configuration cannot drive a model.
    #[error("The agent could not answer. Please try again.")]
    Misconfigured,
    /// The agent went back to its tools too often.
    #[error("The agent could not find an answer. Please try again.")]
    ToolLoop,
    /// It took too long.
    #[error("The agent took too long to answer. Please try again.")]
    TooLong,
    /// The session ended.
    #[error("The conversation has ended.")]
    SessionEnded,
    /// Another message came and was not to wait.
    #[error("The answer was interrupted by another message.")]
    Interrupted,
    /// The server stops.
    #[error("The server is restarting. Please try again.")]
    ShuttingDown,
    /// The reply could not be made durable.
    #[error("The answer could not be saved. Please try again.")]
    Store,
}

impl TurnFailure {
    /// The word for metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Model | Self::ModelTimeout | Self::Misconfigured => "model_failed",
            Self::ToolLoop => "tool_loop",
            Self::TooLong => "too_long",
            Self::SessionEnded => "session_ended",
            Self::Interrupted => "interrupted",
            Self::ShuttingDown => "shutting_down",
            Self::Store => "store_failed",
        }
    }
}

/// Why a turn did not begin.
#[derive(Debug, thiserror::Error)]
pub enum TurnError {
    /// This organization has no such session.
    #[error("no such session")]
    NoSession,
    /// The session has ended.
    #[error("the session has ended")]
    Over(Ended),
    /// A deadline has passed, though nobody has ended the session yet.
    #[error("the session has expired")]
    Lapsed(Deadline),
    /// A turn is running, and the message was not to wait.
    #[error("a turn is running")]
    Busy,
    /// Too many messages wait, or this one waited too long.
    #[error("too many messages are waiting")]
    Overrun,
    /// The session's agent is gone, or no longer one that writes.
    #[error("the session's agent cannot take turns")]
    NoAgent,
    /// What was said does not go on from where the conversation stands.
    #[error(transparent)]
    Misfit(Misfit),
    /// A tool that the caller runs has the name of one of the agent's own.
    #[error("the agent has a tool of its own called {0}")]
    ToolTaken(String),
    /// Our fault.
    #[error(transparent)]
    Engine(#[from] Error),
}

impl From<epilogue_storage::Error> for TurnError {
    fn from(error: epilogue_storage::Error) -> Self {
        Self::Engine(error.into())
    }
}

impl Engine {
    /// Takes a turn. Ready when the person's message is on disk, or it is clear that it will not be.
    ///
    /// A caller that goes away while it waits in line is forgotten; once its turn has begun, it is
    /// carried through whether or not the caller is still there.
    pub async fn turn(&self, request: TurnRequest) -> Result<TurnStream, TurnError> {
        if self.is_draining() {
            return Err(Error::Draining.into());
        }
        let limits = self.limits();
        let patience = Patience {
            wait: request.when_busy != WhenBusy::Reject,
            interrupt: request.when_busy == WhenBusy::Interrupt,
            // The twin of a turn that runs is there for its answer, however long that takes.
            wait_max: match request.extras.key {
                Some(_) => limits.turn_wait.max(limits.turn_max),
                None => limits.turn_wait,
            },
            waiting_max: limits.turns_waiting_max,
        };
        let session = (request.org.clone(), request.session);
        let place = self.inner.turns.enter(session, patience, self.clock()).await;
        let place = place.map_err(|refused| match refused {
            Refused::Busy => TurnError::Busy,
            Refused::TooManyWaiting | Refused::WaitedTooLong => TurnError::Overrun,
        })?;
        if self.is_draining() {
            // The drain began while this message waited in line.
            return Err(Error::Draining.into());
        }
        let (begun, begins) = oneshot::channel();
        let engine = self.clone();
        self.inner.tasks.spawn(async move { engine.take_turn(request, place, begun).await });
        // The sender is only dropped unused by a panic, which the runtime has reported.
        begins.await.unwrap_or_else(|_| Err(Error::Draining.into()))
    }

    async fn take_turn(
        &self,
        request: TurnRequest,
        place: Place,
        begun: oneshot::Sender<Result<TurnStream, TurnError>>,
    ) {
        match self.begin_turn(request, place).await {
            Ok((run, stream)) => {
                // A caller that is gone by now drops the stream, and the turn finds out.
                let _ = begun.send(Ok(stream));
                if let Some(run) = run {
                    run.run().await;
                }
            }
            Err(error) => {
                let _ = begun.send(Err(error));
            }
        }
    }

    /// Begins a turn, or finds it on record: then there is nothing to run.
    async fn begin_turn(
        &self,
        request: TurnRequest,
        place: Place,
    ) -> Result<(Option<TurnRun>, TurnStream), TurnError> {
        let now = self.now();
        let begin = BeginTurnRequest {
            org: request.org,
            session: request.session,
            node: self.inner.parts.node.clone(),
            lease_until: now + self.limits().turn_max + LEASE_SLACK,
            messages: request.input.said(now),
            key: request.extras.key.clone(),
            history_max: u32::try_from(CONTEXT_ITEMS_MAX).unwrap_or(u32::MAX),
        };
        let (session, number, history, said) = match self.store().begin_turn(begin, now).await? {
            BeginTurnOutcome::Begun { session, number, history, messages } => {
                (*session, number, history, messages)
            }
            BeginTurnOutcome::OnRecord { session, messages, said } => {
                let record = TurnRecord { session: *session, messages, said };
                return self.on_record(record).await.map(|stream| (None, stream));
            }
            BeginTurnOutcome::Misfit(misfit) => return Err(TurnError::Misfit(misfit)),
            BeginTurnOutcome::Busy(_) => return Err(TurnError::Busy),
            BeginTurnOutcome::Lapsed(deadline) => return Err(TurnError::Lapsed(deadline)),
            BeginTurnOutcome::Over(ended) => return Err(TurnError::Over(ended)),
            BeginTurnOutcome::NoAgent => return Err(TurnError::NoAgent),
            BeginTurnOutcome::NoSession => return Err(TurnError::NoSession),
        };
        let agent = match self.agent_of(&session.org, &session.agent).await {
            Ok(agent) => agent,
            Err(error) => return Err(self.give_up(&session, number, error.into()).await),
        };
        let own = |tool: &&ToolDefinition| agent.tools.iter().any(|own| own.name == tool.name);
        if let Some(tool) = request.extras.deferred.iter().find(own) {
            let taken = TurnError::ToolTaken(tool.name.clone());
            return Err(self.give_up(&session, number, taken).await);
        }
        let (events, stream) = mpsc::channel(EVENTS_MAX);
        let (recorded, record) = oneshot::channel();
        let agent_name = agent.name.clone();
        let stream = TurnStream { agent_name, number, events: stream, record };
        let start = Start { session, agent, number, history, said, extras: request.extras };
        Ok((Some(TurnRun::new(self.clone(), start, events, recorded).at(place)), stream))
    }

    /// The stream of a turn that was taken before: only its end is told.
    async fn on_record(&self, record: TurnRecord) -> Result<TurnStream, TurnError> {
        let session = &record.session;
        let agent_name = self.agent_of(&session.org, &session.agent).await?.name;
        let number = record.messages.first().map_or(0, |message| message.turn);
        let (events, stream) = mpsc::channel(1);
        let (recorded, answer) = oneshot::channel();
        let finish = session.ended().is_some();
        // Both have room, and their readers are here.
        let _ = recorded.send(record);
        let _ = events.try_send(TurnEvent::Completed { usage: TurnUsage::default(), finish });
        Ok(TurnStream { agent_name, number, events: stream, record: answer })
    }

    /// Frees the place of a turn that has begun and cannot go on.
    async fn give_up(&self, session: &Session, number: u32, error: TurnError) -> TurnError {
        let finish = FinishTurnRequest {
            org: session.org.clone(),
            session: session.id,
            number,
            messages: Vec::new(),
            said: 0,
            usage: Usage::default(),
            variables: Map::new(),
            activity: Vec::new(),
            key: None,
            then_end: ends_if_untold(session),
            by: None,
        };
        match self.store().finish_turn(finish, self.now()).await {
            Ok(FinishTurnOutcome::Recorded(session)) => {
                if let Some(ended) = session.ended() {
                    self.has_ended(&session, ended);
                }
                error
            }
            Ok(_) => error,
            // The turn's lease will run out by itself; the fault behind both is reported.
            Err(worse) => worse.into(),
        }
    }
}

/// What a turn that leaves no trace makes of its session: without its first turn, one in the client's
/// keeping, or one that was opened for that turn, has not come about, and nobody will come back to it.
pub(super) fn ends_if_untold(session: &Session) -> Option<EndReason> {
    (!session.came_about()).then_some(EndReason::Failed)
}
