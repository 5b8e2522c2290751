//! Steps: what ended sessions owe, and resuming one that was given up on.

use axum::{Json, extract::State};
use epilogue_core::{Step, StepId, StepState, step::Attempt};
use epilogue_engine::records::{Page, RetryOutcome, SessionName, StepFilter};
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

/// The operations on steps.
pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list_steps)).routes(routes!(retry_step))
}

/// Where a step stands.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum StepWord {
    /// Another step must settle first.
    Waiting,
    /// To be run.
    Owed,
    /// Being run.
    Leased,
    /// Done.
    Done,
    /// There turned out to be nothing to do.
    Skipped,
    /// Given up on, until someone resumes it.
    Parked,
}

impl StepWord {
    const fn as_str(self) -> &'static str {
        // In the order of the core's words, which a test compares.
        StepState::WORDS[self as usize]
    }
}

/// Which steps a list shows.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct StepQuery {
    /// In this state.
    #[param(inline)]
    state: Option<StepWord>,
    /// Of this session, by id or name: all on one page, in the order of their kinds.
    session: Option<String>,
    /// How many steps a page has: 1 to 500, 50 if absent.
    limit: Option<u32>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// One durable piece of what an ended session owes.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct StepView {
    /// Its identity, derived from its session, its kind and whom it tells.
    #[schema(example = "stp_0190c0de00007000800000000000000a_notify_ended")]
    pub id: String,
    /// The session that owes it.
    pub session_id: String,
    /// What is owed: `notify_started`, `release_media`, `ingest_memory`, `analyze`, `record_result`,
    /// `notify_ended`, `notify_finalized` or `purge`.
    #[schema(example = "notify_ended")]
    pub kind: &'static str,
    /// Which subscription it tells; absent if it tells none, or the agent's own webhook.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subscription_id: Option<String>,
    /// `waiting`, `owed`, `leased`, `done`, `skipped` or `parked`.
    #[schema(example = "done")]
    pub state: &'static str,
    /// When it was first owed (RFC 3339, UTC).
    pub owed_at: String,
    /// When it is due, if it is owed.
    pub due_at: Option<String>,
    /// When it was done, skipped or parked.
    pub settled_at: Option<String>,
    /// Why it was skipped or parked.
    pub reason: Option<String>,
    /// How many attempts were begun.
    pub attempts_made: u32,
    /// How many attempts failed since it was owed or resumed.
    pub failures: u32,
    /// What it needs to get through, such as one receiver. Steps of one lane share its capacity.
    #[schema(example = "hook:example.com:443")]
    pub lane: String,
}

impl StepView {
    /// The step as it is shown.
    pub(super) fn of(step: &Step) -> Self {
        let (due_at, settled_at, reason) = match &step.state {
            StepState::Waiting | StepState::Leased { .. } => (None, None, None),
            StepState::Owed { due_at } => (Some(*due_at), None, None),
            StepState::Done { at } => (None, Some(*at), None),
            StepState::Skipped { at, reason } | StepState::Parked { at, reason } => {
                (None, Some(*at), Some(reason.clone()))
            }
        };
        Self {
            id: step.id().to_string(),
            session_id: step.session.to_string(),
            kind: step.kind.as_str(),
            subscription_id: step.target.map(|target| target.to_string()),
            state: step.state.as_str(),
            owed_at: step.owed_at.to_string(),
            due_at: due_at.map(|at| at.to_string()),
            settled_at: settled_at.map(|at| at.to_string()),
            reason,
            attempts_made: step.attempt,
            failures: step.failures,
            lane: step.lane.clone(),
        }
    }
}

/// What became of one attempt.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct AttemptView {
    /// Its number, from 1.
    pub number: u32,
    /// When it began (RFC 3339, UTC).
    pub started_at: String,
    /// When it was reported, or found to have been interrupted.
    pub finished_at: String,
    /// `done`, `skipped`, `failed`, `fatal` or `interrupted`.
    #[schema(example = "failed")]
    pub outcome: &'static str,
    /// What was done, or what went wrong.
    pub detail: String,
}

impl AttemptView {
    /// The attempt as it is shown.
    pub(super) fn of(attempt: &Attempt) -> Self {
        Self {
            number: attempt.number,
            started_at: attempt.started_at.to_string(),
            finished_at: attempt.finished_at.to_string(),
            outcome: attempt.outcome.as_str(),
            detail: attempt.detail.clone(),
        }
    }
}

/// List steps
///
/// What ended sessions owe, the latest owed first. `state=parked` shows what waits for a person.
#[utoipa::path(
    get, path = "/epilogue/v1/steps", tag = "finalization", params(StepQuery),
    responses(
        (status = 200, description = "A page of steps.", body = Listed<StepView>),
        (status = 404, description = "This organization has no such session."),
    ),
)]
async fn list_steps(
    State(api): State<Api>,
    acting: Acting,
    Params(query): Params<StepQuery>,
) -> Result<Json<Listed<StepView>>, Problem> {
    let page = page::request("steps", query.limit, query.cursor.as_deref())?;
    let found = if let Some(session) = &query.session {
        let session = acting.session(&api, session).await?;
        let steps = api.engine().steps_of(&acting.org, session.id).await?;
        let wanted =
            |step: &Step| query.state.is_none_or(|state| step.state.as_str() == state.as_str());
        let steps = steps.into_iter().map(|(step, _)| step).filter(wanted);
        Page { items: steps.collect(), next: None }
    } else {
        let filter = StepFilter { state: query.state.map(|state| state.as_str().to_owned()) };
        api.engine().steps(&acting.org, &filter, &page).await?
    };
    Ok(Json(Listed::of("steps", found, |step| StepView::of(&step))))
}

/// Resume a parked step
///
/// It is due at once, with a fresh schedule. Answers with the step as it is now.
#[utoipa::path(
    post, path = "/epilogue/v1/steps/{id}/retry", tag = "finalization",
    params(("id" = String, Path, description = "The step's id.")),
    responses(
        (status = 200, description = "The step, owed again.", body = StepView),
        (status = 404, description = "This organization has no such step."),
        (status = 409, description = "It is not parked."),
    ),
)]
async fn retry_step(
    State(api): State<Api>,
    acting: Acting,
    Segment(id): Segment,
) -> Result<Json<StepView>, Problem> {
    let id: StepId = id.parse().map_err(|_| Problem::not_found("step"))?;
    match api.engine().retry_step(&acting.org, id, Some(acting.name())).await? {
        RetryOutcome::Resumed => {}
        RetryOutcome::NotParked(state) => {
            let detail = format!("The step is {}, not parked.", state.as_str());
            return Err(Problem::new(Kind::WrongState, detail));
        }
        RetryOutcome::NoStep => return Err(Problem::not_found("step")),
    }
    let session = api.engine().find(&acting.org, &SessionName::Id(id.session)).await?;
    let session = session.ok_or_else(|| Problem::not_found("step"))?;
    let steps = api.engine().steps_of(&acting.org, session.id).await?;
    let step = steps.iter().find(|(step, _)| step.id() == id);
    let (step, _) = step.ok_or_else(|| Problem::not_found("step"))?;
    Ok(Json(StepView::of(step)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_states_that_can_be_asked_for_are_the_cores_own() {
        for word in StepState::WORDS {
            let read: StepWord = serde_json::from_value(word.into()).expect("a known word");
            assert_eq!(read.as_str(), word);
        }
    }
}
