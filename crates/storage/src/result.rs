//! Ended conversations as they are searched.

use async_trait::async_trait;
use epilogue_core::{AgentId, Dialect, EndReason, OrgId, SessionId, Span, Timestamp};
use serde_json::{Map, Value};

use crate::Result;

/// How many conversations a search looks at: the latest of those it can tell apart by their time, by
/// their words, and by their one agent or their endpoint.
pub const RESULTS_SEARCHED_MAX: u32 = 100_000;

/// How many matches are counted at the most.
pub const TOTAL_MAX: u32 = 100_000;

/// How deep a page may begin.
pub const SKIP_MAX: u32 = 10_000;

/// How many values an aggregation names at the most, those with the most matches first.
pub const BUCKETS_MAX: u32 = 100;

/// How many words a search may have.
pub const WORDS_MAX: usize = 32;

/// An ended conversation as it is searched.
#[derive(Clone, Debug, PartialEq)]
pub struct ResultRecord {
    /// The conversation.
    pub session: SessionId,
    /// Which API it was opened through.
    pub dialect: Dialect,
    /// Its agent.
    pub agent: AgentId,
    /// Why it ended.
    pub reason: EndReason,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// When it ended.
    pub ended_at: Timestamp,
    /// How long it was active.
    pub active: Span,
    /// Where the person was reached, in the API's words.
    pub endpoint: String,
    /// The client's own data about it.
    pub data: Map<String, Value>,
}

/// Which conversations are wanted. Absent and empty parts do not restrict.
#[derive(Clone, Debug, PartialEq)]
pub struct ResultFilter {
    /// Opened through this API.
    pub dialect: Dialect,
    /// With one of these agents.
    pub agents: Vec<AgentId>,
    /// Ended for one of these reasons.
    pub reasons: Option<Vec<EndReason>>,
    /// Ended then or later.
    pub ended_from: Option<Timestamp>,
    /// Ended then or earlier.
    pub ended_until: Option<Timestamp>,
    /// With all of these words. At most [`WORDS_MAX`].
    pub words: Vec<String>,
    /// One of these.
    pub sessions: Option<Vec<SessionId>>,
    /// With this endpoint.
    pub endpoint: Option<String>,
    /// With data of these values.
    pub data: Vec<(String, Value)>,
}

impl ResultFilter {
    /// Everything that ended in this API.
    pub fn of(dialect: Dialect) -> Self {
        Self {
            dialect,
            agents: Vec::new(),
            reasons: None,
            ended_from: None,
            ended_until: None,
            words: Vec::new(),
            sessions: None,
            endpoint: None,
            data: Vec::new(),
        }
    }
}

/// In which order they come. Equal ones come by id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResultOrder {
    /// By their end.
    EndedAt,
    /// By their opening.
    OpenedAt,
    /// By how long they were active.
    Active,
    /// By endpoint.
    Endpoint,
    /// By agent.
    Agent,
    /// By how well the words match. Without words: by their end.
    Score,
}

/// A page by number: what APIs with totals ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OffsetPage {
    /// How many come before it, at most [`SKIP_MAX`].
    pub skip: u32,
    /// How many it has, at most [`crate::PageRequest::LIMIT_MAX`].
    pub limit: u32,
    /// The last first.
    pub descending: bool,
}

impl OffsetPage {
    /// The page, held to what is allowed.
    #[must_use]
    pub fn bounded(self) -> Self {
        let limit = self.limit.clamp(1, crate::PageRequest::LIMIT_MAX);
        Self { skip: self.skip.min(SKIP_MAX), limit, ..self }
    }
}

/// What was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Hits<T> {
    /// The page.
    pub items: Vec<T>,
    /// How many there are in all, up to [`TOTAL_MAX`].
    pub total: u32,
}

/// A conversation that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct ResultHit {
    /// The conversation.
    pub record: ResultRecord,
    /// How well the words match: more is better. `None`: no words were asked for.
    pub score: Option<f64>,
    /// What was said where the words were found.
    pub excerpt: Option<String>,
}

/// How often each value occurs among the matches, the most frequent first.
pub type Counts = Vec<(String, u32)>;

/// How the matches are spread.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResultFacets {
    /// By reason.
    pub reasons: Counts,
    /// By agent.
    pub agents: Counts,
    /// By endpoint.
    pub endpoints: Counts,
    /// By day of the end (UTC), the earliest first.
    pub days: Counts,
    /// By the values of each member of the data that was asked for.
    pub data: Vec<(String, Counts)>,
}

/// Searching ended conversations. Written by [`crate::StepStore::settle`], in the commit of the
/// step's report, and emptied by a purge.
#[async_trait]
pub trait ResultStore: Send + Sync {
    /// A page of the conversations that are wanted.
    async fn search_results(
        &self,
        org: &OrgId,
        filter: &ResultFilter,
        order: ResultOrder,
        page: OffsetPage,
    ) -> Result<Hits<ResultHit>>;

    /// How they are spread, with these members of the data.
    async fn result_facets(
        &self,
        org: &OrgId,
        filter: &ResultFilter,
        members: &[String],
    ) -> Result<ResultFacets>;

    /// One conversation. `None`: it has not ended, is not recorded yet, or is not this
    /// organization's.
    async fn result(&self, org: &OrgId, session: SessionId) -> Result<Option<ResultRecord>>;
}
