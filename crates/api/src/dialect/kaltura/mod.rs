//! Kaltura avatar sessions: a caller supplies every line, and an avatar says it to whoever watches.
//!
//! What is covered and how open questions of the published pages are read: `docs/dialects/kaltura.md`.
//! After create, a request is judged in the order: credential and its signature 401, unknown session 404,
//! another session's token 401, session over 410, body 400 or 413. Errors are `{"success":false,"error":"text"}`.

mod access;
mod body;
mod cors;
mod create;
mod end;
mod error;
mod init_client;
mod interrupt;
mod keep_alive;
pub mod ks;
mod relay;
mod say_audio;
mod say_text;
mod settings;
mod token;
mod uploads;
mod wanted;
mod whep;

use axum::{
    Json, Router, middleware,
    routing::{any, delete, post},
};
use epilogue_core::{
    Agent, Profile, Span,
    profile::{AgentFinish, Hears, Keeps, NotifyEnded, TurnRules},
};
use serde::Serialize;

pub(crate) use self::{create::KeyedCreates, uploads::Uploads};
pub use self::{
    relay::{password as relay_password, relay_secret},
    settings::{KalturaSettings, Partner, StaticKs},
};
use crate::Api;

/// The dialect's name.
pub const NAME: &str = "kaltura";

/// How long nobody may be heard of before a session ends by itself, unless its agent says otherwise.
pub const IDLE: Span = Span::from_secs(120);
/// The shortest time an agent may set for it: three missed keep-alives.
pub const IDLE_MIN: Span = Span::from_secs(30);
/// How long a session lasts at the most: as long as its token.
pub const LONGEST: Span = token::LIFETIME;

/// How a session of this API with this agent behaves. The agent's own times count within bounds.
pub fn profile(agent: &Agent) -> Profile {
    let idle_timeout = match agent.idle_timeout_s {
        None => Some(IDLE),
        Some(0) => None,
        Some(seconds) => Some(Span::from_secs(seconds).max(IDLE_MIN)),
    };
    let longest = match agent.max_duration_s {
        0 => LONGEST,
        seconds => Span::from_secs(seconds).min(LONGEST),
    };
    Profile {
        idle_timeout,
        max_duration: Some(longest),
        keep_alive_counts: true,
        agent_finish: AgentFinish::TellsClient,
        notify_ended: NotifyEnded::AtOnce,
        notify_finalized: true,
        hears: Hears::Everything,
        holds_media: true,
        keeps: Keeps::Transcript,
        searchable: false,
        turns: TurnRules { greets: false, agent_sets_times: false, ..TurnRules::ORDINARY },
    }
}

/// What most answers say.
#[derive(Debug, Serialize)]
struct Success {
    success: bool,
}

const fn success() -> Json<Success> {
    Json(Success { success: true })
}

/// The dialect's routes, with their state, ready to be merged.
///
/// They own `/v1/avatar-session` and `/media/whep`, and everything below these.
pub fn router(api: &Api) -> Router {
    sessions(api).merge(media(api)).with_state(api.clone())
}

fn sessions(api: &Api) -> Router<Api> {
    let of_session = |name: &str| format!("/v1/avatar-session/{{session}}/{name}");
    Router::new()
        .route("/v1/avatar-session", post(create::create))
        .route("/v1/avatar-session/create", post(create::create))
        .route(&of_session("init-client"), post(init_client::init_client))
        .route(&of_session("say-text"), post(say_text::say_text))
        .route(&of_session("say-audio"), post(say_audio::say_audio))
        .route(&of_session("interrupt"), post(interrupt::interrupt))
        .route(&of_session("keep-alive"), post(keep_alive::keep_alive))
        .route(&of_session("end"), post(end::end))
        .route("/v1/avatar-session/", any(error::no_such_path))
        .route("/v1/avatar-session/{session}", any(error::no_such_path))
        .route("/v1/avatar-session/{session}/{*rest}", any(error::no_such_path))
        .method_not_allowed_fallback(error::no_such_method)
        .layer(cors::sessions(api.settings()))
        .layer(middleware::from_fn(cors::finish))
}

fn media(api: &Api) -> Router<Api> {
    Router::new()
        .route("/media/whep/{capability}", post(whep::open))
        .route("/media/whep/{capability}/{viewer}", delete(whep::close))
        .route("/media/whep/", any(error::no_such_path))
        .route("/media/whep/{capability}/{viewer}/{*rest}", any(error::no_such_path))
        .method_not_allowed_fallback(error::no_such_method)
        .layer(cors::media(api.settings()))
        .layer(middleware::from_fn(cors::finish))
}
