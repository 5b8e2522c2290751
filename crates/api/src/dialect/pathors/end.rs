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
    access::{Member, Operates},
    error::Error,
    limits::{self, NAME_REQUIRED, is_name},
    paths,
    wire::Members,
};
use crate::{Api, auth, rate::Subject};

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

/// Ends the live session of a name, if there is one. The answer is the same if there is none.
async fn end(
    State(api): State<Api>,
    Operates(member): Operates,
    RawQuery(query): RawQuery,
    body: Result<Members, Error>,
) -> Result<Json<Ack>, Error> {
    let name = named(&body?, query.as_deref().unwrap_or_default())?;
    within_limit(&api, &member, &name)?;
    let live = SessionName::LiveInProject(member.project.id.clone(), name.clone());
    if let Some(session) = api.engine().find(member.org(), &live).await? {
        let by = Some(member.key.to_string());
        let request = EndRequest { by, ..EndRequest::asked(EndReason::UserEnd) };
        api.engine().end(member.org(), session.id, request).await?;
    }
    Ok(Json(Ack { success: true, session_id: name, message: "Session ended successfully" }))
}

/// Counts an end against its session's limit: under the name, whether or not there is such a session.
pub(super) fn within_limit(api: &Api, member: &Member, name: &str) -> Result<(), Error> {
    let project = member.project.id.clone();
    let subject = Subject::EndsByName(member.org().clone(), project, auth::hash(name));
    limits::within(api, &subject, api.settings().ends_per_minute)
}

/// The session that is named in the body; or, for there are proxies that take the bodies of such requests
/// away, in the query.
fn named(body: &Members, query: &str) -> Result<String, Error> {
    if !body.lacks("session_id") {
        return limits::name(body);
    }
    let given = form_urlencoded::parse(query.as_bytes()).filter(|(key, _)| key == "session_id");
    let name = given.last().map(|(_, name)| name.into_owned()).filter(|name| is_name(name));
    name.ok_or_else(|| Error::bad(NAME_REQUIRED))
}
