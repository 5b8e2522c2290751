//! What sentences are like: a port, and any OpenAI-compatible `embeddings` endpoint behind it.

use async_trait::async_trait;
use epilogue_core::{Span, agent::SecretRef};
use futures::StreamExt as _;
use reqwest::{Client, RequestBuilder, Response, header};
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use serde_json::json;
use url::Url;

use super::MemoryError;
use crate::{
    clock::{SharedClock, within},
    llm, secret,
};

/// The longest answer, in bytes: a hundred sentences as some thousand numbers each.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The longest vector.
const NUMBERS_MAX: usize = 8_192;

/// Says what sentences are like.
#[async_trait]
pub trait Embeddings: Send + Sync {
    /// Whose vectors these are: those of two models cannot be compared.
    fn model(&self) -> &str;

    /// A vector for each text, in their order.
    async fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, MemoryError>;
}

/// The operator's choice of endpoint.
#[derive(Clone, Debug)]
pub struct EmbeddingsEndpoint {
    /// What has `embeddings` below it.
    pub base_url: Url,
    /// The model's name.
    pub name: String,
    /// Its key.
    pub api_key: Option<SecretRef>,
}

/// Asks an endpoint.
pub struct EndpointEmbeddings {
    client: Client,
    endpoint: EmbeddingsEndpoint,
    url: Url,
    timeout: Span,
    clock: SharedClock,
}

impl EndpointEmbeddings {
    /// Embeddings of this endpoint, which has so much time for each answer.
    pub fn new(
        endpoint: EmbeddingsEndpoint,
        timeout: Span,
        clock: SharedClock,
    ) -> Result<Self, MemoryError> {
        let client = llm::client().build().map_err(|error| failed(&error.without_url()))?;
        let mut url = endpoint.base_url.clone();
        match url.path_segments_mut() {
            Ok(mut path) => drop(path.pop_if_empty().push("embeddings")),
            Err(()) => return Err(final_fault("`base_url` is not an HTTP URL")),
        }
        Ok(Self { client, endpoint, url, timeout, clock })
    }

    fn request(&self, texts: &[String]) -> Result<RequestBuilder, MemoryError> {
        let body = json!({ "model": self.endpoint.name, "input": texts });
        let mut request = self.client.post(self.url.clone()).json(&body);
        if let Some(key) = &self.endpoint.api_key {
            let key = secret::resolve(key).map_err(|error| final_fault(&error.to_string()))?;
            let bearer = header::HeaderValue::try_from(format!("Bearer {}", key.expose_secret()));
            let mut bearer = bearer
                .map_err(|_| final_fault("the key has characters that no header can carry"))?;
            bearer.set_sensitive(true);
            request = request.header(header::AUTHORIZATION, bearer);
        }
        Ok(request)
    }

    async fn ask(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, MemoryError> {
        let sent = self.request(texts)?.send().await;
        let response = sent.map_err(|error| failed(&error.without_url()))?;
        let status = response.status();
        if !status.is_success() {
            // Never its words: they may quote the text.
            let is_passing = status.is_server_error() || matches!(status.as_u16(), 408 | 425 | 429);
            return Err(fault(format!("the endpoint answered {status}"), is_passing));
        }
        vectors(&read(response).await?, texts.len())
    }
}

async fn read(response: Response) -> Result<Vec<u8>, MemoryError> {
    let (mut body, mut pieces) = (Vec::new(), response.bytes_stream());
    while let Some(piece) = pieces.next().await {
        body.extend_from_slice(&piece.map_err(|error| failed(&error.without_url()))?);
        if body.len() > ANSWER_BYTES_MAX {
            return Err(fault("the answer is too long".into(), true));
        }
    }
    Ok(body)
}

/// Reads an answer: a vector for each text, all of one length, of ordinary numbers.
fn vectors(body: &[u8], count: usize) -> Result<Vec<Vec<f32>>, MemoryError> {
    #[derive(Deserialize)]
    struct Answer {
        data: Vec<Item>,
    }
    #[derive(Deserialize)]
    struct Item {
        index: usize,
        embedding: Vec<f32>,
    }
    let invalid = || fault("the endpoint sent no valid answer".into(), true);
    let mut answer: Answer = serde_json::from_slice(body).map_err(|_| invalid())?;
    answer.data.sort_by_key(|item| item.index);
    let in_order = answer.data.iter().enumerate().all(|(place, item)| item.index == place);
    let length = answer.data.first().map_or(0, |item| item.embedding.len());
    let sound = |item: &Item| {
        item.embedding.len() == length && item.embedding.iter().all(|number| number.is_finite())
    };
    let fits = (1..=NUMBERS_MAX).contains(&length) && answer.data.iter().all(sound);
    if answer.data.len() != count || !in_order || !fits {
        return Err(invalid());
    }
    Ok(answer.data.into_iter().map(|item| item.embedding).collect())
}

fn failed(error: &reqwest::Error) -> MemoryError {
    let what = if error.is_timeout() { "it took too long" } else { "it is unreachable" };
    fault(what.into(), true)
}

fn fault(why: String, is_passing: bool) -> MemoryError {
    MemoryError::Service { service: "the embeddings endpoint", why, is_passing }
}

fn final_fault(why: &str) -> MemoryError {
    fault(why.to_owned(), false)
}

#[async_trait]
impl Embeddings for EndpointEmbeddings {
    fn model(&self) -> &str {
        &self.endpoint.name
    }

    async fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, MemoryError> {
        let seconds = self.timeout.as_millis() / 1_000;
        let late = || fault(format!("no answer within {seconds} s"), true);
        within(&*self.clock, self.timeout, self.ask(texts)).await.unwrap_or_else(|| Err(late()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_in_its_order_and_held_against_what_was_asked() {
        let good = br#"{"data":[{"index":1,"embedding":[0,1]},{"index":0,"embedding":[1,0]}]}"#;
        assert_eq!(vectors(good, 2).expect("it reads"), [[1.0, 0.0], [0.0, 1.0]]);
        for (bad, count) in [
            (good.to_vec(), 1),
            (good.to_vec(), 3),
            (b"{}".to_vec(), 1),
            (b"no".to_vec(), 1),
            (br#"{"data":[{"index":0,"embedding":[]}]}"#.to_vec(), 1),
            (br#"{"data":[{"index":1,"embedding":[1]}]}"#.to_vec(), 1),
            (br#"{"data":[{"index":0,"embedding":[1e39]}]}"#.to_vec(), 1),
            (
                br#"{"data":[{"index":0,"embedding":[1]},{"index":1,"embedding":[1,2]}]}"#.to_vec(),
                2,
            ),
        ] {
            let error = vectors(&bad, count).expect_err("refused");
            assert!(error.is_passing(), "{error}");
        }
        let numbers = |n: usize| {
            let body = json!({ "data": [{ "index": 0, "embedding": vec![1.0; n] }] }).to_string();
            vectors(body.as_bytes(), 1)
        };
        assert!(numbers(NUMBERS_MAX).is_ok() && numbers(NUMBERS_MAX + 1).is_err());
    }
}
