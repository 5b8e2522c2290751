//! `GET /epilogue/v1/memory/{person}`

use axum::{Json, extract::State};
use epilogue_engine::memory::MemoryQuestion;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    Named, failed,
    view::{EntityView, FactView},
    when,
};
use crate::{
    Api,
    native::{
        access::Acting,
        input::{self, Params},
        page::{self, Listed},
        problem::Problem,
    },
};

/// The longest query, in characters.
const QUERY_CHARS_MAX: usize = 1_000;

/// What is to be seen of it.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct MemoryQuery {
    /// What this agent knows; absent: what any does.
    agent: Option<String>,
    /// What fits this, the best first, on one page, found as it is when an agent remembers: 1 to 1,000
    /// characters. Absent: everything, the last told first.
    query: Option<String>,
    /// What was true in the world then: a day, or a time (RFC 3339). Absent: whatever was, is or will be.
    as_of: Option<String>,
    /// How many facts a page has: 1 to 500, 50 if absent.
    limit: Option<u32>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// What is remembered of a person, as a graph.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MemoryView {
    /// The facts of this page: the edges of the graph.
    #[serde(flatten)]
    facts: Listed<FactView>,
    /// The ends of these facts: its nodes.
    entities: Vec<EntityView>,
}

/// Show what is remembered of a person
///
/// The facts that follow from earlier conversations, with their ends, their dates and their sources, what is
/// over included. Somebody who is not known looks like somebody of whom nothing is remembered.
#[utoipa::path(
    get, path = "/epilogue/v1/memory/{person}", tag = "memory",
    params(("person" = String, Path, description = "The person, as sessions name them."), MemoryQuery),
    responses((status = 200, description = "A page of what is remembered.", body = MemoryView)),
)]
pub(super) async fn show_memory(
    State(api): State<Api>,
    acting: Acting,
    Named(person): Named,
    Params(query): Params<MemoryQuery>,
) -> Result<Json<MemoryView>, Problem> {
    let page = page::request("memory", query.limit, query.cursor.as_deref())?;
    if let Some(text) = &query.query {
        input::chars("query", text, 1, QUERY_CHARS_MAX)?;
        if page.after.is_some() {
            return Err(Problem::field("cursor", "is not for a query: that has one page"));
        }
    }
    let as_of = query.as_of.as_deref().map(|text| when("as_of", text)).transpose()?;
    let agent = query.agent.map(Into::into);
    let asked = MemoryQuestion { agent, query: query.query, as_of, page };
    let graph = api.engine().memory_graph(&acting.org, &person, &asked).await.map_err(failed)?;
    let found = epilogue_engine::records::Page { items: graph.facts, next: graph.next };
    let facts = Listed::of("memory", found, FactView::from);
    let entities = graph.entities.into_iter().map(Into::into).collect();
    Ok(Json(MemoryView { facts, entities }))
}
