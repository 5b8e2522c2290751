//! What every end did: its timeline, and whether everything it owed is done.

use epilogue_core::Span;
use epilogue_engine::clock::{Clock, SystemClock};
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    print::Printer,
    receiver::Receiver,
    script::Shown,
    talk::{Failure, Talk},
};
use crate::commands::table::cell;

/// How often and how long it is looked whether everything has settled: 30 seconds.
const LOOKS_MAX: u32 = 150;
const BETWEEN_LOOKS: Span = Span::from_millis(200);

/// How many steps are owed.
pub(super) async fn unfinished(talk: &Talk) -> Result<usize, Failure> {
    let page = talk.native(Method::GET, "/steps?state=owed&limit=100", None).await?;
    Ok(page.get("items").and_then(Value::as_array).map_or(0, Vec::len))
}

/// Waits for every session to be final and prints what happened. Returns whether all is well.
pub(super) async fn print(
    talk: &Talk,
    printer: &Printer,
    receiver: &Receiver,
    shown: &[Shown],
) -> Result<bool, Failure> {
    printer.heading("Waiting for the idle timer, and for a receiver that was down");
    let mut sessions = Vec::new();
    for conversation in shown {
        sessions.push((conversation, settled(talk, &conversation.id).await?));
    }
    printer.heading("What every end did");
    let mut all_well = true;
    for (conversation, session) in &sessions {
        all_well &= timeline(printer, conversation, session);
    }
    all_well &= books(talk, printer).await?;
    printer.remark(&format!("the receiver accepted {} events", receiver.accepted()));
    if all_well {
        printer.good("Every step of every end is done, every session is paid for exactly once.");
    } else {
        printer.bad("Something is not as it should be; see above.");
    }
    Ok(all_well)
}

/// A session once it is final, or as it is when the patience has run out.
pub(super) async fn settled(talk: &Talk, id: &str) -> Result<Value, Failure> {
    let path = format!("/sessions/{id}");
    for _ in 0..LOOKS_MAX {
        let session = talk.native(Method::GET, &path, None).await?;
        if cell(&session, "state") == "final" {
            return Ok(session);
        }
        SystemClock.sleep(BETWEEN_LOOKS).await;
    }
    talk.native(Method::GET, &path, None).await
}

/// Prints what a session's end did. Returns whether that is what it should be.
pub(super) fn timeline(printer: &Printer, conversation: &Shown, session: &Value) -> bool {
    let reason = cell(session, "ended.reason");
    let well = cell(session, "state") == "final" && reason == conversation.reason;
    let text = format!(
        "{:<22} {reason:<13} at {}  cost {}",
        conversation.title,
        cell(session, "ended.at"),
        cell(session, "cost"),
    );
    if well {
        printer.good(&text);
    } else {
        printer.bad(&text);
    }
    let (not_owed, owed) = steps(session);
    for step in owed {
        step_line(printer, step);
    }
    let rest: Vec<_> = not_owed
        .iter()
        .map(|step| format!("{} ({})", cell(step, "kind"), cell(step, "reason")))
        .collect();
    printer.remark(&format!("   not owed: {}", rest.join(", ")));
    well
}

/// What a session's end does not owe, and what it does.
fn steps(session: &Value) -> (Vec<&Value>, Vec<&Value>) {
    let steps = session.get("steps").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    steps.iter().partition(|step| cell(step, "state") == "not_owed")
}

/// What a session's end did, in a few words for a page.
pub(super) fn in_short(session: &Value) -> Value {
    let step = |step: &&Value| json!({ "kind": cell(step, "kind"), "state": cell(step, "state") });
    let steps: Vec<_> = steps(session).1.iter().map(step).collect();
    json!({ "reason": cell(session, "ended.reason"), "cost": cell(session, "cost"), "steps": steps })
}

fn step_line(printer: &Printer, step: &Value) {
    let (kind, state) = (cell(step, "kind"), cell(step, "state"));
    let attempts = step.get("attempts").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let last = attempts.last().map(|attempt| cell(attempt, "detail"));
    let why = last.unwrap_or_else(|| cell(step, "reason"));
    let tries =
        if attempts.len() > 1 { format!(" ({} attempts)", attempts.len()) } else { String::new() };
    printer.remark(&format!("   {kind:<17} {state:<6} {why}{tries}"));
}

/// The ledger of the sample organization adds up.
async fn books(talk: &Talk, printer: &Printer) -> Result<bool, Failure> {
    let balance = talk.native(Method::GET, "/balance", None).await?;
    let mut sum = 0;
    let mut cursor = String::new();
    loop {
        let path = format!("/ledger?limit=200{cursor}");
        let page = talk.native(Method::GET, &path, None).await?;
        let rows = page.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
        sum += rows.iter().filter_map(|row| row.get("amount_micro_credits")?.as_i64()).sum::<i64>();
        match page.get("next_cursor").and_then(Value::as_str) {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    printer
        .remark(&format!("balance {}; the ledger's rows sum to {sum}", cell(&balance, "balance")));
    Ok(sum == 0)
}
