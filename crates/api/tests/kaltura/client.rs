//! A house with a stage, and what a client of this API does in it.

use std::{ops::Deref, sync::Arc};

use aes::Aes128;
use axum::body::Body;
use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE},
};
use cbc::cipher::{BlockEncryptMut as _, KeyIvInit as _, block_padding::ZeroPadding};
use epilogue_api::{
    auth::hash,
    dialect::kaltura::{KalturaSettings, Partner},
};
use epilogue_core::{Session, Timestamp, event::Activity};
use epilogue_engine::{
    records::{PageRequest, SessionName},
    testing::OrganizationConfig,
};
use http::{Method, Request, header, request::Builder};
use serde_json::{Value, json};
use sha1::{Digest as _, Sha1};

use crate::{
    fakes::{FakeStage, FakeVoice},
    support::{AVATAR, Answer, FOREIGN_AGENT, Fixture, NOW, Setup, WEBHOOK_SECRET},
};

pub const ORG: &str = "org_acme";
pub const PARTNER: u64 = 12_345;
pub const ADMIN_SECRET: &str = "a1b2c3d4e5f60718293a4b5c6d7e8f90";
pub const STATIC_KS: &str = "a string for development";
pub const RELAY_SECRET: &str = "the relay's secret";
/// The other organization's partner.
pub const FOREIGN_PARTNER: u64 = 777;
pub const FOREIGN_KS: &str = "another string for development";
/// A voice that is known here, as clients call it.
pub const VOICE: &str = "0123456789abcdef01234567";
/// The base of every path.
pub const BASE: &str = "/v1/avatar-session";

/// A house, with what stands behind its stage.
pub struct House {
    pub fixture: Fixture,
    pub stage: Arc<FakeStage>,
    pub voice: Arc<FakeVoice>,
}

impl Deref for House {
    type Target = Fixture;

    fn deref(&self) -> &Fixture {
        &self.fixture
    }
}

fn settings() -> KalturaSettings {
    let partner = |id, org: &str, agent: &str, ks: &str| Partner {
        id,
        org: org.into(),
        agent: agent.into(),
        admin_secret: ADMIN_SECRET.into(),
        static_ks: vec![hash(ks)],
        opens_per_minute: 0,
    };
    KalturaSettings {
        partners: vec![
            partner(PARTNER, ORG, AVATAR, STATIC_KS),
            partner(FOREIGN_PARTNER, "org_other", FOREIGN_AGENT, FOREIGN_KS),
        ],
        media_host: "media.example.test".into(),
        relay_host: "turn.example.test".into(),
        relay_secret: RELAY_SECRET.into(),
        strict_avatars: false,
        voices: [(VOICE.to_owned(), "nova".to_owned())].into(),
    }
}

/// Has the avatars be avatars, and Acme's one that costs, tells its owner and is asked about.
fn furnish(organizations: &mut [OrganizationConfig], own: &Value) {
    let mut agent = json!({
        "id": AVATAR,
        "name": "Ava",
        "kind": "avatar",
        "greeting": "Nobody hears this.",
        "memory": true,
        "price": { "per_minute": "1" },
        "model": { "provider": "scripted", "name": "m", "script": [{ "reply": "{\"kind\": true}" }] },
        "webhook": { "url": "https://hooks.example.test/ended", "secret": WEBHOOK_SECRET },
        "analysis": [{ "name": "qa", "labels": [{ "name": "kind", "type": "boolean" }] }],
    });
    let members = agent.as_object_mut().expect("an object");
    members.extend(own.as_object().expect("an object").clone());
    let agent: epilogue_core::Agent = serde_json::from_value(agent).expect("an agent");
    for known in organizations.iter_mut().flat_map(|organization| &mut organization.agents) {
        if known.id.as_str() == AVATAR {
            *known = agent.clone();
        } else if known.id.as_str() == FOREIGN_AGENT {
            known.kind = epilogue_core::agent::AgentKind::Avatar;
        }
    }
}

impl House {
    /// As most tests want it.
    pub async fn start() -> Self {
        Self::with(|_| ()).await
    }

    /// Whose agent is like this.
    pub async fn of_agent(own: Value) -> Self {
        Self::with(|setup| furnish(&mut setup.organizations, &own)).await
    }

    /// With something changed.
    pub async fn with(change: impl FnOnce(&mut Setup)) -> Self {
        let (stage, voice) = <(Arc<FakeStage>, Arc<FakeVoice>)>::default();
        let on_it = (stage.clone(), voice.clone());
        let fixture = Fixture::with(|setup| {
            prepare(setup, on_it);
            change(setup);
        })
        .await;
        Self { fixture, stage, voice }
    }

    /// The next process on the same data: this one is gone.
    pub async fn next(&self) -> Self {
        let (stage, voice) = <(Arc<FakeStage>, Arc<FakeVoice>)>::default();
        let on_it = (stage.clone(), voice.clone());
        let fixture = self.fixture.beside(|setup| prepare(setup, on_it)).await;
        fixture.engine.recover(&[]).await.expect("taken over");
        Self { fixture, stage, voice }
    }

    /// Creates a session.
    pub async fn create(&self, body: Value) -> Answer {
        self.send(post(BASE).header("authorization", format!("KS {STATIC_KS}")).with(&body)).await
    }

    /// Asks for a session with this Kaltura Session.
    pub async fn create_by(&self, ks: &str) -> Answer {
        let body = json!({ "visualConfig": { "avatarId": "ann" } });
        self.send(post(BASE).header("authorization", format!("KS {ks}")).with(&body)).await
    }

    /// Creates a session that nothing stands against.
    pub async fn created(&self) -> Client {
        Client::of(&self.create(json!({ "visualConfig": { "avatarId": "ann" } })).await)
    }

    /// Asks for something of a session, in its client's hands.
    pub async fn ask(&self, client: &Client, what: &str) -> Answer {
        self.send(client.post(what).empty()).await
    }

    /// Says something.
    pub async fn say(&self, client: &Client, body: Value) -> Answer {
        self.send(client.post("say-text").with(&body)).await
    }

    /// Says something that is accepted.
    pub async fn said(&self, client: &Client, body: Value) {
        succeeded(&self.say(client, body).await);
    }

    /// The session, as its operator sees it.
    pub async fn session(&self, client: &Client) -> Session {
        let name = SessionName::Dialect("kaltura".into(), client.id.clone());
        self.engine.find(&ORG.into(), &name).await.expect("read").expect("opened")
    }

    /// What the activity log says of the session.
    pub async fn activity(&self, client: &Client) -> Vec<Activity> {
        let id = self.session(client).await.id;
        let page = PageRequest::first(100);
        self.engine.activity(&ORG.into(), Some(id), &page).await.expect("read").items
    }

    /// What was said, turn by turn.
    pub async fn transcript(&self, client: &Client) -> Vec<(u32, String)> {
        let id = self.session(client).await.id;
        let said = self.engine.transcript(&ORG.into(), id).await.expect("read");
        said.into_iter().map(|message| (message.turn, message.body.content)).collect()
    }

    /// Waits, in real time but not for long, until this is on record, turn by turn, and nothing else.
    pub async fn recorded(&self, client: &Client, turns: &[(u32, &str)]) {
        let turns: Vec<_> = turns.iter().map(|(turn, text)| (*turn, (*text).to_owned())).collect();
        for _ in 0..10_000 {
            if self.transcript(client).await == turns {
                return;
            }
            std::thread::sleep(std::time::Duration::from_micros(100));
        }
        assert_eq!(self.transcript(client).await, turns);
    }

    /// Waits, in real time but not for long, until so many parts have been heard in the one session there
    /// is, and are on record.
    pub async fn heard(&self, parts: usize) -> Vec<String> {
        until(|| self.stage.show().said.len() >= parts).await;
        settle().await;
        self.stage.show().said
    }
}

fn prepare(setup: &mut Setup, (stage, voice): (Arc<FakeStage>, Arc<FakeVoice>)) {
    setup.settings.kaltura = settings();
    setup.settings.public_url = "https://api.example.test/".parse().expect("a URL");
    setup.settings.opens_per_minute = 0;
    setup.stage = (stage, Some(voice));
    furnish(&mut setup.organizations, &json!({}));
}

/// Waits, in real time but not for long, until something is so.
pub async fn until(is_so: impl Fn() -> bool) {
    for _ in 0..10_000 {
        if is_so() {
            return;
        }
        tokio::task::yield_now().await;
        std::thread::sleep(std::time::Duration::from_micros(100));
    }
    panic!("it never is");
}

/// Lets everything go on that can: tasks here, and the store's threads, for which only real time will do.
pub async fn settle() {
    for _ in 0..150 {
        tokio::task::yield_now().await;
        std::thread::sleep(std::time::Duration::from_micros(300));
    }
}

/// What a client holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    pub id: String,
    pub token: String,
}

impl Client {
    /// What a create has answered.
    #[track_caller]
    pub fn of(created: &Answer) -> Self {
        assert_eq!(created.status, 200, "{}", created.body);
        let body = created.json();
        let text = |name: &str| body[name].as_str().expect("a text").to_owned();
        assert_eq!(body["success"], true);
        Self { id: text("sessionId"), token: text("token") }
    }

    /// A path below the session.
    pub fn path(&self, what: &str) -> String {
        format!("{BASE}/{}/{what}", self.id)
    }

    /// A request about the session, with its token.
    pub fn post(&self, what: &str) -> Builder {
        post(&self.path(what)).header(header::AUTHORIZATION, format!("Bearer {}", self.token))
    }
}

/// A request without a credential.
pub fn post(path: &str) -> Builder {
    Request::builder().method(Method::POST).uri(path)
}

/// Requests with and without bodies.
pub trait Bodies {
    fn empty(self) -> Request<Body>;
    fn with(self, body: &Value) -> Request<Body>;
    fn text(self, kind: &str, body: impl Into<Body>) -> Request<Body>;
}

impl Bodies for Builder {
    fn empty(self) -> Request<Body> {
        self.body(Body::empty()).expect("a request")
    }

    fn with(self, body: &Value) -> Request<Body> {
        self.text("application/json", body.to_string())
    }

    fn text(self, kind: &str, body: impl Into<Body>) -> Request<Body> {
        self.header(header::CONTENT_TYPE, kind).body(body.into()).expect("a request")
    }
}

/// A Kaltura Session of the older layout, as the vendor's clients make them.
pub fn ks(partner: u64, kind: u8, expires_at: Timestamp, user: &str) -> String {
    let info = format!("{partner};{partner};{};{kind};4711;{user};", expires_at.as_secs());
    let digest = Sha1::digest(format!("{ADMIN_SECRET}{info}"));
    BASE64_STANDARD.encode(format!("{digest:x}|{info}"))
}

/// A Kaltura Session of the newer layout over any fields, as the vendor's clients make them.
pub fn ks_v2(partner: u64, fields: &str) -> String {
    let rest = [&[7; 16], fields.as_bytes()].concat();
    let plain = [Sha1::digest(&rest).as_slice(), &rest].concat();
    let key = Sha1::digest(ADMIN_SECRET);
    let cipher = cbc::Encryptor::<Aes128>::new_from_slices(&key[..16], &[0; 16]);
    let sealed = cipher.expect("a key").encrypt_padded_vec_mut::<ZeroPadding>(&plain);
    BASE64_URL_SAFE.encode([format!("v2|{partner}|").as_bytes(), &sealed].concat())
}

/// An hour after the tests begin.
pub fn in_an_hour() -> Timestamp {
    NOW + epilogue_core::Span::from_secs(3_600)
}

/// Asserts that it succeeded and says nothing else.
#[track_caller]
pub fn succeeded(answer: &Answer) {
    assert_eq!(answer.told(), (200, r#"{"success":true}"#));
    headers_are_right(answer);
}

/// Asserts that it is refused with these words.
#[track_caller]
pub fn refused(answer: &Answer, status: u16, error: &str) {
    let body = format!(r#"{{"success":false,"error":"{error}"}}"#);
    assert_eq!(answer.told(), (status, &*body));
    headers_are_right(answer);
}

/// Asserts that it is refused with this status, in the right shape.
#[track_caller]
pub fn refused_somehow(answer: &Answer, status: u16) {
    assert_eq!(answer.status, status, "{}", answer.body);
    let body = answer.json();
    assert_eq!(body["success"], false);
    assert!(body["error"].as_str().is_some_and(|error| !error.is_empty()), "{body}");
    headers_are_right(answer);
}

#[track_caller]
fn headers_are_right(answer: &Answer) {
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
}
