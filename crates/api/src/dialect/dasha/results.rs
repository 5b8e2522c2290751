//! R1 and R2: finished conversations, searched and one by one.

use std::collections::BTreeMap;

use axum::{Json, extract::State};
use epilogue_core::{EndReason, Message, OrgId, SessionId, Timestamp};
use epilogue_engine::records::{
    Counts, OffsetPage, ResultFilter, ResultHit, ResultOrder, SKIP_MAX, SessionName, WORDS_MAX,
};
use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    NAME,
    access::Reads,
    agents::read::Part,
    error::Problem,
    find::ChatId,
    limits::{self, ANSWER_BYTES_MAX, Room},
    open::endpoint_of,
    payload::{BROKEN, Line, Outcome, call_status, transcription},
    wire::{JsonBody, time},
};
use crate::Api;

/// How many results a page has unless the client says.
pub const SIZE_DEFAULT: u64 = 20;
/// How many it has at the most.
pub const SIZE_MAX: u64 = 100;
/// How many values a list in a search may have.
pub const LIST_MAX: usize = 100;
/// How long a text in a search may be, in characters.
pub const TEXT_CHARS_MAX: usize = 1_000;
/// How many members of the client's data may be aggregated or filtered by.
pub const MEMBERS_MAX: usize = 10;

/// The statuses of calls.
const STATUSES: [&str; 8] =
    ["Unknown", "Created", "Pending", "Queued", "Running", "Completed", "Failed", "Canceled"];

/// A page with what surrounds it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Found<T, A> {
    pub results: Vec<T>,
    pub total_count: u32,
    pub page: u32,
    pub size: u32,
    pub total_pages: u32,
    pub execution_time_ms: u64,
    pub aggregations: Option<A>,
}

/// Which page is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub page: u32,
    pub size: u32,
    pub descending: bool,
    pub since: Timestamp,
}

impl Asked {
    /// Reads the page, the size and the direction.
    pub fn read(body: Part<'_>, since: Timestamp) -> Result<Self, Problem> {
        let size = body.member("size", |part| part.whole(1, SIZE_MAX))?.unwrap_or(SIZE_DEFAULT);
        let page = body.member("page", |part| {
            let page = part.whole(0, u64::from(u32::MAX))?.unwrap_or(0);
            if page * size > u64::from(SKIP_MAX) {
                let problem = format!("begins past the {SKIP_MAX} results that can be paged to");
                return Err(part.wrong(problem));
            }
            Ok(page)
        })?;
        let descending = body.member("sortDirection", |part| match part.text()?.as_deref() {
            None | Some("Descending") => Ok(true),
            Some("Ascending") => Ok(false),
            Some(_) => Err(part.wrong("must be Ascending or Descending")),
        })?;
        let narrow = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        Ok(Self { page: narrow(page), size: narrow(size), descending, since })
    }

    /// The same, as the store is asked for it.
    pub fn offset(&self) -> OffsetPage {
        OffsetPage {
            skip: self.page.saturating_mul(self.size),
            limit: self.size,
            descending: self.descending,
        }
    }

    /// What was found, with what surrounds it.
    pub fn found<T, A>(
        &self,
        (results, total_count): (Vec<T>, u32),
        aggregations: Option<A>,
        now: Timestamp,
    ) -> Found<T, A> {
        Found {
            results,
            total_count,
            page: self.page,
            size: self.size,
            total_pages: total_count.div_ceil(self.size.max(1)),
            execution_time_ms: now.since(self.since).as_millis(),
            aggregations,
        }
    }
}

/// One finished conversation.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CallResult {
    call_id: String,
    agent_id: String,
    org_id: String,
    call_additional_data: Map<String, Value>,
    call_status: &'static str,
    call_type: &'static str,
    completed_time: String,
    created_time: String,
    duration_seconds: u64,
    endpoint: String,
    sip: Option<Value>,
    result: Outcome,
    transcription: Vec<Line>,
    server_job_id: Option<String>,
    error_message: Option<&'static str>,
    inspector_url: Option<String>,
    recording_url: Option<String>,
    score: Option<f64>,
    highlights: Vec<String>,
}

/// How the results are spread.
#[expect(clippy::struct_field_names, reason = "the published names")]
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Aggregations {
    status_counts: BTreeMap<&'static str, u32>,
    agent_counts: BTreeMap<String, u32>,
    endpoint_counts: BTreeMap<String, u32>,
    date_histogram: Vec<Day>,
    custom_aggregations: BTreeMap<String, BTreeMap<String, u32>>,
}

#[derive(Debug, Serialize)]
struct Day {
    date: String,
    count: u32,
}

/// R1: `POST /callresults/search`
pub(super) async fn search(
    State(api): State<Api>,
    who: Reads,
    body: Result<JsonBody<Value>, Problem>,
) -> Result<Json<Found<CallResult, Aggregations>>, Problem> {
    let body = body?.0;
    let body = Part::root(&body);
    body.object()?;
    let asked = Asked::read(body, api.engine().now())?;
    let (filter, order) = (filter(body)?, order(body)?);
    let members = members(body)?;
    let aggregate = body.member("includeAggregations", |part| part.flag(false))?;
    let hits = api.engine().search_results(who.org(), &filter, order, asked.offset()).await?;
    let aggregations =
        if aggregate { Some(aggregations(&api, who.org(), &filter, members).await?) } else { None };
    let (mut results, mut room) = (Vec::new(), Room::whole());
    for hit in hits.items {
        let transcript = api.engine().transcript(who.org(), hit.record.session).await?;
        if !room.takes(limits::bytes_of(&transcript)) {
            let problem = format!("makes more than {ANSWER_BYTES_MAX} bytes: ask for fewer");
            return Err(Problem::field("size", problem));
        }
        results.push(call_result(&api, who.org(), hit, &transcript).await?);
    }
    Ok(Json(asked.found((results, hits.total), aggregations, api.engine().now())))
}

/// A list of texts, each short. `None`: it is absent or empty, and restricts nothing.
pub(super) fn texts(part: Part<'_>) -> Result<Option<Vec<String>>, Problem> {
    let texts = part.items(LIST_MAX, |item| item.name(1, TEXT_CHARS_MAX))?;
    Ok(Some(texts).filter(|texts| !texts.is_empty()))
}

/// A list of ids. What is no id names nothing.
pub(super) fn sessions(part: Part<'_>) -> Result<Option<Vec<SessionId>>, Problem> {
    let ids = texts(part)?;
    Ok(ids.map(|ids| ids.iter().filter_map(|id| id.parse().ok()).collect()))
}

/// A point in time.
pub(super) fn date(part: Part<'_>) -> Result<Option<Timestamp>, Problem> {
    let Some(text) = part.text()?.filter(|text| !text.trim().is_empty()) else { return Ok(None) };
    let at = Timestamp::parse(text.trim());
    at.map(Some).ok_or_else(|| part.wrong("must be a time such as 2026-01-31T12:00:00Z"))
}

/// A text that is searched for.
pub(super) fn search_text(part: Part<'_>) -> Result<Option<String>, Problem> {
    let text = part.text()?.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    if text.as_ref().is_some_and(|text| text.chars().count() > TEXT_CHARS_MAX) {
        return Err(part.wrong(format!("must have at most {TEXT_CHARS_MAX} characters")));
    }
    Ok(text)
}

fn filter(body: Part<'_>) -> Result<ResultFilter, Problem> {
    let words = body.member("searchText", |part| {
        let text = search_text(part)?.unwrap_or_default();
        let between = |c: char| c.is_whitespace() || c.is_control();
        let words = text.split(between).filter(|word| !word.is_empty());
        let words: Vec<_> = words.map(str::to_owned).collect();
        if words.len() > WORDS_MAX {
            return Err(part.wrong(format!("must have at most {WORDS_MAX} words")));
        }
        Ok(words)
    })?;
    let agents = body.member("agentIds", texts)?.unwrap_or_default();
    Ok(ResultFilter {
        dialect: NAME.into(),
        agents: agents.into_iter().map(Into::into).collect(),
        reasons: body.member("callStatuses", reasons)?,
        ended_from: body.member("fromDate", date)?,
        ended_until: body.member("toDate", date)?,
        words,
        sessions: body.member("callIds", sessions)?,
        endpoint: body
            .member("endpoint", |part| Ok(part.text()?.filter(|endpoint| !endpoint.is_empty())))?,
        data: body.member("additionalDataFilters", data)?,
    })
}

/// The reasons behind statuses. Only what has ended is searched, so that most have none.
fn reasons(part: Part<'_>) -> Result<Option<Vec<EndReason>>, Problem> {
    let Some(statuses) = texts(part)? else { return Ok(None) };
    if let Some(unknown) = statuses.iter().find(|status| !STATUSES.contains(&status.as_str())) {
        return Err(part.wrong(format!("`{unknown}` is not one of {}", STATUSES.join(", "))));
    }
    let wanted = |reason: &EndReason| statuses.iter().any(|s| s == call_status(Some(*reason)));
    Ok(Some(EndReason::ALL.into_iter().filter(wanted).collect()))
}

/// Members with their values: an object, or a list of `{key, value}`.
fn data(part: Part<'_>) -> Result<Vec<(String, Value)>, Problem> {
    let pairs = if part.value().is_array() {
        part.items(MEMBERS_MAX, |item| {
            let key = item.member("key", |key| key.name(1, TEXT_CHARS_MAX))?;
            Ok((key, item.member("value", |value| Ok(value.value().clone()))?))
        })?
    } else {
        part.object()?.into_iter().collect()
    };
    if pairs.len() > MEMBERS_MAX {
        return Err(part.wrong(format!("must have at most {MEMBERS_MAX} members")));
    }
    Ok(pairs.into_iter().map(|(key, value)| (bare(&key), value)).collect())
}

/// A member's name, which may be given with the name of the map it stands in.
fn bare(name: &str) -> String {
    let prefixes = ["callAdditionalData.", "additionalData."];
    let bare = prefixes.iter().find_map(|prefix| name.strip_prefix(prefix));
    bare.unwrap_or(name).to_owned()
}

fn members(body: Part<'_>) -> Result<Vec<String>, Problem> {
    body.member("aggregationFields", |part| {
        part.items(MEMBERS_MAX, |item| item.name(1, TEXT_CHARS_MAX))
    })
}

fn order(body: Part<'_>) -> Result<ResultOrder, Problem> {
    body.member("sortField", |part| match part.text()?.as_deref() {
        None | Some("" | "completedTime") => Ok(ResultOrder::EndedAt),
        Some("createdTime") => Ok(ResultOrder::OpenedAt),
        Some("durationSeconds") => Ok(ResultOrder::Active),
        Some("endpoint") => Ok(ResultOrder::Endpoint),
        Some("agentId") => Ok(ResultOrder::Agent),
        Some("score") => Ok(ResultOrder::Score),
        Some(_) => Err(part.wrong(
            "must be completedTime, createdTime, durationSeconds, endpoint, agentId or score",
        )),
    })
}

async fn aggregations(
    api: &Api,
    org: &OrgId,
    filter: &ResultFilter,
    members: Vec<String>,
) -> Result<Aggregations, Problem> {
    let bare: Vec<_> = members.iter().map(|name| bare(name)).collect();
    let facets = api.engine().result_facets(org, filter, &bare).await?;
    let mut status_counts = BTreeMap::new();
    for (reason, count) in &facets.reasons {
        *status_counts.entry(call_status(EndReason::parse(reason))).or_default() += count;
    }
    let days = facets.days.into_iter().map(|(date, count)| Day { date, count });
    let custom = members.into_iter().zip(facets.data);
    Ok(Aggregations {
        status_counts,
        agent_counts: facets.agents.into_iter().collect(),
        endpoint_counts: facets.endpoints.into_iter().collect(),
        date_histogram: days.collect(),
        custom_aggregations: custom.map(|(name, (_, counts))| (name, texts_of(counts))).collect(),
    })
}

/// Values as texts: JSON texts without their quotation marks.
fn texts_of(counts: Counts) -> BTreeMap<String, u32> {
    let text = |json: String| match serde_json::from_str(&json) {
        Ok(Value::String(text)) => text,
        _ => json,
    };
    counts.into_iter().map(|(value, count)| (text(value), count)).collect()
}

async fn call_result(
    api: &Api,
    org: &OrgId,
    hit: ResultHit,
    transcript: &[Message],
) -> Result<CallResult, Problem> {
    let record = hit.record;
    let analyses = api.engine().analyses_of(org, record.session).await?;
    Ok(CallResult {
        call_id: record.session.to_string(),
        agent_id: record.agent.to_string(),
        org_id: org.to_string(),
        call_additional_data: record.data,
        call_status: call_status(Some(record.reason)),
        call_type: "Chat",
        completed_time: time(record.ended_at),
        created_time: time(record.opened_at),
        duration_seconds: record.active.as_millis() / 1000,
        endpoint: record.endpoint,
        sip: None,
        result: Outcome::of(record.reason, &analyses),
        transcription: transcription(transcript),
        server_job_id: None,
        error_message: (record.reason == EndReason::Failed).then_some(BROKEN),
        inspector_url: None,
        recording_url: None,
        score: hit.score,
        highlights: hit.excerpt.into_iter().collect(),
    })
}

/// One conversation in short.
#[expect(clippy::struct_field_names, reason = "the published names")]
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Call {
    call_id: String,
    org_id: String,
    agent_id: String,
    endpoint: String,
    status: &'static str,
    record_id: String,
    completed_time: Option<String>,
    inspector_url: Option<String>,
}

/// R2: `GET /calls/{callId}`
pub(super) async fn call(
    State(api): State<Api>,
    who: Reads,
    id: Result<ChatId, Problem>,
) -> Result<Json<Call>, Problem> {
    let no_call = || Problem::not_found("call");
    let ChatId(id) = id.map_err(|_| no_call())?;
    let found = api.engine().find(who.org(), &SessionName::Id(id)).await?;
    let session = found.filter(|s| s.dialect.as_str() == NAME).ok_or_else(no_call)?;
    let ended = session.ended();
    Ok(Json(Call {
        call_id: session.dialect_id.clone(),
        org_id: session.org.to_string(),
        agent_id: session.agent.id.to_string(),
        endpoint: endpoint_of(&session),
        status: call_status(ended.map(|ended| ended.reason)),
        record_id: session.dialect_id.clone(),
        completed_time: ended.map(|ended| time(ended.at)),
        inspector_url: None,
    }))
}
