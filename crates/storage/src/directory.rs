//! Who may use the server: organizations, their agents and their keys.

use std::fmt;

use async_trait::async_trait;
use epilogue_core::{
    Agent, AgentId, KeyId, MicroCredits, OrgId, ProjectId, Timestamp, session::AgentVersion,
};
use serde::{Deserialize, Serialize};

use crate::Result;

/// An organization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Organization {
    /// Its identity.
    pub id: OrgId,
    /// Its name.
    pub name: String,
    /// Whether opens look at its balance.
    pub metered: bool,
    /// How far below zero its balance may go before opens are refused.
    pub grace: MicroCredits,
    /// How many sessions it may have open at a time; 0 for any number.
    pub open_max: u32,
    /// Whether its transcripts stay where an API would remove them.
    pub keep_transcripts: bool,
}

/// A project: who answers in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Project {
    /// The organization it belongs to.
    pub org: OrgId,
    /// Its identity within the organization.
    pub id: ProjectId,
    /// Its name.
    pub name: String,
    /// The agent of its sessions.
    pub agent: AgentId,
    /// When it was first configured.
    pub created_at: Timestamp,
}

/// An organization with everything its operator configured.
#[derive(Clone, Debug)]
pub struct OrganizationConfig {
    /// The organization.
    pub organization: Organization,
    /// Its opening balance, granted once; `None`: it is not metered.
    pub opening_credits: Option<MicroCredits>,
    /// Its agents.
    pub agents: Vec<Agent>,
    /// Its projects.
    pub projects: Vec<Project>,
    /// Its keys.
    pub keys: Vec<Credential>,
}

/// The SHA-256 of a key. Keys are long and random, so that a plain digest hides them.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyHash(pub [u8; 32]);

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyHash(…)")
    }
}

/// A key as it is known here: everything but the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// Its public name.
    pub id: KeyId,
    /// What it is compared with.
    pub hash: KeyHash,
    /// The organization it acts for.
    pub org: OrgId,
    /// What it is for.
    pub kind: CredentialKind,
    /// What it may do.
    pub role: Role,
    /// What its owner calls it. At most 50 characters.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it stops working by itself.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked. It opens nothing from then on.
    pub revoked_at: Option<Timestamp>,
    /// Whether it stands in the configuration file, which is then the place to remove it.
    pub configured: bool,
}

impl Credential {
    /// Whether it opens anything.
    pub fn is_valid(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|at| now < at)
    }
}

/// What a key is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum CredentialKind {
    /// Secret, for servers.
    Secret,
    /// Safe in a page: may open sessions from these domains and nothing else.
    Widget {
        /// The domains, each with its subdomains.
        domains: Vec<String>,
    },
    /// Secret, for one project and nothing else.
    Project {
        /// Which.
        project: ProjectId,
    },
}

/// What a key may do. Each role includes the ones before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Look.
    Read,
    /// Open, end, retry, resend.
    Operate,
    /// Keys and agents too.
    Own,
}

/// The decisions about organizations, agents and keys.
#[async_trait]
pub trait DirectoryStore: Send + Sync {
    /// Brings the store in line with the configuration: adds what is new, makes a new version of
    /// each agent that changed, revokes configured keys that are no longer there, and grants
    /// opening balances once. Projects are what it says; sessions of one that is gone go on. Agents and
    /// keys made at run time stay.
    async fn apply_config(
        &self,
        organizations: Vec<OrganizationConfig>,
        now: Timestamp,
    ) -> Result<()>;

    /// Every organization.
    async fn organizations(&self) -> Result<Vec<Organization>>;

    /// One organization.
    async fn organization(&self, org: &OrgId) -> Result<Option<Organization>>;

    /// One project. `None` for one that is gone.
    async fn project(&self, org: &OrgId, id: &ProjectId) -> Result<Option<Project>>;

    /// The organization's projects, by id.
    async fn projects(&self, org: &OrgId) -> Result<Vec<Project>>;

    /// An agent's latest version. `None` for one that is deleted.
    async fn agent(&self, org: &OrgId, id: &AgentId) -> Result<Option<(AgentVersion, Agent)>>;

    /// One version of an agent. Versions never change, so that an answer may be kept.
    async fn agent_version(&self, org: &OrgId, version: &AgentVersion) -> Result<Option<Agent>>;

    /// The latest version of every agent that is not deleted, by id.
    async fn agents(&self, org: &OrgId) -> Result<Vec<(AgentVersion, Agent)>>;

    /// Writes an agent: a new version if anything changed.
    async fn put_agent(&self, org: &OrgId, agent: Agent, now: Timestamp) -> Result<AgentVersion>;

    /// The credential with this hash, in whatever organization, valid or not.
    async fn credential(&self, hash: &KeyHash) -> Result<Option<Credential>>;

    /// The organization's keys.
    async fn credentials(&self, org: &OrgId) -> Result<Vec<Credential>>;

    /// Adds a key.
    async fn add_credential(&self, credential: Credential, now: Timestamp) -> Result<()>;

    /// Revokes a key. `false`: this organization has no such key.
    async fn revoke_credential(
        &self,
        org: &OrgId,
        id: &KeyId,
        by: Option<String>,
        now: Timestamp,
    ) -> Result<bool>;
}
