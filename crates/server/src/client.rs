//! How the command line speaks to the server: over HTTP to the one that runs, or, if none does, to
//! the same routes in this process. Either way a command is a request to the native API.

use std::time::Duration;

use axum::{Router, body::Body};
use epilogue_api::Api;
use http::{Method, Request, StatusCode, header};
use http_body_util::BodyExt as _;
use serde_json::Value;
use tower::ServiceExt as _;

use crate::{
    config::Config,
    data::{Address, DataError, DataLock, OperatorKey},
    wiring::{Assembly, StartError, assemble},
};

/// How long a command waits for the running server.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The header that says for which organization an operator acts.
const ORGANIZATION: &str = "epilogue-organization";

/// Why a request was not answered.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The server could not be put together in this process.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The data folder cannot be used.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A server has the data folder and does not answer.
    #[error("the server that has the data folder does not answer")]
    Unreachable(#[source] reqwest::Error),
    /// A server has the data folder, and where it listens is not known.
    #[error("a server has the data folder, but has not said where it listens")]
    NoAddress,
    /// The server said no, in these words.
    #[error("{0}")]
    Refused(String),
    /// The answer is not what it should be.
    #[error("the server's answer makes no sense")]
    Garbled(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// A way to the native API.
pub struct Client {
    route: Route,
    key: String,
    organization: Option<String>,
}

enum Route {
    Remote { http: reqwest::Client, url: String },
    InProcess { router: Router, _assembly: Box<Assembly> },
}

impl Client {
    /// Finds the server that has the data folder, or becomes it.
    pub async fn connect(
        config: &Config,
        organization: Option<String>,
    ) -> Result<Self, ClientError> {
        let folder = config.storage.data_folder();
        crate::data::create_folder(&folder)?;
        let free = match DataLock::acquire(&folder) {
            Ok(lock) => Some(lock),
            Err(DataError::InUse { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        if free.is_some() {
            drop(free);
            let assembly = assemble(config).await?;
            let (router, key) = (routes(&assembly.api), assembly.operator.expose().to_owned());
            let route = Route::InProcess { router, _assembly: Box::new(assembly) };
            return Ok(Self { route, key, organization });
        }
        let key = OperatorKey::load(&folder)?.expose().to_owned();
        let url = Address::read(&folder)?.ok_or(ClientError::NoAddress)?;
        let http = reqwest::Client::builder().timeout(TIMEOUT).no_proxy().build();
        let http = http.map_err(ClientError::Unreachable)?;
        Ok(Self { route: Route::Remote { http, url }, key, organization })
    }

    /// Whether the server runs elsewhere, so that what a request starts will also be finished.
    pub const fn is_remote(&self) -> bool {
        matches!(self.route, Route::Remote { .. })
    }

    /// Asks for something.
    pub async fn get(&self, path: &str) -> Result<Value, ClientError> {
        self.request(Method::GET, path, None).await
    }

    /// Makes a request of the native API, below `/epilogue/v1`.
    pub async fn request(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, ClientError> {
        let path = format!("/epilogue/v1{path}");
        let (status, answer) = match &self.route {
            Route::Remote { http, url } => {
                self.ask(http, method, &format!("{url}{path}"), body).await?
            }
            Route::InProcess { router, .. } => self.call(router, method, &path, body).await?,
        };
        let value = if answer.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&answer).map_err(|error| ClientError::Garbled(error.into()))?
        };
        if status.is_success() { Ok(value) } else { Err(refused(status, &value)) }
    }

    async fn ask(
        &self,
        http: &reqwest::Client,
        method: Method,
        url: &str,
        body: Option<&Value>,
    ) -> Result<(StatusCode, Vec<u8>), ClientError> {
        let mut request = http.request(method, url).bearer_auth(&self.key);
        if let Some(organization) = &self.organization {
            request = request.header(ORGANIZATION, organization);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.map_err(ClientError::Unreachable)?;
        let status = response.status();
        let bytes = response.bytes().await.map_err(ClientError::Unreachable)?;
        Ok((status, bytes.to_vec()))
    }

    async fn call(
        &self,
        router: &Router,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<(StatusCode, Vec<u8>), ClientError> {
        let garbled = |error: http::Error| ClientError::Garbled(error.into());
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::AUTHORIZATION, format!("Bearer {}", self.key));
        if let Some(organization) = &self.organization {
            request = request.header(ORGANIZATION, organization);
        }
        let request = match body {
            Some(body) => request
                .header(header::CONTENT_TYPE, "application/json")
                .body(Body::from(body.to_string())),
            None => request.body(Body::empty()),
        };
        let response = match router.clone().oneshot(request.map_err(garbled)?).await {
            Ok(response) => response,
            Err(never) => match never {},
        };
        let status = response.status();
        let body = response.into_body().collect().await;
        let bytes = body.map_err(|error| ClientError::Garbled(error.into()))?.to_bytes();
        Ok((status, bytes.to_vec()))
    }
}

fn routes(api: &Api) -> Router {
    epilogue_api::router(api)
}

/// A refusal in the server's own words.
fn refused(status: StatusCode, problem: &Value) -> ClientError {
    let word = |key: &str| problem.get(key).and_then(Value::as_str);
    let text = word("detail").or_else(|| word("title")).map(str::to_owned);
    ClientError::Refused(text.unwrap_or_else(|| format!("the server answered {status}")))
}
