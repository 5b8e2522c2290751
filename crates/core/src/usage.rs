//! What a session has used: counted as it happens, billed once at the end.

use serde::{Deserialize, Serialize};

/// Running totals of one session. They only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Messages from the person.
    pub user_messages: u32,
    /// Messages of both sides that the person can see, the greeting included.
    pub total_messages: u32,
    /// Tokens in the person's messages (not the whole prompt).
    pub input_tokens: u64,
    /// Tokens the model wrote.
    pub output_tokens: u64,
    /// Tokens of all prompts sent to the model, history and instructions included.
    pub prompt_tokens: u64,
    /// Requests made to the model.
    pub model_calls: u32,
    /// Whether any figure was counted here because the model's endpoint did not say.
    pub estimated: bool,
}

impl Usage {
    /// Adds what one part of the conversation used.
    #[must_use]
    pub fn plus(self, more: Self) -> Self {
        Self {
            user_messages: self.user_messages.saturating_add(more.user_messages),
            total_messages: self.total_messages.saturating_add(more.total_messages),
            input_tokens: self.input_tokens.saturating_add(more.input_tokens),
            output_tokens: self.output_tokens.saturating_add(more.output_tokens),
            prompt_tokens: self.prompt_tokens.saturating_add(more.prompt_tokens),
            model_calls: self.model_calls.saturating_add(more.model_calls),
            estimated: self.estimated || more.estimated,
        }
    }
}
