//! The one client for addresses that customers choose. It calls the public internet alone, goes
//! where it is told and no further, and reads no more than it was asked to.

use std::time::Duration;

use http::{HeaderMap, Method, StatusCode};
use reqwest::{Client, Response, redirect, retry};
use url::Url;

use super::{
    WebhookError,
    resolve::{Guard, GuardedResolver, failure},
};

/// How long a connection may take to be made. A caller's own limit, on the clock, is often shorter.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How many idle connections are kept to one receiver: one for each step that runs in its lane.
pub const IDLE_CONNECTIONS_MAX: usize = 16;
/// How long an idle connection is kept.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// How much an HTTP/2 receiver may send ahead of what is read.
pub const WINDOW_BYTES: u32 = 65_535;
/// How many headers an answer may have over HTTP/1.
pub const RESPONSE_HEADERS_MAX: usize = 100;
/// How many bytes an HTTP/2 answer's headers may have.
pub const RESPONSE_HEADER_BYTES_MAX: u32 = 16 * 1024;

/// How a request from here introduces itself.
pub const USER_AGENT: &str = concat!("Epilogue/", env!("CARGO_PKG_VERSION"));

/// A request to a customer's address.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// How.
    pub method: Method,
    /// Where to.
    pub url: Url,
    /// Checked names and values: the types let nothing through that would start another header.
    pub headers: HeaderMap,
    /// What is sent.
    pub body: String,
}

/// Its answer.
#[derive(Debug)]
pub struct Incoming {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, as it came: never decompressed.
    pub body: Vec<u8>,
    /// How much of the body that is.
    pub extent: Extent,
}

/// How much of a body was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// All of it.
    Whole,
    /// The beginning: there was more, and it was not read.
    Cut,
}

/// The client cannot be made: the system's TLS is not usable.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client cannot be made")]
pub struct EgressError(#[source] reqwest::Error);

/// The guarded client. A clone shares the connections.
#[derive(Clone, Debug)]
pub struct Egress {
    http: Client,
    guard: Guard,
}

impl Egress {
    /// A client. `allow_private` opens the guard, and lets `http` through beside `https`.
    pub fn new(allow_private: bool) -> Result<Self, EgressError> {
        let guard = if allow_private { Guard::Open } else { Guard::PublicOnly };
        let http = Client::builder()
            .user_agent(USER_AGENT)
            .dns_resolver(GuardedResolver(guard))
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .referer(false)
            .no_proxy()
            .no_gzip()
            .no_brotli()
            .no_zstd()
            .no_deflate()
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX)
            .http1_max_headers(RESPONSE_HEADERS_MAX)
            .http2_max_header_list_size(RESPONSE_HEADER_BYTES_MAX)
            .http2_initial_stream_window_size(WINDOW_BYTES)
            .http2_initial_connection_window_size(WINDOW_BYTES);
        Ok(Self { http: http.build().map_err(EgressError)?, guard })
    }

    /// Whether an address would be called at all, as far as the URL alone says it.
    pub fn check(&self, url: &Url) -> Result<(), WebhookError> {
        self.guard.check(url).map(drop)
    }

    /// Sends `request` once and reads at most `body_bytes_max` of the answer. It has no time limit
    /// of its own beyond the connection's: a caller puts it under [`crate::clock::within`].
    pub async fn send(
        &self,
        request: Outgoing,
        body_bytes_max: usize,
    ) -> Result<Incoming, WebhookError> {
        let host = self.guard.check(&request.url)?;
        let sent = self
            .http
            .request(request.method, request.url)
            .headers(request.headers)
            .body(request.body)
            .send();
        let mut response = sent.await.map_err(|error| failure(error, &host))?;
        let read = read_at_most(&mut response, body_bytes_max).await;
        let (body, extent) = read.map_err(|error| failure(error, &host))?;
        let headers = std::mem::take(response.headers_mut());
        Ok(Incoming { status: response.status(), headers, body, extent })
    }
}

/// Reads until the end or just past `bytes_max`, whichever comes first.
async fn read_at_most(
    response: &mut Response,
    bytes_max: usize,
) -> Result<(Vec<u8>, Extent), reqwest::Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        let room = bytes_max - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if chunk.len() > room {
            return Ok((body, Extent::Cut));
        }
    }
    Ok((body, Extent::Whole))
}

#[cfg(test)]
#[path = "egress_tests.rs"]
mod tests;
