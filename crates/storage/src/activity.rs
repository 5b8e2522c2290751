//! The activity log: who did what, and what happened by itself.

use async_trait::async_trait;
use epilogue_core::{AgentId, EndReason, OrgId, SessionId, Timestamp, event::Activity};

use crate::{Hits, OffsetPage, Page, PageRequest, Result};

/// How many of the latest entries a search without a session looks at.
pub const ENTRIES_SEARCHED_MAX: u32 = 200_000;

/// A kind of entry. An end is told apart by whether it was our own failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActivityKind {
    /// The kind.
    pub kind: String,
    /// Only entries whose reason is, or is not, our own failure. `None`: either.
    pub failed: Option<bool>,
}

/// Which entries are wanted. Absent parts do not restrict.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ActivityFilter {
    /// Of one of these kinds.
    pub kinds: Option<Vec<ActivityKind>>,
    /// Done with a credential, or by itself.
    pub by_someone: Option<bool>,
    /// About one of these sessions.
    pub sessions: Option<Vec<SessionId>>,
    /// About one of these agents.
    pub agents: Option<Vec<AgentId>>,
    /// Then or later.
    pub from: Option<Timestamp>,
    /// Then or earlier.
    pub until: Option<Timestamp>,
    /// With this text, case ignored: see [`ActivityText`].
    pub text: Option<ActivityText>,
}

/// A text that is looked for: in who did it, in the particulars, and in the words that whoever asks
/// has for what the log knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActivityText {
    /// The text.
    pub text: String,
    /// The kinds whose own words have it.
    pub kinds: Vec<ActivityKind>,
    /// The reasons of ends whose words have it.
    pub reasons: Vec<EndReason>,
    /// The particulars of ends that are shown. Of other entries all are.
    pub end_members: Vec<String>,
}

/// By what entries are ordered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ActivityOrder {
    /// By time.
    #[default]
    At,
    /// By kind, then by time.
    Kind,
}

/// How many entries there are of a kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActivityCount {
    /// The kind.
    pub kind: String,
    /// Whether their reason is our own failure.
    pub failed: bool,
    /// Whether somebody did it.
    pub by_someone: bool,
    /// How many.
    pub count: u32,
}

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

    /// A page of the entries that are wanted, among the latest [`ENTRIES_SEARCHED_MAX`], and how
    /// many of them there are of each kind.
    async fn search_activity(
        &self,
        org: &OrgId,
        filter: &ActivityFilter,
        order: ActivityOrder,
        page: OffsetPage,
    ) -> Result<(Hits<Activity>, Vec<ActivityCount>)>;
}
