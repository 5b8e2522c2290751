//! A person who texts, an account at the stand-in for Twilio, and the stand-in itself: a fake, which
//! accepts what it is sent unless it is told otherwise.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use epilogue_api::dialect::dasha::sms::Twilio;
use epilogue_core::{Span, retry::RetryPolicy, texting::InboundMessage};
use epilogue_engine::{
    inbox::InboxWorker, records::PageRequest, testing::InboxCensus, webhook::egress::Egress,
};
use hmac::{Hmac, Mac as _};
use http::{HeaderMap, Method, header};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use sha1::Sha1;
use tokio::sync::Semaphore;
use url::form_urlencoded;

use crate::{
    client::{keyed, post},
    support::{Answer, CHAT_AGENT, Fixture, KEY, Setup},
};

/// Acme's account.
pub const SID: &str = "AC00000000000000000000000000000001";
/// Its auth token.
pub const TOKEN: &str = "auth-token-of-acme";
/// Acme's number.
pub const OURS: &str = "+18005551212";
/// A person's number.
pub const ANN: &str = "+14158675309";
/// Another person's.
pub const BOB: &str = "+14158675310";
/// Where clients reach the server.
pub const PUBLIC: &str = "http://127.0.0.1:7400";

/// What reached the stand-in.
#[derive(Clone, Debug)]
pub struct Sent {
    pub path: String,
    pub headers: HeaderMap,
    pub form: BTreeMap<String, String>,
}

#[derive(Default)]
struct Inner {
    sent: Mutex<Vec<Sent>>,
    answers: Mutex<VecDeque<(u16, Option<&'static str>, String)>>,
    gate: Mutex<Option<Arc<Semaphore>>>,
}

/// A stand-in for Twilio's API: a fake.
#[derive(Clone)]
pub struct FakeTwilio {
    inner: Arc<Inner>,
    pub url: String,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn take(State(inner): State<Arc<Inner>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = body.collect().await.expect("a whole body").to_bytes();
    let form = form_urlencoded::parse(&body).into_owned().collect();
    let sent = Sent { path: head.uri.path().to_owned(), headers: head.headers, form };
    let number = {
        let mut all = locked(&inner.sent);
        all.push(sent);
        all.len()
    };
    let gate = locked(&inner.gate).clone();
    if let Some(gate) = gate {
        gate.acquire().await.expect("open").forget();
    }
    let accepted = || (201, None, json!({ "sid": format!("SMout{number}") }).to_string());
    let (status, wait, body) = locked(&inner.answers).pop_front().unwrap_or_else(accepted);
    let mut response =
        (http::StatusCode::from_u16(status).expect("a status"), body).into_response();
    if let Some(wait) = wait {
        let wait = http::HeaderValue::from_static(wait);
        response.headers_mut().insert(header::RETRY_AFTER, wait);
    }
    response
}

impl FakeTwilio {
    pub async fn start() -> Self {
        let inner = Arc::<Inner>::default();
        let router = Router::new().fallback(take).with_state(inner.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { inner, url }
    }

    /// What it was sent so far.
    pub fn sent(&self) -> Vec<Sent> {
        locked(&self.inner.sent).clone()
    }

    /// The texts it was sent so far.
    pub fn bodies(&self) -> Vec<String> {
        self.sent().into_iter().map(|sent| sent.form["Body"].clone()).collect()
    }

    /// Answers the next requests like this, in order.
    pub fn answer(&self, status: u16, retry_after: Option<&'static str>, body: &Value) {
        locked(&self.inner.answers).push_back((status, retry_after, body.to_string()));
    }

    /// Answers nothing until as many permits are added as it is to answer requests.
    pub fn hold(&self) -> Arc<Semaphore> {
        let gate = Arc::new(Semaphore::new(0));
        *locked(&self.inner.gate) = Some(gate.clone());
        gate
    }

    /// Waits, in real time but not for long, until it was sent so many.
    pub async fn heard(&self, times: usize) {
        for _ in 0..10_000 {
            if self.sent().len() >= times {
                return;
            }
            tokio::task::yield_now().await;
            std::thread::sleep(std::time::Duration::from_micros(300));
        }
        panic!("it was sent {} of {times}", self.sent().len());
    }
}

/// When answers are tried.
pub fn policy() -> RetryPolicy {
    RetryPolicy {
        schedule: [0, 2, 10, 30].map(Span::from_secs).to_vec(),
        timeout: Span::from_secs(15),
        jitter_percent: 0,
    }
}

/// Acme with an account, a number, and its chat agent behind it.
pub struct Texting {
    pub fixture: Fixture,
    pub twilio: FakeTwilio,
    pub worker: InboxWorker,
    pub provider: String,
    pub number: String,
}

/// The worker of an API.
pub fn worker(fixture: &Fixture) -> InboxWorker {
    let twilio = Twilio::new(&fixture.api, Egress::new(true).expect("a client"));
    InboxWorker::new(&fixture.engine, Arc::new(twilio), policy())
}

impl Texting {
    pub async fn start() -> Self {
        Self::with(|_| ()).await
    }

    pub async fn with(change: impl FnOnce(&mut Setup)) -> Self {
        let twilio = FakeTwilio::start().await;
        let url = twilio.url.parse().expect("a URL");
        let fixture = Fixture::with(|setup| {
            setup.settings.twilio.api_url = url;
            change(setup);
        })
        .await;
        let account = json!({ "accountSid": SID, "authToken": TOKEN, "name": "Main" });
        let answer = fixture.send(post("/providers/twilio", &account)).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        let provider = answer.json()["id"].as_str().expect("an id").to_owned();
        let number = json!({ "phoneNumber": OURS, "providerId": provider });
        let answer = fixture.send(post("/sip-phone-numbers", &number)).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        let number = answer.json()["id"].as_str().expect("an id").to_owned();
        let worker = worker(&fixture);
        let texting = Self { fixture, twilio, worker, provider, number };
        let linked = texting.link(json!({ "agentId": CHAT_AGENT, "mode": "inbound" })).await;
        assert_eq!(linked.status, 200, "{}", linked.body);
        texting
    }

    /// Links the number.
    pub async fn link(&self, body: Value) -> Answer {
        let path = format!("/sip-phone-numbers/{}/agent-link", self.number);
        self.fixture.send(keyed(KEY, Method::PUT, &path, body.to_string())).await
    }

    /// The path at which messages arrive.
    pub fn path(&self) -> String {
        format!("/api/v1/providers/twilio/{}/sms", self.provider)
    }

    /// A message as Twilio tells of it, before it is signed.
    pub fn message(&self, sid: &str, from: &str, text: &str) -> Form {
        let form = [
            ("MessageSid", sid),
            ("AccountSid", SID),
            ("From", from),
            ("To", OURS),
            ("Body", text),
            ("NumMedia", "0"),
        ];
        Form {
            path: self.path(),
            token: TOKEN.to_owned(),
            parts: form.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        }
    }

    /// Twilio tells of a message.
    pub async fn tells(&self, form: &Form) -> Answer {
        self.fixture.send(form.signed()).await
    }

    /// A message arrives, and Twilio is answered as it should be.
    pub async fn texts(&self, sid: &str, from: &str, text: &str) {
        let answer = self.tells(&self.message(sid, from, text)).await;
        assert_eq!(answer.told(), (200, "<Response/>"));
        assert_eq!(answer.header("content-type"), Some("text/xml"));
    }

    /// Everything that is due is answered.
    pub async fn work(&self) -> usize {
        self.worker.run_until_idle().await.expect("worked")
    }

    /// Every message of Acme's, the latest first.
    pub async fn inbox(&self) -> Vec<InboundMessage> {
        let page = PageRequest::first(100);
        self.fixture.engine.inbox(&"org_acme".into(), None, &page).await.expect("read").items
    }

    /// One message.
    pub async fn of(&self, sid: &str) -> InboundMessage {
        let all = self.inbox().await;
        all.into_iter().find(|message| message.inbound.id.message == sid).expect("received")
    }

    /// How messages stand.
    pub async fn census(&self) -> InboxCensus {
        self.fixture.storage.inbox_census().await.expect("read")
    }

    /// Every chat by text message, as the list shows them.
    pub async fn chats(&self) -> Vec<Value> {
        let request = crate::client::get("/chats?channel=twilio_sms&state=all");
        let answer = self.fixture.send(request).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.json()["items"].as_array().expect("a list").clone()
    }
}

/// A form as Twilio sends it.
#[derive(Clone, Debug)]
pub struct Form {
    pub path: String,
    pub token: String,
    pub parts: BTreeMap<String, String>,
}

impl Form {
    /// The same with another part.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.parts.insert(name.to_owned(), value.to_owned());
        self
    }

    /// The same without a part.
    pub fn without(mut self, name: &str) -> Self {
        self.parts.remove(name);
        self
    }

    /// What Twilio would sign it with.
    pub fn signature(&self) -> String {
        self.signature_at(PUBLIC)
    }

    /// The same with the server at another address.
    pub fn signature_at(&self, base: &str) -> String {
        let mut mac = Hmac::<Sha1>::new_from_slice(self.token.as_bytes()).expect("any key");
        mac.update(format!("{base}{}", self.path).as_bytes());
        for (name, value) in &self.parts {
            mac.update(format!("{name}{value}").as_bytes());
        }
        BASE64_STANDARD.encode(mac.finalize().into_bytes())
    }

    /// The body.
    pub fn body(&self) -> String {
        form_urlencoded::Serializer::new(String::new()).extend_pairs(&self.parts).finish()
    }

    /// The request, signed by Twilio.
    pub fn signed(&self) -> http::Request<Body> {
        self.signed_as(Some(&self.signature()))
    }

    /// The request with any signature, or none.
    pub fn signed_as(&self, signature: Option<&str>) -> http::Request<Body> {
        let mut request = http::Request::post(&self.path)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        if let Some(signature) = signature {
            request = request.header("X-Twilio-Signature", signature);
        }
        request.body(Body::from(self.body())).expect("a request")
    }
}
