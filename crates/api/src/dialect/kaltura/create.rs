//! 2.1: `POST /v1/avatar-session` and `POST /v1/avatar-session/create`

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash as _, Hasher as _},
};

use axum::{Json, body::Body, extract::State};
use epilogue_core::{Person, Profile, Session, Span, Staging, Timestamp, agent::AgentKind};
use epilogue_engine::session::{OpenError, OpenSession, Origin};
use http::HeaderMap;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::{Mutex, MutexGuard};

use super::{
    NAME, Partner,
    access::{self, Owner},
    body::object,
    cors::IDEMPOTENCY_KEY,
    error::Error,
    profile, token,
    wanted::Wanted,
};
use crate::{
    Api, body,
    rate::{Subject, Verdict},
};

/// The longest key under which a create may be repeated, in bytes.
pub(super) const KEY_BYTES_MAX: usize = 255;
/// How long a create under the same key is the same.
const KEY_LASTS: Span = Span::from_secs(24 * 3600);
/// How often another name is drawn when one is taken.
const NAMES_MAX: u32 = 4;
/// How many creates under keys are decided at a time, at the most.
const KEYS_AT_ONCE: usize = 64;

/// Has the creates under one key wait for each other. The store holds a key to one session by the name that
/// follows from key and day; two that meet at midnight have two names, and only the second of them, if it
/// comes after the first, finds what that has opened.
pub(crate) struct KeyedCreates([Mutex<()>; KEYS_AT_ONCE]);

impl Default for KeyedCreates {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Mutex::default()))
    }
}

impl KeyedCreates {
    async fn turn(&self, key: &[u8]) -> MutexGuard<'_, ()> {
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        let places = KEYS_AT_ONCE as u64;
        let place = usize::try_from(hasher.finish() % places).unwrap_or_default();
        self.0[place].lock().await
    }
}

/// A session that is open.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Created {
    success: bool,
    session_id: String,
    token: String,
}

/// Creates a session. Each call opens a new one, unless it repeats one by its `Idempotency-Key`.
pub(super) async fn create(
    State(api): State<Api>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Created>, Error> {
    let owner = access::owner(&api, &headers)?;
    let request = Wanted::read(&object(&body::read(&api, body).await?)?)?;
    let key = key(&headers)?.map(<[u8]>::to_vec);
    // A place that is kept for a session must not be forgotten, whoever hangs up meanwhile.
    let work = api.engine().at_work();
    let creating = tokio::spawn(async move {
        let _work = work;
        create_once(&api, &owner, key.as_deref(), request).await
    });
    creating.await.map_err(Error::internal)?
}

async fn create_once(
    api: &Api,
    owner: &Owner,
    key: Option<&[u8]>,
    request: Wanted,
) -> Result<Json<Created>, Error> {
    let _turn = match key {
        Some(key) => Some(api.keyed_creates().turn(key).await),
        None => None,
    };
    if let Some(known) = repeated(api, owner, key).await? {
        return created(api, &known);
    }
    let staging = request.staging(api)?;
    // What comes about is counted, and not what is wrong or was answered before.
    let opens = within_limit(api, &owner.partner)?;
    let opened = open(api, owner, key, (staging, request.metadata)).await;
    if opened.is_err() {
        api.limiter().give_back(&opens, api.engine().now());
    }
    created(api, &opened?)
}

/// Counts one more session of a partner, if it may create that many.
fn within_limit(api: &Api, partner: &Partner) -> Result<Subject, Error> {
    let opens = Subject::Opens(partner.org.clone(), format!("{NAME}:{}", partner.id).into());
    match api.limiter().count(&opens, partner.opens_per_minute, api.engine().now()) {
        Some(rate) if rate.verdict == Verdict::Past => Err(Error::TooMany(rate)),
        _ => Ok(opens),
    }
}

fn created(api: &Api, session: &Session) -> Result<Json<Created>, Error> {
    let token = token::sign(api.tokens(), session).map_err(Error::internal)?;
    Ok(Json(Created { success: true, session_id: session.dialect_id.clone(), token }))
}

fn key(headers: &HeaderMap) -> Result<Option<&[u8]>, Error> {
    let key = headers.get(&IDEMPOTENCY_KEY).map(|value| value.as_bytes().trim_ascii());
    match key.filter(|key| !key.is_empty()) {
        Some(key) if key.len() > KEY_BYTES_MAX => {
            let error = format!("Idempotency-Key is too long (at most {KEY_BYTES_MAX} bytes)");
            Err(Error::bad(error))
        }
        key => Ok(key),
    }
}

/// The session that this create opened when it was asked for the first time.
async fn repeated(api: &Api, owner: &Owner, key: Option<&[u8]>) -> Result<Option<Session>, Error> {
    let Some(key) = key else { return Ok(None) };
    let now = api.engine().now();
    for day in [day(now), day(now) - 1] {
        let found = access::find(api, &owner.partner.org, &name_by(api, owner, key, day)).await?;
        let found = found.filter(|session| now.since(session.opened_at) < KEY_LASTS);
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

fn day(now: Timestamp) -> i64 {
    now.as_millis().div_euclid(KEY_LASTS.as_millis().cast_signed())
}

/// The name of the session that a key stands for on one day. It follows from the key, so that the store,
/// which takes each name once, holds a key to one session.
fn name_by(api: &Api, owner: &Owner, key: &[u8], day: i64) -> String {
    let partner = owner.partner.id.to_be_bytes();
    let parts = [owner.partner.org.as_str().as_bytes(), &partner, owner.user.as_bytes(), key];
    let day = day.to_be_bytes();
    let mac = api.tokens().mac("avatar session by key", &[&parts[..], &[&day]].concat());
    named(*mac.first_chunk().expect("a mac is longer than a name"))
}

/// A name made of random bytes: a version 4 UUID.
fn named(random: [u8; 16]) -> String {
    uuid::Builder::from_random_bytes(random).into_uuid().to_string()
}

/// Opens a session. Its place on the stage is kept before it is on record, so that none is opened that
/// cannot be shown.
async fn open(
    api: &Api,
    owner: &Owner,
    key: Option<&[u8]>,
    (staging, metadata): (Staging, Value),
) -> Result<Session, Error> {
    let engine = api.engine();
    let agent = engine.agent(&owner.partner.org, &owner.partner.agent).await?;
    let Some((_, agent)) = agent.filter(|(_, agent)| agent.enabled) else {
        return Err(Error::Unavailable);
    };
    for _ in 0..NAMES_MAX {
        let name = match key {
            Some(key) => name_by(api, owner, key, day(engine.now())),
            None => named(engine.ids().bytes()),
        };
        let asked = (staging.clone(), metadata.clone());
        let draft = draft(api, owner, name.clone(), (profile(&agent), asked));
        let id = draft.id;
        engine.reserve_stage(id, &staging.avatar).await?;
        let error = match engine.open(draft).await {
            Ok(opened) => return Ok(opened.session),
            Err(error) => error,
        };
        engine.clear_stage(id).await;
        match error {
            // Somebody else was faster with the same key, or chance has drawn a name twice.
            OpenError::NameTaken => {
                if let Some(known) = repeated(api, owner, key).await? {
                    return Ok(known);
                }
            }
            OpenError::InsufficientCredits { .. } => return Err(Error::InsufficientCredits),
            OpenError::TooManyOpen | OpenError::Disabled => return Err(Error::Unavailable),
            OpenError::Engine(error) => return Err(error.into()),
            error @ (OpenError::NoAgent | OpenError::WrongKind | OpenError::EndpointTaken(_)) => {
                return Err(Error::internal(error));
            }
        }
    }
    Err(Error::internal(OpenError::NameTaken))
}

fn draft(
    api: &Api,
    owner: &Owner,
    name: String,
    (profile, (staging, metadata)): (Profile, (Staging, Value)),
) -> OpenSession {
    OpenSession {
        org: owner.partner.org.clone(),
        id: api.engine().new_session_id(),
        dialect: NAME.into(),
        dialect_id: name,
        agent: owner.partner.agent.clone(),
        kind: AgentKind::Avatar,
        profile,
        person: Person::new(&owner.user),
        metadata,
        variables: BTreeMap::new(),
        origin: Origin { staging: Some(staging), ..Origin::default() },
    }
}
