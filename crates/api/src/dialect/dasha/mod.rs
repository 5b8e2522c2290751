//! Dasha BlackBox: chat sessions, the stateless turn, and what stands around them, under `/api/v1`.
//!
//! What is covered and how open questions of the published pages are read: `docs/dialects/dasha.md`.
//! A request is judged in the order 401, 403, 429, 400 or 413, 404, and then what its session or agent
//! says. Errors are RFC 9457 problem details.

mod access;
mod activity;
mod agents;
mod completion;
mod end;
mod error;
mod find;
mod integrations;
mod limits;
mod list;
mod messages;
mod open;
mod payload;
mod query;
mod results;
mod show;
pub mod sms;
mod socket;
mod view;
mod webhook_test;
mod wire;

use axum::{
    Router, middleware,
    routing::{any, get, post},
};
use epilogue_core::{
    Profile, Span,
    profile::{
        AgentFinish, Configuration, FinishTool, Hears, Keeps, NotifyEnded, Overdue, TurnRules,
        Writes,
    },
};

pub(crate) use self::payload::{payload, result, tool_call};
use crate::Api;

/// The dialect's name.
pub const NAME: &str = "dasha";

/// How long an end waits for a turn in flight to complete.
pub const END_WAITS: Span = Span::from_secs(30);

/// How a session of this API behaves that ends by itself after `ttl` without activity.
pub const fn profile(ttl: Option<Span>) -> Profile {
    Profile {
        idle_timeout: ttl,
        max_duration: None,
        keep_alive_counts: false,
        agent_finish: AgentFinish::EndsSession,
        notify_ended: NotifyEnded::AfterAnalysis,
        notify_finalized: false,
        hears: Hears::Everything,
        holds_media: false,
        keeps: Keeps::Transcript,
        searchable: true,
        turns: TurnRules {
            writes: Writes::WholeTurns,
            overdue: Overdue::LivesOn,
            configuration: Configuration::Live,
            end_waits: Some(END_WAITS),
            finish_tool: FinishTool::FinishTheConversation,
            finish_is_shown: true,
            greets: false,
            agent_sets_times: false,
            client_keeps: false,
            begins_with_turn: false,
            defers_calls: false,
        },
    }
}

/// How a conversation behaves that the client carries from turn to turn.
pub const fn stateless(ttl: Option<Span>) -> Profile {
    let mut profile = profile(ttl);
    profile.turns.client_keeps = true;
    profile
}

/// The chat sessions, C1 to C5.
fn chats() -> Router<Api> {
    Router::new()
        .route("/api/v1/chats", post(open::open).get(list::list))
        .route("/api/v1/chats/{id}", get(show::show))
        .route("/api/v1/chats/{id}/messages", post(messages::submit))
        .route("/api/v1/chats/{id}/end", post(end::end))
}

/// What has been, R1, R2 and L1, and H1.
fn records() -> Router<Api> {
    Router::new()
        .route("/api/v1/callresults/search", post(results::search))
        .route("/api/v1/calls/{id}", get(results::call))
        .route("/api/v1/activity-logs/search", post(activity::search))
        .route("/api/v1/webhooks/test", post(webhook_test::test))
}

/// The dialect's routes, with their state, ready to be merged. They own everything below `/api/v1`.
pub fn router(api: &Api) -> Router {
    Router::new()
        .merge(chats())
        .merge(agents::routes())
        .merge(integrations::routes(api))
        .merge(records())
        .merge(sms::routes())
        .merge(socket::routes())
        .route("/api/v1/text-chat/completion", post(completion::complete))
        .route("/api/v1/{*rest}", any(error::no_such_path))
        .method_not_allowed_fallback(error::no_such_method)
        .layer(middleware::from_fn_with_state(api.clone(), error::render))
        .with_state(api.clone())
}
