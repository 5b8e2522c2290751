//! `postSessionWebhook`: where a project's events go, and what is sent along. The values of its headers
//! are secrets: they are kept where they are used, and a mask stands for them wherever they are shown.

use std::collections::BTreeMap;

use epilogue_core::{
    agent::{SecretRef, WebhookSpec},
    overlay::{Change, Hook},
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
    let now = parts.overlay().over(&parts.configured, &"".into()).webhook;
    let url = match now.as_ref().filter(|_| is_shown(text, parts)) {
        // What was shown comes back: it is the address that is there.
        Some(now) => now.url.clone(),
        None => receiver(api, text).map_err(|wrong| at.wrong(wrong))?,
    };
    if url.password() == Some(MASK) {
        return Err(at.wrong("must say its password again"));
    }
    // A mask stands for a secret of the webhook that is there, and of no other: nobody is to learn one by
    // having it sent elsewhere, be it on the same host.
    let known = now.as_ref().filter(|now| now.url == url);
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

/// Whether this is how the address of the webhook that is there is shown.
fn is_shown(text: &str, parts: &Parts) -> bool {
    match parts.overlay().webhook {
        Change::Kept => {
            parts.configured.webhook.as_ref().is_some_and(|webhook| operators(&webhook.url) == text)
        }
        Change::Off => false,
        Change::To(_) => parts
            .document()
            .get("postSessionWebhook")
            .is_some_and(|webhook| webhook.get("url").and_then(Value::as_str) == Some(text)),
    }
}

/// The address of the operator's webhook as it is shown: its host alone, for the rest is where services
/// of webhooks put their tokens.
fn operators(url: &Url) -> String {
    format!("{}/{MASK}", url.origin().ascii_serialization())
}

/// An address without the password that may stand in it.
pub(in super::super) fn masked(url: &Url) -> String {
    let mut url = url.clone();
    if url.password().is_some() {
        // It fails only for addresses that cannot have a password.
        let _ = url.set_password(Some(MASK));
    }
    url.into()
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

/// Puts the mask in the place of every header's value, and of the address's password.
pub(super) fn hide(webhook: &mut Value, url: &Url, parts: &Parts) {
    if let Some(shown) = webhook.get_mut("url")
        && !shown.as_str().is_some_and(|text| is_shown(text, parts))
    {
        *shown = masked(url).into();
    }
    let headers = webhook.get_mut("headers").and_then(Value::as_array_mut);
    for pair in headers.into_iter().flatten() {
        if let Some(value) = pair.get_mut("value") {
            *value = Value::from(MASK);
        }
    }
}

/// A configured webhook in the words of this API.
pub(super) fn shown(webhook: &WebhookSpec, default: &[&str]) -> Value {
    let headers = webhook.headers.keys().map(|key| {
        let pair = [("key", key.as_str()), ("value", MASK)];
        Value::Object(pair.map(|(name, text)| (name.to_owned(), text.into())).into_iter().collect())
    });
    let events = webhook.events.clone();
    let events = events.unwrap_or_else(|| default.iter().map(ToString::to_string).collect());
    let mut shown = Map::new();
    shown.insert("url".to_owned(), operators(&webhook.url).into());
    shown.insert("headers".to_owned(), headers.collect());
    shown.insert("events".to_owned(), events.into());
    Value::Object(shown)
}
