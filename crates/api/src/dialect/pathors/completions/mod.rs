//! 2.8: `POST …/chat/completions`
//!
//! A call is one turn of a session. Clients that are told 408, 409, 429 or 5xx call again by
//! themselves, as the official ones of OpenAI do: a turn that is answered so has left no trace.

mod messages;
mod names;
mod plain;
mod reply;
mod request;
mod stream;
mod turn;

use axum::{Router, extract::State, response::Response, routing::post};
use http::HeaderMap;

use self::{request::Asked, turn::Talk};
use super::{
    access::{Member, Operates},
    cors::SESSION_ID,
    error::Error,
    paths,
    wire::Members,
};
use crate::{Api, gone::CallerGone};

pub(super) fn routes() -> Router<Api> {
    paths::COMPLETIONS.to(&post(complete))
}

/// Takes a turn. Whatever comes of it, the answer names the session once that is known.
async fn complete(
    State(api): State<Api>,
    Operates(member): Operates,
    gone: CallerGone,
    headers: HeaderMap,
    body: Result<Members, Error>,
) -> Result<Response, Error> {
    let talk = read(&api, member, gone, &headers, &body?)?;
    let answer =
        if talk.asked.stream { stream::answer(&talk).await } else { plain::answer(&talk).await };
    let mut response = axum::response::IntoResponse::into_response(answer);
    if let Some(name) = names::header(&talk.named.name) {
        response.headers_mut().insert(SESSION_ID, name);
    }
    Ok(response)
}

fn read(
    api: &Api,
    member: Member,
    gone: CallerGone,
    headers: &HeaderMap,
    body: &Members,
) -> Result<Talk, Error> {
    let asked = Asked::read(body)?;
    let key = names::key(headers)?;
    let named = names::session(api, &member.project.id, headers, body, key.as_deref())?;
    let key = key.as_deref().map(names::kept);
    Ok(Talk { api: api.clone(), member, asked, named, key, gone })
}
