//! Looking back at a project.

use epilogue_core::{OrgId, ProjectId};

use crate::{
    Engine, Result,
    records::{HistoryEntry, HistoryPage, Hits, OpenedWithin, ProjectStats},
};

impl Engine {
    /// A page of a project's sessions, the latest first: all, or those whose names contain `search`.
    pub async fn project_history(
        &self,
        org: &OrgId,
        project: &ProjectId,
        search: Option<&str>,
        page: HistoryPage,
    ) -> Result<Hits<HistoryEntry>> {
        Ok(self.store().project_history(org, project, search, page).await?)
    }

    /// Figures about those that were opened then.
    pub async fn project_stats(
        &self,
        org: &OrgId,
        project: &ProjectId,
        opened: OpenedWithin,
    ) -> Result<ProjectStats> {
        Ok(self.store().project_stats(org, project, opened).await?)
    }
}
