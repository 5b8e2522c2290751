//! Coming into a session by its name: the live one of that name, or a fresh one.

use std::collections::BTreeMap;

use epilogue_core::{EndRequest, OrgId, Person, Session, Span, agent::AgentKind, profile::Keeps};
use epilogue_engine::{
    records::SessionName,
    session::{OpenError, OpenSession, Origin},
};
use http::StatusCode;
use serde_json::{Map, Value};

use super::{NAME, access::Member, error::Error, limits, profile};
use crate::{Api, rate::Subject};

/// How often somebody may be outrun by others who open and end sessions of the same name.
const TRIES_MAX: u32 = 16;

/// When a client is asked to come back whose organization has as many sessions open as it may.
const TOO_MANY_OPEN_RETRY: Span = Span::from_secs(60);

/// What a fresh session begins with.
#[derive(Clone, Debug, Default)]
pub(super) struct Beginning {
    /// Where the client says it comes from.
    pub provider: Option<String>,
    /// Its variables.
    pub variables: Map<String, Value>,
    /// Whom the agent talks to.
    pub person: Option<Person>,
    /// Whether it is opened for a turn, without which there is no session.
    pub with_turn: bool,
}

/// A session somebody has come into.
#[derive(Clone, Debug)]
pub(super) struct Entered {
    /// The session.
    pub session: Session,
    /// Whether it was opened for them.
    pub is_fresh: bool,
}

/// The live session of a name. One whose time is up lives no more, whoever has noticed.
pub(super) async fn live(api: &Api, member: &Member, name: &str) -> Result<Option<Session>, Error> {
    let named = SessionName::LiveInProject(member.project.id.clone(), name.to_owned());
    let found = api.engine().find(member.org(), &named).await?;
    Ok(found.filter(|session| session.is_live(api.engine().now())))
}

/// The live session of a name, or a fresh one.
pub(super) async fn enter(
    api: &Api,
    member: &Member,
    name: &str,
    beginning: &Beginning,
) -> Result<Entered, Error> {
    let named = SessionName::LiveInProject(member.project.id.clone(), name.to_owned());
    for _ in 0..TRIES_MAX {
        if let Some(session) = api.engine().find(member.org(), &named).await? {
            if session.is_live(api.engine().now()) {
                return Ok(Entered { session, is_fresh: false });
            }
            // Its time is up, and its name is wanted: the timer is not waited for.
            api.engine().end(member.org(), session.id, EndRequest::due()).await?;
        }
        let keeps = keeps(api, member.org()).await?;
        // Only what comes about counts; who comes into a live session never waits for it.
        let opens = Subject::Opens(member.org().clone(), member.key.clone());
        if let Err(past) = limits::within(api, &opens, api.settings().opens_per_minute) {
            let meanwhile = live(api, member, name).await?.ok_or(past)?;
            return Ok(Entered { session: meanwhile, is_fresh: false });
        }
        let opened = api.engine().open(opening(api, member, (name, beginning), keeps)).await;
        if opened.is_err() {
            api.limiter().give_back(&opens, api.engine().now());
        }
        match opened {
            Ok(opened) => return Ok(Entered { session: opened.session, is_fresh: true }),
            // Somebody else was faster.
            Err(OpenError::NameTaken) => {}
            Err(error) => return Err(refused(error)),
        }
    }
    Err(Error::busy("Too many requests open and end this session"))
}

/// What stays after the end: this API promises that nothing said does, unless the organization keeps it.
async fn keeps(api: &Api, org: &OrgId) -> Result<Keeps, Error> {
    let organization = api.engine().organization(org).await?;
    let kept = organization.is_some_and(|organization| organization.keep_transcripts);
    Ok(if kept { Keeps::Messages } else { Keeps::Counters })
}

fn opening(
    api: &Api,
    member: &Member,
    (name, beginning): (&str, &Beginning),
    keeps: Keeps,
) -> OpenSession {
    OpenSession {
        org: member.org().clone(),
        id: api.engine().new_session_id(),
        dialect: NAME.into(),
        dialect_id: name.to_owned(),
        agent: member.project.agent.clone(),
        kind: AgentKind::Text,
        profile: {
            let mut profile = profile(keeps);
            profile.turns.begins_with_turn = beginning.with_turn;
            profile
        },
        person: beginning.person.clone(),
        metadata: Value::Null,
        variables: BTreeMap::new(),
        origin: Origin {
            project: Some(member.project.id.clone()),
            channel: beginning.provider.clone(),
            bag: beginning.variables.clone(),
            ..Origin::default()
        },
    }
}

fn refused(error: OpenError) -> Error {
    match error {
        OpenError::InsufficientCredits { .. } => {
            Error::new(StatusCode::PAYMENT_REQUIRED, "Insufficient credits")
        }
        OpenError::TooManyOpen => {
            let error = Error::new(StatusCode::TOO_MANY_REQUESTS, "Too many sessions are open");
            error.retry_after(TOO_MANY_OPEN_RETRY)
        }
        OpenError::NoAgent | OpenError::Disabled | OpenError::WrongKind => {
            Error::bad("The agent of this project takes no new conversations")
        }
        OpenError::Engine(error) => error.into(),
        // Names are seen to where sessions are opened, and there are no endpoints here.
        error @ (OpenError::NameTaken | OpenError::EndpointTaken(_)) => Error::internal(&error),
    }
}
