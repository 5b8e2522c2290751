//! `POST /epilogue/v1/sessions`

use std::collections::BTreeMap;

use axum::{Json, extract::State, response::IntoResponse};
use epilogue_core::{Session, agent::AgentKind};
use epilogue_engine::session::{OpenError, OpenSession, Opened, Origin};
use http::{StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::SessionView;
use crate::{
    Api,
    native::{
        NAME,
        access::{Acting, By},
        input::{self, JsonBody},
        problem::{Kind, Problem},
        profile, within_limit,
    },
    rate::Subject,
};

/// The longest name of a session, in characters.
pub const NAME_CHARS_MAX: usize = 128;
/// How long the caller's own data may be, in bytes of JSON.
pub const METADATA_BYTES_MAX: usize = 16 * 1024;
/// How many template variables a session may have.
pub const VARIABLES_MAX: usize = 64;
/// The longest name of a template variable, in characters.
pub const VARIABLE_CHARS_MAX: usize = 64;
/// The longest value of a template variable, in characters.
pub const VALUE_CHARS_MAX: usize = 10_000;

/// A session to be opened.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OpenBody {
    /// With which agent: its id.
    agent: String,
    /// A name of the caller's choice, 1 to 128 characters of `A-Z a-z 0-9 . _ : @ -`. Opening a second session of
    /// that name is refused, so that a request can be repeated safely. Absent: the session's id.
    name: Option<String>,
    /// Who the agent talks to, such as an e-mail address: what is remembered is remembered of them.
    person: Option<String>,
    /// The caller's own data, kept and shown, never interpreted. At most 16 KiB of JSON.
    #[serde(default)]
    #[schema(value_type = Object, required = false)]
    metadata: Map<String, Value>,
    /// Values for `{{name}}` in the agent's prompt: at most 64, each up to 10,000 characters.
    #[serde(default)]
    #[schema(required = false)]
    variables: BTreeMap<String, String>,
}

/// A session that is open.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OpenedBody {
    /// The session.
    session: SessionView,
    /// The token for this one session: turns, messages, keep-alive and end, and nothing else. Safe to give
    /// to a page. It opens nothing once the session has ended, and is good for 24 hours at most.
    session_token: String,
    /// What the agent says first; null if the person speaks first.
    greeting: Option<String>,
}

/// Open a session
///
/// Recalls what the agent remembers of the person, sets the agent's hold aside, and greets. A
/// widget key may do this from pages of its domains.
#[utoipa::path(
    post, path = "/epilogue/v1/sessions", tag = "sessions", request_body = OpenBody,
    responses(
        (status = 201, description = "The session is open. `Location` is its path.", body = OpenedBody),
        (status = 402, description = "The organization has too few credits."),
        (status = 404, description = "This organization has no such agent."),
        (status = 409, description = "There is a session of that name."),
    ),
)]
pub(super) async fn open_session(
    State(api): State<Api>,
    acting: Acting,
    JsonBody(body): JsonBody<OpenBody>,
) -> Result<impl IntoResponse, Problem> {
    if let By::Key(caller) = &acting.by {
        let subject = Subject::Opens(acting.org.clone(), caller.key.clone());
        within_limit(&api, &subject, api.settings().opens_per_minute)?;
    }
    let opened = api.engine().open(request(&api, &acting, body)?).await.map_err(problem)?;
    let session_token = token(&api, &opened.session, &acting.name())?;
    let location = format!("/epilogue/v1/sessions/{}", opened.session.id);
    let Opened { session, greeting, .. } = opened;
    let session = SessionView::of(&session, api.engine().now());
    let session = if acting.is_page() { session.for_person() } else { session };
    let body = OpenedBody { session, session_token, greeting };
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(body)))
}

fn token(api: &Api, session: &Session, opened_by: &str) -> Result<String, Problem> {
    let token = api.tokens().sign(session, opened_by, api.engine().now());
    token.map_err(|error| Problem::internal(&error))
}

fn request(api: &Api, acting: &Acting, body: OpenBody) -> Result<OpenSession, Problem> {
    check(&body)?;
    let id = api.engine().new_session_id();
    Ok(OpenSession {
        org: acting.org.clone(),
        id,
        dialect: NAME.into(),
        dialect_id: body.name.unwrap_or_else(|| id.to_string()),
        agent: body.agent.into(),
        kind: AgentKind::Text,
        profile: profile(),
        person: body.person.as_deref().map(super::person).transpose()?,
        metadata: if body.metadata.is_empty() { Value::Null } else { body.metadata.into() },
        variables: body.variables,
        origin: Origin::default(),
    })
}

fn check(body: &OpenBody) -> Result<(), Problem> {
    if let Some(name) = &body.name {
        input::chars("name", name, 1, NAME_CHARS_MAX)?;
        if !name.chars().all(|c| c.is_ascii_alphanumeric() || "._:@-".contains(c)) {
            return Err(Problem::field("name", "may have A-Z a-z 0-9 . _ : @ - in it"));
        }
    }
    // A map of values: it always serializes.
    let metadata = serde_json::to_string(&body.metadata).map_or(0, |json| json.len());
    if metadata > METADATA_BYTES_MAX {
        let problem =
            format!("must be at most {METADATA_BYTES_MAX} bytes of JSON, and is {metadata}");
        return Err(Problem::field("metadata", problem));
    }
    if body.variables.len() > VARIABLES_MAX {
        return Err(Problem::field("variables", format!("must be at most {VARIABLES_MAX}")));
    }
    for (name, value) in &body.variables {
        input::chars("variables", name, 1, VARIABLE_CHARS_MAX)?;
        input::chars(&format!("variables.{name}"), value, 0, VALUE_CHARS_MAX)?;
    }
    Ok(())
}

fn problem(error: OpenError) -> Problem {
    match error {
        OpenError::NoAgent => Problem::not_found("agent"),
        OpenError::Disabled => {
            Problem::new(Kind::WrongState, "The agent is disabled: it takes no new sessions.")
        }
        OpenError::WrongKind => {
            Problem::field("agent", "is an avatar; its sessions are opened by the avatar API")
        }
        OpenError::InsufficientCredits { balance } => {
            let detail =
                format!("The balance of {balance} credits does not allow another session.");
            Problem::new(Kind::InsufficientCredits, detail)
        }
        OpenError::NameTaken => {
            Problem::new(Kind::NameTaken, "There is a session of that name; look it up by it.")
        }
        OpenError::TooManyOpen => Problem::new(
            Kind::TooManyWaiting,
            "The organization has as many sessions open as it may; end some first.",
        ),
        // Sessions of this API belong to no endpoint.
        error @ OpenError::EndpointTaken(_) => Problem::internal(&error),
        OpenError::Engine(error) => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body() -> OpenBody {
        let (metadata, variables) = (Map::new(), BTreeMap::new());
        OpenBody { agent: "a".into(), name: None, person: None, metadata, variables }
    }

    #[test]
    fn a_name_at_the_limit_and_one_past_it() {
        let named = |name: &str| check(&OpenBody { name: Some(name.into()), ..body() }).is_ok();
        assert!(named("a") && named("Order:17@shop.example_x-1"));
        assert!(named(&"x".repeat(NAME_CHARS_MAX)) && !named(&"x".repeat(NAME_CHARS_MAX + 1)));
        for wrong in ["", "a/b", "a b", "é", "a\n"] {
            assert!(!named(wrong), "{wrong}");
        }
    }

    #[test]
    fn metadata_at_the_limit_and_one_past_it() {
        let with = |bytes: usize| {
            let text = "x".repeat(bytes - r#"{"a":""}"#.len());
            let metadata = Map::from_iter([("a".to_owned(), Value::from(text))]);
            check(&OpenBody { metadata, ..body() }).is_ok()
        };
        assert!(with(METADATA_BYTES_MAX) && !with(METADATA_BYTES_MAX + 1));
    }

    #[test]
    fn variables_at_the_limits_and_one_past_them() {
        let some = |count: usize, name: usize, value: usize| {
            let names = (0..count).map(|number| format!("{number:0>name$}"));
            let variables = names.map(|name| (name, "x".repeat(value))).collect();
            check(&OpenBody { variables, ..body() }).is_ok()
        };
        assert!(some(VARIABLES_MAX, 2, 1) && !some(VARIABLES_MAX + 1, 2, 1));
        assert!(some(1, VARIABLE_CHARS_MAX, 1) && !some(1, VARIABLE_CHARS_MAX + 1, 1));
        assert!(some(1, 1, VALUE_CHARS_MAX) && !some(1, 1, VALUE_CHARS_MAX + 1));
    }
}
