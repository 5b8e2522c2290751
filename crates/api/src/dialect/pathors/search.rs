//! 2.6: `POST …/session/search`

use std::{cmp::Reverse, collections::BTreeSet};

use axum::{
    Json, Router,
    extract::State,
    response::{IntoResponse, Response},
    routing::post,
};
use epilogue_core::{Message, Session, SessionId, Span, Timestamp};
use epilogue_engine::{
    clock::within,
    records::{LiveBounds, SKIP_MAX},
};
use serde::Serialize;
use serde_json::{Value, value::RawValue};

use super::{
    access::{Member, Reads},
    error::Error,
    paths, query, view,
    wire::Members,
};
use crate::{Api, CallerGone};

/// How many sessions a page has unless the client says.
pub const LIMIT_DEFAULT: u32 = 50;
/// How many it has at the most; who asks for more is given these.
pub const LIMIT_MAX: u32 = 100;
/// How much of transcripts one answer may hold, in bytes. The page ends there, and says so.
pub const ANSWER_BYTES_MAX: usize = 32 * 1024 * 1024;
/// How much is read at a time.
pub const PART: LiveBounds = LiveBounds { sessions_max: 64, bytes_max: 1024 * 1024 };
/// How many sessions of a project are looked at.
pub const SESSIONS_SEARCHED_MAX: usize = 1_000_000;
/// How long a search waits for those before it.
pub const SEARCH_WAIT: Span = Span::from_secs(10);

pub(super) fn routes() -> Router<Api> {
    paths::SEARCH.to(&post(search).merge(query::getting()))
}

/// What is looked for, and which part of what is found is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Asked {
    text: String,
    limit: u32,
    offset: u32,
}

/// Where a found session stands among the others: the latest active first, those of one moment by name.
type Place = (Reverse<Timestamp>, String, SessionId);

/// What is found.
#[derive(Debug, Serialize)]
struct Results {
    results: Vec<Box<RawValue>>,
    pagination: Pagination,
}

#[derive(Debug, Serialize)]
struct Pagination {
    limit: u32,
    offset: u32,
    total: usize,
}

/// Finds the live sessions of a project whose data, written as JSON, has a text in it.
async fn search(
    State(api): State<Api>,
    Reads(member): Reads,
    gone: CallerGone,
    body: Result<Members, Error>,
) -> Result<Response, Error> {
    let asked = Asked::read(&body?)?;
    let searching = async {
        let place = api.searches().take(member.org());
        let place = within(&**api.engine().clock(), SEARCH_WAIT, place).await;
        let _place = place.flatten().ok_or_else(|| Error::busy("Too many searches are running"))?;
        let found = scan(&api, &member, &asked, SESSIONS_SEARCHED_MAX).await?;
        shown(&api, &member, &asked, found).await
    };
    match gone.unless(searching).await {
        Some(results) => Ok(Json(results?).into_response()),
        // Nobody is there to hear it.
        None => Err(Error::busy("The caller is gone")),
    }
}

impl Asked {
    fn read(body: &Members) -> Result<Self, Error> {
        let text =
            body.get("search_string").and_then(Value::as_str).filter(|text| !text.is_empty());
        let text = text.ok_or_else(|| Error::bad("search_string is required"))?.to_owned();
        let limit = number(body, "limit")?.unwrap_or(LIMIT_DEFAULT).min(LIMIT_MAX);
        let offset = number(body, "offset")?.unwrap_or(0);
        if offset > SKIP_MAX {
            return Err(Error::bad(format!("offset must be at most {SKIP_MAX}")));
        }
        Ok(Self { text, limit, offset })
    }

    /// How many of the first that are found are of interest.
    fn depth(&self) -> usize {
        (self.offset + self.limit) as usize
    }
}

/// A whole number that is not negative; one that is larger than any that counts is the largest.
fn number(body: &Members, name: &str) -> Result<Option<u32>, Error> {
    let Some(given) = body.get(name) else { return Ok(None) };
    // JSON has one kind of number: 50.0 is as whole as 50.
    let whole = given.as_f64().filter(|number| *number >= 0.0 && number.fract() == 0.0);
    let wrong = || Error::bad(format!("{name} must be a whole number, and not negative"));
    let whole = whole.ok_or_else(wrong)?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "held above")]
    Ok(Some(whole.min(f64::from(u32::MAX)) as u32))
}

/// What a look at all live sessions comes to.
#[derive(Debug, Default)]
struct Scan {
    total: usize,
    looked_at: usize,
    /// The first of them, in their order: never more than are of interest.
    first: BTreeSet<Place>,
}

impl Scan {
    fn look(mut self, asked: &Asked, part: &[(Session, Vec<Message>)]) -> Self {
        self.looked_at += part.len();
        for (session, transcript) in part {
            if !has(session, transcript, &asked.text) {
                continue;
            }
            self.total += 1;
            let place = (Reverse(session.last_activity), session.dialect_id.clone(), session.id);
            self.first.insert(place);
            if self.first.len() > asked.depth() {
                self.first.pop_last();
            }
        }
        self
    }
}

/// Whether the session's data has this text, taken as it is.
fn has(session: &Session, transcript: &[Message], text: &str) -> bool {
    let data = serde_json::to_string(&view::State::of(session, transcript));
    data.is_ok_and(|data| data.contains(text))
}

/// Looks at all live sessions of a project, a part at a time.
async fn scan(
    api: &Api,
    member: &Member,
    asked: &Asked,
    sessions_max: usize,
) -> Result<Scan, Error> {
    let (engine, project) = (api.engine(), &member.project.id);
    let (mut scan, mut after) = (Scan::default(), None::<String>);
    loop {
        let part = engine.live_conversations(member.org(), project, after.as_deref(), PART).await?;
        let (now, wanted) = (engine.now(), asked.clone());
        let live = move |(session, _): &(Session, Vec<Message>)| session.is_live(now);
        let look = move || {
            let items: Vec<_> = part.items.into_iter().filter(live).collect();
            (scan.look(&wanted, &items), part.next)
        };
        let looked = tokio::task::spawn_blocking(look).await;
        (scan, after) = looked.map_err(|error| Error::internal(&error))?;
        if after.is_none() {
            return Ok(scan);
        }
        if scan.looked_at >= sessions_max {
            return Err(Error::busy("This project has too many live sessions to be searched"));
        }
    }
}

/// The page that is wanted, as it is now: what has ended meanwhile is left out.
async fn shown(api: &Api, member: &Member, asked: &Asked, scan: Scan) -> Result<Results, Error> {
    let mut results = Vec::new();
    let (mut limit, mut bytes) = (asked.limit, 0);
    let page = scan.first.into_iter().skip(asked.offset as usize);
    for ((.., id), shown) in page.zip(0..) {
        let found = api.engine().conversation(member.org(), id).await?;
        let found = found.filter(|(session, _)| session.is_live(api.engine().now()));
        let Some((session, transcript)) = found else { continue };
        let result = serde_json::value::to_raw_value(&view::Found::of(&session, &transcript));
        let result = result.map_err(|error| Error::internal(&error))?;
        bytes += result.get().len();
        if bytes > ANSWER_BYTES_MAX && !results.is_empty() {
            // The next page begins with this session.
            limit = shown;
            break;
        }
        results.push(result);
    }
    let pagination = Pagination { limit, offset: asked.offset, total: scan.total };
    Ok(Results { results, pagination })
}
