//! 2.11: subscriptions to a project's events.

use std::collections::HashMap;

use axum::{
    Json, Router,
    extract::{Path, State},
    response::{IntoResponse as _, Response},
    routing::{delete, get, post},
};
use epilogue_core::{Subscription, SubscriptionId, subscription::SUBSCRIPTIONS_MAX};
use epilogue_engine::records::SubscribeOutcome;
use http::StatusCode;
use serde::Serialize;
use serde_json::{Value, json};
use url::Url;

use super::{
    access::{Owns, Reads},
    agent::hook::masked,
    error::Error,
    paths,
    payload::SUBSCRIBED,
    wire::{Members, time},
};
use crate::Api;

/// The longest URL of a receiver, in bytes.
pub const URL_BYTES_MAX: usize = 2_048;

pub(super) fn routes() -> Router<Api> {
    Router::new()
        .merge(paths::WEBHOOKS.to(&get(list).post(subscribe)))
        .merge(paths::WEBHOOKS_CHECK.to(&post(check)))
        .merge(paths::WEBHOOK.to(&delete(unsubscribe)))
}

/// A subscription as it is shown.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct View {
    id: String,
    url: String,
    events: Vec<String>,
    created_at: String,
}

impl View {
    fn of(subscription: Subscription) -> Self {
        Self {
            id: subscription.id.to_string(),
            url: masked(&subscription.url),
            events: subscription.events,
            created_at: time(subscription.created_at),
        }
    }
}

/// Whether a URL is subscribed.
#[derive(Debug, Serialize)]
struct Checked {
    exists: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
}

/// The address that a text names, where webhooks may go: the public internet, by `https`.
pub(super) fn receiver(api: &Api, text: &str) -> Result<Url, String> {
    if text.len() > URL_BYTES_MAX {
        return Err(format!("must have at most {URL_BYTES_MAX} bytes"));
    }
    let url = Url::parse(text).map_err(|_| "must be an absolute URL".to_owned())?;
    match api.engine().check_webhook(&url) {
        Ok(()) => Ok(url),
        Err(_) if url.scheme() == "https" => Err("must be on the public internet".to_owned()),
        Err(_) => Err("must be an https URL".to_owned()),
    }
}

/// The URL that a body names.
fn named(body: &Members) -> Result<&str, Error> {
    let url = body.get("url").and_then(Value::as_str).filter(|url| !url.trim().is_empty());
    url.ok_or_else(|| Error::bad("url is required"))
}

/// The events that a body names, each once.
fn events(body: &Members) -> Result<Vec<String>, Error> {
    let wrong = || {
        let details = json!({ "field": "events", "allowed": SUBSCRIBED });
        Error::bad("events must name at least one event of this API").with_details(details)
    };
    let given = body.get("events").and_then(Value::as_array).ok_or_else(wrong)?;
    let mut events: Vec<String> = Vec::new();
    for event in given {
        let known = event.as_str().and_then(|name| SUBSCRIBED.into_iter().find(|e| *e == name));
        let event = known.ok_or_else(wrong)?;
        if events.iter().all(|other| other != event) {
            events.push(event.to_owned());
        }
    }
    if events.is_empty() { Err(wrong()) } else { Ok(events) }
}

/// Whether a URL is subscribed, to whatever events.
async fn check(
    State(api): State<Api>,
    Reads(member): Reads,
    body: Result<Members, Error>,
) -> Result<Json<Checked>, Error> {
    let body = body?;
    let found = match Url::parse(named(&body)?) {
        Ok(url) => api.engine().subscription_at(member.org(), &member.project.id, &url).await?,
        // What is no URL is subscribed nowhere.
        Err(_) => None,
    };
    let id = found.map(|subscription| subscription.id.to_string());
    Ok(Json(Checked { exists: id.is_some(), id }))
}

/// Subscribes. The same wish again finds the subscription that is there.
async fn subscribe(
    State(api): State<Api>,
    Owns(member): Owns,
    body: Result<Members, Error>,
) -> Result<Response, Error> {
    let body = body?;
    let url = receiver(&api, named(&body)?).map_err(|wrong| {
        Error::bad(format!("url {wrong}")).with_details(json!({ "field": "url" }))
    })?;
    let events = events(&body)?;
    let place = (member.org(), &member.project.id);
    let by = Some(member.key.to_string());
    let (made, outcome) = api.engine().subscribe(place, (url, events), by).await?;
    match outcome {
        SubscribeOutcome::Subscribed => {
            Ok((StatusCode::CREATED, Json(View::of(made))).into_response())
        }
        SubscribeOutcome::Known(known) => Ok(Json(View::of(known)).into_response()),
        SubscribeOutcome::OtherEvents(known) => {
            let details = json!({ "id": known.id.to_string(), "events": known.events });
            let message = "This URL is subscribed to other events: delete that subscription first";
            Err(Error::new(StatusCode::CONFLICT, message).with_details(details))
        }
        SubscribeOutcome::TooMany => {
            let message = format!("A project has at most {SUBSCRIPTIONS_MAX} subscriptions");
            Err(Error::new(StatusCode::CONFLICT, message))
        }
    }
}

/// All subscriptions, the oldest first.
async fn list(State(api): State<Api>, Reads(member): Reads) -> Result<Json<Value>, Error> {
    let found = api.engine().subscriptions(member.org(), &member.project.id).await?;
    let views: Vec<_> = found.into_iter().map(View::of).collect();
    Ok(Json(json!({ "data": views })))
}

/// Ends a subscription. What is on its way to its receiver is not sent any more.
async fn unsubscribe(
    State(api): State<Api>,
    Owns(member): Owns,
    Path(parts): Path<HashMap<String, String>>,
) -> Result<Json<Value>, Error> {
    let unknown = || Error::new(StatusCode::NOT_FOUND, "Webhook not found");
    let id = parts.get("id").and_then(|id| id.parse::<SubscriptionId>().ok());
    let (id, by) = (id.ok_or_else(unknown)?, Some(member.key.to_string()));
    let gone = api.engine().unsubscribe(member.org(), &member.project.id, id, by).await?;
    if gone { Ok(Json(json!({ "success": true }))) } else { Err(unknown()) }
}
