//! What has been in a project: its sessions, live ones among them, and figures about them.

use async_trait::async_trait;
use epilogue_core::{OrgId, ProjectId, Session, Span, Timestamp};

use crate::{AnalysisResult, Hits, Result};

/// How many sessions of a project its history counts and can be paged through, the latest of them.
pub const HISTORY_MAX: u32 = 1_000_000;

/// A page by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistoryPage {
    /// How many come before it. Behind [`HISTORY_MAX`] there are none.
    pub skip: u64,
    /// How many it has, at most [`crate::PageRequest::LIMIT_MAX`].
    pub limit: u32,
}

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
    /// A page of a project's sessions, the latest opened first, and how many there are, up to
    /// [`HISTORY_MAX`]: of all of them, or of those whose names contain `search`, letter for letter.
    async fn project_history(
        &self,
        org: &OrgId,
        project: &ProjectId,
        search: Option<&str>,
        page: HistoryPage,
    ) -> Result<Hits<HistoryEntry>>;

    /// Figures about the sessions that were opened then.
    async fn project_stats(
        &self,
        org: &OrgId,
        project: &ProjectId,
        opened: OpenedWithin,
    ) -> Result<ProjectStats>;
}
