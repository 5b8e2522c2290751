//! The transcript: what was said, by whom, and with which tools.

use serde::{Deserialize, Serialize};

use crate::{time::Timestamp, usage::Usage};

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
    /// Whoever runs the conversation on the person's behalf, with instructions for the agent.
    System,
}

impl Role {
    /// The stored and published word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Assistant => "assistant",
            Self::Tool => "tool",
            Self::System => "system",
        }
    }

    /// The role with this word.
    pub fn parse(word: &str) -> Option<Self> {
        let roles = [Self::User, Self::Assistant, Self::Tool, Self::System];
        roles.into_iter().find(|role| role.as_str() == word)
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

    /// Whether the person sees it. Tool traffic and instructions are kept for replay and shown to
    /// operators alone.
    pub fn is_visible(&self) -> bool {
        matches!(self.role, Role::User | Role::Assistant) && !self.content.is_empty()
    }
}

/// A message that comes from outside, on its way into a transcript.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// What is said.
    pub body: NewMessage,
    /// The tokens of its text.
    pub tokens: u32,
}

/// What saying all this uses.
pub fn usage_of<'a>(said: impl IntoIterator<Item = &'a Said>) -> Usage {
    said.into_iter().fold(Usage::default(), |usage, said| {
        usage.plus(Usage {
            user_messages: u32::from(said.body.role == Role::User),
            total_messages: u32::from(said.body.is_visible()),
            input_tokens: u64::from(said.tokens),
            ..Usage::default()
        })
    })
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
    fn instructions_and_tools_are_counted_by_their_tokens_alone() {
        let said = |role, tokens| {
            let body = NewMessage::text(role, "x", Timestamp::from_millis(0));
            assert_eq!(Role::parse(role.as_str()), Some(role));
            Said { body, tokens }
        };
        let all = [Role::System, Role::User, Role::Assistant, Role::Tool].map(|role| said(role, 2));
        let used = usage_of(&all);
        assert_eq!((used.user_messages, used.total_messages, used.input_tokens), (1, 2, 8));
        let visible = all.map(|said| said.body.is_visible());
        assert_eq!(visible, [false, true, true, false]);
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
