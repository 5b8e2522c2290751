//! The embedded memory: whole conversations, kept per person, the latest recalled at open.

use std::{fmt::Write as _, sync::Arc};

use async_trait::async_trait;
use epilogue_core::{MemoryScope, Message, OrgId, Role};
use epilogue_storage::{Episode, Storage};

use super::{Conversation, Memory, MemoryError};

/// How many conversations are recalled.
const RECALLED_MAX: u32 = 5;

/// How much of one conversation is recalled, in characters: its end, where the outcome is.
const EXCERPT_CHARS_MAX: usize = 1_200;

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
    async fn ingest(&self, conversation: Conversation) -> Result<(), MemoryError> {
        let episode = Episode {
            scope: conversation.scope,
            session: conversation.session,
            at: conversation.at,
            text: lines(&conversation.messages),
        };
        self.storage.remember(&conversation.org, episode).await?;
        Ok(())
    }

    async fn recall(
        &self,
        org: &OrgId,
        scope: &MemoryScope,
    ) -> Result<Option<String>, MemoryError> {
        let episodes = self.storage.recall(org, scope, RECALLED_MAX).await?;
        if episodes.is_empty() {
            return Ok(None);
        }
        let mut text =
            String::from("## Memory Context\nFrom earlier conversations with this person:");
        for episode in episodes.iter().rev() {
            let day = episode.at.to_jiff().strftime("%Y-%m-%d");
            let _ = write!(text, "\n- {day}:");
            for line in excerpt(&episode.text).lines() {
                let _ = write!(text, "\n  {line}");
            }
        }
        Ok(Some(text))
    }

    async fn forget(&self, org: &OrgId, scope: &MemoryScope) -> Result<u64, MemoryError> {
        Ok(self.storage.forget(org, scope).await?)
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

/// The end of a text, from the beginning of a line on where there is one.
fn excerpt(text: &str) -> &str {
    let Some((start, _)) = text.char_indices().rev().nth(EXCERPT_CHARS_MAX - 1) else {
        return text;
    };
    let tail = &text[start..];
    tail.split_once('\n').map_or(tail, |(_, rest)| if rest.is_empty() { tail } else { rest })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_is_the_end_and_starts_with_a_whole_line() {
        assert_eq!(excerpt("short\n"), "short\n");
        let long = format!("{}\nUser: the end\n", "x".repeat(EXCERPT_CHARS_MAX));
        assert_eq!(excerpt(&long), "User: the end\n");
        let one_line = "é".repeat(EXCERPT_CHARS_MAX + 1);
        assert_eq!(excerpt(&one_line).chars().count(), EXCERPT_CHARS_MAX);
    }
}
