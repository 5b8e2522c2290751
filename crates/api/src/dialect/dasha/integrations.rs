//! W1 to W8: web integrations, and the tokens by which pages come in.

use axum::{
    Json, Router,
    extract::{FromRequestParts, Path, RawQuery, State},
    response::{IntoResponse, Response},
    routing::{delete, get, post},
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use epilogue_core::{
    AgentId, OrgId, Timestamp,
    integration::{Integration, IntegrationToken, Refusal},
    origin::OriginRule,
};
use epilogue_engine::records::{
    AddIntegrationOutcome, AddTokenOutcome, INTEGRATIONS_MAX, PutIntegrationOutcome, TOKENS_MAX,
    WithTokens,
};
use http::{HeaderMap, StatusCode, header, request::Parts};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::{
    access::{Owns, Reads},
    agents::{self, read::Part},
    error::Problem,
    limits, query,
    wire::{JsonBody, time},
};
use crate::{Api, auth, cors};

/// The longest name of an integration or of a token, in characters.
pub const NAME_CHARS_MAX: usize = 100;
/// The longest description, in characters.
pub const DESCRIPTION_CHARS_MAX: usize = 500;
/// How many origins an integration may name.
pub const ORIGINS_MAX: usize = 100;
/// How many features or tools it may have.
pub const ITEMS_MAX: usize = 128;
/// The longest document, in bytes of JSON.
pub const DOCUMENT_BYTES_MAX: usize = 64 * 1024;

/// How much chance a token is made of.
const TOKEN_BYTES: usize = 32;
/// How a token begins.
const TOKEN_PREFIX: &str = "wi_";
/// How many characters of a token are shown later.
const HINT_CHARS: usize = 8;

/// How often a change is made anew that somebody else's came before.
const TRIES: u32 = 5;

/// Members of the document that pages may know.
const PUBLIC: [&str; 4] = ["description", "features", "tools", "widgetAppearance"];

/// Members that are the server's to say, or that stand in columns of their own.
const NOT_KEPT: [&str; 10] = [
    "integrationId",
    "orgId",
    "createdTime",
    "lastUpdateTime",
    "tokens",
    "agentId",
    "name",
    "enabled",
    "description",
    "origins",
];

/// The routes.
pub(super) fn routes(api: &Api) -> Router<Api> {
    let public = Router::new()
        .route("/api/v1/web-integrations/discover", get(discover))
        .layer(cors::layer(api.settings()));
    let all = get(list).post(create).put(change).delete(remove);
    Router::new()
        .route("/api/v1/web-integrations", all)
        .route("/api/v1/web-integrations/integration", get(show))
        .route("/api/v1/web-integrations/{id}/tokens", post(make_token))
        .route("/api/v1/web-integrations/{id}/tokens/{token}", delete(revoke_token))
        .merge(public)
}

/// What a path names: an id, or two of them.
struct Named<T>(T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Named<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::<T>::from_request_parts(parts, state).await;
        path.map(|Path(named)| Self(named)).map_err(|_| no_integration())
    }
}

fn no_integration() -> Problem {
    Problem::not_found("web integration")
}

fn shown(org: &OrgId, (integration, tokens): &WithTokens) -> Value {
    let mut shown = written(integration);
    let tokens: Vec<_> = tokens.iter().map(token_shown).collect();
    let more = [
        ("orgId", json!(org)),
        ("origins", json!(integration.origins)),
        ("createdTime", json!(time(integration.created_at))),
        ("lastUpdateTime", json!(time(integration.updated_at))),
        ("tokens", json!(tokens)),
    ];
    shown.extend(more.map(|(name, value)| (name.to_owned(), value)));
    shown.into()
}

/// What anybody with a token may see, whatever else its owner wrote.
fn public(integration: &Integration) -> Value {
    let mut shown = written(integration);
    let own = ["integrationId", "agentId", "name", "enabled"];
    shown.retain(|name, _| own.contains(&name.as_str()) || PUBLIC.contains(&name.as_str()));
    let mut shown = shown.into();
    agents::secret::mask(&mut shown);
    shown
}

/// What its owner wrote.
fn written(integration: &Integration) -> Map<String, Value> {
    let mut shown = match &integration.document {
        Value::Object(document) => document.clone(),
        _ => Map::new(),
    };
    shown.insert("integrationId".into(), json!(integration.id));
    shown.insert("agentId".into(), json!(integration.agent));
    shown.insert("name".into(), json!(integration.name));
    shown.insert("enabled".into(), json!(integration.enabled));
    shown
}

fn token_shown(token: &IntegrationToken) -> Value {
    json!({
        "tokenId": token.id,
        "name": token.name,
        "token": format!("{}…", token.hint),
        "createdAt": time(token.created_at),
        "expiresAt": token.expires_at.map(time),
        "lastUsedAt": token.last_used_at.map(time),
    })
}

/// The integration that a query names.
async fn named(api: &Api, org: &OrgId, raw: Option<&str>) -> Result<WithTokens, Problem> {
    let id = query::text(raw.unwrap_or_default(), "integrationId");
    let id = id.ok_or_else(|| Problem::field("integrationId", "is required"))?;
    api.engine().integration(org, &id).await?.ok_or_else(no_integration)
}

/// W1
async fn list(State(api): State<Api>, who: Reads) -> Result<Json<Vec<Value>>, Problem> {
    let all = api.engine().integrations(who.org()).await?;
    Ok(Json(all.iter().map(|one| shown(who.org(), one)).collect()))
}

/// W2
async fn show(
    State(api): State<Api>,
    who: Reads,
    RawQuery(raw): RawQuery,
) -> Result<Json<Value>, Problem> {
    let found = named(&api, who.org(), raw.as_deref()).await?;
    Ok(Json(shown(who.org(), &found)))
}

/// W3
async fn create(
    State(api): State<Api>,
    Owns(caller): Owns,
    body: Result<JsonBody<Map<String, Value>>, Problem>,
) -> Result<Response, Problem> {
    let now = api.engine().now();
    let integration = read(&api, &caller.org, (query::drawn_id(&api), now), None, body?.0).await?;
    let by = Some(caller.key.to_string());
    match api.engine().add_integration(&caller.org, integration.clone(), by).await? {
        AddIntegrationOutcome::Added => {}
        AddIntegrationOutcome::TooMany => {
            let detail =
                format!("The organization has {INTEGRATIONS_MAX} web integrations already.");
            return Err(Problem::conflict(detail));
        }
    }
    let body = Json(shown(&caller.org, &(integration, Vec::new())));
    Ok((StatusCode::CREATED, body).into_response())
}

/// W4: members that are given replace those that stand there.
async fn change(
    State(api): State<Api>,
    Owns(caller): Owns,
    RawQuery(raw): RawQuery,
    body: Result<JsonBody<Map<String, Value>>, Problem>,
) -> Result<Json<Value>, Problem> {
    let given = body?.0;
    for _ in 0..TRIES {
        let known = named(&api, &caller.org, raw.as_deref()).await?;
        let Value::Object(mut document) = shown(&caller.org, &known) else {
            return Err(no_integration());
        };
        document.extend(given.clone());
        let (was, tokens) = known;
        let made = (was.id.clone(), was.created_at);
        let integration = read(&api, &caller.org, made, Some(&was.agent), document).await?;
        let by = Some(caller.key.to_string());
        let change = (was, integration.clone());
        match api.engine().put_integration(&caller.org, change, by).await? {
            PutIntegrationOutcome::Written => {
                return Ok(Json(shown(&caller.org, &(integration, tokens))));
            }
            PutIntegrationOutcome::Changed => {}
            PutIntegrationOutcome::Gone => return Err(no_integration()),
        }
    }
    Err(Problem::conflict("Others keep changing this web integration: try again."))
}

/// W5
async fn remove(
    State(api): State<Api>,
    Owns(caller): Owns,
    RawQuery(raw): RawQuery,
) -> Result<StatusCode, Problem> {
    let (known, _) = named(&api, &caller.org, raw.as_deref()).await?;
    let by = Some(caller.key.to_string());
    let gone = api.engine().remove_integration(&caller.org, &known.id, by).await?;
    if gone { Ok(StatusCode::NO_CONTENT) } else { Err(no_integration()) }
}

/// An integration as it is written, checked. The agent that it has already may be gone.
async fn read(
    api: &Api,
    org: &OrgId,
    (id, created_at): (String, Timestamp),
    its_agent: Option<&AgentId>,
    mut given: Map<String, Value>,
) -> Result<Integration, Problem> {
    let whole = Value::from(given.clone());
    let body = Part::root(&whole);
    let agent: AgentId = body.member("agentId", |part| part.name(1, 256))?.into();
    let name = body.member("name", name)?;
    let enabled = body.member("enabled", |part| part.flag(true))?;
    let description = body.member("description", |part| {
        let text = part.text()?;
        limits::chars(&part.path(), text.as_deref().unwrap_or_default(), DESCRIPTION_CHARS_MAX)?;
        Ok(text)
    })?;
    let origins = body.member("origins", |part| part.items(ORIGINS_MAX, origin))?;
    let features = body.member("features", |part| part.items(ITEMS_MAX, feature))?;
    body.member("tools", |part| part.items(ITEMS_MAX, |item| item.object()))?;
    body.member("widgetAppearance", |part| part.object())?;
    given.retain(|name, _| !NOT_KEPT.contains(&name.as_str()));
    given.insert("description".into(), json!(description));
    given.insert("features".into(), json!(features));
    given.entry("tools").or_insert_with(|| json!([]));
    given.entry("widgetAppearance").or_insert(Value::Null);
    limits::object("$", &given, DOCUMENT_BYTES_MAX)?;
    if its_agent != Some(&agent) && api.engine().agent(org, &agent).await?.is_none() {
        return Err(Problem::field("agentId", "names no agent of this organization"));
    }
    let updated_at = api.engine().now();
    let document = given.into();
    Ok(Integration { id, agent, name, enabled, origins, document, created_at, updated_at })
}

fn name(part: Part<'_>) -> Result<String, Problem> {
    let name = part.name(1, NAME_CHARS_MAX)?;
    if name.chars().all(|c| c.is_alphanumeric() || "-_ ".contains(c)) {
        return Ok(name);
    }
    Err(part.wrong("must be letters, digits, hyphens, underscores and spaces"))
}

fn origin(part: Part<'_>) -> Result<OriginRule, Problem> {
    let text = part.text()?.unwrap_or_default();
    text.parse().map_err(|error: epilogue_core::origin::BadOrigin| part.wrong(error.to_string()))
}

fn feature(part: Part<'_>) -> Result<Value, Problem> {
    let mut feature = part.object()?;
    part.member("name", |part| part.name(1, NAME_CHARS_MAX))?;
    let enabled = part.member("enabled", |part| part.flag(false))?;
    feature.insert("enabled".into(), enabled.into());
    Ok(feature.into())
}

/// W6: the answer is the only place where the token itself is ever shown.
async fn make_token(
    State(api): State<Api>,
    Owns(caller): Owns,
    Named(id): Named<String>,
    body: Result<JsonBody<Value>, Problem>,
) -> Result<Response, Problem> {
    let (body, now) = (body?.0, api.engine().now());
    let root = Part::root(&body);
    let name = root.member("name", |part| part.name(1, NAME_CHARS_MAX))?;
    let expires_at = root.member("expiresAt", |part| expiry(part, now))?;
    let bytes = api.engine().ids().bytes::<TOKEN_BYTES>();
    let token = format!("{TOKEN_PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(bytes));
    let about = IntegrationToken {
        id: query::drawn_id(&api),
        name,
        hint: token.chars().take(HINT_CHARS).collect(),
        created_at: now,
        expires_at,
        last_used_at: None,
    };
    let by = Some(caller.key.to_string());
    let new = (about.clone(), auth::hash(&token));
    match api.engine().add_token(&caller.org, &id, new, by).await? {
        AddTokenOutcome::Added => {}
        AddTokenOutcome::NoIntegration => return Err(no_integration()),
        AddTokenOutcome::NameTaken => {
            return Err(Problem::conflict("The integration has a token of that name."));
        }
        AddTokenOutcome::TooMany => {
            let detail = format!("The integration has {TOKENS_MAX} tokens already.");
            return Err(Problem::conflict(detail));
        }
    }
    let mut shown = token_shown(&about);
    shown["token"] = token.into();
    if let Some(members) = shown.as_object_mut() {
        members.remove("lastUsedAt");
    }
    let never_kept = [(header::CACHE_CONTROL, "no-store")];
    Ok((StatusCode::CREATED, never_kept, Json(shown)).into_response())
}

fn expiry(part: Part<'_>, now: Timestamp) -> Result<Option<Timestamp>, Problem> {
    if part.is_empty() {
        return Ok(None);
    }
    let at = part.text()?.as_deref().and_then(Timestamp::parse).filter(|at| *at > now);
    let wrong = || part.wrong("must be a time to come such as 2030-01-31T12:00:00Z, or null");
    at.map(Some).ok_or_else(wrong)
}

/// W7
async fn revoke_token(
    State(api): State<Api>,
    Owns(caller): Owns,
    Named((id, token)): Named<(String, String)>,
) -> Result<Json<Value>, Problem> {
    let by = Some(caller.key.to_string());
    if !api.engine().remove_token(&caller.org, (&id, &token), by).await? {
        return Err(Problem::not_found("token"));
    }
    let found = api.engine().integration(&caller.org, &id).await?;
    Ok(Json(shown(&caller.org, &found.ok_or_else(no_integration)?)))
}

/// W8: what a page may know, for whoever holds a token.
async fn discover(
    State(api): State<Api>,
    headers: HeaderMap,
    RawQuery(raw): RawQuery,
) -> Result<Json<Value>, Problem> {
    let refused = |detail| Problem::new(StatusCode::UNAUTHORIZED, detail);
    let token = query::text(raw.as_deref().unwrap_or_default(), "token");
    let token = token.filter(|token| token.len() <= auth::KEY_BYTES_MAX);
    let token = token.ok_or_else(|| refused("Missing token"))?;
    let origin = headers.get(header::ORIGIN).map(|origin| origin.to_str().unwrap_or_default());
    let admitted = api.engine().admit(&auth::hash(&token), origin).await?;
    match admitted.ok_or_else(|| refused("Invalid token"))? {
        Ok(holder) => Ok(Json(public(&holder.integration))),
        Err(Refusal::Expired) => Err(refused("Invalid token")),
        Err(Refusal::Disabled) => {
            Err(Problem::new(StatusCode::FORBIDDEN, "Web integration is not enabled"))
        }
        Err(Refusal::Origin) => Err(Problem::new(StatusCode::FORBIDDEN, "Origin not allowed")),
    }
}
