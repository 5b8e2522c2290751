//! What the tests of several adapters need.

use epilogue_core::{
    Message, Role, Timestamp,
    agent::{ModelProvider, ModelSpec},
    message::NewMessage,
};
use futures::StreamExt;

use super::{ModelError, ModelEvent, ModelRequest, ModelStream};

/// A conversation in which the person says these things, one after another.
pub(super) fn conversation(texts: &[&str]) -> Vec<Message> {
    let bodies = texts.iter().map(|text| NewMessage::text(Role::User, *text, Timestamp::default()));
    numbered(bodies)
}

/// Messages in their order.
pub(super) fn numbered(bodies: impl IntoIterator<Item = NewMessage>) -> Vec<Message> {
    (0..).zip(bodies).map(|(seq, body)| Message { seq, turn: 1, body }).collect()
}

/// A request with nothing but messages, to a scripted model without a script.
pub(super) fn request(messages: Vec<Message>) -> ModelRequest {
    ModelRequest {
        model: ModelSpec {
            provider: ModelProvider::Scripted,
            base_url: None,
            name: "a-model".into(),
            api_key: None,
            temperature: None,
            max_output_tokens: None,
            first_token_timeout_s: 30,
            stall_timeout_s: 20,
            script: Vec::new(),
            vendor: None,
            chosen_by: epilogue_core::agent::ChosenBy::Operator,
            options: serde_json::Map::new(),
            price: epilogue_core::Price::default(),
        },
        system: String::new(),
        messages,
        tools: Vec::new(),
        answer: None,
    }
}

/// Everything that comes.
pub(super) async fn all(stream: ModelStream) -> Vec<Result<ModelEvent, ModelError>> {
    stream.collect().await
}

/// Everything that comes, if nothing goes wrong.
pub(super) async fn whole(stream: ModelStream) -> Vec<ModelEvent> {
    all(stream).await.into_iter().map(|event| event.expect("a whole answer")).collect()
}

/// The text of an answer.
pub(super) fn text(events: &[ModelEvent]) -> String {
    let texts = events.iter().filter_map(|event| match event {
        ModelEvent::Text(text) => Some(text.as_str()),
        _ => None,
    });
    texts.collect()
}
