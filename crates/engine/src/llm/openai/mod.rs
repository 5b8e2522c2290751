//! Any OpenAI-compatible `chat/completions` endpoint, streamed.
//!
//! What may be tried again is tried again before the first piece of an answer, never after it:
//! the person has read that piece already.

mod answer;
mod assembly;
mod refusal;
mod request;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use epilogue_core::{
    Span, Timestamp,
    agent::{ChosenBy, ModelSpec},
};
use futures::StreamExt;
use reqwest::{Client, ClientBuilder, RequestBuilder, header, redirect};
use secrecy::ExposeSecret;
use url::Url;

use self::answer::Answer;
use super::{LanguageModel, ModelError, ModelRequest, ModelStream};
use crate::{
    clock::{SharedClock, within},
    ids::Ids,
    secret,
    webhook::resolve::{self, Guard, GuardedResolver},
};

/// How often a request is repeated.
pub const RETRIES_MAX: u32 = 2;

/// The wait before the first repetition. It doubles with each.
const BACKOFF: Span = Span::from_millis(250);

/// By how much a wait may be longer, in percent, so that many failures do not return at once.
const JITTER_PERCENT: f64 = 50.0;

/// The longest `Retry-After` that is waited for while a person waits. Past it the refusal is
/// passed on at once: asking earlier would be refused again.
pub const RETRY_AFTER_MAX: Span = Span::from_secs(10);

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How many unused connections are kept to each endpoint.
const IDLE_CONNECTIONS_MAX: usize = 64;

/// How long an unused connection is kept.
const IDLE_CONNECTION_TIMEOUT: Duration = Duration::from_mins(1);

/// How often an open connection is checked, so that a dead one is noticed.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// Speaks to OpenAI-compatible endpoints. One client, so that connections are used again.
pub struct OpenAi {
    client: Client,
    /// For addresses that tenants chose.
    guarded: Client,
    guard: Guard,
    clock: SharedClock,
    ids: Arc<Ids>,
}

impl OpenAi {
    /// Timeouts and waits run on `clock`; `ids` gives the jitter. Addresses that tenants chose are
    /// called on the public internet alone, unless `allow_private`.
    pub fn new(
        clock: SharedClock,
        ids: Arc<Ids>,
        allow_private: bool,
    ) -> Result<Self, reqwest::Error> {
        let guard = if allow_private { Guard::Open } else { Guard::PublicOnly };
        let client = builder().build()?;
        let guarded = builder().dns_resolver(GuardedResolver(guard)).build()?;
        Ok(Self { client, guarded, guard, clock, ids })
    }

    /// The client for an address, by who chose it.
    fn client_for(&self, model: &ModelSpec, url: &Url) -> Result<&Client, ModelError> {
        match model.chosen_by {
            ChosenBy::Operator => Ok(&self.client),
            ChosenBy::Tenant => self
                .guard
                .check(url)
                .map(|_| &self.guarded)
                .map_err(|error| ModelError::Configuration(error.to_string())),
        }
    }

    /// Asks until there is a first piece, as often as may be and as long as there is time.
    async fn begin(&self, model: &ModelRequest, deadline: Timestamp) -> Result<Answer, ModelError> {
        let request = self.request(model)?;
        let mut retries = 0;
        loop {
            let error = match self.attempt(&request, model).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let Some(wait) = self.wait_after(&error, retries) else { return Err(error) };
            if self.clock.now() + wait >= deadline {
                return Err(error);
            }
            tracing::debug!(error = &error as &dyn std::error::Error, "asking the model again");
            self.clock.sleep(wait).await;
            retries += 1;
        }
    }

    /// One request, until there is a first piece.
    async fn attempt(
        &self,
        request: &RequestBuilder,
        model: &ModelRequest,
    ) -> Result<Answer, ModelError> {
        // Never `None`: the body is not a stream.
        let request = request.try_clone().ok_or(ModelError::Incomplete)?;
        let response = request.send().await.map_err(unreachable)?;
        if !response.status().is_success() {
            return Err(refusal::read(response).await);
        }
        Answer::begin(response, self.clock.clone(), &model.messages).await
    }

    /// The request as it is sent each time.
    fn request(&self, model: &ModelRequest) -> Result<RequestBuilder, ModelError> {
        let url = request::url(&model.model)?;
        let client = self.client_for(&model.model, &url)?;
        let mut builder = client.post(url).json(&request::body(model));
        builder = builder.header(header::ACCEPT, "text/event-stream");
        if let Some(key) = &model.model.api_key {
            let key = secret::resolve(key).map_err(|e| ModelError::Configuration(e.to_string()))?;
            let bearer = format!("Bearer {}", key.expose_secret());
            let mut bearer = header::HeaderValue::try_from(bearer).map_err(|_| {
                ModelError::Configuration("the key has characters that no header can carry".into())
            })?;
            bearer.set_sensitive(true);
            builder = builder.header(header::AUTHORIZATION, bearer);
        }
        Ok(builder)
    }

    /// How long to wait before asking again. `None`: do not.
    fn wait_after(&self, error: &ModelError, retries: u32) -> Option<Span> {
        if retries >= RETRIES_MAX || !error.is_passing() {
            return None;
        }
        let asked = match error {
            ModelError::Refused { retry_after_s: Some(seconds), .. } => Span::from_secs(*seconds),
            _ => Span::ZERO,
        };
        (asked <= RETRY_AFTER_MAX).then(|| asked.max(backoff(retries, self.ids.fraction())))
    }
}

/// What every client of an endpoint that the operator configures has in common.
pub(crate) fn builder() -> ClientBuilder {
    Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        // A key must not follow a redirect, nor pass through a proxy nobody configured here.
        .redirect(redirect::Policy::none())
        .no_proxy()
        .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX)
        .pool_idle_timeout(IDLE_CONNECTION_TIMEOUT)
        .tcp_keepalive(KEEPALIVE)
}

/// The wait before repetition number `retries` (from 0). `jitter` is drawn from 0 to 1.
fn backoff(retries: u32, jitter: f64) -> Span {
    let wait = BACKOFF.as_millis() << retries.min(RETRIES_MAX);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a part of a short wait: not negative, and the fraction does not matter"
    )]
    let extra = (wait as f64 * JITTER_PERCENT * jitter.clamp(0.0, 1.0) / 100.0) as u64;
    Span::from_millis(wait + extra)
}

/// A connection that could not be made, or broke. The address stays out of the log: it may hold
/// a key.
///
/// A name that leads to a private address counts as unusable: asking again does not help.
fn unreachable(error: reqwest::Error) -> ModelError {
    if resolve::is_private(&error) {
        return ModelError::Configuration("`endpoint` is at a private address".into());
    }
    ModelError::Unreachable(error.without_url().into())
}

#[async_trait]
impl LanguageModel for OpenAi {
    async fn stream(&self, request: ModelRequest) -> Result<ModelStream, ModelError> {
        let seconds = request.model.first_token_timeout_s;
        let limit = Span::from_secs(seconds);
        let deadline = self.clock.now() + limit;
        let begun = within(&*self.clock, limit, self.begin(&request, deadline)).await;
        let answer = begun.ok_or(ModelError::Timeout { seconds })??;
        Ok(answer.stream(request.model.stall_timeout_s).boxed())
    }
}

#[cfg(test)]
mod failure_tests;
#[cfg(test)]
mod fake;
#[cfg(test)]
mod tests;
