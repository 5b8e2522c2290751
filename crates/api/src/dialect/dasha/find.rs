//! The session that a path names, and how often it may be asked.

use axum::extract::{FromRequestParts, Path};
use epilogue_core::{OrgId, Session, SessionId};
use epilogue_engine::records::SessionName;
use http::request::Parts;

use super::{NAME, error::Problem};
use crate::{
    Api,
    rate::{Subject, Verdict},
};

/// The id in a path. What is no id names no session.
#[derive(Clone, Copy, Debug)]
pub(super) struct ChatId(pub SessionId);

impl<S: Send + Sync> FromRequestParts<S> for ChatId {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        let id = path.ok().and_then(|Path(id)| id.parse().ok());
        id.map(Self).ok_or_else(|| Problem::not_found("chat session"))
    }
}

/// The chat session with this id. Sessions of other APIs, and those of the stateless turn, which have
/// no channel, are none.
pub(super) async fn chat(api: &Api, org: &OrgId, ChatId(id): ChatId) -> Result<Session, Problem> {
    let found = api.engine().find(org, &SessionName::Id(id)).await?;
    let is_chat = |session: &Session| session.dialect.as_str() == NAME && session.channel.is_some();
    found.filter(is_chat).ok_or_else(|| Problem::not_found("chat session"))
}

/// Counts a request against a limit. A problem: it is one too many.
pub(super) fn within_limit(api: &Api, subject: &Subject, per_minute: u32) -> Result<(), Problem> {
    match api.limiter().count(subject, per_minute, api.engine().now()) {
        Some(rate) if rate.verdict == Verdict::Past => Err(Problem::rate_limited(rate)),
        _ => Ok(()),
    }
}
