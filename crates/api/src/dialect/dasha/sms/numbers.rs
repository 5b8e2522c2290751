//! P2: `PUT /api/v1/sip-phone-numbers/{id}/agent-link`, and how numbers come to be, which the
//! vendor does not publish: `POST` and `GET /api/v1/sip-phone-numbers`.

use axum::{
    Json,
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use epilogue_core::{AgentId, OrgId, texting::PhoneNumber};
use epilogue_engine::records::{AddNumberOutcome, NUMBERS_MAX};
use http::StatusCode;
use serde_json::{Value, json};

use super::super::{
    access::{Owns, Reads},
    agents::read::Part,
    error::Problem,
    limits, query,
    wire::{JsonBody, time},
};
use crate::Api;

/// The longest name, in characters.
const NAME_CHARS_MAX: usize = 100;
/// The longest description, in characters.
const DESCRIPTION_CHARS_MAX: usize = 500;
/// How many digits a number has: short codes at the least, E.164 at the most.
const DIGITS: std::ops::RangeInclusive<usize> = 3..=15;

/// Adds a number to an account.
pub(super) async fn add(
    State(api): State<Api>,
    Owns(caller): Owns,
    body: Result<JsonBody<Value>, Problem>,
) -> Result<Response, Problem> {
    let body = body?.0;
    let part = Part::root(&body);
    part.object()?;
    let number = part.member("phoneNumber", phone_number)?;
    let carrier = part.member("providerId", |part| part.name(1, 256))?;
    let text = |name: &str, max| {
        part.member(name, |part| {
            let text = part.text()?;
            limits::chars(&part.path(), text.as_deref().unwrap_or_default(), max)?;
            Ok(text)
        })
    };
    let display = text("displayName", NAME_CHARS_MAX)?;
    let description = text("description", DESCRIPTION_CHARS_MAX)?;
    let now = api.engine().now();
    let number = PhoneNumber {
        id: query::drawn_id(&api),
        carrier,
        number,
        agent: None,
        document: json!({ "displayName": display, "description": description }),
        created_at: now,
        updated_at: now,
    };
    let by = Some(caller.key.to_string());
    match api.engine().add_number(&caller.org, number.clone(), by).await? {
        AddNumberOutcome::Added => {
            let body = Json(shown(&caller.org, &number));
            Ok((StatusCode::CREATED, body).into_response())
        }
        AddNumberOutcome::NoCarrier => {
            Err(Problem::field("providerId", "names no provider of this organization"))
        }
        AddNumberOutcome::Taken => Err(Problem::conflict("The organization has this number.")),
        AddNumberOutcome::TooMany => {
            let detail = format!("The organization has {NUMBERS_MAX} numbers already.");
            Err(Problem::conflict(detail))
        }
    }
}

/// As carriers write it: E.164, or a short code.
fn phone_number(part: Part<'_>) -> Result<String, Problem> {
    let text = part.text()?.unwrap_or_default();
    let digits = text.strip_prefix('+').unwrap_or(&text);
    if DIGITS.contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(text);
    }
    Err(part.wrong("must be a number such as +14155550100, or a short code"))
}

/// Every number.
pub(super) async fn list(State(api): State<Api>, who: Reads) -> Result<Json<Vec<Value>>, Problem> {
    let numbers = api.engine().numbers(who.org()).await?;
    Ok(Json(numbers.iter().map(|number| shown(who.org(), number)).collect()))
}

/// Has an agent answer a number, in place of whoever did; null: nobody.
pub(super) async fn link(
    State(api): State<Api>,
    Owns(caller): Owns,
    Path(id): Path<String>,
    body: Result<JsonBody<Value>, Problem>,
) -> Result<Json<Value>, Problem> {
    let body = body?.0;
    let part = Part::root(&body);
    if !part.object()?.contains_key("agentId") {
        return Err(Problem::field("agentId", "is required; null links nobody"));
    }
    part.member("mode", mode)?;
    let agent = part.member("agentId", |part| {
        let id = if part.is_empty() { None } else { Some(part.name(1, 256)?) };
        Ok(id.map(AgentId::from))
    })?;
    if let Some(agent) = &agent
        && api.engine().agent(&caller.org, agent).await?.is_none()
    {
        return Err(Problem::field("agentId", "names no agent of this organization"));
    }
    let by = Some(caller.key.to_string());
    let number = api.engine().link_number(&caller.org, &id, agent, by).await?;
    let number = number.ok_or_else(|| Problem::not_found("phone number"))?;
    Ok(Json(shown(&caller.org, &number)))
}

fn mode(part: Part<'_>) -> Result<(), Problem> {
    match part.text()?.as_deref() {
        None | Some("inbound") => Ok(()),
        Some("replaceOutbound") => Err(Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "This server makes no outbound calls: send `inbound`.",
        )
        .and("mode", "replaceOutbound is not supported")),
        Some(_) => Err(part.wrong("must be inbound or replaceOutbound")),
    }
}

fn shown(org: &OrgId, number: &PhoneNumber) -> Value {
    json!({
        "id": number.id,
        "orgId": org,
        "phoneNumber": number.number,
        "credentialsId": null,
        "createdTime": time(number.created_at),
        "lastUpdateTime": time(number.updated_at),
        "registrationStatus": null,
        "registration": null,
        "displayName": number.document["displayName"],
        "description": number.document["description"],
        "providerId": number.carrier,
        "incomingCallsAgentId": number.agent,
    })
}
