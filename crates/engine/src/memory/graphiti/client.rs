//! Requests to a Graphiti server. Each is bounded in time and in size, and says, when it fails, whether
//! what was sent may have arrived all the same.

use std::time::{Duration, UNIX_EPOCH};

use epilogue_core::{Span, Timestamp};
use futures::StreamExt as _;
use http::header::DATE;
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use serde::de::DeserializeOwned;
use url::Url;

use super::{
    pieces::Piece,
    wire::{AddMessages, Fact, Found, Search, StoredEpisode},
};
use crate::{
    clock::{SharedClock, within},
    llm,
};

/// How much of an answer is read: some thousand messages of ordinary length.
pub const ANSWER_BYTES_MAX: usize = 32 * 1024 * 1024;

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Why a request came to nothing. Never with what the server said: it may quote a message.
#[derive(Debug, thiserror::Error)]
pub(super) enum ClientError {
    /// There was no connection, so that nothing of it can have arrived.
    #[error("it could not be reached")]
    NotReached(#[source] reqwest::Error),
    /// The server would not have it.
    #[error("it answered {0}")]
    Refused(u16),
    /// It went wrong after it was sent: the server may have taken it.
    #[error("it answered {0}")]
    Failed(u16),
    /// The connection broke, or there was no answer.
    #[error("the connection broke")]
    Broken(#[source] reqwest::Error),
    /// No answer came in time.
    #[error("it gave no answer within {} ms", .0.as_millis())]
    TooLate(Span),
    /// The answer is longer than [`ANSWER_BYTES_MAX`].
    #[error("its answer is longer than {ANSWER_BYTES_MAX} bytes")]
    TooLong,
    /// The answer is no answer of a Graphiti server. Where it is wrong, not what stands there.
    #[error("its answer could not be read from line {line}, column {column} on")]
    Unreadable {
        /// The line.
        line: usize,
        /// The column.
        column: usize,
    },
    /// The group holds more later messages than are ever asked for.
    #[error("it holds too many later messages to be looked through")]
    TooMany,
}

impl ClientError {
    /// Whether what was sent has certainly not arrived.
    pub const fn was_not_taken(&self) -> bool {
        matches!(self, Self::NotReached(_) | Self::Refused(_))
    }

    /// Whether the server will say the same however often it is asked: it cannot read what we say.
    pub const fn is_final(&self) -> bool {
        matches!(self, Self::Refused(413 | 422))
    }
}

/// What the server holds of a group, the latest.
#[derive(Debug)]
pub(super) struct Episodes {
    pub episodes: Vec<StoredEpisode>,
    /// The server's own clock. What is dated later, it does not show.
    pub clock: Option<Timestamp>,
}

/// A client of one server.
pub(super) struct GraphitiClient {
    http: Client,
    base: Url,
    timeout: Span,
    clock: SharedClock,
}

impl GraphitiClient {
    pub fn new(base: Url, timeout: Span, clock: SharedClock) -> Result<Self, reqwest::Error> {
        let http = llm::client().connect_timeout(CONNECT_TIMEOUT).build()?;
        Ok(Self { http, base, timeout, clock })
    }

    fn url(&self, path: &[&str]) -> Url {
        let mut url = self.base.clone();
        // The configuration takes HTTP addresses alone, which have a path.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url
    }

    /// Hands a message over. `Ok` is no more than what the server says: that it will see to it.
    pub async fn add(&self, group: &str, piece: &Piece) -> Result<(), ClientError> {
        let body = AddMessages { group_id: group, messages: [piece.into()] };
        self.send(self.http.post(self.url(&["messages"])).json(&body)).await.map(drop)
    }

    /// The latest messages of a group, at most so many, by the times they are dated with.
    pub async fn episodes(&self, group: &str, last: u32) -> Result<Episodes, ClientError> {
        let mut url = self.url(&["episodes", group]);
        url.query_pairs_mut().append_pair("last_n", &last.to_string());
        let (body, clock) = self.send(self.http.get(url)).await?;
        Ok(Episodes { episodes: read(&body)?, clock })
    }

    /// The facts of a group that fit a query best.
    pub async fn search(
        &self,
        group: &str,
        query: &str,
        max_facts: u32,
    ) -> Result<Vec<Fact>, ClientError> {
        let body = Search { group_ids: [group], query, max_facts };
        let (body, _) = self.send(self.http.post(self.url(&["search"])).json(&body)).await?;
        Ok(read::<Found>(&body)?.facts)
    }

    /// Asks for a whole group to be deleted.
    pub async fn delete_group(&self, group: &str) -> Result<(), ClientError> {
        self.send(self.http.delete(self.url(&["group", group]))).await.map(drop)
    }

    /// Asks for one message or one fact to be deleted. `false`: the server knows none such, or cannot
    /// find it.
    pub async fn delete(&self, kind: Kind, uuid: &str) -> Result<bool, ClientError> {
        match self.send(self.http.delete(self.url(&[kind.path(), uuid]))).await {
            Ok(_) => Ok(true),
            Err(ClientError::Refused(404)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether anybody is there. Says nothing about whether anything is stored.
    pub async fn is_there(&self) -> Result<(), ClientError> {
        self.send(self.http.get(self.url(&["healthcheck"]))).await.map(drop)
    }

    async fn send(
        &self,
        request: RequestBuilder,
    ) -> Result<(Vec<u8>, Option<Timestamp>), ClientError> {
        let exchange = async {
            let response = request.send().await.map_err(broken)?;
            match response.status() {
                status if status.is_success() => {}
                status if taken_for_refusal(status) => {
                    return Err(ClientError::Refused(status.as_u16()));
                }
                status => return Err(ClientError::Failed(status.as_u16())),
            }
            let clock = dated(&response);
            Ok((body_of(response).await?, clock))
        };
        let answer = within(&*self.clock, self.timeout, exchange).await;
        answer.unwrap_or(Err(ClientError::TooLate(self.timeout)))
    }
}

/// What can be deleted by its uuid.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Episode,
    Fact,
}

impl Kind {
    const fn path(self) -> &'static str {
        match self {
            Self::Episode => "episode",
            Self::Fact => "entity-edge",
        }
    }
}

/// A redirect is one, too: whoever sends it elsewhere has not taken it.
fn taken_for_refusal(status: StatusCode) -> bool {
    (status.is_client_error() || status.is_redirection()) && status != StatusCode::REQUEST_TIMEOUT
}

/// The address stays out of the log: it may hold a password.
fn broken(error: reqwest::Error) -> ClientError {
    let error = error.without_url();
    if error.is_connect() { ClientError::NotReached(error) } else { ClientError::Broken(error) }
}

/// When the server says it is.
fn dated(response: &Response) -> Option<Timestamp> {
    let text = response.headers().get(DATE)?.to_str().ok()?;
    let since = httpdate::parse_http_date(text).ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some(Timestamp::from_millis(i64::try_from(since.as_millis()).ok()?))
}

async fn body_of(response: Response) -> Result<Vec<u8>, ClientError> {
    let mut body = Vec::new();
    let mut pieces = response.bytes_stream();
    while let Some(piece) = pieces.next().await {
        body.extend_from_slice(&piece.map_err(broken)?);
        if body.len() > ANSWER_BYTES_MAX {
            return Err(ClientError::TooLong);
        }
    }
    Ok(body)
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, ClientError> {
    serde_json::from_slice(body)
        .map_err(|error| ClientError::Unreadable { line: error.line(), column: error.column() })
}
