//! Reading requests and writing times. Bodies are JSON of whatever content type.

use axum::extract::{FromRequest, Request};
use epilogue_core::Timestamp;
use serde_json::{Map, Value};

use super::error::Error;
use crate::{Api, body};

/// What a body has in it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Members {
    /// Nothing.
    Nothing,
    /// A JSON object of these.
    Of(Map<String, Value>),
    /// Something that is no JSON object.
    Other,
}

impl Members {
    /// What there is to read.
    pub fn read(bytes: &[u8]) -> Self {
        if bytes.trim_ascii().is_empty() {
            return Self::Nothing;
        }
        serde_json::from_slice(bytes).map_or(Self::Other, Self::Of)
    }

    /// Whether a member may stand elsewhere, for it is not here, and nothing is wrong with what is.
    pub fn lacks(&self, name: &str) -> bool {
        match self {
            Self::Nothing => true,
            Self::Of(members) => !members.contains_key(name),
            Self::Other => false,
        }
    }

    /// All members, if it is an object.
    pub fn members(&self) -> Option<&Map<String, Value>> {
        match self {
            Self::Of(members) => Some(members),
            Self::Nothing | Self::Other => None,
        }
    }

    /// A member that is there and not null.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.members()?.get(name).filter(|value| !value.is_null())
    }
}

impl FromRequest<Api> for Members {
    type Rejection = Error;

    async fn from_request(request: Request, api: &Api) -> Result<Self, Error> {
        let bytes = body::read(api, request.into_body()).await?;
        Ok(Self::read(&bytes))
    }
}

/// A time as this API writes it: ISO 8601, UTC, always with milliseconds.
pub(super) fn time(at: Timestamp) -> String {
    at.to_jiff().strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}
