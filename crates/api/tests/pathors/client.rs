//! A house with projects, and what a client of this API does in it.

use axum::body::Body;
use epilogue_api::{
    auth::hash,
    dialect::pathors::{PathorsSettings, Sunset},
};
use epilogue_core::{Agent, ProjectId, Session, SessionId, StepKind, event::Activity};
use epilogue_engine::records::{PageRequest, SessionName};
use epilogue_engine::testing::{Credential, CredentialKind, OrganizationConfig, Project, Role};
use http::{Method, Request, header};
use serde_json::{Value, json};

use crate::support::{Answer, Fixture, KEY, NOW, Setup, WEBHOOK_SECRET};

/// The organization of the projects.
pub const ORG: &str = "org_acme";
/// The project most tests are about.
pub const PROJECT: &str = "proj_1";
/// Another project of the same organization, with the same agent.
pub const OTHER_PROJECT: &str = "proj_2";
/// Another organization's project.
pub const FOREIGN_PROJECT: &str = "proj_foreign";
/// The project of the organization without credits.
pub const BROKE_PROJECT: &str = "proj_broke";
/// The agent of the first two projects.
pub const PATHWAY: &str = "9a700000-0000-4000-8000-000000000007";

/// A key of the first project, of the older kind.
pub const SK: &str = "sk_proj_1";
/// A key of the first project, of the oldest kind.
pub const BUZZ: &str = "buzz_live_proj_1";
/// A key of the second project.
pub const OTHER_SK: &str = "sk_proj_2";
/// A key of the organization, of the current kind: it reaches all of its projects.
pub const DK: &str = "dk_acme";
/// A key of the first project that may only look.
pub const READ_SK: &str = "sk_proj_1_read";

/// What all three generations call the sessions of a project, each with its way to name one.
pub const FAMILIES: [&str; 6] = [
    "/project/{P}/integration/api/session",
    "/api/project/{P}/integration/api/session",
    "/project/{P}/session",
    "/api/project/{P}/session",
    "/v1/projects/{P}/sessions",
    "/api/v1/projects/{P}/sessions",
];

/// The agent of the projects. What it says depends on what is said to it.
pub fn pathway() -> Value {
    let script = json!([
        { "when": "goodbye", "tool": { "name": "end_call" } },
        { "when": "so long", "tool": { "name": "end_chat" } },
        { "when": "look it up", "tool": { "name": "web_search", "arguments": "{\"q\":1}" }, "reply": "I found it." },
        { "when": "for ever", "reply": "One two three", "word_delay_ms": 3_600_000 },
        { "when": "slowly", "reply": "One two three", "word_delay_ms": 10_000 },
        { "reply": "You said: {{message}}" },
    ]);
    json!({
        "id": PATHWAY,
        "name": "Pathway",
        "prompt": "You help {{name}}.",
        "greeting": "Nobody hears this.",
        "farewell": "Take care!",
        "price": { "per_1k_tokens": "0.01" },
        "model": { "provider": "scripted", "name": "gpt-4o-mini", "script": script },
        "webhook": { "url": "https://hooks.example.test/ended", "secret": WEBHOOK_SECRET },
    })
}

/// Makes the house: Acme with two projects, and one project for each of the others.
pub fn furnish(setup: &mut Setup) {
    let agent: Agent = serde_json::from_value(pathway()).expect("a sound agent");
    for organization in &mut setup.organizations {
        let own = match organization.organization.id.as_str() {
            ORG => vec![(PROJECT, PATHWAY.into()), (OTHER_PROJECT, PATHWAY.into())],
            "org_other" => vec![(FOREIGN_PROJECT, organization.agents[0].id.clone())],
            _ => vec![(BROKE_PROJECT, organization.agents[0].id.clone())],
        };
        for (id, agent) in own {
            add_project(organization, id, agent);
        }
    }
    let acme = &mut setup.organizations[0];
    acme.agents.push(agent);
    for (key, project) in [(SK, PROJECT), (BUZZ, PROJECT), (OTHER_SK, OTHER_PROJECT)] {
        acme.keys.push(key_of(key, CredentialKind::Project { project: project.into() }, Role::Own));
    }
    let kind = CredentialKind::Project { project: PROJECT.into() };
    acme.keys.push(key_of(READ_SK, kind, Role::Read));
    acme.keys.push(key_of(DK, CredentialKind::Secret, Role::Own));
}

fn add_project(organization: &mut OrganizationConfig, id: &str, agent: epilogue_core::AgentId) {
    organization.projects.push(Project {
        org: organization.organization.id.clone(),
        id: id.into(),
        name: format!("Project {id}"),
        agent,
        created_at: NOW,
    });
}

fn key_of(key: &str, kind: CredentialKind, role: Role) -> Credential {
    Credential {
        id: format!("key_{key}").into(),
        hash: hash(key),
        org: ORG.into(),
        kind,
        role,
        name: key.to_owned(),
        created_at: NOW,
        expires_at: None,
        revoked_at: None,
        configured: true,
    }
}

/// What the published pages announce.
pub fn published() -> PathorsSettings {
    PathorsSettings {
        path_sunset: Sunset::parse("Sat, 11 Jul 2026 00:00:00 GMT"),
        key_sunset: Sunset::parse("Sun, 10 May 2026 00:00:00 GMT"),
        refuse_legacy: false,
    }
}

/// A house with something changed.
pub async fn house_with(change: impl FnOnce(&mut Setup)) -> Fixture {
    Fixture::with(|setup| {
        furnish(setup);
        setup.settings.pathors = published();
        change(setup);
    })
    .await
}

/// A house as most tests want it.
pub async fn house() -> Fixture {
    house_with(|_| ()).await
}

/// A house without limits on how often anybody may ask.
pub async fn unlimited() -> Fixture {
    house_with(|setup| {
        setup.settings.opens_per_minute = 0;
        setup.settings.messages_per_minute = 0;
        setup.settings.ends_per_minute = 0;
        setup.settings.history_per_minute = 0;
    })
    .await
}

/// A request with any key to any path.
pub fn keyed(key: &str, method: Method, path: &str, body: impl Into<Body>) -> Request<Body> {
    Request::builder()
        .method(method)
        .uri(path)
        .header(header::AUTHORIZATION, format!("Bearer {key}"))
        .header(header::CONTENT_TYPE, "application/json")
        .body(body.into())
        .expect("a request")
}

/// A path below the first project, in the current generation.
pub fn current(tail: &str) -> String {
    format!("/v1/projects/{PROJECT}{tail}")
}

/// Posts below the first project with the current kind of key.
pub fn post(tail: &str, body: &Value) -> Request<Body> {
    keyed(DK, Method::POST, &current(tail), body.to_string())
}

/// Looks below the first project.
pub fn get(tail: &str) -> Request<Body> {
    keyed(DK, Method::GET, &current(tail), Body::empty())
}

/// A name as it stands in a path.
pub fn escaped(name: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_~".contains(byte);
    let bytes = name.bytes();
    bytes.map(|b| if plain(&b) { char::from(b).into() } else { format!("%{b:02X}") }).collect()
}

impl Fixture {
    /// Creates a session as `more` says.
    pub async fn create(&self, name: &str, more: Value) -> Answer {
        let mut body = json!({ "session_id": name });
        let members = body.as_object_mut().expect("an object");
        members.extend(more.as_object().expect("an object").clone());
        self.send(post("/sessions", &body)).await
    }

    /// Creates a session that nothing stands against.
    pub async fn created(&self, name: &str, more: Value) {
        let answer = self.create(name, more).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
    }

    /// Asks for a session.
    pub async fn query(&self, name: &str) -> Answer {
        self.send(get(&format!("/sessions/{}", escaped(name)))).await
    }

    /// A session as its client sees it.
    pub async fn queried(&self, name: &str) -> Value {
        let answer = self.query(name).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.json()
    }

    /// Ends a session.
    pub async fn end(&self, name: &str) -> Answer {
        let body = json!({ "session_id": name }).to_string();
        self.send(keyed(DK, Method::DELETE, &current("/sessions"), body)).await
    }

    /// The latest session of a name, as the operator sees it.
    pub async fn session(&self, name: &str) -> Session {
        self.session_in(PROJECT, name).await.expect("opened")
    }

    /// The latest session of a name in any project.
    pub async fn session_in(&self, project: &str, name: &str) -> Option<Session> {
        let name = SessionName::LatestInProject(ProjectId::from(project), name.to_owned());
        self.engine.find(&ORG.into(), &name).await.expect("read")
    }

    /// What the activity log says of a session.
    pub async fn activity(&self, id: SessionId) -> Vec<Activity> {
        let page = PageRequest::first(100);
        self.engine.activity(&ORG.into(), Some(id), &page).await.expect("read").items
    }

    /// The kinds of steps that an end owed, each with how often it was tried.
    pub async fn steps(&self, id: SessionId) -> Vec<(StepKind, usize)> {
        let steps = self.engine.steps_of(&ORG.into(), id).await.expect("read");
        steps.into_iter().map(|(step, attempts)| (step.kind, attempts.len())).collect()
    }

    /// Makes every look at a session fail, as a broken database would.
    pub fn breaks(&self) {
        let renamed = "ALTER TABLE sessions RENAME COLUMN held TO gone";
        self.database().execute_batch(renamed).expect("broken");
    }

    /// Takes a turn with the engine itself, for tests that are not about turns.
    pub async fn says(&self, name: &str, message: &str) {
        let session = self.session(name).await;
        let request = epilogue_engine::session::TurnRequest {
            org: session.org.clone(),
            session: session.id,
            input: message.to_owned().into(),
            when_busy: epilogue_engine::session::WhenBusy::Wait,
            extras: epilogue_engine::session::TurnExtras::default(),
        };
        let mut stream = self.engine.turn(request).await.expect("begins");
        while stream.events.recv().await.is_some() {}
    }

    /// Waits, in real time but not for long, until the model has been asked `times` times.
    pub async fn asked(&self, times: usize) {
        for _ in 0..10_000 {
            if self.models.asked().len() >= times {
                return;
            }
            tokio::task::yield_now().await;
            std::thread::sleep(std::time::Duration::from_micros(100));
        }
        panic!("the model was asked {} times, not {times}", self.models.asked().len());
    }
}

/// Asserts that the answer is an error about sessions or chats.
#[track_caller]
pub fn refused(answer: &Answer, status: u16, message: &str) {
    assert_eq!(answer.told(), (status, &*json!({ "error": message }).to_string()));
    assert_eq!(answer.header("content-type"), Some("application/json"));
}

/// Asserts that the answer is the 401 of this API.
#[track_caller]
pub fn unauthorized(answer: &Answer) {
    assert_eq!(answer.told(), (401, r#"{"error":{"message":"Invalid authentication"}}"#));
    assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
}

/// Acme's other secret key, which is no `dk_` by its name and one by what it is.
pub const SECRET: &str = KEY;
