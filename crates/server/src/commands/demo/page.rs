//! The demo's page, on an address of its own, as the page of whoever builds on the API would be: it plays
//! an avatar, has it talk and ends it. The one thing it cannot do itself is to open a session, for which it
//! would need the partner's credentials.

use std::{io, process::Stdio, sync::Arc};

use axum::{
    Json, Router,
    extract::{Path, State},
    http::{StatusCode, header},
    response::{Html, IntoResponse},
    routing::{get, post},
};
use epilogue_core::Span;
use epilogue_engine::clock::{Clock, SystemClock};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::{net::TcpListener, process::Command, sync::Semaphore};

use super::{avatars, print::Printer, script::Shown, summary, talk::Talk, voice};
use crate::commands::table::cell;

/// Where it is shown if it can be.
const ADDRESS: &str = "127.0.0.1:7411";
/// How many of its sessions are followed to their end at a time.
const FOLLOWED_MAX: usize = 16;
/// How often and how long it is looked whether one has ended: half an hour. A page that is closed ends
/// its session, and one that is lost leaves it to the idle timer.
const LOOKS_MAX: u32 = 3_600;
const BETWEEN_LOOKS: Span = Span::from_millis(500);
/// The program that speaks, if it is there.
const SPEAKER: &str = "espeak-ng";

/// The page.
#[derive(Clone)]
pub(super) struct Page {
    talk: Talk,
    printer: Printer,
    api: String,
    speaks: bool,
    followed: Arc<Semaphore>,
}

impl Page {
    /// A page about the server at `api`.
    pub async fn new(talk: Talk, printer: Printer, api: &str) -> Self {
        let speaks = speaker_is_there().await;
        let followed = Arc::new(Semaphore::new(FOLLOWED_MAX));
        Self { talk, printer, api: api.to_owned(), speaks, followed }
    }

    /// Whether avatars can say words here.
    pub fn speaks(&self) -> bool {
        self.speaks
    }

    /// Shows it. Returns where.
    pub async fn show(self) -> io::Result<String> {
        let listener = match TcpListener::bind(ADDRESS).await {
            Ok(listener) => listener,
            Err(_) => TcpListener::bind("127.0.0.1:0").await?,
        };
        let url = format!("http://{}", listener.local_addr()?);
        let router = Router::new()
            .route("/", get(|| async { Html(include_str!("page.html")) }))
            .route("/voice.wav", get(recording))
            .route("/session", post(open))
            .route("/session/{id}", get(look))
            .with_state(self);
        tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!(%error, "the demo's page is not shown any more");
            }
        });
        Ok(url)
    }

    /// Prints what the end of a session did, once it has come.
    async fn follow(self, id: String) {
        self.printer.remark(&format!("page: session {id}"));
        let shown = Shown { title: "ended by the page", id, reason: "user_end" };
        for _ in 0..LOOKS_MAX {
            let look = format!("/sessions/{}", shown.id);
            match self.talk.native(Method::GET, &look, None).await {
                Ok(session) if cell(&session, "state") == "final" => {
                    summary::timeline(&self.printer, &shown, &session);
                    return;
                }
                Ok(_) => SystemClock.sleep(BETWEEN_LOOKS).await,
                Err(error) => return self.printer.bad(&format!("page: {error}")),
            }
        }
    }
}

async fn speaker_is_there() -> bool {
    let mut program = Command::new(SPEAKER);
    program.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    program.status().await.is_ok_and(|status| status.success())
}

async fn recording() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "audio/wav")], voice::hum())
}

/// Opens a session for the page.
async fn open(State(page): State<Page>) -> Result<Json<Value>, (StatusCode, &'static str)> {
    let place = page.followed.clone().try_acquire_owned();
    let full = |_| (StatusCode::SERVICE_UNAVAILABLE, "too many sessions of this page are open");
    let place = place.map_err(full)?;
    let session = avatars::open(&page.talk).await.map_err(|error| {
        page.printer.bad(&format!("page: no session: {error}"));
        (StatusCode::BAD_GATEWAY, "the server opened none; the terminal says why")
    })?;
    let opened = json!({
        "api": page.api, "sessionId": session.id, "token": session.token, "speaks": page.speaks,
    });
    tokio::spawn(async move {
        page.follow(session.id).await;
        drop(place);
    });
    Ok(Json(opened))
}

/// What the end of a session did.
async fn look(State(page): State<Page>, Path(id): Path<String>) -> Result<Json<Value>, StatusCode> {
    let is_name = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if !is_name {
        return Err(StatusCode::NOT_FOUND);
    }
    let session = summary::settled(&page.talk, &id).await;
    let session = session.map_err(|_| StatusCode::BAD_GATEWAY)?;
    Ok(Json(summary::in_short(&session)))
}
