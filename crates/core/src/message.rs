//! The transcript: what was said, by whom, and with which tools.

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// How many items of a transcript go to the model. The whole transcript is kept all the same.
pub const CONTEXT_ITEMS_MAX: usize = 40;

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The person.
    User,
    /// The agent.
    Assistant,
    /// A tool, answering a call the agent made.
    Tool,
}

impl Role {
    /// The stored and published word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Assistant => "assistant",
            Self::Tool => "tool",
        }
    }

    /// The role with this word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::User, Self::Assistant, Self::Tool].into_iter().find(|role| role.as_str() == word)
    }
}

/// A tool the agent asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolCall {
    /// The model's own id of the call, echoed in the result.
    pub id: String,
    /// Which tool.
    pub name: String,
    /// The arguments as the model wrote them: JSON if it kept its word.
    pub arguments: String,
}

/// One message, not yet numbered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewMessage {
    /// Who speaks.
    pub role: Role,
    /// The text; empty for an assistant message that only calls tools.
    pub content: String,
    /// When it was said.
    pub at: Timestamp,
    /// Tokens of the text, where they are known: generated replies.
    pub tokens: Option<u32>,
    /// The tools an assistant message calls.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ToolCall>,
    /// Which call a tool message answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_call_id: Option<String>,
    /// The reply was stopped before the agent had finished.
    #[serde(default)]
    pub cut: bool,
}

impl NewMessage {
    /// Plain text by `role`.
    pub fn text(role: Role, content: impl Into<String>, at: Timestamp) -> Self {
        Self {
            role,
            content: content.into(),
            at,
            tokens: None,
            tool_calls: Vec::new(),
            tool_call_id: None,
            cut: false,
        }
    }

    /// Whether the person sees it. Tool traffic is kept for replay and shown to operators alone.
    pub fn is_visible(&self) -> bool {
        self.role != Role::Tool && !self.content.is_empty()
    }
}

/// One message of a stored transcript.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Its place in the transcript, from 0, without gaps.
    pub seq: u32,
    /// The turn it belongs to; 0 is the greeting.
    pub turn: u32,
    /// What was said.
    #[serde(flatten)]
    pub body: NewMessage,
}

/// The part of a transcript that goes to the model: the last `items_max`, without tool results
/// whose call was left out, which an endpoint would refuse.
pub fn context_window(transcript: &[Message], items_max: usize) -> &[Message] {
    let recent = &transcript[transcript.len().saturating_sub(items_max)..];
    let orphans = recent.iter().take_while(|message| message.body.role == Role::Tool).count();
    &recent[orphans..]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transcript(roles: &[Role]) -> Vec<Message> {
        let numbered = roles.iter().zip(0..);
        numbered
            .map(|(role, seq)| Message {
                seq,
                turn: 1,
                body: NewMessage::text(*role, "x", Timestamp::from_millis(0)),
            })
            .collect()
    }

    #[test]
    fn the_window_holds_the_last_items_and_no_more() {
        let forty_one = transcript(&[Role::User; 41]);
        assert_eq!(context_window(&forty_one[..40], 40).len(), 40);
        let window = context_window(&forty_one, 40);
        assert_eq!((window.len(), window[0].seq), (40, 1));
    }

    #[test]
    fn the_window_never_starts_with_an_orphaned_tool_result() {
        let all = transcript(&[Role::Assistant, Role::Tool, Role::Tool, Role::Assistant]);
        assert_eq!(context_window(&all, 3)[0].seq, 3);
        assert_eq!(context_window(&all, 4)[0].seq, 0);
    }
}
