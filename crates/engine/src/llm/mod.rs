//! Language models: a port, and one adapter per kind of endpoint.

mod openai;
mod scripted;
#[cfg(test)]
mod testing;
pub mod tokens;

use std::sync::Arc;

use async_trait::async_trait;
use epilogue_core::{
    Message,
    agent::{ModelProvider, ModelSpec},
    message::ToolCall,
};
use futures::stream::BoxStream;
use serde_json::Value;

pub use self::{openai::OpenAi, scripted::Scripted};

/// What is asked of a model.
#[derive(Clone, Debug)]
pub struct ModelRequest {
    /// Which model, where, and how long it may take.
    pub model: ModelSpec,
    /// The instructions.
    pub system: String,
    /// The conversation so far, oldest first. Valid for replay.
    pub messages: Vec<Message>,
    /// The tools it may call.
    pub tools: Vec<ToolDefinition>,
    /// The answer must be JSON of this schema.
    pub answer: Option<AnswerSchema>,
}

/// A tool as a model sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolDefinition {
    /// Its name.
    pub name: String,
    /// What it does.
    pub description: String,
    /// JSON Schema of its arguments.
    pub parameters: Value,
}

/// The shape an answer must have.
#[derive(Clone, Debug, PartialEq)]
pub struct AnswerSchema {
    /// Its name, for the endpoint.
    pub name: String,
    /// JSON Schema.
    pub schema: Value,
}

/// A piece of an answer. A stream that ends without [`ModelEvent::End`] has failed.
#[derive(Clone, Debug, PartialEq)]
pub enum ModelEvent {
    /// More text.
    Text(String),
    /// A whole tool call, its fragments put together.
    ToolCall(ToolCall),
    /// The answer is complete.
    End {
        /// What the endpoint says it used. `None`: it does not say.
        usage: Option<ModelUsage>,
    },
}

/// Tokens, as an endpoint counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ModelUsage {
    /// Of the whole prompt.
    pub prompt_tokens: u64,
    /// Of the answer.
    pub completion_tokens: u64,
}

/// An answer, piece by piece. Dropping it stops the model.
pub type ModelStream = BoxStream<'static, Result<ModelEvent, ModelError>>;

/// Why a model did not answer.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// Nothing came in time, or the next token did not.
    #[error("the model did not answer within {seconds} s")]
    Timeout {
        /// The limit that was reached.
        seconds: u64,
    },
    /// The endpoint cannot be reached, or the connection broke.
    #[error("the model's endpoint is unreachable")]
    Unreachable(#[source] Source),
    /// The endpoint refused the request.
    #[error("the model's endpoint answered {status}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// Seconds after which it may be tried again, if it said so.
        retry_after_s: Option<u64>,
        /// What kind of error it says it is. Never its words: they may quote the prompt.
        #[source]
        source: Source,
    },
    /// The endpoint broke off before the answer was complete.
    #[error("the model's answer broke off")]
    Incomplete,
    /// The endpoint sent something that is not an answer, or an error in mid-answer.
    #[error("the model's endpoint sent no valid answer")]
    Garbled(#[source] Source),
    /// The agent's model is not usable as configured.
    #[error("the agent's model is not configured properly: {0}")]
    Configuration(String),
}

/// A cause, kept for the log.
type Source = Box<dyn std::error::Error + Send + Sync>;

impl ModelError {
    /// Whether asking again may help.
    pub const fn is_passing(&self) -> bool {
        match self {
            Self::Timeout { .. } | Self::Unreachable(_) | Self::Incomplete | Self::Garbled(_) => {
                true
            }
            Self::Refused { status, .. } => matches!(*status, 408 | 409 | 425 | 429 | 500..=599),
            Self::Configuration(_) => false,
        }
    }
}

/// Something that answers.
#[async_trait]
pub trait LanguageModel: Send + Sync {
    /// Begins an answer. Ready when the first piece is there, so that everything that can be
    /// tried again has been; from then on nothing is.
    async fn stream(&self, request: ModelRequest) -> Result<ModelStream, ModelError>;
}

/// Every adapter, chosen by the request's provider.
pub struct Models {
    openai: OpenAi,
    scripted: Scripted,
}

impl Models {
    /// All adapters.
    pub fn new(openai: OpenAi, scripted: Scripted) -> Arc<Self> {
        Arc::new(Self { openai, scripted })
    }
}

#[async_trait]
impl LanguageModel for Models {
    async fn stream(&self, request: ModelRequest) -> Result<ModelStream, ModelError> {
        match request.model.provider {
            ModelProvider::Openai => self.openai.stream(request).await,
            ModelProvider::Scripted => self.scripted.stream(request).await,
        }
    }
}
