//! Reading requests and writing times. Bodies are JSON of whatever content type.

use axum::extract::{FromRequest, Request};
use epilogue_core::Timestamp;
use serde_json::{Map, Value};

use super::error::Error;
use crate::{Api, body};

/// A body: the members of a JSON object. `None`: there is nothing, or something else.
#[derive(Debug)]
pub(super) struct Members(pub Option<Map<String, Value>>);

impl Members {
    /// A member that is there and not null.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.as_ref()?.get(name).filter(|value| !value.is_null())
    }
}

impl FromRequest<Api> for Members {
    type Rejection = Error;

    async fn from_request(request: Request, api: &Api) -> Result<Self, Error> {
        let bytes = body::read(api, request.into_body()).await?;
        Ok(Self(serde_json::from_slice(&bytes).ok()))
    }
}

/// A time as this API writes it: ISO 8601, UTC, always with milliseconds.
pub(super) fn time(at: Timestamp) -> String {
    at.to_jiff().strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}
