//! What an endpoint says when it does not answer: its status, and the kind of its error.
//!
//! Never its words. They quote the prompt often enough, and the key sometimes.

use std::fmt;

use futures::StreamExt;
use reqwest::{Response, header};
use serde_json::Value;

use super::super::ModelError;

/// How much of a refusal is read.
pub(super) const BODY_BYTES_MAX: usize = 16 * 1024;

/// The longest word that is taken for an error's kind.
const WORD_CHARS_MAX: usize = 64;

/// The kind of an error in the endpoint's own words, as far as they are such: `code` and `type`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Kind(Vec<String>);

impl Kind {
    /// Finds the kind in an error object, or in what holds one.
    pub(super) fn of(value: &Value) -> Self {
        let error = value.get("error").filter(|error| error.is_object()).unwrap_or(value);
        Self(["code", "type"].iter().filter_map(|key| word(error.get(key)?)).collect())
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [] => f.write_str("it gives no kind of error"),
            words => write!(f, "it calls the error {}", words.join(", ")),
        }
    }
}

impl std::error::Error for Kind {}

/// A value that can only be the name of an error: letters and joints, or a short number.
fn word(value: &Value) -> Option<String> {
    match value {
        Value::Number(number) => number.as_u64().filter(|n| *n < 1_000_000).map(|n| n.to_string()),
        Value::String(text) => {
            let plain = |c: char| c.is_ascii_alphabetic() || matches!(c, '_' | '.' | '-');
            let is_word = (1..=WORD_CHARS_MAX).contains(&text.len()) && text.chars().all(plain);
            is_word.then(|| text.clone())
        }
        _ => None,
    }
}

/// Reads a refusal.
pub(super) async fn read(response: Response) -> ModelError {
    let status = response.status().as_u16();
    let retry_after_s = retry_after(&response);
    let body = beginning(response).await;
    let kind = serde_json::from_slice(&body).map_or_else(|_| Kind::default(), |v| Kind::of(&v));
    ModelError::Refused { status, retry_after_s, source: kind.into() }
}

/// Seconds, rounded up. The header's other form, a date, counts as absent.
fn retry_after(response: &Response) -> Option<u64> {
    let text = response.headers().get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let more = u64::from(fraction.bytes().any(|digit| digit != b'0'));
    Some(seconds.parse::<u64>().ok()?.saturating_add(more))
}

/// The beginning of the body, as much of it as comes.
async fn beginning(response: Response) -> Vec<u8> {
    let mut body = Vec::new();
    let mut chunks = response.bytes_stream();
    while let Some(Ok(chunk)) = chunks.next().await {
        let room = BODY_BYTES_MAX - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if body.len() == BODY_BYTES_MAX {
            break;
        }
    }
    body
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn response(body: Vec<u8>, retry_after: &str) -> Response {
        let response = http::Response::builder().status(429).header("retry-after", retry_after);
        response.body(body).expect("a response").into()
    }

    #[test]
    fn the_kind_is_found_in_the_usual_shapes() {
        let shown = |value: &Value| Kind::of(value).to_string();
        let openai = json!({ "error": { "code": "model_not_found", "type": "invalid_request" } });
        assert_eq!(shown(&openai), "it calls the error model_not_found, invalid_request");
        let flat = json!({ "object": "error", "type": "BadRequestError", "code": 400 });
        assert_eq!(shown(&flat), "it calls the error 400, BadRequestError");
        assert_eq!(shown(&json!({ "error": "words" })), "it gives no kind of error");
    }

    #[test]
    fn nothing_that_could_be_a_text_or_a_key_is_taken_for_a_kind() {
        let kept = |text: String| word(&json!(text)).is_some();
        assert!(kept("a".repeat(64)));
        assert!(!kept("a".repeat(65)));
        assert!(!kept("sk-abc123".into()) && !kept("my secret".into()) && !kept(String::new()));
        assert!(word(&json!(999_999)).is_some() && word(&json!(1_000_000)).is_none());
    }

    #[test]
    fn a_wait_is_read_in_seconds_rounded_up() {
        let seconds = |text: &str| retry_after(&response(Vec::new(), text));
        assert_eq!(
            [
                seconds("7"),
                seconds("1.0"),
                seconds("0.25"),
                seconds("Wed, 21 Oct 2026 07:28:00 GMT")
            ],
            [Some(7), Some(1), Some(1), None]
        );
    }

    #[tokio::test]
    async fn no_more_than_the_beginning_is_read() {
        let read = async |bytes| beginning(response(vec![b'x'; bytes], "1")).await.len();
        assert_eq!(read(BODY_BYTES_MAX).await, BODY_BYTES_MAX);
        assert_eq!(read(BODY_BYTES_MAX + 1).await, BODY_BYTES_MAX);
    }
}
