//! The demo's avatar session by the Kaltura API: a caller supplies the lines, an avatar says them, and the
//! end stops it.

use epilogue_core::Span;
use epilogue_engine::clock::{Clock, SystemClock};
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    page::Page,
    print::Printer,
    script::Shown,
    talk::{Failure, Talk, text},
    voice,
};

/// What stands for the credentials of the sample partner.
const KS: &str = "demo-ks";
/// What it says, where there is a program that speaks.
const LINE: &str = "Hello! I say what I am told, and I stop when I am ended.";
/// How often and how long it is looked whether it has been said: 20 seconds.
const LOOKS_MAX: u32 = 100;
const BETWEEN_LOOKS: Span = Span::from_millis(200);

/// An avatar session, as its client knows it.
pub(super) struct Held {
    /// Its name.
    pub id: String,
    /// What opens it, and nothing else.
    pub token: String,
}

/// Opens a session.
pub(super) async fn open(talk: &Talk) -> Result<Held, Failure> {
    let body = json!({ "visualConfig": { "avatarId": "default" } });
    let (status, opened) = talk.kaltura("", &format!("KS {KS}"), body).await?;
    if !status.is_success() {
        return Err(format!("the server answered {status}: {opened}").into());
    }
    Ok(Held { id: text(&opened, "sessionId"), token: text(&opened, "token") })
}

/// Runs the conversation. Whether somebody watches makes no difference to it; here nobody does.
pub(super) async fn run(talk: &Talk, printer: &Printer, page: &Page) -> Result<Shown, Failure> {
    printer.heading("Kaltura: an avatar says what it is told, and is ended");
    let session = open(talk).await?;
    printer.remark(&format!("session {}; its viewer would watch by WHEP", session.id));
    let bearer = format!("Bearer {}", session.token);
    let ask = async |what: &str, body: Value| {
        talk.kaltura(&format!("/{}/{what}", session.id), &bearer, body).await
    };
    ask("init-client", json!({})).await?;
    if page.speaks() {
        ask("say-text", json!({ "text": LINE })).await?;
        said(talk, &session.id).await?;
        printer.said("avatar", LINE);
    } else {
        let path = format!("/{}/say-audio", session.id);
        talk.kaltura_recording(&path, &bearer, &voice::hum(), voice::HUM_S).await?;
        printer.said("avatar", "(hums a recording: no program speaks here, such as espeak-ng)");
    }
    for _ in 0..2 {
        let (status, body) = ask("end", json!({})).await?;
        printer.remark(&format!("end: {status}  {body}"));
    }
    Ok(Shown { title: "the avatar is ended", id: session.id, reason: "user_end" })
}

/// Waits until what was said is on record.
async fn said(talk: &Talk, session: &str) -> Result<(), Failure> {
    let path = format!("/sessions/{session}/messages");
    for _ in 0..LOOKS_MAX {
        let messages = talk.native(Method::GET, &path, None).await?;
        if messages.to_string().contains(LINE) {
            return Ok(());
        }
        SystemClock.sleep(BETWEEN_LOOKS).await;
    }
    Err("the avatar has not said what it was told".into())
}
