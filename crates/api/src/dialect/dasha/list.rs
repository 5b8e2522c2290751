//! C2: `GET /api/v1/chats`

use axum::{
    Json,
    extract::{RawQuery, State},
};
use epilogue_core::Timestamp;
use epilogue_engine::records::{RecentFilter, SKIP_MAX};
use serde::Serialize;

use super::{
    NAME,
    access::Reads,
    error::Problem,
    limits::{self, Room},
    query,
    view::ChatSession,
};
use crate::Api;

/// How many sessions a page has unless the client says.
pub const TAKE_DEFAULT: u32 = 20;
/// How many it has at the most; who asks for more is given these.
pub const TAKE_MAX: u32 = 200;

/// A page of sessions.
#[derive(Debug, Serialize)]
pub(super) struct ChatPage {
    items: Vec<ChatSession>,
    total_count: u64,
    skip: u32,
    take: u32,
}

/// Which sessions, and which page of them.
#[derive(Debug, PartialEq, Eq)]
struct Asked {
    filter: RecentFilter,
    skip: u32,
    take: u32,
}

/// Lists sessions, the latest active first, each with its whole transcript, as many as an answer may
/// hold.
pub(super) async fn list(
    State(api): State<Api>,
    who: Reads,
    RawQuery(query): RawQuery,
) -> Result<Json<ChatPage>, Problem> {
    let Asked { filter, skip, mut take } = Asked::read(query.as_deref().unwrap_or_default())?;
    let found = api.engine().recent_sessions(who.org(), &filter, skip, take).await?;
    let mut items = Vec::with_capacity(found.sessions.len());
    let mut room = Room::whole();
    for session in &found.sessions {
        let found = api.engine().conversation(who.org(), session.id).await?;
        let Some((session, transcript)) = found else { continue };
        if !room.takes(limits::bytes_of(&transcript)) {
            // The page ends here, and says so: the next one begins with this session.
            take = u32::try_from(items.len()).unwrap_or(take);
            break;
        }
        items.push(ChatSession::of(&session, &transcript));
    }
    Ok(Json(ChatPage { items, total_count: found.total, skip, take }))
}

impl Asked {
    fn read(query: &str) -> Result<Self, Problem> {
        let last = |name: &str| query::text(query, name);
        let active = match last("state").as_deref() {
            None | Some("active") => Some(true),
            Some("final") => Some(false),
            Some("all") => None,
            Some(_) => return Err(Problem::field("state", "must be active, final or all")),
        };
        let after = last("updated_after");
        let active_after = after.as_deref().map(time).transpose()?;
        let take = query::number(query, "take")?.unwrap_or(TAKE_DEFAULT);
        if take == 0 {
            return Err(Problem::field("take", format!("must be from 1 to {TAKE_MAX}")));
        }
        let filter = RecentFilter {
            dialect: NAME.into(),
            channel: last("channel"),
            agent: last("agent_id").map(Into::into),
            active,
            active_after,
        };
        let skip = query::number(query, "skip")?.unwrap_or(0);
        if skip > SKIP_MAX {
            return Err(Problem::field("skip", format!("must be at most {SKIP_MAX}")));
        }
        Ok(Self { filter, skip, take: take.min(TAKE_MAX) })
    }
}

fn time(text: &str) -> Result<Timestamp, Problem> {
    let wrong = || Problem::field("updated_after", "must be a time such as 2026-01-31T12:00:00Z");
    // A plus sign that nobody has escaped arrives as a space.
    Timestamp::parse(&text.trim().replace(' ', "+")).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_has_its_defaults_and_its_bounds() {
        let page = |query: &str| Asked::read(query).map(|asked| (asked.skip, asked.take)).ok();
        assert_eq!(page(""), Some((0, TAKE_DEFAULT)));
        assert_eq!(page("take=200&skip=7"), Some((7, TAKE_MAX)));
        assert_eq!(page("take=201"), Some((0, TAKE_MAX)));
        assert_eq!(page("take=2147483647"), Some((0, TAKE_MAX)));
        for wrong in ["take=0", "take=-1", "skip=-1", "skip=x", "take=2147483648", "skip=1.5"] {
            assert_eq!(page(wrong), None, "{wrong}");
        }
        assert!(Asked::read("state=Active").is_err() && Asked::read("updated_after=now").is_err());
        let active = |query: &str| Asked::read(query).ok().map(|asked| asked.filter.active);
        assert_eq!(active(""), Some(Some(true)));
        assert_eq!(active("state=final"), Some(Some(false)));
        assert_eq!(active("state=all"), Some(None));
        let after = |query: &str| Asked::read(query).ok().and_then(|a| a.filter.active_after);
        let at = Timestamp::parse("2026-01-31T11:00:00Z");
        assert_eq!(after("updated_after=2026-01-31T12:00:00+01:00"), at);
        assert_eq!(after("updated_after=2026-01-31T11:00:00Z"), at);
    }
}
