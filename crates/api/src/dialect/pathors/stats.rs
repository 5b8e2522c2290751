//! 2.7: figures about a project's sessions.

use axum::Router;

use crate::Api;

pub(super) fn routes() -> Router<Api> {
    Router::new()
}
