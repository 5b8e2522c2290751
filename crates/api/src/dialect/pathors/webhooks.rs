//! 2.11: subscriptions to a project's events.

use axum::Router;

use crate::Api;

pub(super) fn routes() -> Router<Api> {
    Router::new()
}
