//! 2.10: the project's agent.

use axum::Router;

use crate::Api;

pub(super) fn routes() -> Router<Api> {
    Router::new()
}
