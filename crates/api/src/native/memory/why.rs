//! `GET /epilogue/v1/memory/{person}/facts/{id}`

use axum::{Json, extract::State};
use serde::Serialize;
use utoipa::ToSchema;

use super::{NamedFact, failed, in_store, unknown_fact, view::FactView};
use crate::{
    Api,
    native::{access::Acting, problem::Problem},
};

/// Why a fact is believed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WhyView {
    /// The fact.
    fact: FactView,
    /// The conversations that say so, the latest first, at most five. None where somebody put the fact in
    /// the place of another: `fact.correction` says who.
    episodes: Vec<EpisodeView>,
}

/// A conversation, as it is remembered.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EpisodeView {
    /// The session.
    session_id: String,
    /// When it ended (RFC 3339, UTC).
    at: String,
    /// What was said, a line for each message, without card numbers and other secrets.
    #[schema(example = "User: I have moved to Lisbon.\nAssistant: How nice!\n")]
    text: String,
}

/// Say why a fact is believed
///
/// The fact, and the conversations it comes from.
#[utoipa::path(
    get, path = "/epilogue/v1/memory/{person}/facts/{id}", tag = "memory",
    params(
        ("person" = String, Path, description = "The person, as sessions name them."),
        ("id" = String, Path, description = "The fact's id."),
    ),
    responses(
        (status = 200, description = "The fact and what it comes from.", body = WhyView),
        (status = 404, description = "No such fact is known of this person."),
        (status = 409, description = "What is remembered is not in this server's store."),
    ),
)]
pub(super) async fn explain_fact(
    State(api): State<Api>,
    acting: Acting,
    NamedFact(person, id): NamedFact,
) -> Result<Json<WhyView>, Problem> {
    in_store(&api)?;
    let why = api.engine().why_believed(&acting.org, &person, &id).await.map_err(failed)?;
    let why = why.ok_or_else(unknown_fact)?;
    let episode = |episode: epilogue_engine::records::Episode| EpisodeView {
        session_id: episode.session.to_string(),
        at: episode.at.to_string(),
        text: episode.text,
    };
    let episodes = why.episodes.into_iter().map(episode).collect();
    Ok(Json(WhyView { fact: why.fact.into(), episodes }))
}
