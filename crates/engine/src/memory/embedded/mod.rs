//! The embedded memory: a graph of dated facts in the store, beside the conversations they come from.
//!
//! A conversation is kept first, whole. Then it is put to the agent's model part by part, and each part
//! is absorbed in one commit with the note how far that is: whatever is interrupted goes on there, and no
//! part is absorbed twice. Without a model the conversation alone is kept, and found by its words.

mod chunk;
mod extract;
mod recall;

use std::{fmt::Write as _, sync::Arc};

use async_trait::async_trait;
use epilogue_core::{
    MemoryScope, Message, OrgId, Role, Span, Timestamp, agent::ModelSpec, memory::redact,
};
use epilogue_storage::{
    AbsorbOutcome, AbsorbRequest, Episode, ErasureReport, Page, PageRequest, RememberOutcome,
    RememberRequest, Storage, Vectors,
};

use self::chunk::Chunk;
use super::{
    Conversation, Embeddings, ForgetRequest, Ingested, Memory, MemoryError, RecallRequest,
    RecalledFact, Recollection,
};
use crate::{clock::SharedClock, ids::Ids, llm::LanguageModel};

/// After how long a conversation goes on that was not finished in one attempt. Others come in between.
const GOES_ON_AFTER: Span = Span::from_millis(200);

/// Keeps conversations and what follows from them in the store.
pub struct EmbeddedMemory {
    storage: Arc<dyn Storage>,
    models: Arc<dyn LanguageModel>,
    clock: SharedClock,
    ids: Arc<Ids>,
    embeddings: Option<Arc<dyn Embeddings>>,
}

impl EmbeddedMemory {
    /// Memory in this store, for which these models read conversations.
    pub fn new(
        storage: Arc<dyn Storage>,
        models: Arc<dyn LanguageModel>,
        clock: SharedClock,
        ids: Arc<Ids>,
    ) -> Self {
        Self { storage, models, clock, ids, embeddings: None }
    }

    /// The same, with somebody who says what a sentence is like.
    #[must_use]
    pub fn with_embeddings(self, embeddings: Option<Arc<dyn Embeddings>>) -> Self {
        Self { embeddings, ..self }
    }

    /// Absorbs what comes next, as long as there is time. How far it has come. `None`: the person has been
    /// forgotten.
    async fn absorb(
        &self,
        conversation: &Conversation,
        model: &ModelSpec,
        progress: &mut Progress,
        until: Timestamp,
    ) -> Result<Option<()>, MemoryError> {
        let begin_before = self.clock.now() + half(until.since(self.clock.now()));
        while let Some(chunk) = Chunk::next(&conversation.messages, progress.absorbed) {
            if progress.parts > 0 && self.clock.now() >= begin_before {
                return Ok(Some(()));
            }
            let request = self.read(conversation, model, &chunk, until).await?;
            match self.storage.absorb(&conversation.org, request, self.clock.now()).await? {
                AbsorbOutcome::Absorbed { learned, confirmed, closed } => {
                    progress.absorbed = chunk.until;
                    progress.parts += 1;
                    progress.learned += learned;
                    progress.confirmed += confirmed;
                    progress.closed += closed;
                }
                // Somebody else has been faster: goes on from there.
                AbsorbOutcome::Elsewhere { absorbed } => progress.absorbed = absorbed,
                AbsorbOutcome::Forgotten => return Ok(None),
            }
        }
        Ok(Some(()))
    }

    /// Reads a part: what the model says of it, and what its sentences are like.
    async fn read(
        &self,
        conversation: &Conversation,
        model: &ModelSpec,
        chunk: &Chunk<'_>,
        until: Timestamp,
    ) -> Result<AbsorbRequest, MemoryError> {
        let extraction = self.extract(conversation, model, chunk, until).await?;
        let vectors = match &self.embeddings {
            Some(embeddings) if !extraction.facts.is_empty() => {
                let sentences: Vec<_> =
                    extraction.facts.iter().map(|fact| fact.sentence.trim().to_owned()).collect();
                let vectors = embeddings.embed(&sentences).await?;
                Some(Vectors { model: embeddings.model().to_owned(), vectors })
            }
            _ => None,
        };
        Ok(AbsorbRequest {
            scope: conversation.scope.clone(),
            session: conversation.session,
            from: chunk.from,
            until: chunk.until,
            told_at: chunk.at,
            extraction,
            vectors,
        })
    }
}

/// How far a conversation has come.
#[derive(Default)]
struct Progress {
    absorbed: u32,
    /// In this attempt.
    parts: u32,
    learned: u32,
    confirmed: u32,
    closed: u32,
}

impl Progress {
    fn detail(&self, count: usize) -> String {
        let Self { absorbed, learned, confirmed, closed, .. } = self;
        format!(
            "{absorbed} of {count} messages read: {learned} facts new, {confirmed} told again, {closed} over"
        )
    }
}

fn half(span: Span) -> Span {
    Span::from_millis(span.as_millis() / 2)
}

#[async_trait]
impl Memory for EmbeddedMemory {
    async fn ingest(&self, conversation: Conversation) -> Result<Ingested, MemoryError> {
        let until = self.clock.now() + conversation.patience;
        let count = conversation.messages.len();
        let request = RememberRequest {
            episode: Episode {
                scope: conversation.scope.clone(),
                session: conversation.session,
                at: conversation.at,
                text: lines(&conversation.messages),
            },
            person: conversation.person.key(),
            began_at: conversation.began_at,
            salt: self.ids.bytes(),
        };
        let mut progress = Progress::default();
        match self.storage.remember(&conversation.org, request).await? {
            RememberOutcome::Remembered => {}
            RememberOutcome::KnownBefore { absorbed } => progress.absorbed = absorbed,
            RememberOutcome::Forgotten => return Ok(Ingested::Forgotten),
        }
        let Some(model) = &conversation.model else {
            return Ok(Ingested::Remembered(format!("{count} messages remembered")));
        };
        match self.absorb(&conversation, model, &mut progress, until).await {
            Ok(None) => return Ok(Ingested::Forgotten),
            Ok(Some(())) => {}
            // What failed comes first in the next attempt, and counts then.
            Err(error) if progress.parts > 0 => {
                let error = &error as &dyn std::error::Error;
                tracing::debug!(error, session = %conversation.session, "memory got further and stopped");
            }
            Err(error) => return Err(error),
        }
        let detail = progress.detail(count);
        if Chunk::next(&conversation.messages, progress.absorbed).is_some() {
            return Ok(Ingested::Unfinished { detail, again_in: GOES_ON_AFTER });
        }
        Ok(Ingested::Remembered(format!("{count} messages remembered; {detail}")))
    }

    async fn recall(&self, asked: &RecallRequest) -> Result<Option<Recollection>, MemoryError> {
        let recalled = self.recollect(asked).await?;
        Ok((!recalled.is_empty()).then_some(recalled))
    }

    async fn list(
        &self,
        org: &OrgId,
        scope: &MemoryScope,
        page: &PageRequest,
    ) -> Result<Page<RecalledFact>, MemoryError> {
        let found = self.storage.list_facts(org, scope, page).await?;
        let items = found.items.into_iter().map(|view| recall::fact(view, 0.0)).collect();
        Ok(Page { items, next: found.next })
    }

    /// Everything is in the store, which [`crate::Engine::forget`] clears.
    async fn forget(&self, _request: &ForgetRequest) -> Result<ErasureReport, MemoryError> {
        Ok(ErasureReport::default())
    }

    fn is_in_store(&self) -> bool {
        true
    }
}

/// Everything both sides said, a line each, without what is never remembered.
fn lines(messages: &[Message]) -> String {
    let mut text = String::new();
    for message in messages.iter().filter(|message| message.body.is_visible()) {
        let who = if message.body.role == Role::User { "User" } else { "Assistant" };
        let said = redact(&message.body.content).replace(['\r', '\n'], " ");
        // Writing to a string does not fail.
        let _ = writeln!(text, "{who}: {said}");
    }
    text
}

#[cfg(test)]
mod tests {
    use epilogue_core::message::NewMessage;

    use super::*;

    #[test]
    fn secrets_are_in_no_episode() {
        let said = "My card is 4111 1111 1111 1111\nand my password is hunter2";
        let body = NewMessage::text(Role::User, said, Timestamp::from_millis(0));
        let text = lines(&[Message { seq: 0, turn: 1, body }]);
        assert_eq!(text, "User: My card is [left out] and my password is [left out]\n");
    }
}
