//! Deliveries: what was told to webhooks, what they answered, and telling it again.

use axum::{Json, extract::State};
use epilogue_core::{EventId, StepId};
use epilogue_engine::records::{Delivery, DeliveryAttempt, DeliveryFilter, ResendOutcome};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    access::Acting,
    input::{Params, Segment},
    page::{self, Listed},
    problem::{Kind, Problem},
};
use crate::Api;

/// The operations on deliveries.
pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(list_deliveries))
        .routes(routes!(show_delivery))
        .routes(routes!(resend_delivery))
}

/// Which deliveries a list shows.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct DeliveryQuery {
    /// Of this session, by id or name.
    session: Option<String>,
    /// Accepted by a receiver, or not yet.
    accepted: Option<bool>,
    /// How many deliveries a page has: 1 to 500, 50 if absent.
    limit: Option<u32>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// One event on its way to one receiver.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct DeliveryView {
    /// The event's id, which the receiver sees as `webhook-id`: the same on every attempt.
    #[schema(example = "evt_0190c0de00007000800000000000000a_notify_ended")]
    pub id: String,
    /// The session it tells of.
    pub session_id: String,
    /// The event's name, in the words of the API that opened the session.
    #[schema(example = "session.ended")]
    pub event: String,
    /// Which subscription it tells; absent for the agent's own webhook.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subscription_id: Option<String>,
    /// Where to.
    pub url: String,
    /// When it was first attempted (RFC 3339, UTC).
    pub created_at: String,
    /// When a receiver accepted it; null until then.
    pub accepted_at: Option<String>,
    /// How many attempts were made.
    pub attempts_made: u32,
}

impl DeliveryView {
    fn of(delivery: &Delivery) -> Self {
        Self {
            id: delivery.id.to_string(),
            session_id: delivery.session.to_string(),
            event: delivery.event.clone(),
            subscription_id: StepId::of_event(&delivery.id)
                .and_then(|step| step.target)
                .map(|target| target.to_string()),
            url: super::agents::without_password(&delivery.url),
            created_at: delivery.created_at.to_string(),
            accepted_at: delivery.accepted_at.map(|at| at.to_string()),
            attempts_made: delivery.attempts,
        }
    }
}

/// A delivery with what was sent and every attempt.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct DeliveryDetail {
    /// The delivery.
    #[serde(flatten)]
    delivery: DeliveryView,
    /// The exact body that was sent; empty once it has been purged.
    body: String,
    /// Every attempt, oldest first.
    attempts: Vec<DeliveryAttemptView>,
}

/// One attempt at a delivery.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct DeliveryAttemptView {
    /// When it began (RFC 3339, UTC).
    pub at: String,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// The receiver's status; null if there was no answer.
    pub status: Option<u16>,
    /// What went wrong, if there was no answer.
    pub error: Option<String>,
    /// The beginning of the receiver's answer, at most 4 KiB.
    pub response: String,
}

impl DeliveryAttemptView {
    fn of(attempt: &DeliveryAttempt) -> Self {
        Self {
            at: attempt.at.to_string(),
            duration_ms: attempt.duration_ms,
            status: attempt.status,
            error: attempt.error.clone(),
            response: attempt.response.clone(),
        }
    }
}

/// List webhook deliveries
///
/// What was told to webhooks, the latest first.
#[utoipa::path(
    get, path = "/epilogue/v1/deliveries", tag = "finalization", params(DeliveryQuery),
    responses(
        (status = 200, description = "A page of deliveries.", body = Listed<DeliveryView>),
        (status = 404, description = "This organization has no such session."),
    ),
)]
async fn list_deliveries(
    State(api): State<Api>,
    acting: Acting,
    Params(query): Params<DeliveryQuery>,
) -> Result<Json<Listed<DeliveryView>>, Problem> {
    let page = page::request("deliveries", query.limit, query.cursor.as_deref())?;
    let session = match &query.session {
        Some(session) => Some(acting.session(&api, session).await?.id),
        None => None,
    };
    let filter = DeliveryFilter { session, accepted: query.accepted };
    let found = api.engine().deliveries(&acting.org, &filter, &page).await?;
    Ok(Json(Listed::of("deliveries", found, |delivery| DeliveryView::of(&delivery))))
}

/// Show a webhook delivery
///
/// What was sent, and every attempt with what the receiver answered.
#[utoipa::path(
    get, path = "/epilogue/v1/deliveries/{id}", tag = "finalization",
    params(("id" = String, Path, description = "The event's id: `webhook-id`.")),
    responses(
        (status = 200, description = "The delivery.", body = DeliveryDetail),
        (status = 404, description = "This organization has no such delivery."),
    ),
)]
async fn show_delivery(
    State(api): State<Api>,
    acting: Acting,
    Segment(id): Segment,
) -> Result<Json<DeliveryDetail>, Problem> {
    let found = api.engine().delivery(&acting.org, &EventId::new(id)).await?;
    let (delivery, attempts) = found.ok_or_else(|| Problem::not_found("delivery"))?;
    Ok(Json(DeliveryDetail {
        delivery: DeliveryView::of(&delivery),
        attempts: attempts.iter().map(DeliveryAttemptView::of).collect(),
        body: delivery.body,
    }))
}

/// Send a webhook delivery again
///
/// It is due at once, with the same id and body and a fresh schedule. A session that is final stays
/// final.
#[utoipa::path(
    post, path = "/epilogue/v1/deliveries/{id}/resend", tag = "finalization",
    params(("id" = String, Path, description = "The event's id: `webhook-id`.")),
    responses(
        (status = 202, description = "It will be sent again.", body = DeliveryView),
        (status = 404, description = "This organization has no such delivery."),
        (status = 409, description = "It is being sent, or due already."),
    ),
)]
async fn resend_delivery(
    State(api): State<Api>,
    acting: Acting,
    Segment(id): Segment,
) -> Result<(StatusCode, Json<DeliveryView>), Problem> {
    let id = EventId::new(id);
    match api.engine().resend(&acting.org, &id, Some(acting.name())).await? {
        ResendOutcome::Due => {}
        ResendOutcome::Underway(state) => {
            let detail = format!("The delivery is on its way: its step is {}.", state.as_str());
            return Err(Problem::new(Kind::WrongState, detail));
        }
        ResendOutcome::NoDelivery => return Err(Problem::not_found("delivery")),
    }
    let found = api.engine().delivery(&acting.org, &id).await?;
    let (delivery, _) = found.ok_or_else(|| Problem::not_found("delivery"))?;
    Ok((StatusCode::ACCEPTED, Json(DeliveryView::of(&delivery))))
}
