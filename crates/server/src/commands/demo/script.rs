//! The conversations of the demo: each is ended in a different way.

use epilogue_core::Span;
use epilogue_engine::clock::{Clock, SystemClock};
use reqwest::Method;
use serde_json::json;

use super::{
    avatars, chats,
    page::Page,
    print::Printer,
    projects,
    talk::{Failure, Held, Talk},
};

pub(super) const SUPPORT: &str = "5b710eca-ee67-4c3a-aeb6-8b541f451b40";
const PATIENT: &str = "7e1c2d3a-0b4f-4e5d-8c6b-9a8b7c6d5e4f";
const ANN: &str = "ann@example.com";

/// How far into the story the operator ends it.
const WHILE_TALKING: Span = Span::from_millis(400);

/// A conversation that has been shown.
pub(super) struct Shown {
    /// How it was to end, in a few words.
    pub title: &'static str,
    /// Its name.
    pub id: String,
    /// The reason its end must have.
    pub reason: &'static str,
}

/// Runs every conversation.
pub(super) async fn run(
    talk: &Talk,
    printer: &Printer,
    page: &Page,
) -> Result<Vec<Shown>, Failure> {
    let mut shown = vec![
        closed_by_the_person(talk, printer).await?,
        finished_by_the_agent(talk, printer).await?,
        left_alone(talk, printer).await?,
        tab_closed_in_mid_answer(talk, printer).await?,
        finished_by_the_agent_natively(talk, printer).await?,
        ended_by_an_operator(talk, printer).await?,
    ];
    shown.extend(chats::run(talk, printer).await?);
    shown.push(projects::run(talk, printer).await?);
    shown.push(avatars::run(talk, printer, page).await?);
    Ok(shown)
}

fn opened(printer: &Printer, title: &str, session: Held) -> Held {
    printer.heading(title);
    printer.remark(&format!("session {}", session.id));
    if let Some(greeting) = &session.greeting {
        printer.said("agent", greeting);
    }
    session
}

async fn exchange(
    talk: &Talk,
    printer: &Printer,
    session: &Held,
    message: &str,
) -> Result<bool, Failure> {
    printer.said("person", message);
    let said = talk.say(session, message, usize::MAX).await?;
    printer.said("agent", &said.text);
    Ok(said.finish)
}

async fn closed_by_the_person(talk: &Talk, printer: &Printer) -> Result<Shown, Failure> {
    let title = "TalkifAI: the person closes the widget (and the widget says so twice)";
    let session = talk.open_talkifai(SUPPORT, ANN).await?;
    let session = opened(printer, title, session);
    exchange(talk, printer, &session, "Where is my order?").await?;
    let (first, second) = (talk.end(&session).await?, talk.end(&session).await?);
    printer.remark(&format!("end: {first}; a second end: {second}, the token has died with it"));
    Ok(Shown { title: "closed by the person", id: session.id, reason: "user_end" })
}

async fn finished_by_the_agent(talk: &Talk, printer: &Printer) -> Result<Shown, Failure> {
    let title = "TalkifAI: the agent says goodbye, and the client ends the session as told";
    let session = talk.open_talkifai(SUPPORT, "bob@example.com").await?;
    let session = opened(printer, title, session);
    if exchange(talk, printer, &session, "That was all, bye!").await? {
        printer.remark(&format!("end_session was true; end: {}", talk.end(&session).await?));
    }
    Ok(Shown { title: "goodbye by the agent", id: session.id, reason: "user_end" })
}

async fn left_alone(talk: &Talk, printer: &Printer) -> Result<Shown, Failure> {
    let title = "TalkifAI: nobody ends it, so the idle timer does, three seconds later";
    let session = talk.open_talkifai(PATIENT, "cleo@example.com").await?;
    let session = opened(printer, title, session);
    exchange(talk, printer, &session, "One moment please").await?;
    printer.remark("the person walks away");
    Ok(Shown { title: "left alone", id: session.id, reason: "idle" })
}

async fn tab_closed_in_mid_answer(talk: &Talk, printer: &Printer) -> Result<Shown, Failure> {
    let title = "TalkifAI: the tab closes in mid-answer, its keepalive request gets out";
    let session = talk.open_talkifai(SUPPORT, ANN).await?;
    let session = opened(printer, title, session);
    let message = "Tell me a long story";
    printer.said("person", message);
    let heard = talk.say(&session, message, 12).await?;
    printer.said("agent", &format!("{} […]", heard.text.trim_end()));
    let status = talk.end(&session).await?;
    printer.remark(&format!("the tab is gone; end: {status}; what was heard is kept and billed"));
    Ok(Shown { title: "tab closed", id: session.id, reason: "user_end" })
}

async fn finished_by_the_agent_natively(talk: &Talk, printer: &Printer) -> Result<Shown, Failure> {
    let title = "Native API: the agent says goodbye, and that ends the session";
    let session = talk.open_native(SUPPORT, ANN).await?;
    let session = opened(printer, title, session);
    exchange(talk, printer, &session, "Bye").await?;
    Ok(Shown { title: "ended by the agent", id: session.id, reason: "agent_finish" })
}

async fn ended_by_an_operator(talk: &Talk, printer: &Printer) -> Result<Shown, Failure> {
    let title = "Native API: an operator ends it while the agent is still talking";
    let session = talk.open_native(SUPPORT, "dora@example.com").await?;
    let session = opened(printer, title, session);
    let message = "Tell me a long story";
    printer.said("person", message);
    let ending = async {
        SystemClock.sleep(WHILE_TALKING).await;
        let path = format!("/sessions/{}/end", session.id);
        let body = json!({ "note": "shown in the demo" });
        talk.native(Method::POST, &path, Some(body)).await
    };
    let (heard, ended) = tokio::join!(talk.say(&session, message, usize::MAX), ending);
    printer.said("agent", &format!("{} […]", heard?.text.trim_end()));
    let already = ended?.get("already_ended").cloned().unwrap_or_default();
    printer.remark(&format!("ended by an operator; already_ended: {already}"));
    Ok(Shown { title: "ended by an operator", id: session.id, reason: "operator" })
}
