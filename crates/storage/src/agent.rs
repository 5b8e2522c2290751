//! Agents that are written at run time, beside those of the configuration.

use async_trait::async_trait;
use epilogue_core::{Agent, AgentId, OrgId, Timestamp, session::AgentVersion};
use serde_json::Value;

use crate::Result;

/// How many agents an organization may write at run time.
pub const AGENTS_MAX: u32 = 10_000;

/// An agent with everything that is known of it.
#[derive(Clone, PartialEq)]
pub struct AgentRecord {
    /// Its latest version.
    pub version: AgentVersion,
    /// Its configuration.
    pub agent: Agent,
    /// The document it was written with, secrets included. `None`: it stands in the configuration.
    pub document: Option<Value>,
    /// When its first version was made.
    pub created_at: Timestamp,
    /// When its latest version was made.
    pub updated_at: Timestamp,
    /// When it was deleted. It opens nothing from then on; what runs with it goes on.
    pub deleted_at: Option<Timestamp>,
}

impl std::fmt::Debug for AgentRecord {
    /// Without the document, which holds secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AgentRecord")
            .field("version", &self.version)
            .field("agent", &self.agent)
            .field("created_at", &self.created_at)
            .field("updated_at", &self.updated_at)
            .field("deleted_at", &self.deleted_at)
            .finish_non_exhaustive()
    }
}

/// An agent to be written.
#[derive(Clone)]
pub struct AgentWrite {
    /// Its configuration.
    pub agent: Agent,
    /// The document that it follows from.
    pub document: Value,
    /// What becomes of what.
    pub change: AgentChange,
    /// Who writes it, for the activity log.
    pub by: Option<String>,
}

/// What a write does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AgentChange {
    /// It makes an agent.
    Create,
    /// It makes an agent for conversations that bring it along. It is found by its id, stands in no
    /// list and in no log, and is not counted: like the conversation, it is there because somebody
    /// talks. Made again of the same document, it is the one that is there.
    CreateUnlisted,
    /// It makes an agent like that one.
    CloneOf(AgentId),
    /// It follows this version, which must still be the latest.
    Follow(u32),
}

/// What became of a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WriteAgentOutcome {
    /// It is written, as this version.
    Written(AgentVersion),
    /// Somebody else wrote a version in between. Nothing was written.
    Changed,
    /// There is no such agent any more, or there never was. Nothing was written.
    Gone,
    /// It stands in the configuration, which is the place to change it. Nothing was written.
    Configured,
    /// The organization has [`AGENTS_MAX`] agents. Nothing was written.
    TooMany,
}

/// The decisions about agents that are written at run time.
#[async_trait]
pub trait AgentStore: Send + Sync {
    /// An agent in its latest version, a deleted one too.
    async fn agent_record(&self, org: &OrgId, id: &AgentId) -> Result<Option<AgentRecord>>;

    /// Agents that are listed and not deleted, by id: after `skip` of them, `limit`.
    async fn agent_records(&self, org: &OrgId, skip: u32, limit: u32) -> Result<Vec<AgentRecord>>;

    /// Writes an agent, with its entry in the activity log. What changes nothing makes no version.
    async fn write_agent(
        &self,
        org: &OrgId,
        write: AgentWrite,
        now: Timestamp,
    ) -> Result<WriteAgentOutcome>;

    /// Deletes an agent, with its entry in the activity log: it is marked, and its versions stay.
    async fn delete_agent(
        &self,
        org: &OrgId,
        id: &AgentId,
        by: Option<String>,
        now: Timestamp,
    ) -> Result<DeleteAgentOutcome>;
}

/// What became of a deletion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeleteAgentOutcome {
    /// It is deleted.
    Deleted,
    /// There is no such agent.
    NoAgent,
    /// It stands in the configuration, which is the place to remove it.
    Configured,
}
