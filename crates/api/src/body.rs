//! Reading a request's body, within bounds.

use axum::body::{Body, HttpBody as _};
use bytes::Bytes;
use epilogue_core::Span;
use epilogue_engine::clock::within;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};

use crate::Api;

/// Why a body was not read.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// It is longer than allowed.
    #[error("the body is longer than {max} bytes")]
    TooLarge {
        /// The limit.
        max: usize,
    },
    /// It did not come in time.
    #[error("the body did not come within {} s", max.as_millis() / 1000)]
    TooSlow {
        /// The limit.
        max: Span,
    },
    /// It broke off.
    #[error("the body broke off")]
    Broken(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Reads a whole body. One that announces itself as too long is not read at all.
pub async fn read(api: &Api, body: Body) -> Result<Bytes, BodyError> {
    read_at_most(api, body, api.settings().body_bytes_max).await
}

/// The same under a limit of its own.
pub async fn read_at_most(api: &Api, body: Body, max: usize) -> Result<Bytes, BodyError> {
    if usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX) > max {
        return Err(BodyError::TooLarge { max });
    }
    let reading = Limited::new(body, max).collect();
    let time = api.settings().body_timeout;
    let read = within(&**api.engine().clock(), time, reading).await;
    match read.ok_or(BodyError::TooSlow { max: time })? {
        Ok(read) => Ok(read.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(BodyError::TooLarge { max }),
        Err(error) => Err(BodyError::Broken(error)),
    }
}
