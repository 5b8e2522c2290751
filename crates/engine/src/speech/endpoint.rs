//! Any OpenAI-compatible `audio/speech` endpoint.

use async_trait::async_trait;
use epilogue_core::{Span, agent::SecretRef};
use futures::StreamExt as _;
use reqwest::{Client, RequestBuilder, Response, header};
use secrecy::ExposeSecret as _;
use serde_json::json;
use url::Url;

use super::{SOUND_BYTES_MAX, Sound, SpeechError, Utterance, Voice, check};
use crate::{
    clock::{SharedClock, within},
    llm, secret,
};

/// What the endpoint is asked for: every one of them can make it, and it needs no decoder to be fast.
const FORMAT: &str = "wav";

/// The operator's choice of endpoint.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// What has `audio/speech` below it.
    pub base_url: Url,
    /// The model's name.
    pub name: String,
    /// The voice's name, for utterances that name none.
    pub voice: String,
    /// Its key.
    pub api_key: Option<SecretRef>,
}

/// Asks an endpoint for each utterance.
pub struct EndpointVoice {
    client: Client,
    endpoint: Endpoint,
    url: Url,
    timeout: Span,
    clock: SharedClock,
}

impl EndpointVoice {
    /// A voice at this endpoint.
    pub fn new(endpoint: Endpoint, timeout: Span, clock: SharedClock) -> Result<Self, SpeechError> {
        let client = llm::client().build().map_err(unreachable)?;
        let mut url = endpoint.base_url.clone();
        match url.path_segments_mut() {
            Ok(mut path) => drop(path.pop_if_empty().extend(["audio", "speech"])),
            Err(()) => return Err(SpeechError::Failed("`base_url` is not an HTTP URL".into())),
        }
        Ok(Self { client, endpoint, url, timeout, clock })
    }

    fn request(&self, utterance: &Utterance) -> Result<RequestBuilder, SpeechError> {
        let mut body = json!({
            "model": self.endpoint.name,
            "input": utterance.text,
            "voice": utterance.voice.as_ref().unwrap_or(&self.endpoint.voice),
            "response_format": FORMAT,
        });
        if let Some(speed) = utterance.speed {
            body["speed"] = json!(speed);
        }
        let mut request = self.client.post(self.url.clone()).json(&body);
        if let Some(key) = &self.endpoint.api_key {
            let key =
                secret::resolve(key).map_err(|error| SpeechError::Failed(error.to_string()))?;
            let bearer = header::HeaderValue::try_from(format!("Bearer {}", key.expose_secret()));
            let mut bearer = bearer.map_err(|_| {
                SpeechError::Failed("the key has characters that no header can carry".into())
            })?;
            bearer.set_sensitive(true);
            request = request.header(header::AUTHORIZATION, bearer);
        }
        Ok(request)
    }

    async fn ask(&self, utterance: &Utterance) -> Result<Sound, SpeechError> {
        let response = self.request(utterance)?.send().await.map_err(unreachable)?;
        if !response.status().is_success() {
            // Never its words: they may quote the text.
            let status = response.status().as_u16();
            return Err(SpeechError::Failed(format!("the voice answered {status}")));
        }
        read(response).await
    }
}

async fn read(response: Response) -> Result<Sound, SpeechError> {
    let mut sound = Vec::new();
    let mut pieces = response.bytes_stream();
    while let Some(piece) = pieces.next().await {
        sound.extend_from_slice(&piece.map_err(unreachable)?);
        if sound.len() > SOUND_BYTES_MAX {
            return Err(SpeechError::TooMuchSound);
        }
    }
    if sound.is_empty() { Err(SpeechError::Silent) } else { Ok(Sound(sound.into())) }
}

/// The address stays out of the log: it may hold a key.
fn unreachable(error: reqwest::Error) -> SpeechError {
    SpeechError::Unreachable(error.without_url().into())
}

#[async_trait]
impl Voice for EndpointVoice {
    async fn speak(&self, utterance: &Utterance) -> Result<Sound, SpeechError> {
        check(utterance)?;
        let spoken = within(&*self.clock, self.timeout, self.ask(utterance)).await;
        let seconds = self.timeout.as_millis() / 1000;
        spoken.unwrap_or(Err(SpeechError::Timeout { seconds }))
    }
}

#[cfg(test)]
#[path = "endpoint_tests.rs"]
mod tests;
