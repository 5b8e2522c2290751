//! The written answers, given in the place of a model.

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use epilogue_engine::llm::{LanguageModel, ModelError, ModelEvent, ModelRequest, ModelStream};
use futures::{StreamExt as _, stream};

/// Nothing follows from it.
const NOTHING: &str = r#"{"facts":[],"ended":[]}"#;

/// Answers the next request with what was laid ready, and each after it with nothing.
#[derive(Debug, Default)]
pub struct Written {
    ready: Mutex<Option<String>>,
}

impl Written {
    /// What the next request gets.
    pub fn lay_ready(&self, answer: String) {
        *self.ready.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer);
    }

    /// Whether what was laid ready has been taken.
    pub fn is_taken(&self) -> bool {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }
}

#[async_trait]
impl LanguageModel for Written {
    async fn stream(&self, _request: ModelRequest) -> Result<ModelStream, ModelError> {
        let answer = self.ready.lock().unwrap_or_else(PoisonError::into_inner).take();
        let text = ModelEvent::Text(answer.unwrap_or_else(|| NOTHING.to_owned()));
        Ok(stream::iter([Ok(text), Ok(ModelEvent::End { usage: None })]).boxed())
    }
}
