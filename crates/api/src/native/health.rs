//! Health and figures, for whatever watches the server. Neither needs a credential, and neither tells
//! anything of an organization.

use axum::{Json, extract::State, response::IntoResponse};
use epilogue_engine::Health;
use http::{StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::problem::Problem;
use crate::Api;

/// The media type of the figures.
pub const METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The operations for whatever watches the server.
pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(live)).routes(routes!(ready)).routes(routes!(metrics))
}

/// Whether the server should be sent work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    /// Yes.
    Ok,
    /// Yes, and someone should look at it: steps are parked, or owed for longer than they should be.
    Degraded,
    /// No.
    Unavailable,
}

/// That the process runs.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Liveness {
    /// Always `ok`.
    status: Status,
}

/// How the server is.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Readiness {
    /// Whether it should be sent work.
    status: Status,
    /// Whether the store answers.
    store: bool,
    /// Whether it is shutting down.
    draining: bool,
    /// How many steps were given up on and wait for a person: `GET /epilogue/v1/steps?state=parked`.
    parked_steps: u64,
    /// For how many seconds the oldest owed step has been owed, if that is longer than it should be.
    oldest_owed_step_seconds: Option<u64>,
}

impl Readiness {
    fn of(health: &Health) -> Self {
        let status = match health {
            health if !health.is_ready() => Status::Unavailable,
            Health { stuck: None, parked: 0, .. } => Status::Ok,
            _ => Status::Degraded,
        };
        Self {
            status,
            store: health.store.is_ok(),
            draining: health.draining,
            parked_steps: health.parked,
            oldest_owed_step_seconds: health.stuck.map(|age| age.as_millis() / 1000),
        }
    }
}

/// Is the process running?
///
/// Always 200 while it does. For restarting a process that hangs.
#[utoipa::path(
    get, path = "/health/live", tag = "health", security(()),
    responses((status = 200, description = "It runs.", body = Liveness)),
)]
async fn live() -> Json<Liveness> {
    Json(Liveness { status: Status::Ok })
}

/// Should the server be sent work?
///
/// 200 while it should, degraded or not. For load balancers.
#[utoipa::path(
    get, path = "/health/ready", tag = "health", security(()),
    responses(
        (status = 200, description = "It takes work.", body = Readiness),
        (status = 503, description = "It does not: the store does not answer, or it is shutting down.", body = Readiness),
    ),
)]
async fn ready(State(api): State<Api>) -> impl IntoResponse {
    let health = api.engine().health().await;
    let ready = Readiness::of(&health);
    let status = match ready.status {
        Status::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Status::Ok | Status::Degraded => StatusCode::OK,
    };
    (status, Json(ready))
}

/// Figures
///
/// Of all organizations together, as text, for Prometheus.
#[utoipa::path(
    get, path = "/metrics", tag = "health", security(()),
    responses(
        (status = 200, description = "The figures.", body = String, content_type = "application/openmetrics-text"),
        (status = 500, description = "The store does not answer."),
    ),
)]
async fn metrics(State(api): State<Api>) -> Result<impl IntoResponse, Problem> {
    let snapshot = api.engine().snapshot().await?;
    Ok(([(header::CONTENT_TYPE, METRICS_TYPE)], api.engine().metrics().encode(&snapshot)))
}

#[cfg(test)]
mod tests {
    use epilogue_core::Span;

    use super::*;

    #[test]
    fn what_waits_for_a_person_degrades_and_what_does_not_work_is_unavailable() {
        let well = Health { store: Ok(()), stuck: None, parked: 0, draining: false };
        let status = |health: &Health| Readiness::of(health).status;
        assert_eq!(status(&well), Status::Ok);
        assert_eq!(status(&Health { parked: 1, ..well.clone() }), Status::Degraded);
        let stuck = Health { stuck: Some(Span::from_secs(901)), ..well.clone() };
        assert_eq!(status(&stuck), Status::Degraded);
        assert_eq!(Readiness::of(&stuck).oldest_owed_step_seconds, Some(901));
        assert_eq!(status(&Health { draining: true, ..well.clone() }), Status::Unavailable);
        assert_eq!(status(&Health { store: Err("no".into()), ..well }), Status::Unavailable);
    }
}
