//! Memory in a Graphiti server.
//!
//! The server answers that it has taken a message as soon as the message stands in a queue in its RAM.
//! A restart empties that queue, one bad message ends the only worker for good while the health check
//! goes on saying that all is well, and what is sent twice is stored twice. So nothing counts but what the
//! server shows when it is asked: `carry.rs` has the one message at a time, the store's uploads what is on
//! record of it, and `docs/memory.md` what is promised.

mod carry;
mod client;
mod erase;
mod group;
mod pieces;
mod recall;
mod watch;
mod wire;
mod worker;

use std::sync::Arc;

use async_trait::async_trait;
use epilogue_core::{
    MemoryScope, OrgId, Span, Timestamp,
    upload::{GATHER, Upload, UploadState},
};
use epilogue_storage::{ErasureReport, NewUpload, Page, PageRequest, Storage};
use tokio::sync::Notify;
use url::Url;

pub use self::{client::ANSWER_BYTES_MAX, pieces::PIECE_CHARS_MAX, worker::UploadWorker};
use self::{
    client::{ClientError, Episodes, GraphitiClient},
    watch::Watch,
};
use super::{
    Condition, Conversation, ForgetRequest, Ingested, Memory, MemoryError, RecallRequest,
    RecalledFact, Recollection,
};
use crate::clock::SharedClock;

/// How often the step looks at its upload at the least. It is told when there is something to see.
const STEP_LOOKS_AFTER: Span = Span::from_secs(900);

/// How many messages are asked for at first. Enough where nothing was said later.
const LOOK_BACK_FIRST: u32 = 16;

/// By how much more each time, until they reach back far enough.
const LOOK_BACK_FACTOR: u32 = 4;

/// How many messages are asked for at the most.
pub const LOOK_BACK_MAX: u32 = 16_384;

/// How a Graphiti server is used.
#[derive(Clone, Debug)]
pub struct GraphitiSettings {
    /// Where it is.
    pub url: Url,
    /// How long one request may take.
    pub timeout: Span,
    /// How long a message that was taken may stay away before it counts as lost and is sent again. Less
    /// than the server's queue takes, and messages are stored twice.
    pub patience: Span,
    /// Of how many people it is given messages at once, one of each.
    pub at_once: usize,
}

/// Memory in a Graphiti server. What is handed over is carried there by an [`UploadWorker`].
pub struct Graphiti {
    storage: Arc<dyn Storage>,
    clock: SharedClock,
    client: GraphitiClient,
    patience: Span,
    at_once: usize,
    watch: Watch,
    /// Something was put into a lane.
    queued: Notify,
}

impl Graphiti {
    /// Memory in this server, with its lanes in this store.
    pub fn new(
        settings: GraphitiSettings,
        storage: Arc<dyn Storage>,
        clock: SharedClock,
    ) -> Result<Self, MemoryError> {
        let client = GraphitiClient::new(settings.url, settings.timeout, clock.clone());
        let client = client.map_err(|error| MemoryError::Service {
            service: "Graphiti",
            why: format!("no client: {error}"),
            is_passing: false,
        })?;
        Ok(Self {
            storage,
            clock,
            client,
            patience: settings.patience,
            at_once: settings.at_once.max(1),
            watch: Watch::default(),
            queued: Notify::new(),
        })
    }

    /// Whether anybody answers there. Not whether anything is stored: see [`Condition`].
    pub async fn is_there(&self) -> Result<(), MemoryError> {
        self.client.is_there().await.map_err(|error| of_client(&error))
    }

    /// What the server shows of a group, back to before `since` or to its beginning.
    async fn look_back(&self, group: &str, since: Timestamp) -> Result<Episodes, ClientError> {
        let mut last = LOOK_BACK_FIRST;
        loop {
            let shown = self.client.episodes(group, last).await?;
            let is_before = |at: Option<Timestamp>| at.is_some_and(|at| at < since);
            let is_all = shown.episodes.len() < last as usize;
            if is_all || shown.episodes.iter().any(|episode| is_before(episode.valid_at)) {
                return Ok(shown);
            }
            if last >= LOOK_BACK_MAX {
                return Err(ClientError::TooMany);
            }
            last = (last * LOOK_BACK_FACTOR).min(LOOK_BACK_MAX);
        }
    }
}

#[async_trait]
impl Memory for Graphiti {
    /// Puts the conversation into its person's lane, or says how it stands there.
    async fn ingest(&self, conversation: Conversation) -> Result<Ingested, MemoryError> {
        let total = pieces::pieces(conversation.session, &conversation.messages).len();
        let new = NewUpload {
            org: conversation.org,
            session: conversation.session,
            scope: conversation.scope,
            person: conversation.person.key(),
            began_at: conversation.began_at,
            ended_at: conversation.at,
            due_at: self.clock.now() + GATHER,
        };
        let upload = self.storage.enqueue_upload(new, self.clock.now()).await?;
        match upload.state {
            UploadState::Done { .. } => Ok(Ingested::Remembered(upload.detail)),
            UploadState::Dropped { .. } => Ok(Ingested::Forgotten),
            // Given up on after attempts of its own. Whoever resumes the step resumes it, too.
            UploadState::Parked { .. } => Err(MemoryError::Service {
                service: "Graphiti",
                why: upload.detail,
                is_passing: false,
            }),
            UploadState::Waiting | UploadState::Owed { .. } | UploadState::Leased { .. } => {
                self.queued.notify_one();
                let detail = standing(&upload, total);
                Ok(Ingested::Unfinished { detail, again_in: STEP_LOOKS_AFTER })
            }
        }
    }

    async fn recall(&self, asked: &RecallRequest) -> Result<Option<Recollection>, MemoryError> {
        self.recalled(asked).await.map_err(|error| of_client(&error))
    }

    /// The server lists no facts; it is asked for those that fit best, and tells no more of them than
    /// one page holds.
    async fn list(
        &self,
        org: &OrgId,
        scope: &MemoryScope,
        page: &PageRequest,
    ) -> Result<Page<RecalledFact>, MemoryError> {
        let asked = RecallRequest {
            org: org.clone(),
            scope: scope.clone(),
            query: None,
            as_of: None,
            limit: page.limit(),
        };
        let recalled = self.recalled(&asked).await.map_err(|error| of_client(&error))?;
        Ok(Page { items: recalled.unwrap_or_default().facts, next: None })
    }

    async fn forget(&self, request: &ForgetRequest) -> Result<ErasureReport, MemoryError> {
        self.erase(request).await
    }

    fn condition(&self) -> Condition {
        self.watch.stalled_since().map_or(Condition::Well, |since| Condition::Stalled { since })
    }
}

/// How far an upload is, for the record of its step.
fn standing(upload: &Upload, total: usize) -> String {
    let confirmed = upload.progress.confirmed;
    match upload.state {
        UploadState::Waiting => "another conversation of the person comes first".to_owned(),
        _ => format!("{confirmed} of {total} messages are in Graphiti"),
    }
}

fn of_client(error: &ClientError) -> MemoryError {
    let is_passing = !error.is_final();
    MemoryError::Service { service: "Graphiti", why: error.to_string(), is_passing }
}
