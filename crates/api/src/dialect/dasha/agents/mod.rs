//! A1 to A7: agents, each with the document it was written with.

pub(super) mod configure;
mod document;
pub(super) mod hook;
pub(super) mod read;
pub(super) mod secret;

use axum::{
    Json, Router,
    extract::{FromRequestParts, Path, RawQuery, State},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use epilogue_core::{AgentId, OrgId};
use epilogue_engine::records::{
    AGENTS_MAX, AgentChange, AgentRecord, AgentWrite, DeleteAgentOutcome, WriteAgentOutcome,
};
use http::{StatusCode, header, request::Parts};
use serde_json::{Map, Value, json};

use self::{configure::NAME_CHARS_MAX, read::Part};
use super::{
    access::{Owns, Reads},
    error::Problem,
    limits::{ANSWER_BYTES_MAX, Room},
    query,
    wire::JsonBody,
};
use crate::{Api, auth::Caller};

/// The longest document, in bytes of JSON.
pub const DOCUMENT_BYTES_MAX: usize = 192 * 1024;
/// How many agents a list has unless the client says.
pub const TAKE_DEFAULT: u32 = 1_000;
/// How many it has at the most.
pub const TAKE_MAX: u32 = 1_000;
/// How many are read at a time.
const READ_AT_ONCE: u32 = 100;
/// What an agent is called that came with a conversation, unless it says.
const UNLISTED_NAME: &str = "Inline agent";
/// How often a change is made anew that somebody else's came before.
const TRIES: u32 = 5;

/// The routes.
pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/api/v1/agents", get(list).post(create))
        .route("/api/v1/agents/{id}", get(show).put(change).delete(remove))
        .route("/api/v1/agents/{id}/clone", post(duplicate))
        .route("/api/v1/misc/agent-initial-data", get(initial))
}

/// The agent that a path names.
struct Named(AgentId);

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        path.map(|Path(id)| Self(id.into())).map_err(|_| no_agent())
    }
}

fn no_agent() -> Problem {
    Problem::not_found("agent")
}

/// A1
async fn list(
    State(api): State<Api>,
    who: Reads,
    RawQuery(raw): RawQuery,
) -> Result<Json<Vec<Value>>, Problem> {
    let raw = raw.unwrap_or_default();
    let skip = query::number(&raw, "skip")?.unwrap_or(0);
    let take = query::number(&raw, "take")?.unwrap_or(TAKE_DEFAULT);
    let take = take.min(TAKE_MAX);
    let (mut all, mut room) = (Vec::new(), Room::whole());
    for begin in (0..take).step_by(READ_AT_ONCE as usize) {
        let wanted = READ_AT_ONCE.min(take - begin);
        let from = skip.saturating_add(begin);
        let records = api.engine().agent_records(who.org(), from, wanted).await?;
        for record in &records {
            let shown = document::shown(who.org(), record);
            if !room.takes(shown.to_string().len()) {
                let problem = format!("makes more than {ANSWER_BYTES_MAX} bytes: ask for fewer");
                return Err(Problem::field("take", problem));
            }
            all.push(shown);
        }
        if records.len() < wanted as usize {
            break;
        }
    }
    Ok(Json(all))
}

/// A2
async fn create(
    State(api): State<Api>,
    Owns(caller): Owns,
    body: Result<JsonBody<Map<String, Value>>, Problem>,
) -> Result<Response, Problem> {
    let document = secret::unmask(document::new(body?.0), &Map::new())?;
    let id = new_id(&api);
    let write = write(&caller, id.clone(), document, AgentChange::Create)?;
    written(&api.engine().write_agent(&caller.org, write).await?)?;
    let record = find(&api, &caller.org, &id).await?;
    Ok(created(&id, document::shown(&caller.org, &record)))
}

/// Makes an agent of a configuration that came with a conversation. The same configuration makes the
/// same agent, however many conversations bring it along: clients send it with each.
pub(super) async fn make_unlisted(
    api: &Api,
    caller: &Caller,
    configuration: Map<String, Value>,
) -> Result<AgentId, Problem> {
    let mut document = document::new(configuration);
    let name = document.entry("name").or_insert(Value::Null);
    if name.is_null() {
        *name = UNLISTED_NAME.into();
    }
    let document = secret::unmask(document, &Map::new())?;
    let id = id_of(&caller.org, &document);
    let first = write(caller, id.clone(), document.clone(), AgentChange::CreateUnlisted)?;
    if written(&api.engine().write_agent(&caller.org, first).await?)? {
        return Ok(id);
    }
    // Somebody has deleted or changed it by its id since.
    let id = new_id(api);
    let write = write(caller, id.clone(), document, AgentChange::CreateUnlisted)?;
    written(&api.engine().write_agent(&caller.org, write).await?)?;
    Ok(id)
}

/// The id that follows from an agent's document.
fn id_of(org: &OrgId, document: &Map<String, Value>) -> AgentId {
    let content = json!([org, document]).to_string();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&crate::auth::hash(&content).0[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid().to_string().into()
}

fn created(id: &AgentId, body: Value) -> Response {
    let location = format!("/api/v1/agents/{id}");
    (StatusCode::CREATED, [(header::LOCATION, location)], Json(body)).into_response()
}

fn new_id(api: &Api) -> AgentId {
    query::drawn_id(api).into()
}

/// What is to be written, checked.
fn write(
    caller: &Caller,
    id: AgentId,
    document: Map<String, Value>,
    change: AgentChange,
) -> Result<AgentWrite, Problem> {
    let document = Value::from(document);
    if document.to_string().len() > DOCUMENT_BYTES_MAX {
        return Err(Problem::too_large("$", DOCUMENT_BYTES_MAX));
    }
    let agent = configure::agent(id, &document)?;
    Ok(AgentWrite { agent, document, change, by: Some(caller.key.to_string()) })
}

/// `false`: somebody else wrote in between.
fn written(outcome: &WriteAgentOutcome) -> Result<bool, Problem> {
    match outcome {
        WriteAgentOutcome::Written(_) => Ok(true),
        WriteAgentOutcome::Changed => Ok(false),
        WriteAgentOutcome::Gone => Err(no_agent()),
        WriteAgentOutcome::Configured => Err(configured()),
        WriteAgentOutcome::TooMany => {
            Err(Problem::conflict(format!("The organization has {AGENTS_MAX} agents already.")))
        }
    }
}

fn configured() -> Problem {
    Problem::conflict("This agent stands in the server's configuration: change it there.")
}

async fn find(api: &Api, org: &OrgId, id: &AgentId) -> Result<AgentRecord, Problem> {
    let found = api.engine().agent_record(org, id).await?;
    found.filter(|record| record.deleted_at.is_none()).ok_or_else(no_agent)
}

/// A3
async fn show(State(api): State<Api>, who: Reads, named: Named) -> Result<Json<Value>, Problem> {
    let record = find(&api, who.org(), &named.0).await?;
    Ok(Json(document::shown(who.org(), &record)))
}

/// A4: members that are given replace those that stand there; they apply at once.
async fn change(
    State(api): State<Api>,
    Owns(caller): Owns,
    named: Named,
    body: Result<JsonBody<Map<String, Value>>, Problem>,
) -> Result<Json<Value>, Problem> {
    let given = body?.0;
    for _ in 0..TRIES {
        let record = find(&api, &caller.org, &named.0).await?;
        let Some(Value::Object(stored)) = &record.document else { return Err(configured()) };
        let document = secret::unmask(document::changed(stored, given.clone()), stored)?;
        let follow = AgentChange::Follow(record.version.version);
        let write = write(&caller, named.0.clone(), document, follow)?;
        if written(&api.engine().write_agent(&caller.org, write).await?)? {
            let record = find(&api, &caller.org, &named.0).await?;
            return Ok(Json(document::shown(&caller.org, &record)));
        }
    }
    Err(Problem::conflict("Others keep changing this agent: try again."))
}

/// A5
async fn remove(
    State(api): State<Api>,
    Owns(caller): Owns,
    named: Named,
) -> Result<StatusCode, Problem> {
    let by = Some(caller.key.to_string());
    match api.engine().delete_agent(&caller.org, &named.0, by).await? {
        DeleteAgentOutcome::Deleted => Ok(StatusCode::NO_CONTENT),
        DeleteAgentOutcome::NoAgent => Err(no_agent()),
        DeleteAgentOutcome::Configured => Err(configured()),
    }
}

/// A6: another agent like this one. What it is called by telephone is not taken along.
async fn duplicate(
    State(api): State<Api>,
    Owns(caller): Owns,
    named: Named,
    body: Result<JsonBody<Value>, Problem>,
) -> Result<Response, Problem> {
    let body = body?.0;
    let name = Part::root(&body).member("name", |part| part.name(1, NAME_CHARS_MAX))?;
    let record = find(&api, &caller.org, &named.0).await?;
    let Some(Value::Object(mut document)) = record.document else { return Err(configured()) };
    document.insert("name".into(), name.into());
    document.remove("inboundSipConfig");
    let id = new_id(&api);
    let write = write(&caller, id.clone(), document, AgentChange::CloneOf(named.0))?;
    written(&api.engine().write_agent(&caller.org, write).await?)?;
    Ok(created(&id, json!({ "agentId": id })))
}

/// A7
async fn initial(_who: Reads) -> Json<Value> {
    Json(document::initial())
}
