//! 2.8: `POST …/chat/completions`

use axum::Router;

use crate::Api;

pub(super) fn routes() -> Router<Api> {
    Router::new()
}
