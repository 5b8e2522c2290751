//! One attempt at a message: find its conversation, take the turn, hand the answer over.

use epilogue_core::{
    EndReason, EndRequest, Message, OrgId, Role, Session, SessionId, Span, Timestamp,
    retry::RetryPolicy,
    texting::{InboundMessage, Wish},
};
use epilogue_storage::{InboundClaim, InboundOutcome, Progress, SessionName};

use super::{Carrier, Outbound, SendError};
use crate::{
    Engine, Error,
    session::{
        OpenError, TurnError, TurnExtras, TurnFailure, TurnRequest, WhenBusy, WholeTurnError,
        open::endpoint,
    },
};

/// How often a conversation that ends before the turn begins is followed by a new one.
const OPENS_MAX: u32 = 3;

/// How much longer than it may take an attempt is believed to go on.
const LEASE_SLACK: Span = Span::from_secs(30);

/// Why an attempt did not bring the message to its end.
#[derive(Debug)]
pub(super) enum Failure {
    /// Trying again may help.
    Passing {
        /// What went wrong.
        detail: String,
        /// How long we were asked to wait.
        retry_after: Option<Span>,
    },
    /// Trying again cannot help.
    Final(String),
    /// The server stops.
    Stopping,
    /// Another works on it.
    LeaseLost,
}

impl Failure {
    fn passing(detail: impl Into<String>) -> Self {
        Self::Passing { detail: detail.into(), retry_after: None }
    }

    fn fatal(detail: impl Into<String>) -> Self {
        Self::Final(detail.into())
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        if matches!(error, Error::Draining) {
            return Self::Stopping;
        }
        tracing::error!(error = &error as &dyn std::error::Error, "a message was not carried on");
        Self::passing("a fault of the server; its log says which")
    }
}

impl From<epilogue_storage::Error> for Failure {
    fn from(error: epilogue_storage::Error) -> Self {
        Error::from(error).into()
    }
}

impl From<SendError> for Failure {
    fn from(error: SendError) -> Self {
        if error.fatal {
            return Self::Final(error.detail);
        }
        Self::Passing { detail: error.detail, retry_after: error.retry_after }
    }
}

/// Until when a claim is believed that is made or renewed now.
pub(super) fn lease_until(engine: &Engine, policy: &RetryPolicy) -> Timestamp {
    let limits = engine.limits();
    let longest = [limits.turn_wait, limits.turn_max, policy.timeout, LEASE_SLACK];
    longest.into_iter().fold(engine.now(), |at, span| at + span)
}

/// An attempt.
pub(super) struct Attempt<'a> {
    pub engine: &'a Engine,
    pub carrier: &'a dyn Carrier,
    pub policy: &'a RetryPolicy,
    pub message: InboundMessage,
}

impl Attempt<'_> {
    /// Who works on the message.
    pub fn claim(&self) -> InboundClaim {
        InboundClaim {
            org: self.message.org.clone(),
            id: self.message.inbound.id.clone(),
            attempt: self.message.attempt,
        }
    }

    /// Brings the message to its end. Returns what was done.
    pub async fn run(&mut self) -> Result<String, Failure> {
        if self.message.inbound.wish == Wish::Leave {
            return self.leave().await;
        }
        if self.message.reply.is_none() {
            let answer = self.converse().await?;
            let parts = self.carrier.parts(&answer);
            self.advance(Progress::Reply(parts.clone())).await?;
            self.message.reply = Some(parts);
        }
        self.hand_over().await
    }

    async fn advance(&self, progress: Progress) -> Result<(), Failure> {
        let until = lease_until(self.engine, self.policy);
        let now = self.engine.now();
        match self.engine.store().advance_inbound(&self.claim(), progress, until, now).await? {
            InboundOutcome::Recorded => Ok(()),
            InboundOutcome::LeaseLost => Err(Failure::LeaseLost),
        }
    }

    /// Ends the conversation, if there is one. Nothing is sent.
    async fn leave(&self) -> Result<String, Failure> {
        let Some(session) = self.live().await? else {
            return Ok("there was no conversation to end".to_owned());
        };
        let request = EndRequest::asked(EndReason::UserEnd);
        self.engine.end(&session.org, session.id, request).await?;
        Ok(format!("ended the conversation {}", session.id))
    }

    /// The live conversation of the endpoint.
    async fn live(&self) -> Result<Option<Session>, Failure> {
        let nobody = "nobody".into();
        let open = self.carrier.opening(&self.message, nobody, self.engine.new_session_id());
        let (Some(channel), Some(key)) = (open.origin.channel.clone(), endpoint(&open.origin))
        else {
            return Ok(None);
        };
        let name = SessionName::Endpoint(open.dialect, channel, key);
        Ok(self.engine.store().find(&self.message.org, &name).await?)
    }

    /// Takes the turn, or finds it on record: what was said is said to the agent once.
    async fn converse(&mut self) -> Result<String, Failure> {
        let mut opens = 0;
        loop {
            let session = match self.message.session {
                Some(session) => session,
                None => self.join().await?,
            };
            match self.engine.whole_turn(self.turn(session)).await {
                Ok(record) => return Ok(spoken(&record.messages)),
                // It ended before the turn began: what was said begins another.
                Err(error) if is_over(&error) && opens < OPENS_MAX => {
                    opens += 1;
                    self.message.session = None;
                }
                Err(error) => return Err(of_turn(&error)),
            }
        }
    }

    fn turn(&self, session: SessionId) -> TurnRequest {
        let inbound = &self.message.inbound;
        TurnRequest {
            org: self.message.org.clone(),
            session,
            input: inbound.text.clone().into(),
            when_busy: WhenBusy::Wait,
            extras: TurnExtras { key: Some(inbound.id.message.clone()), ..TurnExtras::default() },
        }
    }

    /// Finds the endpoint's live conversation, or opens one, and puts on record which it is. A turn
    /// that was taken is looked for there, even if it was the conversation's last.
    async fn join(&mut self) -> Result<SessionId, Failure> {
        let session = match self.live().await? {
            Some(live) => live.id,
            None => self.open().await?,
        };
        self.advance(Progress::Session(session)).await?;
        self.message.session = Some(session);
        Ok(session)
    }

    async fn open(&self) -> Result<SessionId, Failure> {
        let (org, inbound) = (&self.message.org, &self.message.inbound);
        let number = self.engine.number_of(org, &inbound.id.carrier, &inbound.to).await?;
        let agent = number.and_then(|number| number.agent);
        let agent = agent.ok_or_else(|| Failure::fatal("nobody answers the number any more"))?;
        let id = self.engine.new_session_id();
        match self.engine.open(self.carrier.opening(&self.message, agent, id)).await {
            Ok(opened) => Ok(opened.session.id),
            Err(OpenError::EndpointTaken(live)) => Ok(live.id),
            Err(OpenError::Engine(error)) => Err(error.into()),
            Err(error @ OpenError::TooManyOpen) => Err(Failure::passing(error.to_string())),
            Err(error) => Err(Failure::fatal(error.to_string())),
        }
    }

    /// Hands over the parts that the carrier does not have yet.
    async fn hand_over(&mut self) -> Result<String, Failure> {
        let parts = self.message.reply.clone().unwrap_or_default();
        let (org, id) = (self.message.org.clone(), self.message.inbound.id.clone());
        let account = self.engine.store().carrier(&org, &id.carrier).await?;
        let account = account.ok_or_else(|| Failure::fatal("the carrier is gone"))?;
        for text in parts.iter().skip(self.message.sent as usize) {
            let (from, to) = (&*self.message.inbound.to, &*self.message.inbound.from);
            let part = Outbound { from, to, text };
            let sending = self.carrier.send(&org, &account, part, self.policy.timeout);
            let receipt = sending.await?;
            self.engine.metrics().message("part_sent");
            self.advance(Progress::Sent(receipt)).await?;
            self.message.sent += 1;
        }
        Ok(format!("answered in {} parts", parts.len()))
    }

    /// The tenant.
    pub fn org(&self) -> &OrgId {
        &self.message.org
    }
}

/// What the agent said in a turn, to be read as one.
fn spoken(messages: &[Message]) -> String {
    let said = messages.iter().map(|message| &message.body);
    let said = said.filter(|body| body.role == Role::Assistant && !body.content.trim().is_empty());
    said.map(|body| body.content.trim()).collect::<Vec<_>>().join("\n")
}

/// Whether the conversation ended before the turn could begin.
fn is_over(error: &WholeTurnError) -> bool {
    match error {
        WholeTurnError::NotBegun(error) => {
            matches!(error, TurnError::Over(_) | TurnError::Lapsed(_) | TurnError::NoSession)
        }
        WholeTurnError::Failed(failure) => *failure == TurnFailure::SessionEnded,
    }
}

fn of_turn(error: &WholeTurnError) -> Failure {
    match error {
        WholeTurnError::NotBegun(TurnError::Engine(Error::Draining))
        | WholeTurnError::Failed(TurnFailure::ShuttingDown) => Failure::Stopping,
        WholeTurnError::NotBegun(TurnError::NoAgent)
        | WholeTurnError::Failed(TurnFailure::Misconfigured) => {
            Failure::fatal("the agent is gone, or cannot take turns")
        }
        WholeTurnError::Failed(failure) => Failure::passing(failure.as_str()),
        WholeTurnError::NotBegun(error) => Failure::passing(error.to_string()),
    }
}
