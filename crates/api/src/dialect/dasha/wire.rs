//! Reading requests: JSON bodies, each refused with a problem that names the part that is wrong.
//! Members nobody asked for are passed over, as clients of this API may send more than it has.

use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use epilogue_core::Timestamp;
use http::StatusCode;
use serde::de::DeserializeOwned;

use super::error::Problem;
use crate::{
    Api,
    body::{self, BodyError},
};

/// A JSON body, of whatever content type.
#[derive(Debug)]
pub(super) struct JsonBody<T>(pub T);

impl<T: DeserializeOwned> FromRequest<Api> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, api: &Api) -> Result<Self, Problem> {
        parse(&read(request, api).await?).map(Self)
    }
}

/// A JSON body that may be left out.
#[derive(Debug)]
pub(super) struct OptionalBody<T>(pub T);

impl<T: DeserializeOwned + Default> FromRequest<Api> for OptionalBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, api: &Api) -> Result<Self, Problem> {
        let bytes = read(request, api).await?;
        if bytes.trim_ascii().is_empty() { Ok(Self(T::default())) } else { parse(&bytes).map(Self) }
    }
}

async fn read(request: Request, api: &Api) -> Result<Bytes, Problem> {
    body::read(api, request.into_body()).await.map_err(|error| match error {
        BodyError::TooLarge { max } => Problem::too_large("$", max),
        BodyError::TooSlow { .. } => {
            Problem::new(StatusCode::REQUEST_TIMEOUT, "The body did not come in time.")
        }
        BodyError::Broken(_) => Problem::field("$", "The body broke off."),
    })
}

/// Reads JSON; what is wrong is named by its path, `$` for the whole.
pub(super) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        let whole = matches!(&*path, "." | "?");
        let path = if whole { "$".to_owned() } else { path };
        Problem::field(path, error.inner().to_string())
    })?;
    json.end().map_err(|error| Problem::field("$", error.to_string()))?;
    Ok(value)
}

/// A time as this API writes it: ISO 8601, UTC, always with milliseconds.
pub(super) fn time(at: Timestamp) -> String {
    at.to_jiff().strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}
