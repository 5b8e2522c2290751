//! A webhook receiver, as the owner of an agent would write one: it checks the signature with the
//! reference library, and knows an event it has seen. It is down for the first delivery it gets.

use std::{
    collections::HashMap,
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use standardwebhooks::Webhook;
use tokio::net::TcpListener;

use super::print::Printer;

/// Where it listens if it can, so that what is owed from the last time still finds it.
const ADDRESS: &str = "127.0.0.1:7410";

/// The secret the sample agents sign with.
const SECRET: &str = "whsec_ZGVtby1vZi1lcGlsb2d1ZS1zZWNyZXQ=";

/// What it has seen: how often each event was accepted.
#[derive(Clone)]
pub(super) struct Receiver {
    seen: Arc<Mutex<HashMap<String, u32>>>,
    has_been_down: Arc<AtomicBool>,
    printer: Printer,
    /// Where it listens.
    pub url: String,
}

impl Receiver {
    /// Starts to listen.
    pub async fn start(printer: Printer) -> io::Result<Self> {
        let listener = match TcpListener::bind(ADDRESS).await {
            Ok(listener) => listener,
            Err(_) => TcpListener::bind("127.0.0.1:0").await?,
        };
        let url = format!("http://{}/hook", listener.local_addr()?);
        let has_been_down = Arc::default();
        let receiver = Self { seen: Arc::default(), has_been_down, printer, url };
        let router = Router::new().route("/hook", post(hook)).with_state(receiver.clone());
        tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!(%error, "the demo's receiver stopped");
            }
        });
        Ok(receiver)
    }

    /// How many events it has accepted.
    pub fn accepted(&self) -> usize {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    fn is_down(&self) -> bool {
        !self.has_been_down.swap(true, Relaxed)
    }

    fn accept(&self, id: &str) -> u32 {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let times = seen.entry(id.to_owned()).or_default();
        *times += 1;
        *times
    }
}

async fn hook(State(receiver): State<Receiver>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let id = headers.get("webhook-id").and_then(|id| id.to_str().ok()).unwrap_or("?").to_owned();
    let verified = Webhook::new(SECRET).is_ok_and(|hook| hook.verify(&body, &headers).is_ok());
    let event = event_of(&body);
    if !verified {
        receiver.printer.receiver(&format!("{event} {id}: wrong signature, refused"));
        return StatusCode::UNAUTHORIZED;
    }
    if receiver.is_down() {
        receiver.printer.receiver(&format!("{event}: the receiver is down (on purpose, once)"));
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    let again = if receiver.accept(&id) > 1 { ", seen before: ignored" } else { "" };
    receiver.printer.receiver(&format!("{event}: signature verified{again}"));
    StatusCode::NO_CONTENT
}

fn event_of(body: &[u8]) -> String {
    let body: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let name = body.get("event").or_else(|| body.get("type"));
    name.and_then(serde_json::Value::as_str).unwrap_or("?").to_owned()
}
