//! `POST /v1/chat/sessions`

use std::{collections::BTreeMap, future::ready};

use axum::{Json, body::Body, extract::State, response::Response};
use epilogue_core::{
    Agent, AgentId, Profile, SessionId, Span, Timestamp,
    agent::{AgentKind, ModelProvider},
    profile::{AgentFinish, Hears, Keeps, NotifyEnded, TurnRules},
};
use epilogue_engine::{
    records::{CredentialKind, Role},
    session::{OpenError, OpenSession, Opened, Origin},
};
use http::{HeaderMap, HeaderName};

use super::{
    NAME,
    error::Error,
    limit::limited,
    wire::{CreateSession, Created},
};
use crate::{Api, auth::Caller, body, cors, rate::Subject};

/// How long nothing may happen in a session, unless its agent says otherwise.
const IDLE_TIMEOUT: Span = Span::from_secs(1800);

/// How often another name is drawn when one is taken.
const NAMES_MAX: u32 = 4;

/// When a client is asked to come back whose organization has as many sessions open as it may.
const TOO_MANY_OPEN_RETRY: Span = Span::from_secs(60);

/// How much of an agent's id, and of a key's public name, goes into a session's name.
const NAME_PART_CHARS_MAX: usize = 8;

/// Opens a session.
pub(super) async fn open(
    State(api): State<Api>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Error> {
    let caller = authenticate(&api, &headers).await?;
    let subject = Subject::Opens(caller.org.clone(), caller.key.clone());
    let opening = async {
        let request = CreateSession::read(&body::read(&api, body).await?)?;
        create(&api, &caller, request).await.map(Json)
    };
    let limit = (subject, api.settings().opens_per_minute);
    Ok(limited(&api, limit, opening, ready(Ok(()))).await)
}

/// Whom the request acts for, and whether they may open sessions from where they are.
async fn authenticate(api: &Api, headers: &HeaderMap) -> Result<Caller, Error> {
    let caller = if let Some(key) = credential(headers, &cors::API_KEY) {
        let caller = key_holder(api, key).await?;
        let is_of_project = |caller: &Caller| matches!(caller.kind, CredentialKind::Project { .. });
        caller.filter(|caller| !is_of_project(caller)).ok_or(Error::BadKey)?
    } else if let Some(token) = credential(headers, &cors::STUDIO_TOKEN) {
        // Whoever signs in here does so with a secret key of the organization.
        let caller = key_holder(api, token).await?;
        caller
            .filter(|caller| caller.kind == CredentialKind::Secret)
            .ok_or(Error::BadStudioToken)?
    } else {
        return Err(Error::NoCredential);
    };
    if !caller.may_come_from(headers) {
        return Err(Error::ForeignOrigin);
    }
    if caller.role < Role::Operate {
        return Err(Error::MayNotOpen);
    }
    Ok(caller)
}

/// What a credential's header says. Empty is as good as absent; what is not text is nobody's.
fn credential<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a [u8]> {
    headers.get(name).map(|value| value.as_bytes().trim_ascii()).filter(|key| !key.is_empty())
}

async fn key_holder(api: &Api, key: &[u8]) -> Result<Option<Caller>, Error> {
    let Ok(key) = std::str::from_utf8(key) else { return Ok(None) };
    api.caller(key).await.map_err(Error::at_open)
}

async fn create(api: &Api, caller: &Caller, request: CreateSession) -> Result<Created, Error> {
    let agent_id = AgentId::from(request.agent_id);
    for _ in 0..NAMES_MAX {
        let id = api.engine().new_session_id();
        let draft = OpenSession {
            org: caller.org.clone(),
            id,
            dialect: NAME.into(),
            dialect_id: conversation_id(&agent_id, caller, id, api.engine().now()),
            agent: agent_id.clone(),
            kind: AgentKind::Text,
            profile: profile(),
            person: request.person.clone(),
            metadata: request.metadata.clone(),
            variables: BTreeMap::new(),
            origin: Origin::default(),
        };
        match api.engine().open(draft).await {
            Ok(opened) => return created(api, caller, opened),
            Err(OpenError::NameTaken) => {}
            // To a client of this API an agent that takes nobody is not there.
            Err(OpenError::NoAgent | OpenError::Disabled) => {
                return Err(Error::NoAgent(agent_id.to_string()));
            }
            Err(OpenError::WrongKind) => return Err(Error::NotTextAgent),
            Err(OpenError::InsufficientCredits { .. }) => return Err(Error::InsufficientCredits),
            Err(OpenError::TooManyOpen) => {
                return Err(Error::RateLimited { retry_after: TOO_MANY_OPEN_RETRY });
            }
            // Sessions of this API belong to no endpoint.
            Err(error @ OpenError::EndpointTaken(_)) => {
                return Err(Error::Internal(Box::new(error)));
            }
            Err(OpenError::Engine(error)) => return Err(Error::at_open(error)),
        }
    }
    Err(Error::Internal(Box::new(OpenError::NameTaken)))
}

fn created(api: &Api, caller: &Caller, opened: Opened) -> Result<Created, Error> {
    let Opened { session, agent, greeting } = opened;
    let token = api.tokens().sign(&session, caller.key.as_str(), session.opened_at);
    Ok(Created {
        session_token: token.map_err(|error| Error::Internal(error.into()))?,
        conversation_id: session.dialect_id,
        agent_model: model_name(&agent),
        agent_name: agent.name,
        greeting,
    })
}

/// The model as its endpoint calls it. A scripted agent has no model, and says so.
fn model_name(agent: &Agent) -> String {
    match agent.model.provider {
        ModelProvider::Scripted if agent.model.name.is_empty() => "scripted".to_owned(),
        _ => agent.model.name.clone(),
    }
}

/// How the sessions of this API behave.
const fn profile() -> Profile {
    Profile {
        idle_timeout: Some(IDLE_TIMEOUT),
        max_duration: None,
        keep_alive_counts: false,
        agent_finish: AgentFinish::TellsClient,
        notify_ended: NotifyEnded::AtOnce,
        notify_finalized: false,
        hears: Hears::Everything,
        holds_media: false,
        keeps: Keeps::Transcript,
        searchable: false,
        turns: TurnRules::ORDINARY,
    }
}

/// `chat_{agent}_{user}_{epoch ms}`. Nobody reads it back; the user's part ends in random bits of
/// the session's own identity, which tell apart what is opened in one millisecond.
fn conversation_id(agent: &AgentId, caller: &Caller, id: SessionId, now: Timestamp) -> String {
    let (agent, key) = (name_part(agent.as_str()), name_part(caller.key.as_str()));
    let random = id.0.as_u128() & 0xffff_ffff_ffff;
    format!("chat_{agent}_{key}{random:012x}_{}", now.as_millis())
}

/// The first letters and digits of an id: it stands in a path.
fn name_part(id: &str) -> String {
    id.chars().filter(char::is_ascii_alphanumeric).take(NAME_PART_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_fit_for_a_path_whatever_the_ids() {
        let caller = Caller {
            org: "org".into(),
            key: "k/../é key-of-somebody".into(),
            kind: CredentialKind::Secret,
            role: Role::Own,
        };
        let id = SessionId(uuid::Uuid::from_u128(0xabc));
        let name = |agent: &str| {
            conversation_id(&agent.into(), &caller, id, Timestamp::from_millis(1_705_312_800_000))
        };
        assert_eq!(
            name("5b710eca-ee67-4c3a-aeb6-8b541f451b40"),
            "chat_5b710eca_kkeyofso000000000abc_1705312800000"
        );
        assert_eq!(name("/?#"), "chat__kkeyofso000000000abc_1705312800000");
    }
}
