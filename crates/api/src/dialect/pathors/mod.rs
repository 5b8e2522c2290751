//! Pathors: conversations of a project, which a client names as it likes and whose context is gone when
//! they end.
//!
//! What is covered and how open questions of the published pages are read: `docs/dialects/pathors.md`.
//! The same handlers stand at three generations of paths ([`paths`]). A request is judged in the order
//! 401, 400 or 413, 404, 429, and then what its session says: limits count what comes about, not what is wrong.

mod access;
mod agent;
mod calls;
mod completions;
mod cors;
mod end;
mod enter;
mod error;
mod find;
mod history;
mod limits;
mod open;
pub mod paths;
mod payload;
mod projects;
mod query;
mod search;
mod search_places;
mod stats;
mod sunset;
mod terminate;
mod variables;
mod view;
mod webhooks;
mod wire;

use axum::{Router, middleware};
use epilogue_core::{
    Profile, Span,
    profile::{
        AgentFinish, Configuration, FinishTool, Hears, Keeps, NotifyEnded, Overdue, TurnRules,
        Writes,
    },
};

pub use self::history::PAGE_SIZE_MAX as HISTORY_PAGE_SIZE_MAX;
pub(crate) use self::payload::payload;
pub(crate) use self::search_places::Places as SearchPlaces;
pub use self::sunset::{PathorsSettings, Sunset};
use crate::Api;

/// The dialect's name.
pub const NAME: &str = "pathors";

/// How long nothing may happen before a session ends by itself, unless its agent says otherwise.
pub const IDLE: Span = Span::from_secs(1_800);

/// How a session of this API behaves of which this is kept after its end.
pub const fn profile(keeps: Keeps) -> Profile {
    Profile {
        idle_timeout: Some(IDLE),
        max_duration: None,
        keep_alive_counts: false,
        agent_finish: AgentFinish::EndsSession,
        // What the agent has extracted is told with the end.
        notify_ended: NotifyEnded::AfterAnalysis,
        notify_finalized: true,
        hears: Hears::TheEnd,
        holds_media: false,
        keeps,
        searchable: false,
        turns: TurnRules {
            writes: Writes::WithReply,
            overdue: Overdue::IsOver,
            configuration: Configuration::Frozen,
            end_waits: None,
            finish_tool: FinishTool::EndCall,
            finish_is_shown: false,
            greets: false,
            agent_sets_times: true,
            client_keeps: false,
            begins_with_turn: false,
            defers_calls: true,
        },
    }
}

/// The dialect's routes, with their state, ready to be merged.
pub fn router(api: &Api) -> Router {
    Router::new()
        .merge(open::routes())
        .merge(query::routes())
        .merge(end::routes())
        .merge(terminate::routes())
        .merge(search::routes())
        .merge(variables::routes())
        .merge(history::routes())
        .merge(stats::routes())
        .merge(completions::routes())
        .merge(agent::routes())
        .merge(webhooks::routes())
        .merge(calls::routes())
        .merge(projects::routes())
        .merge(paths::rest())
        .method_not_allowed_fallback(error::no_such_method)
        .layer(middleware::from_fn(error::render))
        .layer(middleware::from_fn_with_state(api.clone(), sunset::announce))
        .layer(cors::layer(api.settings()))
        .with_state(api.clone())
}
