//! 2.7: what has been, as lists and one by one. Ended sessions stay in it without what was said in them,
//! unless their organization keeps transcripts.

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    routing::get,
};
use epilogue_core::{
    Session,
    analysis::{EVALUATION, RESULT},
    profile::Keeps,
};
use epilogue_engine::records::{AnalysisResult, HistoryPage, SessionName};
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    access::Reads,
    error::Error,
    limits, paths,
    view::{Entry, Event},
};
use crate::Api;

/// How many sessions a page has unless it is said.
const PAGE_SIZE: u32 = 10;
/// How many it has at most, whatever is said.
pub const PAGE_SIZE_MAX: u32 = 100;

pub(super) fn routes() -> Router<Api> {
    paths::HISTORY.to(&get(list)).merge(paths::HISTORY_ENTRY.to(&get(entry)))
}

/// The parameters of a query, the first of each name. Empty ones say nothing.
pub(super) type Parameters = Query<Vec<(String, String)>>;

/// One of them.
pub(super) fn parameter<'a>(given: &'a Parameters, name: &str) -> Option<&'a str> {
    let found = given.0.iter().find(|(known, _)| known == name);
    found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
}

fn number(given: &Parameters, name: &str, otherwise: u32) -> Result<u32, Error> {
    let Some(text) = parameter(given, name) else { return Ok(otherwise) };
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = if digits { text.parse().ok() } else { None };
    let number = number.filter(|number| *number > 0);
    number.ok_or_else(|| Error::bad(format!("{name} must be a positive integer")))
}

/// A session of the history, with how it was judged.
fn shown<'a>(session: &'a Session, analyses: &[AnalysisResult]) -> Entry<'a> {
    let evaluation = analyses.iter().find(|filled| filled.form == EVALUATION);
    let evaluation = evaluation.map(|filled| json!({ RESULT: filled.values[RESULT] }));
    Entry { evaluation, ..Entry::of(session) }
}

/// One of them, with what was said in it.
#[derive(Serialize)]
struct Detail<'a> {
    #[serde(flatten)]
    entry: Entry<'a>,
    events: Vec<Event<'a>>,
}

/// Whether what was said is shown: of an ended session only where it is kept for good, even before it
/// has been removed.
fn shows_messages(session: &Session) -> bool {
    session.ended().is_none() || session.profile.keeps != Keeps::Counters
}

async fn list(
    State(api): State<Api>,
    Reads(member): Reads,
    given: Parameters,
) -> Result<Json<Value>, Error> {
    let number_of = number(&given, "page", 1)?;
    let limit = number(&given, "pageSize", PAGE_SIZE)?.min(PAGE_SIZE_MAX);
    let skip = u64::from(number_of - 1) * u64::from(limit);
    let page = HistoryPage { skip, limit };
    let search = parameter(&given, "search");
    let (org, project) = (member.org(), &member.project.id);
    let found = api.engine().project_history(org, project, search, page).await?;
    let data: Vec<_> =
        found.items.iter().map(|entry| shown(&entry.session, &entry.analyses)).collect();
    let pages = found.total.div_ceil(limit);
    let pagination = json!({
        "page": number_of, "pageSize": limit, "totalPages": pages, "total": found.total,
    });
    Ok(Json(json!({ "data": data, "pagination": pagination })))
}

/// The latest session of a name, live or not.
async fn entry(
    State(api): State<Api>,
    Reads(member): Reads,
    Path((_, name)): Path<(String, String)>,
) -> Result<Json<Value>, Error> {
    let (org, project) = (member.org(), &member.project.id);
    if !limits::is_name(&name) {
        return Err(Error::no_session());
    }
    let name = SessionName::LatestInProject(project.clone(), name);
    let latest = api.engine().find(org, &name).await?.ok_or_else(Error::no_session)?;
    let conversation = api.engine().conversation(org, latest.id).await?;
    let (session, transcript) = conversation.ok_or_else(Error::no_session)?;
    let analyses = api.engine().analyses_of(org, session.id).await?;
    let events = if shows_messages(&session) { Event::all(&transcript) } else { Vec::new() };
    let data = Detail { entry: shown(&session, &analyses), events };
    Ok(Json(json!({ "data": data })))
}
