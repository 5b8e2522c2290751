//! A fake endpoint, which does over a real connection what a test tells it to.

use std::{
    collections::VecDeque,
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::Body,
    extract::{ConnectInfo, State},
    http::{HeaderMap, Response},
    routing::post,
};
use bytes::Bytes;
use epilogue_core::{Span, Timestamp, agent::ModelProvider};
use futures::{StreamExt, stream};
use serde_json::{Value, json};
use tokio::sync::watch;
use url::Url;

use super::{RETRY_AFTER_MAX, answer::TAIL_WAIT};
use crate::{
    clock::{Clock, SimClock, Sleep},
    ids::Ids,
    llm::{
        ModelRequest, OpenAi,
        testing::{conversation, request},
    },
};

/// What the endpoint does next.
pub(super) enum Act {
    /// Sends these bytes, on their own.
    Send(Bytes),
    /// Sends nothing more, and does not hang up.
    Stall,
    /// Breaks the connection.
    Break,
}

/// An answer to one request. After its last act it ends as it should.
pub(super) struct Reply {
    status: u16,
    headers: Vec<(&'static str, &'static str)>,
    acts: Vec<Act>,
}

/// A stream of these packets.
pub(super) fn stream_of(packets: impl IntoIterator<Item = impl Into<Bytes>>) -> Reply {
    let acts = packets.into_iter().map(|packet| Act::Send(packet.into())).collect();
    Reply { status: 200, headers: vec![("content-type", "text/event-stream")], acts }
}

/// A refusal with this body.
pub(super) fn refusal(status: u16, body: &'static str) -> Reply {
    Reply { status, headers: Vec::new(), acts: vec![Act::Send(body.into())] }
}

impl Reply {
    pub(super) fn then(mut self, act: Act) -> Self {
        self.acts.push(act);
        self
    }

    pub(super) fn header(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.insert(0, (name, value));
        self
    }
}

/// One event.
pub(super) fn event(data: &Value) -> String {
    format!("data: {data}\n\n")
}

/// An event with this delta.
pub(super) fn delta(delta: &Value) -> String {
    event(&json!({ "choices": [{ "index": 0, "delta": delta }] }))
}

/// An event with this text.
pub(super) fn word(text: &str) -> String {
    delta(&json!({ "content": text }))
}

/// The last event of the answer itself.
pub(super) fn finish(reason: &str) -> String {
    event(&json!({ "choices": [{ "index": 0, "delta": {}, "finish_reason": reason }] }))
}

/// The event that carries usage.
pub(super) fn usage(prompt_tokens: u64, completion_tokens: u64) -> String {
    let usage = json!({ "prompt_tokens": prompt_tokens, "completion_tokens": completion_tokens });
    event(&json!({ "choices": [], "usage": usage }))
}

/// The last event.
pub(super) fn done() -> String {
    "data: [DONE]\n\n".to_owned()
}

/// A whole answer.
pub(super) fn whole_answer(text: &str) -> Reply {
    stream_of([word(text), finish("stop"), done()])
}

/// A request as it arrived.
#[derive(Clone)]
pub(super) struct Asked {
    pub(super) from: SocketAddr,
    pub(super) headers: HeaderMap,
    pub(super) body: Value,
}

#[derive(Clone, Default)]
struct Shared {
    replies: Arc<Mutex<VecDeque<Reply>>>,
    asked: watch::Sender<Vec<Asked>>,
    /// How many replies are over, finished or not.
    over: watch::Sender<usize>,
}

/// The endpoint. It stops with the test's runtime.
pub(super) struct FakeEndpoint {
    address: SocketAddr,
    shared: Shared,
}

impl FakeEndpoint {
    /// Answers each request with the next of these.
    pub(super) async fn start(replies: impl IntoIterator<Item = Reply>) -> Self {
        let shared = Shared::default();
        shared.replies.lock().unwrap().extend(replies);
        let router = Router::new().route("/v1/chat/completions", post(answer));
        let service = router.with_state(shared.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let service = service.into_make_service_with_connect_info::<SocketAddr>();
        tokio::spawn(async move { axum::serve(listener, service).await });
        Self { address, shared }
    }

    /// A request to it.
    pub(super) fn request(&self) -> ModelRequest {
        let mut request = request(conversation(&["hello"]));
        request.model.provider = ModelProvider::Openai;
        request.model.base_url =
            Some(Url::parse(&format!("http://{}/v1", self.address)).expect("a URL"));
        request
    }

    /// Every request so far.
    pub(super) fn asked(&self) -> Vec<Asked> {
        self.shared.asked.borrow().clone()
    }

    /// Waits for the first request.
    pub(super) async fn first_request(&self) {
        let mut asked = self.shared.asked.subscribe();
        asked.wait_for(|asked| !asked.is_empty()).await.expect("the endpoint runs");
    }

    /// Waits until the first reply is over, be it that nobody listens any more.
    pub(super) async fn first_reply_over(&self) {
        let mut over = self.shared.over.subscribe();
        over.wait_for(|over| *over > 0).await.expect("the endpoint runs");
    }
}

/// Says that a reply is over when it is dropped.
struct Over(watch::Sender<usize>);

impl Drop for Over {
    fn drop(&mut self) {
        self.0.send_modify(|over| *over += 1);
    }
}

async fn answer(
    State(shared): State<Shared>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response<Body>, Infallible> {
    let body = serde_json::from_slice(&body).expect("a request is JSON");
    shared.asked.send_modify(|asked| asked.push(Asked { from, headers, body }));
    let reply = shared.replies.lock().unwrap().pop_front();
    let reply = reply.unwrap_or_else(|| refusal(418, "nobody said what to answer"));
    let mut response = Response::builder().status(reply.status);
    for (name, value) in reply.headers {
        response = response.header(name, value);
    }
    let over = Over(shared.over);
    let packets = stream::unfold((reply.acts.into_iter(), over), |(mut acts, over)| async {
        let packet = match acts.next()? {
            Act::Send(bytes) => Ok(bytes),
            Act::Stall => std::future::pending().await,
            Act::Break => Err(std::io::Error::other("broken on purpose")),
        };
        // Lets what was sent before leave on its own.
        tokio::task::yield_now().await;
        Some((packet, (acts, over)))
    });
    Ok(response.body(Body::from_stream(packets.boxed())).expect("a response"))
}

/// A clock on which waits before a repetition pass at once and are noted; longer ones take time.
pub(super) struct HurriedClock {
    pub(super) clock: SimClock,
    pub(super) waits: Arc<Mutex<Vec<Span>>>,
}

impl HurriedClock {
    pub(super) fn new() -> Self {
        Self { clock: sim_clock(), waits: Arc::default() }
    }
}

impl Clock for HurriedClock {
    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn sleep_until(&self, at: Timestamp) -> Sleep {
        let wait = at.since(self.now());
        if wait > RETRY_AFTER_MAX || wait == TAIL_WAIT {
            return self.clock.sleep_until(at);
        }
        let (clock, waits) = (self.clock.clone(), self.waits.clone());
        Box::pin(async move {
            waits.lock().unwrap().push(wait);
            clock.advance_to(at);
        })
    }
}

pub(super) fn sim_clock() -> SimClock {
    SimClock::at(Timestamp::from_millis(0))
}

/// The adapter on this clock.
pub(super) fn adapter(clock: impl Clock) -> OpenAi {
    OpenAi::new(Arc::new(clock), Arc::new(Ids::seeded(1)), false).expect("a client")
}
