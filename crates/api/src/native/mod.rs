//! The native API: sessions of every API, their finalization, the books and the keys, under
//! `/epilogue/v1`; and beside it health, metrics and the OpenAPI document.

pub mod access;
mod activity;
mod agents;
mod cors;
mod deliveries;
mod document;
mod health;
mod inbox;
mod input;
pub mod keys;
mod ledger;
mod memory;
mod organization;
pub mod page;
mod payload;
pub mod problem;
pub mod sessions;
mod steps;

use axum::{Router, middleware, routing::any};
use bytes::Bytes;
use epilogue_core::{
    Profile, Span,
    profile::{AgentFinish, Hears, Keeps, NotifyEnded, TurnRules},
};
use http::header;
use utoipa_axum::router::OpenApiRouter;

pub(crate) use self::payload::payload;
pub use self::{document::document, problem::no_such_path};
use crate::{
    Api, dialect,
    rate::{Subject, Verdict},
};

/// The name of this API among those that open sessions.
pub const NAME: &str = "native";

/// Every API that opens sessions.
pub const DIALECTS: [&str; 4] =
    [NAME, dialect::talkifai::NAME, dialect::dasha::NAME, dialect::pathors::NAME];

/// Where the OpenAPI document is.
pub const DOCUMENT_PATH: &str = "/epilogue/openapi.json";

/// How long a native session may be idle, unless its agent says otherwise.
pub const IDLE_TIMEOUT: Span = Span::from_secs(1_800);

/// How a session behaves that was opened here.
pub fn profile() -> Profile {
    Profile {
        idle_timeout: Some(IDLE_TIMEOUT),
        max_duration: None,
        keep_alive_counts: true,
        agent_finish: AgentFinish::EndsSession,
        notify_ended: NotifyEnded::AtOnce,
        notify_finalized: true,
        hears: Hears::Everything,
        holds_media: false,
        keeps: Keeps::Transcript,
        searchable: false,
        turns: TurnRules::ORDINARY,
    }
}

/// The operations that need a credential, beside those on sessions.
fn administration() -> OpenApiRouter<Api> {
    steps::routes()
        .merge(deliveries::routes())
        .merge(inbox::routes())
        .merge(ledger::routes())
        .merge(activity::routes())
        .merge(agents::routes())
        .merge(keys::routes())
        .merge(memory::routes())
        .merge(organization::routes())
}

/// Everything that is documented.
fn routes() -> OpenApiRouter<Api> {
    sessions::routes().merge(administration()).merge(health::routes())
}

/// The native API with health, metrics and the OpenAPI document.
///
/// It has no fallback of its own for paths outside `/epilogue`: [`no_such_path`] can serve as one.
pub fn router(api: &Api) -> Router {
    let authorize = middleware::from_fn_with_state(api.clone(), access::authorize);
    let sessions = Router::from(sessions::routes())
        .route_layer(authorize.clone())
        .method_not_allowed_fallback(problem::no_such_method)
        .layer(cors::layer(api.settings()));
    let administration = Router::from(administration()).route_layer(authorize);
    let json = Bytes::from(document().to_pretty_json().unwrap_or_default());
    let serve_document =
        move || async move { ([(header::CONTENT_TYPE, "application/json")], json) };
    Router::from(health::routes())
        .route(DOCUMENT_PATH, axum::routing::get(serve_document))
        .merge(administration)
        .method_not_allowed_fallback(problem::no_such_method)
        .merge(sessions)
        .route("/epilogue/{*path}", any(no_such_path))
        .with_state(api.clone())
}

/// Counts a request against a limit. A problem: it is one too many.
fn within_limit(api: &Api, subject: &Subject, per_minute: u32) -> Result<(), problem::Problem> {
    match api.limiter().count(subject, per_minute, api.engine().now()) {
        Some(rate) if rate.verdict == Verdict::Past => Err(problem::Problem::rate_limited(rate)),
        _ => Ok(()),
    }
}
