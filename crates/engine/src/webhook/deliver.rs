//! One attempt at a delivery.

use std::time::UNIX_EPOCH;

use async_trait::async_trait;
use epilogue_core::{Span, Timestamp};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method,
    header::{CONTENT_TYPE, InvalidHeaderValue, RETRY_AFTER},
};
use url::Url;

use super::{
    WebhookAnswer, WebhookError, WebhookReply, WebhookRequest, WebhookSender,
    egress::{Egress, Incoming, Outgoing},
    sign,
};
use crate::clock::{SharedClock, within};

/// How much of an answer's body is read and kept: enough to see what a receiver complains of.
pub const RESPONSE_BYTES_MAX: usize = 4096;

const WEBHOOK_ID: HeaderName = HeaderName::from_static("webhook-id");
const WEBHOOK_TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const WEBHOOK_SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// Delivers over HTTP.
#[derive(Clone)]
pub struct HttpWebhooks {
    egress: Egress,
    clock: SharedClock,
}

impl HttpWebhooks {
    /// Delivers through `egress`, with time limits by `clock`.
    pub fn new(egress: Egress, clock: SharedClock) -> Self {
        Self { egress, clock }
    }

    async fn attempt(&self, request: &WebhookRequest) -> Result<WebhookAnswer, WebhookError> {
        let outgoing = Outgoing {
            method: Method::from_bytes(request.method.as_str().as_bytes())
                .map_err(|error| WebhookError::Header(error.into()))?,
            url: request.url.clone(),
            headers: headers(request)?,
            body: if request.method.has_body() { request.body.clone() } else { String::new() },
        };
        let exchange = self.egress.send(outgoing, RESPONSE_BYTES_MAX);
        let Some(answer) = within(&*self.clock, request.timeout, exchange).await else {
            return Err(WebhookError::timeout(request.timeout));
        };
        Ok(heard(&answer?, self.clock.now()))
    }
}

#[async_trait]
impl WebhookSender for HttpWebhooks {
    async fn send(&self, request: &WebhookRequest) -> WebhookReply {
        let started = self.clock.now();
        let result = self.attempt(request).await;
        WebhookReply { result, took: self.clock.now().since(started) }
    }

    fn check(&self, url: &Url) -> Result<(), WebhookError> {
        self.egress.check(url)
    }
}

fn headers(request: &WebhookRequest) -> Result<HeaderMap, WebhookError> {
    let value = |text: &str| {
        HeaderValue::from_str(text)
            .map_err(|error: InvalidHeaderValue| WebhookError::Header(error.into()))
    };
    let mut headers = request.headers.clone();
    if request.method.has_body() && !headers.contains_key(CONTENT_TYPE) {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(request.content_type));
    }
    headers.insert(WEBHOOK_ID, value(request.id.as_str())?);
    headers.insert(WEBHOOK_TIMESTAMP, HeaderValue::from(request.at.as_secs()));
    let signature = sign::signature(&request.secrets, &request.id, request.at, &request.body);
    if let Some(signature) = signature {
        headers.insert(WEBHOOK_SIGNATURE, value(&signature)?);
    }
    let body_signature = sign::body_signature(&request.secrets, &request.body);
    if let (Some(name), Some(signature)) = (request.body_signature_header, body_signature) {
        let name = HeaderName::from_bytes(name.as_bytes())
            .map_err(|error| WebhookError::Header(error.into()))?;
        headers.insert(name, value(&signature)?);
    }
    Ok(headers)
}

fn heard(answer: &Incoming, now: Timestamp) -> WebhookAnswer {
    let wait = answer.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    WebhookAnswer {
        status: answer.status.as_u16(),
        retry_after: wait.and_then(|text| retry_after(text.trim(), now)),
        body: excerpt(&answer.body),
    }
}

/// Reads `Retry-After`: seconds, or a date, of which the past asks for no wait. `None`: it is neither.
pub fn retry_after(text: &str, now: Timestamp) -> Option<Span> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().ok().map(Span::from_secs);
    }
    let date = httpdate::parse_http_date(text).ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some(Timestamp::from_millis(i64::try_from(date.as_millis()).ok()?).since(now))
}

/// The body as one line of text that can be shown: what is not UTF-8 is replaced, line breaks
/// become spaces, and other control characters go.
fn excerpt(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let spaced = text.chars().map(|c| if matches!(c, '\n' | '\r' | '\t') { ' ' } else { c });
    let mut shown: String = spaced.filter(|c| !c.is_control()).collect();
    // A replacement is longer than the byte it stands for.
    shown.truncate(shown.floor_char_boundary(RESPONSE_BYTES_MAX));
    shown
}

#[cfg(test)]
#[path = "deliver_tests.rs"]
mod tests;
