//! `DELETE /epilogue/v1/memory/{person}` and `POST /epilogue/v1/erasures`

use axum::{Json, extract::State};
use epilogue_core::Person;
use epilogue_engine::records::ErasureReport;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Named, person};
use crate::{
    Api,
    native::{
        access::Acting,
        input::{JsonBody, Params},
        problem::Problem,
    },
};

/// What else goes.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ForgetQuery {
    /// Whether the transcripts of the person's sessions go as well. They stay if absent.
    transcripts: Option<bool>,
}

/// Who is to be forgotten.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ErasureBody {
    /// The person, as sessions name them.
    person: String,
    /// Whether the transcripts of the person's sessions go as well. They stay if absent.
    #[serde(default)]
    #[schema(required = false)]
    transcripts: bool,
}

/// What came of forgetting somebody.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct ErasureView {
    /// What was removed, place by place. Empty: nothing was there.
    removed: Vec<RemovedView>,
    /// What is still there, and why. Ask again when that has passed.
    left: Vec<String>,
}

/// How much was removed from a place.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct RemovedView {
    /// Where it was.
    #[schema(example = "store.facts")]
    place: String,
    /// How much.
    count: u64,
}

impl From<ErasureReport> for ErasureView {
    fn from(report: ErasureReport) -> Self {
        let removed = report.removed.into_iter();
        let removed = removed.map(|of| RemovedView { place: of.place, count: of.count }).collect();
        Self { removed, left: report.left }
    }
}

/// Forget a person
///
/// Everything that is remembered of them, under whatever agent, and what was recalled into their sessions.
/// Conversations that began before are not remembered any more, also those that are still going on. With
/// `transcripts`, what was said in the person's sessions goes as well; a session that is not final is left
/// alone, and the report says so. The ledger and all counters stay. Harmless to repeat; somebody unknown is
/// answered with an empty report.
#[utoipa::path(
    delete, path = "/epilogue/v1/memory/{person}", tag = "memory",
    params(("person" = String, Path, description = "The person, as sessions name them."), ForgetQuery),
    responses((status = 200, description = "What was removed, and what was not.", body = ErasureView)),
)]
pub(super) async fn forget_person(
    State(api): State<Api>,
    acting: Acting,
    Named(person): Named,
    Params(query): Params<ForgetQuery>,
) -> Result<Json<ErasureView>, Problem> {
    forget(&api, &acting, &person, query.transcripts.unwrap_or(false)).await
}

/// Forget a person who is named in the body
///
/// The same as `DELETE /epilogue/v1/memory/{person}`, for whoever has proxies in between that log paths.
#[utoipa::path(
    post, path = "/epilogue/v1/erasures", tag = "memory", request_body = ErasureBody,
    responses((status = 200, description = "What was removed, and what was not.", body = ErasureView)),
)]
pub(super) async fn erase_person(
    State(api): State<Api>,
    acting: Acting,
    JsonBody(body): JsonBody<ErasureBody>,
) -> Result<Json<ErasureView>, Problem> {
    forget(&api, &acting, &person(&body.person)?, body.transcripts).await
}

async fn forget(
    api: &Api,
    acting: &Acting,
    person: &Person,
    transcripts: bool,
) -> Result<Json<ErasureView>, Problem> {
    let by = Some(acting.name());
    let report = api.engine().forget(&acting.org, person, transcripts, by).await?;
    Ok(Json(report.into()))
}
