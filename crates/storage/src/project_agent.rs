//! Decisions about what projects change about their agents.

use async_trait::async_trait;
use epilogue_core::{AgentOverlay, OrgId, ProjectId, Timestamp, session::AgentVersion};
use serde_json::Value;

use crate::Result;

/// What a project changes about its agent.
#[derive(Clone, PartialEq)]
pub struct ProjectAgent {
    /// What that means.
    pub overlay: AgentOverlay,
    /// What was written, in the words of the API it came through, secrets included.
    pub document: Value,
    /// How often it was written.
    pub revision: u32,
    /// When it was first written.
    pub created_at: Timestamp,
    /// When it was last written.
    pub updated_at: Timestamp,
}

impl std::fmt::Debug for ProjectAgent {
    /// Without the document, which holds secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProjectAgent").field("revision", &self.revision).finish_non_exhaustive()
    }
}

/// A project's changes to be written.
#[derive(Clone)]
pub struct WriteProjectAgent {
    /// The project.
    pub project: ProjectId,
    /// What they mean.
    pub overlay: AgentOverlay,
    /// What was written.
    pub document: Value,
    /// The revision that they follow; 0 if there is none yet.
    pub follows: u32,
    /// Who writes them, for the activity log.
    pub by: Option<String>,
}

/// What became of a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WriteProjectAgentOutcome {
    /// It is written; new sessions of the project go by this version.
    Written(AgentVersion),
    /// Somebody else wrote in between. Nothing was written.
    Changed,
    /// There is no such project, or no agent to change. Nothing was written.
    NoProject,
}

/// The decisions about what projects change about their agents. A project's own agent follows from the
/// operator's and from these changes, and is made anew whenever either is another.
#[async_trait]
pub trait ProjectAgentStore: Send + Sync {
    /// `None`: the project changes nothing.
    async fn project_agent(&self, org: &OrgId, project: &ProjectId)
    -> Result<Option<ProjectAgent>>;

    /// Writes a project's changes, and the version of its agent that follows from them, with their
    /// entry in the activity log.
    async fn write_project_agent(
        &self,
        org: &OrgId,
        write: WriteProjectAgent,
        now: Timestamp,
    ) -> Result<WriteProjectAgentOutcome>;
}
