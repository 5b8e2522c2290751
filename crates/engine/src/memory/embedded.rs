//! The embedded memory: whole conversations, kept per person, the latest recalled at open.

use std::{fmt::Write as _, sync::Arc};

use async_trait::async_trait;
use epilogue_core::{MemoryScope, Message, OrgId, Role};
use epilogue_storage::{Episode, ErasureReport, Page, PageRequest, Storage};

use super::{
    Conversation, ForgetRequest, Ingested, Memory, MemoryError, RecallRequest, RecalledEpisode,
    RecalledFact, Recollection,
};

/// How many conversations are recalled.
const RECALLED_MAX: u32 = 5;

/// Keeps conversations in the store.
pub struct EmbeddedMemory {
    storage: Arc<dyn Storage>,
}

impl EmbeddedMemory {
    /// Memory in this store.
    pub fn new(storage: Arc<dyn Storage>) -> Self {
        Self { storage }
    }
}

#[async_trait]
impl Memory for EmbeddedMemory {
    async fn ingest(&self, conversation: Conversation) -> Result<Ingested, MemoryError> {
        let count = conversation.messages.len();
        let episode = Episode {
            scope: conversation.scope,
            session: conversation.session,
            at: conversation.at,
            text: lines(&conversation.messages),
        };
        self.storage.remember(&conversation.org, episode).await?;
        Ok(Ingested::Remembered(format!("{count} messages remembered")))
    }

    async fn recall(&self, asked: &RecallRequest) -> Result<Option<Recollection>, MemoryError> {
        let found = self.storage.recall(&asked.org, &asked.scope, RECALLED_MAX).await?;
        let episodes: Vec<_> = found
            .into_iter()
            .map(|Episode { session, at, text, .. }| RecalledEpisode { session, at, text })
            .collect();
        let recalled = Recollection { facts: Vec::new(), episodes };
        Ok((!recalled.is_empty()).then_some(recalled))
    }

    async fn list(
        &self,
        _org: &OrgId,
        _scope: &MemoryScope,
        _page: &PageRequest,
    ) -> Result<Page<RecalledFact>, MemoryError> {
        Ok(Page { items: Vec::new(), next: None })
    }

    /// Everything is in the store, which [`crate::Engine::forget`] clears.
    async fn forget(&self, _request: &ForgetRequest) -> Result<ErasureReport, MemoryError> {
        Ok(ErasureReport::default())
    }
}

/// Everything both sides said, a line each.
fn lines(messages: &[Message]) -> String {
    let mut text = String::new();
    for message in messages.iter().filter(|message| message.body.is_visible()) {
        let who = if message.body.role == Role::User { "User" } else { "Assistant" };
        // Writing to a string does not fail.
        let _ = writeln!(text, "{who}: {}", message.body.content.replace(['\r', '\n'], " "));
    }
    text
}
