//! Sessions: one operation per file, and here the list and the look at one.

mod end;
mod keep_alive;
mod messages;
mod open;
mod turn;
mod view;
mod why;

pub use self::{
    end::REASONS,
    messages::MessageView,
    open::{
        METADATA_BYTES_MAX, NAME_CHARS_MAX, VALUE_CHARS_MAX, VARIABLE_CHARS_MAX, VARIABLES_MAX,
    },
    turn::MESSAGE_CHARS_MAX,
    view::{AnalysisView, SessionView, UsageView},
};

use axum::{Json, extract::State};
use epilogue_core::{Dialect, EndReason, Person, Session, SessionId, Timestamp};
use epilogue_engine::records::{SessionFilter, StateFilter};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use self::view::{PlannedStep, SessionDetail, StateWord};
use super::{
    DIALECTS,
    access::Acting,
    input::{Params, Segment},
    page::{self, Listed},
    problem::{Kind, Problem},
};
use crate::Api;

/// The operations on sessions.
pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(open::open_session, list_sessions))
        .routes(routes!(show_session))
        .routes(routes!(turn::take_turn))
        .routes(routes!(messages::list_messages))
        .routes(routes!(end::end_session))
        .routes(routes!(keep_alive::keep_session_alive))
        .routes(routes!(why::explain_session))
}

/// Which sessions a list shows.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct SessionQuery {
    /// Opened by this API: `native`, `talkifai`, `dasha`, `pathors` or `kaltura`.
    dialect: Option<String>,
    /// Belonging to this project, in APIs that have such.
    project: Option<String>,
    /// In this state.
    #[param(inline)]
    state: Option<StateWord>,
    /// With this agent.
    agent: Option<String>,
    /// Ended for this reason.
    #[param(value_type = Option<String>, example = "idle")]
    reason: Option<EndReason>,
    /// With this person, written in any way that is normalised alike.
    person: Option<String>,
    /// Opened then or later (RFC 3339).
    opened_from: Option<String>,
    /// Opened before then (RFC 3339).
    opened_before: Option<String>,
    /// How many sessions a page has: 1 to 500, 50 if absent.
    limit: Option<u32>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

impl SessionQuery {
    fn filter(&self) -> Result<SessionFilter, Problem> {
        Ok(SessionFilter {
            dialect: self.dialect.as_deref().map(dialect).transpose()?,
            project: self.project.as_deref().map(Into::into),
            state: self.state.map(|state| match state {
                StateWord::Active => StateFilter::Active,
                StateWord::Finalizing => StateFilter::Finalizing,
                StateWord::Final => StateFilter::Final,
            }),
            agent: self.agent.as_deref().map(Into::into),
            reason: self.reason,
            person: self.person.as_deref().map(person).transpose()?,
            opened_from: time("opened_from", self.opened_from.as_deref())?,
            opened_before: time("opened_before", self.opened_before.as_deref())?,
        })
    }
}

fn dialect(word: &str) -> Result<Dialect, Problem> {
    let known = || Problem::field("dialect", format!("must be one of {}", DIALECTS.join(", ")));
    DIALECTS.contains(&word).then(|| word.into()).ok_or_else(known)
}

/// Reads who the agent talks to.
fn person(identifier: &str) -> Result<Person, Problem> {
    let broken = || {
        Problem::field(
            "person",
            format!("must have something in it, and up to {} bytes", Person::BYTES_MAX),
        )
    };
    Person::new(identifier).ok_or_else(broken)
}

fn time(path: &str, text: Option<&str>) -> Result<Option<Timestamp>, Problem> {
    let read = |text| {
        Timestamp::parse(text)
            .ok_or_else(|| Problem::field(path, "must be a time such as 2026-01-31T12:00:00Z"))
    };
    text.map(read).transpose()
}

/// List sessions
///
/// The organization's sessions, whatever API opened them, the latest opened first.
#[utoipa::path(
    get, path = "/epilogue/v1/sessions", tag = "sessions", params(SessionQuery),
    responses((status = 200, description = "A page of sessions.", body = Listed<SessionView>)),
)]
async fn list_sessions(
    State(api): State<Api>,
    acting: Acting,
    Params(query): Params<SessionQuery>,
) -> Result<Json<Listed<SessionView>>, Problem> {
    let filter = query.filter()?;
    let page = page::request("sessions", query.limit, query.cursor.as_deref())?;
    if page.after.as_ref().is_some_and(|cursor| cursor.key.parse::<SessionId>().is_err()) {
        return Err(Problem::field("cursor", "must be a next_cursor of this list"));
    }
    let found = api.engine().sessions(&acting.org, &filter, &page).await?;
    let now = api.engine().now();
    Ok(Json(Listed::of("sessions", found, |session| SessionView::of(&session, now))))
}

/// Show a session
///
/// One session with its usage, what it cost, every kind of step (owed or not, and why not) with
/// every attempt, and the agent's forms as far as they are filled in. `{id}` is its id, or the name
/// it has in the API that opened it.
#[utoipa::path(
    get, path = "/epilogue/v1/sessions/{id}", tag = "sessions",
    params(("id" = String, Path, description = "The session's id or name.")),
    responses(
        (status = 200, description = "The session.", body = SessionDetail),
        (status = 404, description = "This organization has no such session."),
    ),
)]
async fn show_session(
    State(api): State<Api>,
    acting: Acting,
    Segment(id): Segment,
) -> Result<Json<SessionDetail>, Problem> {
    let session = acting.session(&api, &id).await?;
    let engine = api.engine();
    let plan = engine.plan_of(&session).await?;
    let steps = engine.steps_of(&acting.org, session.id).await?;
    let analyses = engine.analyses_of(&acting.org, session.id).await?;
    Ok(Json(SessionDetail {
        session: SessionView::of(&session, engine.now()),
        steps: PlannedStep::all(&plan, &steps),
        analysis: analyses.iter().map(AnalysisView::of).collect(),
    }))
}

/// The session is over.
fn over(detail: impl Into<String>) -> Problem {
    Problem::new(Kind::SessionOver, detail)
}

/// A session's token dies with the session: from then on it reads nothing.
fn living_token(api: &Api, acting: &Acting, session: &Session) -> Result<(), Problem> {
    if acting.is_person() && !session.is_live(api.engine().now()) {
        return Err(over("The session is over, and its token with it."));
    }
    Ok(())
}
