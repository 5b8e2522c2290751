//! Webhooks as this API writes them: `{url, headers, customSettings}`.

use std::collections::BTreeMap;

use epilogue_core::agent::{BodyFormat, BodyTemplate, HookMethod, SecretRef, WebhookSpec};
use epilogue_engine::webhook::may_set_header;

use super::{super::error::Problem, read::Part};

/// How many headers or query parameters a webhook may have.
pub const PAIRS_MAX: usize = 64;
/// The longest template of a body, in characters.
pub const TEMPLATE_CHARS_MAX: usize = 64 * 1024;

/// Reads a webhook. `None`: there is none, or it has no address.
pub(in super::super) fn optional(part: Part<'_>) -> Result<Option<WebhookSpec>, Problem> {
    if part.is_empty() || part.member("url", |url| Ok(url.is_empty()))? {
        // What else it says must still make sense.
        part.object()?;
        return Ok(None);
    }
    required(part).map(Some)
}

/// Reads a webhook that must be there.
pub(in super::super) fn required(part: Part<'_>) -> Result<WebhookSpec, Problem> {
    part.object()?;
    let mut webhook = WebhookSpec::at(part.member("url", |url| url.url())?);
    webhook.headers = part.member("headers", headers)?;
    part.member("customSettings", |settings| customize(settings, &mut webhook))?;
    Ok(webhook)
}

/// Reads headers. Their values are secrets, and are what they are: they name nothing on this server.
pub(super) fn headers(part: Part<'_>) -> Result<BTreeMap<String, SecretRef>, Problem> {
    let headers = pairs(part)?;
    if let Some(name) = headers.keys().find(|name| !may_set_header(name)) {
        return Err(part.wrong(format!("`{name}` is not a header that can be set")));
    }
    let line_break = |value: &String| value.chars().any(|c| c.is_control() && c != '\t');
    if let Some((name, _)) = headers.iter().find(|(_, value)| line_break(value)) {
        return Err(part.wrong(format!("`{name}` has characters that no header can carry")));
    }
    Ok(headers.into_iter().map(|(name, value)| (name, SecretRef::literal(&value))).collect())
}

fn pairs(part: Part<'_>) -> Result<BTreeMap<String, String>, Problem> {
    let pairs = part.texts()?;
    if pairs.len() > PAIRS_MAX {
        return Err(part.wrong(format!("must have at most {PAIRS_MAX} members")));
    }
    Ok(pairs)
}

fn customize(settings: Part<'_>, webhook: &mut WebhookSpec) -> Result<(), Problem> {
    settings.object()?;
    webhook.method = settings.member("httpMethod", |part| match part.text()? {
        None => Ok(HookMethod::Post),
        Some(word) => HookMethod::parse(word.trim())
            .ok_or_else(|| part.wrong("must be GET, POST, PUT, PATCH or DELETE")),
    })?;
    webhook.query = settings.member("queryParams", pairs)?;
    webhook.body = settings.member("bodyFormat", body)?;
    Ok(())
}

/// A template of a body. `None`: the event's own words are sent.
fn body(part: Part<'_>) -> Result<Option<BodyTemplate>, Problem> {
    part.object()?;
    let template = part.member("template", |part| {
        let template = part.text()?.filter(|template| !template.trim().is_empty());
        if template.as_ref().is_some_and(|text| text.chars().count() > TEMPLATE_CHARS_MAX) {
            return Err(part.wrong(format!("must have at most {TEMPLATE_CHARS_MAX} characters")));
        }
        Ok(template)
    })?;
    let format = part.member("type", |part| {
        let word = part.text()?.unwrap_or_default().to_ascii_lowercase();
        match word.as_str() {
            "" | "default" | "json" | "custom" | "template" => Ok(BodyFormat::Json),
            "text" | "plain" | "plaintext" => Ok(BodyFormat::Text),
            "xml" => Ok(BodyFormat::Xml),
            "form" | "formurlencoded" | "urlencoded" => Ok(BodyFormat::Form),
            _ => Err(part.wrong("must be json, text, xml or form")),
        }
    })?;
    Ok(template.map(|template| BodyTemplate { format, template }))
}
