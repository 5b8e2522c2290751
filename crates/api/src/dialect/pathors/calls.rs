//! 2.12: outbound calls, which this server does not place.

use axum::{Router, routing::post};
use http::StatusCode;

use super::{access::Operates, error::Error, paths};
use crate::Api;

pub(super) fn routes() -> Router<Api> {
    paths::CALLS.to(&post(call))
}

async fn call(_: Operates) -> Error {
    Error::new(StatusCode::NOT_IMPLEMENTED, "This server does not place calls")
}
