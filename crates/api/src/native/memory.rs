//! What is remembered of people: looking at it, and forgetting it.

use axum::{
    Json,
    extract::{FromRequestParts, Path, State},
    http::request::Parts,
};
use epilogue_core::Person;
use epilogue_engine::{
    memory::{PersonMemory, RecalledFact},
    records::ErasureReport,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    access::Acting,
    input::Params,
    page::{LIMIT_DEFAULT, LIMIT_MAX},
    problem::Problem,
};
use crate::Api;

/// The operations on memory.
pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(show_memory)).routes(routes!(forget_person))
}

/// A person in a path, by the identifier under which sessions were opened.
struct Named(Person);

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(named) = Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|_| Problem::not_found("person"))?;
        let max = Person::BYTES_MAX;
        let wrong =
            || Problem::field("id", format!("must have 1 to {max} bytes that say something"));
        Person::new(&named).map(Self).ok_or_else(wrong)
    }
}

/// How much of it.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct MemoryQuery {
    /// How many facts are shown of each memory: 1 to 500, 50 if absent. The last told are.
    limit: Option<u32>,
}

/// What is remembered of a person.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct MemoryView {
    /// What each agent, or several that share a memory, know. Empty: nobody knows anything.
    memories: Vec<ScopeView>,
}

/// What is remembered of a person in one memory.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct ScopeView {
    /// Which memory: a digest of the agent and the person.
    scope: String,
    /// The facts, the last told first.
    facts: Vec<FactView>,
    /// Whether there are more.
    more: bool,
}

/// A fact.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct FactView {
    /// Its name in its memory.
    id: String,
    /// Of whom or what; `user` is the person.
    #[schema(example = "user")]
    subject: String,
    /// How both belong together.
    #[schema(example = "lives_in")]
    relation: String,
    /// The other end.
    #[schema(example = "Lisbon")]
    object: String,
    /// The fact in words.
    #[schema(example = "The user lives in Lisbon.")]
    sentence: String,
    /// Since when it has been true (RFC 3339, UTC); null: nobody knows.
    valid_from: Option<String>,
    /// Until when; null: it still is.
    valid_until: Option<String>,
    /// When it was learned.
    learned_at: String,
    /// When it was learned that it is over.
    unlearned_at: Option<String>,
    /// Why it is believed: the conversations that say so, the latest first, at most five.
    sources: Vec<SourceView>,
}

/// Where a fact comes from.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct SourceView {
    /// The session; null where it is not known.
    session_id: Option<String>,
    /// When it was said (RFC 3339, UTC).
    at: String,
}

impl FactView {
    fn of(fact: RecalledFact) -> Self {
        let source = |source: &epilogue_engine::memory::Source| SourceView {
            session_id: source.session.map(|id| id.to_string()),
            at: source.at.to_string(),
        };
        Self {
            sources: fact.sources.iter().map(source).collect(),
            id: fact.id,
            subject: fact.subject,
            relation: fact.relation,
            object: fact.object,
            sentence: fact.sentence,
            valid_from: fact.valid_from.map(|at| at.to_string()),
            valid_until: fact.valid_until.map(|at| at.to_string()),
            learned_at: fact.learned_at.to_string(),
            unlearned_at: fact.unlearned_at.map(|at| at.to_string()),
        }
    }
}

impl ScopeView {
    fn of(memory: PersonMemory) -> Self {
        Self {
            scope: memory.scope.0,
            more: memory.facts.next.is_some(),
            facts: memory.facts.items.into_iter().map(FactView::of).collect(),
        }
    }
}

/// Show what is remembered of a person
///
/// The facts that follow from earlier conversations, with their dates and sources. Somebody who is not
/// known looks like somebody of whom nothing is remembered.
#[utoipa::path(
    get, path = "/epilogue/v1/memory/{id}", tag = "administration",
    params(("id" = String, Path, description = "The person, as sessions name them."), MemoryQuery),
    responses((status = 200, description = "What is remembered.", body = MemoryView)),
)]
async fn show_memory(
    State(api): State<Api>,
    acting: Acting,
    Named(person): Named,
    Params(query): Params<MemoryQuery>,
) -> Result<Json<MemoryView>, Problem> {
    let limit = query.limit.unwrap_or(LIMIT_DEFAULT);
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(Problem::field("limit", format!("must be from 1 to {LIMIT_MAX}")));
    }
    let found = api.engine().memory_of(&acting.org, &person, limit).await;
    let found = found.map_err(|error| Problem::internal(&error))?;
    Ok(Json(MemoryView { memories: found.into_iter().map(ScopeView::of).collect() }))
}

/// What else goes.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ForgetQuery {
    /// Whether the transcripts of the person's sessions go as well. They stay if absent.
    transcripts: Option<bool>,
}

/// What came of forgetting somebody.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct ErasureView {
    /// What was removed, place by place. Empty: nothing was there.
    removed: Vec<RemovedView>,
    /// What is still there, and why.
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

impl ErasureView {
    fn of(report: ErasureReport) -> Self {
        let removed = report.removed.into_iter();
        let removed = removed.map(|of| RemovedView { place: of.place, count: of.count }).collect();
        Self { removed, left: report.left }
    }
}

/// Forget a person
///
/// Everything that is remembered of them, under whatever agent, and what was recalled into their sessions.
/// Conversations that began before are not remembered any more. The ledger and all counters stay.
/// Asking again is harmless.
#[utoipa::path(
    delete, path = "/epilogue/v1/memory/{id}", tag = "administration",
    params(("id" = String, Path, description = "The person, as sessions name them."), ForgetQuery),
    responses((status = 200, description = "What was removed, and what was not.", body = ErasureView)),
)]
async fn forget_person(
    State(api): State<Api>,
    acting: Acting,
    Named(person): Named,
    Params(query): Params<ForgetQuery>,
) -> Result<Json<ErasureView>, Problem> {
    let transcripts = query.transcripts.unwrap_or(false);
    let report = api.engine().forget(&acting.org, &person, transcripts).await?;
    Ok(Json(ErasureView::of(report)))
}
