//! 2.4: `DELETE …/session`

use axum::{
    Json, Router,
    extract::{RawQuery, State},
    routing::delete,
};
use epilogue_core::{EndReason, EndRequest};
use epilogue_engine::records::SessionName;
use serde::Serialize;
use url::form_urlencoded;

use super::{
    access::Operates,
    error::Error,
    limits::{self, NAME_REQUIRED, is_name},
    paths,
    wire::{AnyMembers, Members},
};
use crate::Api;

pub(super) fn routes() -> Router<Api> {
    paths::SESSIONS.to(&delete(end))
}

/// What is said of every end, whatever it came to.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Ack {
    success: bool,
    session_id: String,
    message: &'static str,
}

/// Ends the live session of a name, if there is one. The answer is the same if there is none. No limit
/// stands against it: the published page knows no answer for one, and an end only ever takes load away.
async fn end(
    State(api): State<Api>,
    Operates(member): Operates,
    RawQuery(query): RawQuery,
    body: Result<AnyMembers, Error>,
) -> Result<Json<Ack>, Error> {
    let name = named(&body?.0, query.as_deref().unwrap_or_default())?;
    let live = SessionName::LiveInProject(member.project.id.clone(), name.clone());
    if let Some(session) = api.engine().find(member.org(), &live).await? {
        let by = Some(member.key.to_string());
        let request = EndRequest { by, ..EndRequest::asked(EndReason::UserEnd) };
        api.engine().end(member.org(), session.id, request).await?;
    }
    Ok(Json(Ack { success: true, session_id: name, message: "Session ended successfully" }))
}

/// The session that is named in the body; or, for there are proxies that take the bodies of such requests
/// away, in the query.
fn named(body: &Members, query: &str) -> Result<String, Error> {
    if !body.lacks("session_id") {
        return limits::name(body);
    }
    let mut given = query.split('&').filter_map(|pair| {
        let (key, name) = form_urlencoded::parse(pair.as_bytes()).next()?;
        (key == "session_id").then(|| name.into_owned()).map(|name| (pair, name))
    });
    let (first, more) = (given.next(), given.next());
    let name = first.filter(|(pair, name)| more.is_none() && is_name(name) && decodes(pair, name));
    name.map(|(_, name)| name).ok_or_else(|| Error::bad(NAME_REQUIRED))
}

/// Whether the bytes that a pair stands for were text: what is none is read as replacement characters
/// that nobody wrote.
fn decodes(pair: &str, name: &str) -> bool {
    let written = pair.to_ascii_uppercase().matches("%EF%BF%BD").count();
    name.matches('\u{fffd}').count() == written
}
