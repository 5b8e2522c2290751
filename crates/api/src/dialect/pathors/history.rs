//! 2.7: what has been, as lists and one by one.

use axum::Router;

use crate::Api;

pub(super) fn routes() -> Router<Api> {
    Router::new()
}
