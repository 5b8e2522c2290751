//! Reading requests: JSON bodies, queries and path segments, each refused with a problem that names
//! the part that is wrong.

use axum::{
    extract::{FromRequest, FromRequestParts, Path, Query, Request},
    http::request::Parts,
};
use bytes::Bytes;
use serde::de::DeserializeOwned;

use super::problem::{Kind, Problem};
use crate::{
    Api,
    body::{self, BodyError},
};

/// The longest identifier in a path that is looked up, in bytes.
pub const SEGMENT_BYTES_MAX: usize = 256;

/// A JSON body. The content type does not matter; unknown members are an error.
pub(super) struct JsonBody<T>(pub T);

impl<T: DeserializeOwned> FromRequest<Api> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, api: &Api) -> Result<Self, Problem> {
        parse(&read(request, api).await?).map(Self)
    }
}

/// A JSON body that may be left out.
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
        BodyError::TooLarge { max } => {
            Problem::new(Kind::TooLarge, format!("The body is longer than {max} bytes."))
        }
        BodyError::TooSlow { .. } => Problem::new(Kind::TooSlow, "The body did not come in time."),
        BodyError::Broken(_) => Problem::new(Kind::InvalidRequest, "The body broke off."),
    })
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut json)
        .map_err(|error| Problem::field(error.path().to_string(), error.inner().to_string()))?;
    json.end().map_err(|error| Problem::field(".", error.to_string()))?;
    Ok(value)
}

/// A query. Unknown keys are an error that names the known ones.
pub(super) struct Params<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        Query::try_from_uri(&parts.uri).map(|Query(query)| Self(query)).map_err(|rejection| {
            let cause = std::error::Error::source(&rejection);
            Problem::field("query", cause.map_or(rejection.to_string(), ToString::to_string))
        })
    }
}

/// The one identifier in a path.
pub(super) struct Segment(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Segment {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Path::<String>::from_request_parts(parts, state).await {
            Ok(Path(segment)) if segment.len() <= SEGMENT_BYTES_MAX => Ok(Self(segment)),
            // Whatever it is, nothing here has that name.
            _ => Err(Problem::not_found("thing")),
        }
    }
}

/// Holds a text to a length in characters.
pub(super) fn chars(path: &str, text: &str, min: usize, max: usize) -> Result<(), Problem> {
    let count = text.chars().count();
    if (min..=max).contains(&count) {
        return Ok(());
    }
    Err(Problem::field(path, format!("must have {min} to {max} characters, and has {count}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_at_the_limits_and_one_past_them() {
        assert!(chars("x", "é", 1, 3).is_ok() && chars("x", "ééé", 1, 3).is_ok());
        assert!(chars("x", "", 1, 3).is_err() && chars("x", "éééé", 1, 3).is_err());
    }

    #[test]
    fn what_follows_a_body_is_an_error() {
        assert_eq!(parse::<u8>(b" 7 \n").ok(), Some(7));
        assert!(parse::<u8>(b"7 8").is_err());
    }
}
