//! 2.5: `POST …/sessions/terminate`

use axum::{Json, Router, extract::State, routing::post};
use epilogue_core::{EndOutcome, EndReason, EndRequest};
use serde::Serialize;

use super::{
    access::Operates,
    enter::live,
    error::Error,
    limits::{self, LAST_WORDS_BYTES_MAX, is_name},
    paths, query,
    wire::Members,
};
use crate::Api;

pub(super) fn routes() -> Router<Api> {
    paths::TERMINATE.to(&post(terminate).merge(query::getting()))
}

/// What was terminated.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Terminated {
    success: bool,
    session_type: &'static str,
}

/// The kind of all sessions: there are no calls here.
const TEXT: &str = "text";

/// What the activity log says of such an end.
const NOTE: &str = "terminated";

/// Ends a session that must be live. What is given as `message` is said last in it.
async fn terminate(
    State(api): State<Api>,
    Operates(member): Operates,
    body: Result<Members, Error>,
) -> Result<Json<Terminated>, Error> {
    let body = body?;
    let name = limits::text(&body, "session_id", usize::MAX)?;
    let phone = limits::text(&body, "phone_number", usize::MAX)?;
    let last_words = limits::text(&body, "message", usize::MAX)?;
    if last_words.as_ref().is_some_and(|words| words.len() > LAST_WORDS_BYTES_MAX) {
        return Err(Error::too_large("message", LAST_WORDS_BYTES_MAX));
    }
    if name.is_none() && phone.is_none() {
        return Err(Error::bad("session_id or phone_number is required"));
    }
    // No session of this server is a call.
    let name = name.filter(|name| is_name(name)).ok_or_else(Error::no_session)?;
    let session = live(&api, &member, &name).await?.ok_or_else(Error::no_session)?;
    let by = Some(member.key.to_string());
    let asked = EndRequest::asked(EndReason::UserEnd);
    let request = EndRequest { note: Some(NOTE.to_owned()), by, last_words, ..asked };
    let receipt = api.engine().end(member.org(), session.id, request).await?;
    match receipt.map(|receipt| receipt.outcome) {
        Some(EndOutcome::EndedNow(_)) => Ok(Json(Terminated { success: true, session_type: TEXT })),
        // Somebody or something else was faster: there was nothing to terminate any more.
        _ => Err(Error::no_session()),
    }
}
