//! What has been in a project: its sessions, live ones among them, and figures about them.

use async_trait::async_trait;
use epilogue_core::{OrgId, ProjectId, Session, Span, Timestamp};

use crate::{AnalysisResult, Hits, OffsetPage, Result};

/// A session in the history of its project.
#[derive(Clone, Debug, PartialEq)]
pub struct HistoryEntry {
    /// The session, as far as it has not been purged.
    pub session: Session,
    /// What the analysis made of it.
    pub analyses: Vec<AnalysisResult>,
}

/// When sessions were opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenedWithin {
    /// Then or later.
    pub from: Option<Timestamp>,
    /// Before that.
    pub before: Option<Timestamp>,
}

/// Figures about a project's sessions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProjectStats {
    /// How many are live.
    pub active: u64,
    /// How many have ended.
    pub ended: u64,
    /// How many messages were said in all of them.
    pub messages: u64,
    /// How long those that have ended lasted, together.
    pub lasted: Span,
}

/// Looking back at a project.
#[async_trait]
pub trait HistoryStore: Send + Sync {
    /// A page of a project's sessions, the latest opened first, and how many there are: all of them,
    /// or those whose names contain `search`, letter for letter.
    async fn project_history(
        &self,
        org: &OrgId,
        project: &ProjectId,
        search: Option<&str>,
        page: OffsetPage,
    ) -> Result<Hits<HistoryEntry>>;

    /// Figures about the sessions that were opened then.
    async fn project_stats(
        &self,
        org: &OrgId,
        project: &ProjectId,
        opened: OpenedWithin,
    ) -> Result<ProjectStats>;
}
