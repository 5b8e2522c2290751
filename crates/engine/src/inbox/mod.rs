//! Text messages: they are taken in before anybody is told that they have arrived, answered by a
//! turn of the conversation they belong to, and the answer is handed to the carrier part by part.
//!
//! Every stage is on record before the next begins (the conversation, the answer, each part that was
//! accepted), so whoever takes over after a crash goes on where it was broken off. A part whose fate
//! is not known is sent again: carriers have no way to ask.

mod answer;
mod worker;

use async_trait::async_trait;
use epilogue_core::{
    AgentId, OrgId, SessionId, Span,
    texting::{CarrierAccount, Inbound, InboundId, InboundMessage, PhoneNumber},
};

pub use self::worker::InboxWorker;
use crate::{
    Engine, Result,
    records::{
        AddNumberOutcome, Page, PageRequest, PutCarrierOutcome, ReceiveOutcome, ResumeOutcome,
    },
    session::OpenSession,
};

/// A part of an answer.
#[derive(Clone, Copy, Debug)]
pub struct Outbound<'a> {
    /// The number it comes from.
    pub from: &'a str,
    /// Whose number it goes to.
    pub to: &'a str,
    /// What is said.
    pub text: &'a str,
}

/// Why a carrier has not accepted a part.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct SendError {
    /// Whether sending it again cannot help.
    pub fatal: bool,
    /// How long the carrier asks us to wait.
    pub retry_after: Option<Span>,
    /// What went wrong, without anything that was said.
    pub detail: String,
}

/// A carrier of text messages, and the API in which its conversations are held: a port.
#[async_trait]
pub trait Carrier: Send + Sync {
    /// The conversation that a message would open. Its origin names the endpoint by which a live
    /// one is found.
    fn opening(&self, message: &InboundMessage, agent: AgentId, id: SessionId) -> OpenSession;

    /// An answer in the parts that the carrier takes.
    fn parts(&self, answer: &str) -> Vec<String>;

    /// Hands one part over, once, within `timeout`. Returns what the carrier calls it.
    async fn send(
        &self,
        org: &OrgId,
        account: &CarrierAccount,
        part: Outbound<'_>,
        timeout: Span,
    ) -> Result<String, SendError>;
}

/// Why a message needs nothing done, where that is known when it arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needless {
    /// Nobody answers the number.
    Unlinked,
    /// It is the carrier's to answer.
    Carriers,
    /// It has no text.
    Wordless,
}

impl Needless {
    /// The word for metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unlinked => "unlinked",
            Self::Carriers => "carriers",
            Self::Wordless => "wordless",
        }
    }
}

impl Engine {
    /// Takes a message in. When this is ready, no crash loses it.
    pub async fn receive(&self, org: &OrgId, inbound: Inbound) -> Result<ReceiveOutcome> {
        let outcome = self.store().receive(org, inbound, self.now()).await?;
        match outcome {
            ReceiveOutcome::Received => {
                self.inner.new_messages.notify_one();
                self.metrics().message("received");
            }
            ReceiveOutcome::Known => self.metrics().message("known"),
            ReceiveOutcome::TooMany => self.metrics().message("too_many"),
        }
        Ok(outcome)
    }

    /// Counts a message that needs nothing done.
    pub fn pass_over(&self, org: &OrgId, id: &InboundId, why: Needless) {
        self.metrics().message(why.as_str());
        let (carrier, message, why) = (&id.carrier, &id.message, why.as_str());
        tracing::warn!(%org, carrier, message, why, "a message was passed over");
    }

    /// The organization's messages, the latest first: all, or those in a state of this word.
    pub async fn inbox(
        &self,
        org: &OrgId,
        state: Option<&str>,
        page: &PageRequest,
    ) -> Result<Page<InboundMessage>> {
        Ok(self.store().list_inbound(org, state, page).await?)
    }

    /// Resumes a message that was given up on.
    pub async fn resume_message(
        &self,
        org: &OrgId,
        id: &InboundId,
        by: Option<String>,
    ) -> Result<ResumeOutcome> {
        let outcome = self.store().resume_inbound(org, id, by, self.now()).await?;
        self.inner.new_messages.notify_one();
        Ok(outcome)
    }

    /// Writes an account at a carrier, new or known.
    pub async fn put_carrier(
        &self,
        org: &OrgId,
        carrier: CarrierAccount,
        by: Option<String>,
    ) -> Result<PutCarrierOutcome> {
        Ok(self.store().put_carrier(org, carrier, by, self.now()).await?)
    }

    /// Whose account has this id, in whatever organization.
    pub async fn carrier_holder(&self, id: &str) -> Result<Option<(OrgId, CarrierAccount)>> {
        Ok(self.store().carrier_holder(id).await?)
    }

    /// Adds a number to an account.
    pub async fn add_number(
        &self,
        org: &OrgId,
        number: PhoneNumber,
        by: Option<String>,
    ) -> Result<AddNumberOutcome> {
        Ok(self.store().add_number(org, number, by, self.now()).await?)
    }

    /// Has an agent answer a number, or nobody. `None`: there is no such number.
    pub async fn link_number(
        &self,
        org: &OrgId,
        id: &str,
        agent: Option<AgentId>,
        by: Option<String>,
    ) -> Result<Option<PhoneNumber>> {
        Ok(self.store().link_number(org, id, agent, by, self.now()).await?)
    }

    /// Every number of the organization.
    pub async fn numbers(&self, org: &OrgId) -> Result<Vec<PhoneNumber>> {
        Ok(self.store().numbers(org).await?)
    }

    /// The number as people write to it, if it belongs to this account.
    pub async fn number_of(
        &self,
        org: &OrgId,
        carrier: &str,
        number: &str,
    ) -> Result<Option<PhoneNumber>> {
        let found = self.store().number(org, number).await?;
        Ok(found.filter(|number| number.carrier == carrier))
    }
}
