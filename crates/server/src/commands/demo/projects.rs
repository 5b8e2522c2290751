//! The demo's conversation by the Pathors API, as a client of OpenAI's has it: once it has ended, its
//! words are gone.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{
    print::Printer,
    script::Shown,
    talk::{Failure, Talk, text},
};

/// The client chooses the name.
const SESSION: &str = "user-123-session-456";

/// Runs the conversation. Whoever runs the demo again has the same name again.
pub(super) async fn run(talk: &Talk, printer: &Printer) -> Result<Shown, Failure> {
    printer
        .heading("Pathors: an OpenAI-compatible conversation, of which nothing stays but the bill");
    let session = json!({ "session_id": SESSION, "variables": { "name": "Fritz" } });
    ok(talk.pathors(Method::POST, "/sessions", session).await?)?;
    printer.remark(&format!("session {SESSION}, with the variable name = Fritz"));
    let question = "Where is my order?";
    printer.said("person", question);
    let messages = json!([{ "role": "user", "content": question }]);
    let body = json!({ "session_id": SESSION, "messages": messages });
    let said = ok(talk.pathors(Method::POST, "/chat/completions", body).await?)?;
    let reply = said.pointer("/choices/0/message/content").and_then(Value::as_str);
    printer.said("agent", reply.unwrap_or_default());
    let end = json!({ "session_id": SESSION });
    for _ in 0..2 {
        let ended = ok(talk.pathors(Method::DELETE, "/sessions", end.clone()).await?)?;
        printer.remark(&format!("end: {}", text(&ended, "message")));
    }
    let (status, gone) =
        talk.pathors(Method::GET, &format!("/sessions/{SESSION}"), Value::Null).await?;
    printer.remark(&format!("the session is asked for: {status}, {}", text(&gone, "error")));
    Ok(Shown { title: "gone for good", id: SESSION.to_owned(), reason: "user_end" })
}

fn ok((status, body): (StatusCode, Value)) -> Result<Value, Failure> {
    if status.is_success() {
        return Ok(body);
    }
    Err(format!("the server answered {status}: {body}").into())
}
