//! `postSessionWebhook`: where a project's events go, and what is sent along. The values of its headers
//! are secrets: they are kept where they are used, and a mask stands for them wherever they are shown.

use std::collections::BTreeMap;

use epilogue_core::{
    Agent,
    agent::{SecretRef, WebhookSpec},
    overlay::Hook,
};
use epilogue_engine::webhook::may_set_header;
use http::{HeaderValue, header::CONTENT_TYPE};
use serde_json::{Map, Value};
use url::Url;

use super::{
    Parts,
    part::{Part, given},
};
use crate::{
    Api,
    dialect::pathors::{error::Error, payload::EVENTS, webhooks::receiver},
};

/// What stands in the place of a header's value. Sent back, it stands for the value that is kept.
pub(super) const MASK: &str = "********";
/// How many headers may be sent along.
pub const HEADERS_MAX: usize = 20;
/// The longest value of one, in bytes.
pub const VALUE_BYTES_MAX: usize = 4_096;

/// Reads a webhook. `parts` is what the project has so far.
pub(super) fn webhook(api: &Api, part: &Part<'_>, parts: &Parts) -> Result<Hook, Error> {
    let members = part.members()?;
    let null = Value::Null;
    let at = Part::new("postSessionWebhook.url", members.get("url").unwrap_or(&null));
    let text = at.text(1, usize::MAX).map_err(|_| at.wrong("must be an https URL"))?;
    let url = receiver(api, text).map_err(|wrong| at.wrong(wrong))?;
    let now = parts.overlay().over(&parts.configured, &"".into());
    let known = known(&now, &url);
    let headers = match given(members, "headers") {
        None => BTreeMap::new(),
        Some(value) => headers(&Part::new("postSessionWebhook.headers", value), known)?,
    };
    let events = match given(members, "events") {
        None => None,
        Some(value) => Some(events(&Part::new("postSessionWebhook.events", value))?),
    };
    Ok(Hook { url, headers, events })
}

/// The webhook whose secrets a mask may stand for: the one that is there, as long as it leads to the
/// same place. Nobody is to learn a secret by having it sent elsewhere.
fn known<'a>(agent: &'a Agent, url: &Url) -> Option<&'a WebhookSpec> {
    agent.webhook.as_ref().filter(|webhook| webhook.url.origin() == url.origin())
}

fn headers(
    part: &Part<'_>,
    known: Option<&WebhookSpec>,
) -> Result<BTreeMap<String, SecretRef>, Error> {
    let mut headers: BTreeMap<String, SecretRef> = BTreeMap::new();
    for item in part.items(HEADERS_MAX)? {
        let pair = item.as_object().and_then(|pair| {
            Some((pair.get("key")?.as_str()?.trim(), pair.get("value")?.as_str()?))
        });
        let (name, value) = pair.ok_or_else(|| part.wrong("must pair a key with a value each"))?;
        if !may_set_header(name) || name.eq_ignore_ascii_case(CONTENT_TYPE.as_str()) {
            return Err(part.wrong(format!("cannot set `{}`", name.escape_debug())));
        }
        if headers.keys().any(|other| other.eq_ignore_ascii_case(name)) {
            return Err(part.wrong(format!("has `{name}` twice")));
        }
        let secret = if value == MASK {
            let pairs = known.into_iter().flat_map(|webhook| &webhook.headers);
            let kept = pairs.into_iter().find(|(other, _)| other.eq_ignore_ascii_case(name));
            let kept = kept.map(|(_, secret)| secret.clone());
            kept.ok_or_else(|| part.wrong(format!("must say the value of `{name}` again")))?
        } else {
            if value.len() > VALUE_BYTES_MAX || HeaderValue::from_str(value).is_err() {
                let what = format!(
                    "must give `{name}` a value of at most {VALUE_BYTES_MAX} bytes that can be sent"
                );
                return Err(part.wrong(what));
            }
            SecretRef::literal(value)
        };
        headers.insert(name.to_owned(), secret);
    }
    Ok(headers)
}

fn events(part: &Part<'_>) -> Result<Vec<String>, Error> {
    let mut events: Vec<String> = Vec::new();
    for item in part.items(EVENTS.len() * 2)? {
        let event = Part::new("postSessionWebhook.events", item).word(&EVENTS)?;
        if events.iter().all(|other| other != event) {
            events.push(event.to_owned());
        }
    }
    Ok(events)
}

/// Puts the mask in the place of every header's value.
pub(super) fn hide(webhook: &mut Value) {
    let headers = webhook.get_mut("headers").and_then(Value::as_array_mut);
    for pair in headers.into_iter().flatten() {
        if let Some(value) = pair.get_mut("value") {
            *value = Value::from(MASK);
        }
    }
}

/// A configured webhook in the words of this API.
pub(super) fn shown(webhook: &WebhookSpec, default: &[&str]) -> Value {
    let mut url = webhook.url.clone();
    if url.password().is_some() {
        // It fails only for addresses that cannot have a password.
        let _ = url.set_password(Some(MASK));
    }
    let headers = webhook.headers.keys().map(|key| {
        let pair = [("key", key.as_str()), ("value", MASK)];
        Value::Object(pair.map(|(name, text)| (name.to_owned(), text.into())).into_iter().collect())
    });
    let events = webhook.events.clone();
    let events = events.unwrap_or_else(|| default.iter().map(ToString::to_string).collect());
    let mut shown = Map::new();
    shown.insert("url".to_owned(), url.as_str().into());
    shown.insert("headers".to_owned(), headers.collect());
    shown.insert("events".to_owned(), events.into());
    Value::Object(shown)
}
