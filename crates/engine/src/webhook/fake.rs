//! A fake receiver on loopback, which behaves as its script says and remembers what it heard.

use std::{
    convert::Infallible,
    future::{pending, ready},
    io,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    response::Response,
};
use epilogue_core::Span;
use futures::{StreamExt, stream};
use http::{HeaderMap, Method, Uri};
use tokio::{
    io::AsyncReadExt,
    net::TcpListener,
    sync::watch::{self, Sender},
};
use tokio_util::task::AbortOnDropHandle;
use url::Url;

use crate::clock::{Clock, SimClock};

/// What [`Script::Flood`] would send in all: 1 GiB.
pub(crate) const FLOOD_BYTES: usize = 1 << 30;
const FLOOD_CHUNK: &[u8] = &[b'x'; 64 * 1024];

/// What the receiver does with every request.
#[derive(Clone)]
pub(crate) enum Script {
    /// Answers at once.
    Answer { status: u16, headers: Vec<(&'static str, String)>, body: Vec<u8> },
    /// Takes the request and never answers.
    Hang,
    /// Answers 200 and then sends a byte a second, for ever.
    Drip(SimClock),
    /// Answers 200 and breaks off in the middle of the body.
    BreakOff,
    /// Answers 200 with a body of [`FLOOD_BYTES`].
    Flood,
}

impl Script {
    pub(crate) fn answer(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self::Answer { status, headers: Vec::new(), body: body.into() }
    }

    pub(crate) fn with_header(status: u16, name: &'static str, value: impl Into<String>) -> Self {
        Self::Answer { status, headers: vec![(name, value.into())], body: Vec::new() }
    }
}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Heard {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("ASCII"))
    }
}

struct Inner {
    script: Script,
    heard: Mutex<Vec<Heard>>,
    requests: Sender<usize>,
    sent: Sender<usize>,
}

/// The running fake. It stops when dropped.
pub(crate) struct FakeReceiver {
    pub(crate) url: Url,
    inner: Arc<Inner>,
    _server: AbortOnDropHandle<()>,
}

impl FakeReceiver {
    pub(crate) async fn start(script: Script) -> Self {
        let (listener, url) = listen().await;
        let inner = Arc::new(Inner {
            script,
            heard: Mutex::default(),
            requests: watch::Sender::new(0),
            sent: watch::Sender::new(0),
        });
        let router = Router::new().fallback(receive).with_state(Arc::clone(&inner));
        let server = tokio::spawn(async move {
            axum::serve(listener, router).await.expect("it serves");
        });
        Self { url, inner, _server: AbortOnDropHandle::new(server) }
    }

    /// Every request so far.
    pub(crate) fn heard(&self) -> Vec<Heard> {
        self.inner.heard.lock().expect("not poisoned").clone()
    }

    /// Ready when a request has arrived.
    pub(crate) async fn arrived(&self) {
        let mut requests = self.inner.requests.subscribe();
        requests.wait_for(|count| *count > 0).await.expect("the fake lives");
    }

    /// Ready when the server has handed out `bytes` of bodies.
    pub(crate) async fn sent_at_least(&self, bytes: usize) {
        let mut sent = self.inner.sent.subscribe();
        sent.wait_for(|count| *count >= bytes).await.expect("the fake lives");
    }

    /// How many bytes of bodies the server has handed out.
    pub(crate) fn sent(&self) -> usize {
        *self.inner.sent.borrow()
    }
}

/// A fake that takes each connection, reads the request's beginning and resets it.
pub(crate) async fn resetting() -> (Url, AbortOnDropHandle<()>) {
    let (listener, url) = listen().await;
    let server = tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            connection.read_u8().await.expect("a request begins");
            connection.set_zero_linger().expect("a socket option");
        }
    });
    (url, AbortOnDropHandle::new(server))
}

/// Lets every task that can go on go on.
pub(crate) async fn settle() {
    for _ in 0..16 {
        tokio::task::yield_now().await;
    }
}

async fn listen() -> (TcpListener, Url) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    (listener, Url::parse(&format!("http://{address}/hook")).expect("a URL"))
}

async fn receive(
    State(inner): State<Arc<Inner>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: String,
) -> Response {
    inner.heard.lock().expect("not poisoned").push(Heard { method, uri, headers, body });
    inner.requests.send_modify(|count| *count += 1);
    let (status, headers, body) = match inner.script.clone() {
        Script::Answer { status, headers, body } => (status, headers, Body::from(body)),
        Script::Hang => pending().await,
        Script::Drip(clock) => (200, Vec::new(), drip(inner, clock)),
        Script::BreakOff => (200, Vec::new(), break_off()),
        Script::Flood => (200, Vec::new(), flood(inner)),
    };
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(name, value);
    }
    response.body(body).expect("a response")
}

fn drip(inner: Arc<Inner>, clock: SimClock) -> Body {
    let bytes = stream::unfold(clock.now(), move |at| {
        let (inner, clock) = (Arc::clone(&inner), clock.clone());
        async move {
            clock.sleep_until(at).await;
            inner.sent.send_modify(|sent| *sent += 1);
            Some((Ok::<_, Infallible>(Bytes::from_static(b".")), at + Span::from_secs(1)))
        }
    });
    Body::from_stream(bytes)
}

fn break_off() -> Body {
    let first = stream::once(ready(Ok(Bytes::from_static(b"half of "))));
    Body::from_stream(first.chain(stream::once(ready(Err(io::Error::other("broken off"))))))
}

fn flood(inner: Arc<Inner>) -> Body {
    let chunks = stream::iter(0..FLOOD_BYTES / FLOOD_CHUNK.len()).map(move |_| {
        inner.sent.send_modify(|sent| *sent += FLOOD_CHUNK.len());
        Ok::<_, Infallible>(Bytes::from_static(FLOOD_CHUNK))
    });
    Body::from_stream(chunks)
}
