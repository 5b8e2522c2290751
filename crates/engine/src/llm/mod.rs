//! Language models: a port, and one adapter per kind of endpoint.

mod openai;
mod scripted;
#[cfg(test)]
mod testing;
pub mod tokens;

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use epilogue_core::{
    Message, Price,
    agent::{ModelProvider, ModelSpec},
    message::ToolCall,
};
use futures::stream::BoxStream;
use serde_json::Value;

pub(crate) use self::openai::builder as client;
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

    /// Whether it can be asked about a conversation and answer in its own words: one that answers by rules
    /// cannot.
    fn understands(&self, model: &ModelSpec) -> bool {
        model.provider != ModelProvider::Scripted
    }

    /// What an agent costs that a tenant writes with this model. Free unless the operator says
    /// otherwise.
    fn price(&self, _model: &ModelSpec) -> Price {
        Price::default()
    }
}

/// The price that the operator lists with a model.
pub fn listed_price(model: &ModelSpec, listed: &Listed) -> Price {
    let vendor = model.vendor.as_ref().filter(|_| model.provider == ModelProvider::Listed);
    vendor.and_then(|vendor| listed.get(vendor)).map(|known| known.price).unwrap_or_default()
}

/// Every adapter, chosen by the request's provider.
pub struct Models {
    openai: OpenAi,
    scripted: Scripted,
    listed: Listed,
}

/// The models that the operator lists, each under the name tenants know it by.
pub type Listed = BTreeMap<String, ModelSpec>;

impl Models {
    /// All adapters.
    pub fn new(openai: OpenAi, scripted: Scripted, listed: Listed) -> Arc<Self> {
        Arc::new(Self { openai, scripted, listed })
    }
}

/// The model that is meant: a listed one with what the agent says of it laid over the list.
pub fn meant(model: ModelSpec, listed: &Listed) -> Result<ModelSpec, ModelError> {
    if model.provider != ModelProvider::Listed {
        return Ok(model);
    }
    let vendor = model.vendor.as_deref().unwrap_or_default();
    let Some(known) = listed.get(vendor) else {
        let unknown = format!("no model vendor is listed here as `{}`", vendor.escape_debug());
        return Err(ModelError::Configuration(unknown));
    };
    let mut options = known.options.clone();
    options.extend(model.options);
    Ok(ModelSpec {
        name: if model.name.is_empty() { known.name.clone() } else { model.name },
        api_key: model.api_key.or_else(|| known.api_key.clone()),
        temperature: model.temperature.or(known.temperature),
        max_output_tokens: model.max_output_tokens.or(known.max_output_tokens),
        vendor: None,
        options,
        ..known.clone()
    })
}

#[async_trait]
impl LanguageModel for Models {
    fn price(&self, model: &ModelSpec) -> Price {
        listed_price(model, &self.listed)
    }

    fn understands(&self, model: &ModelSpec) -> bool {
        let meant = meant(model.clone(), &self.listed);
        meant.is_ok_and(|model| model.provider != ModelProvider::Scripted)
    }

    async fn stream(&self, mut request: ModelRequest) -> Result<ModelStream, ModelError> {
        request.model = meant(request.model, &self.listed)?;
        match request.model.provider {
            ModelProvider::Openai => self.openai.stream(request).await,
            ModelProvider::Scripted => self.scripted.stream(request).await,
            // The operator's list is checked when it is read.
            ModelProvider::Listed => {
                Err(ModelError::Configuration("a listed model names another list".into()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn model(spec: Value) -> ModelSpec {
        serde_json::from_value(spec).expect("a model")
    }

    #[test]
    fn a_listed_model_is_the_operators_with_what_the_agent_says_of_it() {
        let listed = Listed::from([(
            "acme".to_owned(),
            model(json!({ "provider": "openai", "base_url": "http://10.0.0.1/v1",
                "name": "default", "api_key": "env:ACME", "options": { "a": 1, "b": 1 } })),
        )]);
        let asked = json!({ "provider": "listed", "vendor": "acme", "name": "small",
            "temperature": 0.5, "options": { "b": 2 }, "chosen_by": "tenant" });
        let found = meant(model(asked), &listed).expect("listed");
        assert_eq!((found.name.as_str(), found.temperature), ("small", Some(0.5)));
        assert_eq!(Value::Object(found.options), json!({ "a": 1, "b": 2 }));
        assert_eq!(found.api_key.map(|key| key.0).as_deref(), Some("env:ACME"));
        assert_eq!(found.chosen_by, epilogue_core::agent::ChosenBy::Operator);
        let unknown = model(json!({ "provider": "listed", "vendor": "other" }));
        assert!(matches!(meant(unknown, &listed), Err(ModelError::Configuration(_))));
    }
}
