//! The demo's chats by the Dasha BlackBox API, where a turn is asked for and answered whole.

use reqwest::Method;
use serde_json::{Value, json};

use super::{
    print::Printer,
    script::{SUPPORT, Shown},
    talk::{Failure, Talk, text},
};

/// What a phone says who it is.
const PHONE: &str = "+4917012345678";

/// Runs the chats.
pub(super) async fn run(talk: &Talk, printer: &Printer) -> Result<Vec<Shown>, Failure> {
    Ok(vec![
        sent_twice_and_ended_with_a_note(talk, printer).await?,
        finished_by_the_agent(talk, printer).await?,
    ])
}

async fn sent_twice_and_ended_with_a_note(
    talk: &Talk,
    printer: &Printer,
) -> Result<Shown, Failure> {
    printer.heading("Dasha: everything is sent twice, as channels do, and happens once");
    let (first, second) = (open(talk, PHONE).await?, open(talk, PHONE).await?);
    let id = text(&first, "id");
    let same = if id == text(&second, "id") { "the same" } else { "ANOTHER" };
    printer.remark(&format!("session {id}; a second open for the endpoint: {same} session"));
    let question = "Where is my order?";
    printer.said("person", question);
    let said = say(talk, &id, question, Some("message-1")).await?;
    printer.said("agent", &reply(&said));
    let again = say(talk, &id, question, Some("message-1")).await?;
    let same = if said.get("messages") == again.get("messages") { "the same" } else { "ANOTHER" };
    printer.remark(&format!("the message comes again under its key: {same} answer, not billed"));
    for _ in 0..2 {
        let ended = end(talk, &id, "shown in the demo").await?;
        printer.remark(&format!("end: final_reason {}", text(&ended, "final_reason")));
    }
    Ok(Shown { title: "ended with a note", id, reason: "user_end" })
}

async fn finished_by_the_agent(talk: &Talk, printer: &Printer) -> Result<Shown, Failure> {
    printer.heading("Dasha: the agent finishes, and says so in its last answer");
    let id = text(&open(talk, "+4917087654321").await?, "id");
    printer.remark(&format!("session {id}"));
    printer.said("person", "Thank you, goodbye then!");
    let said = say(talk, &id, "Thank you, goodbye then!", None).await?;
    printer.said("agent", &reply(&said));
    printer.remark(&format!("status {}", text(&said, "status")));
    Ok(Shown { title: "finished by the agent", id, reason: "agent_finish" })
}

async fn open(talk: &Talk, phone: &str) -> Result<Value, Failure> {
    let body = json!({
        "agent_id": SUPPORT,
        "channel": "sms_demo",
        "external_id": { "from": phone },
        "ttl_seconds": 3600,
        "additional_data": { "name": "Emil" },
    });
    talk.dasha(Method::POST, "/chats", body).await
}

async fn say(talk: &Talk, id: &str, message: &str, key: Option<&str>) -> Result<Value, Failure> {
    let body = json!({ "content": message, "idempotency_key": key });
    talk.dasha(Method::POST, &format!("/chats/{id}/messages"), body).await
}

async fn end(talk: &Talk, id: &str, note: &str) -> Result<Value, Failure> {
    talk.dasha(Method::POST, &format!("/chats/{id}/end"), json!({ "note": note })).await
}

/// What the agent said last.
fn reply(said: &Value) -> String {
    let messages = said.get("messages").and_then(Value::as_array);
    let last = messages.and_then(|messages| messages.last());
    last.map(|message| text(message, "content")).unwrap_or_default()
}
