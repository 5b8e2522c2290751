//! Who the server talks to: a webhook receiver and a model. Both are as fast as can be, and each
//! has a thread of its own, so that the load driver does not wait for them.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread,
};

use axum::{
    Router, body::Body, extract::State, response::IntoResponse, routing::post,
    serve::ListenerExt as _,
};
use futures::{Stream, StreamExt as _, stream};
use http::{Method, StatusCode, header};
use tokio::{net::TcpListener, runtime, sync::oneshot};

use crate::{
    Result,
    http::{Call, call},
    time::{self, Duration},
};

/// What a streamed answer says first. [`MODEL_SPEAKS`] is found in it and nowhere before.
const FIRST: &str = "data: {\"id\":\"1\",\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"From \"}}]}\n\n";
const MORE: &str = "data: {\"id\":\"1\",\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"ten \"}}]}\n\n";
const LAST: &str = "data: {\"id\":\"1\",\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: {\"id\":\"1\",\"object\":\"chat.completion.chunk\",\"choices\":[],\"usage\":{\"prompt_tokens\":20,\"completion_tokens\":5,\"total_tokens\":25}}\n\ndata: [DONE]\n\n";

/// How one sees that the model has begun to speak.
pub const MODEL_SPEAKS: &[u8] = b"\"content\"";

/// Pieces of an answer of [`Peers::ticking_model`], one a second.
pub type Ticks = usize;

/// The peers, until dropped.
pub struct Peers {
    address: SocketAddr,
    received: Arc<AtomicUsize>,
    _stop: oneshot::Sender<()>,
}

impl Peers {
    /// Starts them. A ticking model speaks for so many seconds.
    pub fn start(ticks: Ticks) -> Result<Self> {
        let received = Arc::<AtomicUsize>::default();
        let router = router(received.clone(), ticks);
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        thread::Builder::new().name("peers".into()).spawn(move || {
            runtime.block_on(async move {
                let Ok(listener) = TcpListener::from_std(listener) else { return };
                let listener = listener.tap_io(|stream| {
                    // Each word at once; if it fails, the connection is gone.
                    let _ = stream.set_nodelay(true);
                });
                tokio::select! {
                    _ = axum::serve(listener, router) => {}
                    _ = stopped => {}
                }
            });
        })?;
        Ok(Self { address, received, _stop: stop })
    }

    /// Where they are.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A webhook that answers at once.
    pub fn prompt_webhook(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// A webhook that never answers.
    pub fn stuck_webhook(&self) -> String {
        format!("http://{}/stuck", self.address)
    }

    /// A model that says everything at once.
    pub fn prompt_model(&self) -> String {
        format!("http://{}/prompt", self.address)
    }

    /// A model that says a word a second.
    pub fn ticking_model(&self) -> String {
        format!("http://{}/ticking", self.address)
    }

    /// How often a webhook was called.
    pub fn received(&self) -> usize {
        self.received.load(Relaxed)
    }
}

fn router(received: Arc<AtomicUsize>, ticks: Ticks) -> Router {
    let hook = |State(received): State<Arc<AtomicUsize>>, _body: bytes::Bytes| async move {
        received.fetch_add(1, Relaxed);
        StatusCode::NO_CONTENT
    };
    let prompt = || async { events(stream::iter([FIRST, MORE, LAST])) };
    let ticking = move || async move {
        let pieces =
            stream::iter(std::iter::repeat_n(MORE, ticks).chain([LAST])).then(|piece| async move {
                time::sleep(Duration::from_secs(1)).await;
                piece
            });
        events(stream::once(async { FIRST }).chain(pieces))
    };
    Router::new()
        .route("/hook", post(hook))
        .route("/stuck", post(std::future::pending::<StatusCode>))
        .route("/prompt/chat/completions", post(prompt))
        .route("/ticking/chat/completions", post(ticking))
        .with_state(received)
}

fn events(pieces: impl Stream<Item = &'static str> + Send + 'static) -> impl IntoResponse {
    let body = Body::from_stream(pieces.map(Ok::<_, Infallible>));
    ([(header::CONTENT_TYPE, "text/event-stream")], body)
}

/// Asks the prompt model directly, as the server does.
pub fn ask_model() -> Result<Call> {
    let body = r#"{"model":"bench","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"system","content":"You answer questions about opening hours."},{"role":"user","content":"When are you open on Sundays?"}]}"#;
    call(Method::POST, "/prompt/chat/completions", &[], body.to_owned())
}

/// Tells the prompt webhook directly, with a body of the size that the server sends.
pub fn tell_webhook() -> Result<Call> {
    call(Method::POST, "/hook", &[], format!(r#"{{"data":"{}"}}"#, "x".repeat(500)))
}
