//! `GET /v1/chat/sessions/{conversation_id}/messages`

use axum::{
    Json,
    extract::{RawQuery, State},
    response::Response,
};
use epilogue_core::{Message, Role, Session, Timestamp};
use epilogue_engine::llm::tokens;
use url::form_urlencoded;

use super::{
    error::Error,
    holder::Holder,
    limit::limited,
    wire::{History, HistoryMessage, Issue},
};
use crate::{Api, rate::Subject};

/// How many messages a page has unless the client says.
const LIMIT_DEFAULT: i64 = 50;
/// How many it has at the most.
const LIMIT_MAX: i64 = 100;

/// The published way to ask for the end of a history: an offset past it that is not meant as one.
const OFFSET_OF_THE_LAST: i64 = 9_999;

/// Part of what was said, oldest first.
pub(super) async fn history(
    State(api): State<Api>,
    holder: Holder,
    RawQuery(query): RawQuery,
) -> Response {
    let subject = Subject::History(holder.claims.organization_id.clone(), holder.claims.sid);
    let limit = (subject, api.settings().history_per_minute);
    let reading = async {
        let session = holder.live_session(&api).await?;
        page(&api, &session, query.as_deref().unwrap_or_default()).await.map(Json)
    };
    let over = async { holder.live_session(&api).await.map(drop) };
    limited(&api, limit, reading, over).await
}

async fn page(api: &Api, session: &Session, query: &str) -> Result<History, Error> {
    let asked = Asked::read(query)?;
    let skip = asked.skip(session.usage.total_messages);
    let found = api.engine().visible_messages(&session.org, session.id, skip, asked.limit).await?;
    let messages: Vec<_> = found.into_iter().map(shown).collect();
    Ok(History { count: messages.len(), messages })
}

/// Which page the client asks for.
#[derive(Debug, PartialEq, Eq)]
struct Asked {
    limit: u32,
    offset: i64,
}

impl Asked {
    fn read(query: &str) -> Result<Self, Error> {
        let mut issues = Vec::new();
        let limit = number(query, "limit", &mut issues).unwrap_or(LIMIT_DEFAULT);
        let offset = number(query, "offset", &mut issues).unwrap_or(0).max(0);
        if !issues.is_empty() {
            return Err(Error::Invalid(issues));
        }
        let limit = limit.clamp(1, LIMIT_MAX);
        Ok(Self { limit: u32::try_from(limit).unwrap_or(1), offset })
    }

    /// How many messages come before the page, of `total` that there are.
    fn skip(&self, total: u32) -> u32 {
        if self.offset == OFFSET_OF_THE_LAST && self.offset >= i64::from(total) {
            return total.saturating_sub(self.limit);
        }
        u32::try_from(self.offset).unwrap_or(u32::MAX)
    }
}

/// A whole number of the query, the last one if it is there twice. What is too large is as large
/// as can be.
fn number(query: &str, name: &'static str, issues: &mut Vec<Issue>) -> Option<i64> {
    let given = form_urlencoded::parse(query.as_bytes()).filter(|(key, _)| key == name).last()?.1;
    let given = given.trim();
    let digits = given.strip_prefix(['-', '+']).unwrap_or(given);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        let msg = "Input should be a valid integer, unable to parse string as an integer";
        issues.push(Issue::new("int_parsing", ["query", name], msg));
        return None;
    }
    let largest = if given.starts_with('-') { i64::MIN } else { i64::MAX };
    Some(given.parse().unwrap_or(largest))
}

fn shown(message: Message) -> HistoryMessage {
    let Message { turn, body, .. } = message;
    let generated = body.role == Role::Assistant && turn > 0;
    // Counted here where the model's endpoint did not say.
    let count = || body.tokens.unwrap_or_else(|| tokens::count(&body.content));
    HistoryMessage {
        role: body.role.as_str(),
        timestamp: timestamp(body.at),
        token_count: generated.then(count),
        content: body.content,
    }
}

/// `2024-01-15T10:30:00+00:00`
fn timestamp(at: Timestamp) -> String {
    at.to_jiff().strftime("%Y-%m-%dT%H:%M:%S+00:00").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(query: &str) -> (u32, i64) {
        let asked = Asked::read(query).expect("a page");
        (asked.limit, asked.offset)
    }

    #[test]
    fn limits_and_offsets_are_held_to_what_makes_sense() {
        assert_eq!(asked(""), (50, 0));
        assert_eq!(asked("limit=100&offset=7"), (100, 7));
        assert_eq!(asked("limit=101"), (100, 0));
        assert_eq!(asked("limit=0&offset=-1"), (1, 0));
        assert_eq!(asked("limit=-99999999999999999999&limit=3"), (3, 0));
        assert_eq!(asked("offset=99999999999999999999"), (50, i64::MAX));
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for query in ["limit=ten", "limit=", "offset=1.5", "limit=-", "offset=%ff"] {
            assert!(matches!(Asked::read(query), Err(Error::Invalid(_))), "{query}");
        }
        let Err(Error::Invalid(both)) = Asked::read("limit=a&offset=b") else { panic!("refused") };
        assert_eq!(both.len(), 2);
    }

    #[test]
    fn only_the_published_offset_means_the_end() {
        let skip = |offset, total| Asked { limit: 3, offset }.skip(total);
        assert_eq!(skip(9_999, 10), 7);
        assert_eq!(skip(9_999, 2), 0);
        assert_eq!(skip(9_999, 9_999), 9_996);
        assert_eq!(skip(9_999, 10_000), 9_999);
        assert_eq!(skip(9_998, 10), 9_998);
        assert_eq!(skip(10_000, 10), 10_000);
        assert_eq!(skip(i64::MAX, 10), u32::MAX);
    }
}
