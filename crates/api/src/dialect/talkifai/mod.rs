//! TalkifAI chat sessions: opening, messages, history, and above all the end.
//!
//! What is covered and how open questions of the published pages are read: `docs/dialects/talkifai.md`.
//! Everything is answered in the order 401, 403, 404 (401 for an end), 429, 400 or 422, so that
//! nobody learns whether somebody else's session exists. Errors are `{"detail": …}`.

mod end;
mod error;
mod health;
mod history;
mod holder;
mod limit;
mod messages;
mod open;
mod payload;
mod stream;
mod wire;

use axum::{
    Router,
    routing::{any, get, post},
};

pub(crate) use self::payload::payload;
use crate::{Api, cors};

/// The dialect's name.
pub const NAME: &str = "talkifai";

/// The dialect's routes, with their state, ready to be merged.
///
/// They own `/v1/chat` and everything below it, and `/health`.
pub fn router(api: &Api) -> Router {
    let messages = get(history::history).post(messages::send);
    Router::new()
        .route("/v1/chat/sessions", post(open::open))
        .route("/v1/chat/sessions/{conversation_id}/messages", messages)
        .route("/v1/chat/sessions/{conversation_id}/end", post(end::end))
        .route("/v1/chat/{*rest}", any(error::no_such_path))
        .route("/health", get(health::health))
        .method_not_allowed_fallback(error::no_such_method)
        .layer(cors::layer(api.settings()))
        .with_state(api.clone())
}
