//! HTTP from the client's side.

use std::time::Duration;

use reqwest::{Method, RequestBuilder, Response};
use serde_json::Value;

/// How long any answer may take to begin and to go on. Far beyond what any test needs: who waits
/// this long has been forgotten.
const PATIENCE: Duration = Duration::from_mins(1);

/// Makes requests. One per test: its connections live in the test's runtime.
#[derive(Clone)]
pub struct Http {
    client: reqwest::Client,
}

/// An answer in full.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The body, null where it is not JSON.
    pub body: Value,
}

/// No answer, or not all of it: the connection broke.
#[derive(Debug)]
pub struct Lost;

impl From<reqwest::Error> for Lost {
    fn from(error: reqwest::Error) -> Self {
        assert!(!error.is_timeout(), "a request was forgotten: {error:?}");
        Self
    }
}

impl Http {
    pub fn new() -> Self {
        let client = reqwest::Client::builder().no_proxy().read_timeout(PATIENCE);
        Self { client: client.build().expect("a client") }
    }

    /// The same, keeping no connection open that nobody uses.
    pub fn that_hangs_up() -> Self {
        let client = reqwest::Client::builder().no_proxy().read_timeout(PATIENCE);
        let client = client.pool_max_idle_per_host(0);
        Self { client: client.build().expect("a client") }
    }

    /// A request yet to be sent.
    pub fn request(&self, method: Method, url: String) -> RequestBuilder {
        self.client.request(method, url)
    }

    pub fn post(&self, url: String) -> RequestBuilder {
        self.request(Method::POST, url)
    }

    pub fn get(&self, url: String) -> RequestBuilder {
        self.request(Method::GET, url)
    }
}

/// Sends a request and reads the answer.
pub async fn ask(request: RequestBuilder) -> Result<Answer, Lost> {
    answer(request.send().await?).await
}

/// Reads an answer to its end.
pub async fn answer(response: Response) -> Result<Answer, Lost> {
    let status = response.status().as_u16();
    let bytes = response.bytes().await?;
    Ok(Answer { status, body: serde_json::from_slice(&bytes).unwrap_or_default() })
}
