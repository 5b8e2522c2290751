//! S1: `/api/v1/ws/webCall`, the chat of a page.
//!
//! A socket is let in with the token of a web integration, says `initialize`, and has a session of
//! this API from then on, on channel `web`: the record id is the session's. The session lives by its
//! socket: when that is gone without `terminate`, the session waits for the client to come back with
//! its `recordId`, and ends by itself when nobody does. See `docs/dialects/dasha.md`.

mod fault;
mod frames;
mod handshake;
mod line;
mod talk;
mod tools;
mod turn;

use axum::{
    Extension, Router,
    extract::{
        RawQuery, State, WebSocketUpgrade,
        ws::{WebSocket, rejection::WebSocketUpgradeRejection},
    },
    response::Response,
    routing::get,
};
use epilogue_core::Span;
use http::{HeaderMap, StatusCode, header};

use self::{handshake::Visit, line::Line};
use super::{error::Problem, query};
use crate::{Api, Seat};

/// The longest message, in bytes, whatever number of frames it comes in.
pub const MESSAGE_BYTES_MAX: usize = 64 * 1024;
/// The longest message that is read at all, in bytes: one that is too long is read to its end, so that
/// its sender gets to see the answer. What is longer still may break the line before that.
pub const READ_BYTES_MAX: usize = 1024 * 1024;
/// How long a client may take to say `initialize`.
pub const INITIALIZE_WITHIN: Span = Span::from_secs(10);
/// How long a client that does not read may hold up what it is told before it counts as gone.
pub const SEND_WITHIN: Span = Span::from_secs(10);
/// How often a client is asked whether it is still there.
pub const PING_EVERY: Span = Span::from_secs(20);
/// How long a client may say nothing at all, answers to pings included, before it counts as gone.
pub const SILENCE_MAX: Span = Span::from_secs(60);
/// How often a session is looked at though nobody has hinted that something happened to it. Then the
/// token must still open, too.
pub const LOOK_EVERY: Span = Span::from_secs(15);
/// How long the turn in flight of a session that has ended may take to say its last words.
pub const LAST_WORDS_WITHIN: Span = Span::from_secs(2);
/// How long a socket that was closed waits for the client to close it, too.
pub const LINGER: Span = Span::from_secs(2);
/// How many messages wait for the turn before them.
pub const WAITING_MAX: usize = 16;
/// How often at most the unfinished text of a reply is shown anew.
pub const SHOW_EVERY: Span = Span::from_millis(100);
/// How many pieces of news wait for a client that reads slowly, before the turn waits, too.
pub const NEWS_MAX: usize = 64;

/// The route.
pub(super) fn routes() -> Router<Api> {
    Router::new().route("/api/v1/ws/webCall", get(connect))
}

/// Takes every socket: what is wrong with it is said over it, for that is where its page looks.
async fn connect(
    State(api): State<Api>,
    RawQuery(raw): RawQuery,
    headers: HeaderMap,
    seat: Option<Extension<Seat>>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let upgrade = upgrade.map_err(|_| {
        Problem::new(StatusCode::UPGRADE_REQUIRED, "This path speaks WebSocket and nothing else.")
    })?;
    let token = query::text(raw.as_deref().unwrap_or_default(), "token");
    let origin = headers.get(header::ORIGIN).map(|it| it.to_str().unwrap_or_default().to_owned());
    let visit = Visit { token, origin };
    let upgrade = upgrade.max_message_size(READ_BYTES_MAX).max_frame_size(READ_BYTES_MAX);
    Ok(upgrade.on_upgrade(async move |socket| {
        serve(api, socket, visit).await;
        drop(seat);
    }))
}

/// Serves a socket to its end. A drain waits for it.
async fn serve(api: Api, socket: WebSocket, visit: Visit) {
    let _at_work = api.engine().at_work();
    let mut line = Line::new(socket, api.engine().clone());
    let left = match handshake::begin(&api, &mut line, visit).await {
        Ok(talk) => talk.run(&mut line).await,
        Err(left) => left,
    };
    tracing::debug!(left = left.as_str(), "a socket is through");
    line.leave(left).await;
}
