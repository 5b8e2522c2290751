//! The activity log: who did what, and what happened by itself.

use async_trait::async_trait;
use epilogue_core::{OrgId, SessionId, event::Activity};

use crate::{Page, PageRequest, Result};

/// The activity log. Most entries are written by the decisions they tell of.
#[async_trait]
pub trait ActivityStore: Send + Sync {
    /// The organization's log, latest first.
    async fn list_activity(
        &self,
        org: &OrgId,
        session: Option<SessionId>,
        page: &PageRequest,
    ) -> Result<Page<Activity>>;
}
