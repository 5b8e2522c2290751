//! The checker of what ends owe: steps, what the receiver was told, memory and analysis.

use std::collections::{HashMap, HashSet};

use rusqlite::Connection;

use super::check::{Findings, Stored, rows};
use crate::support::receiver::Delivery;

/// Which steps a session owes, by what it is: worked out here anew.
fn owed(session: &Stored) -> Vec<&'static str> {
    let (facts, spoke) = (session.facts(), session.user_messages > 0);
    let mut owed = Vec::new();
    if facts.analysis && spoke {
        owed.push("analyze");
    }
    if remembers(session) {
        owed.push("ingest_memory");
    }
    owed.push("notify_ended");
    if session.dialect == "native" {
        owed.push("notify_finalized");
    }
    if !facts.keeps_transcript {
        owed.push("purge");
    }
    owed
}

fn remembers(session: &Stored) -> bool {
    session.facts().memory && session.user_messages > 0 && session.person.is_some()
}

/// Every step that is owed, and no other, is done, and its last attempt is on record as that.
pub fn steps(db: &Connection, sessions: &[Stored], found: &mut Findings) {
    let sql = "SELECT lower(hex(s.session_id)), s.kind, s.state,
                (SELECT group_concat(outcome) FROM
                    (SELECT outcome FROM step_attempts a WHERE a.org_id = s.org_id
                        AND a.session_id = s.session_id AND a.kind = s.kind AND a.target = s.target
                     ORDER BY number))
               FROM steps s ORDER BY s.session_id, s.kind";
    let mut by_session: HashMap<String, Vec<(String, String, String)>> = HashMap::new();
    for (session, step) in rows(db, sql, |row| {
        let attempts: Option<String> = row.get(3)?;
        Ok((row.get(0)?, (row.get(1)?, row.get(2)?, attempts.unwrap_or_default())))
    }) {
        by_session.entry(session).or_default().push(step);
    }
    for session in sessions {
        let steps = by_session.remove(&session.id).unwrap_or_default();
        let kinds: Vec<_> = steps.iter().map(|(kind, _, _)| kind.as_str()).collect();
        let owed = owed(session);
        found.check(kinds == owed, || format!("{session:?} owes {kinds:?}, not {owed:?}"));
        for (kind, state, attempts) in &steps {
            let dones = attempts.split(',').filter(|outcome| *outcome == "done").count();
            let ends_well = attempts.ends_with("done") && dones == 1;
            found.check(state == "done" && ends_well, || {
                format!("{kind} of {} is {state} after {attempts}", session.name)
            });
        }
    }
    found.check(by_session.is_empty(), || format!("steps of nobody: {by_session:?}"));
}

/// Every end was told, each event under one id and in one wording, and nothing else was told.
pub fn told(deliveries: &[Delivery], sessions: &[Stored], found: &mut Findings) {
    let mut events: HashMap<(String, String), Vec<&Delivery>> = HashMap::new();
    for delivery in deliveries {
        found.check(delivery.forged.is_none(), || format!("forged: {delivery:?}"));
        events.entry(event(delivery)).or_default().push(delivery);
    }
    let mut ids = HashSet::new();
    for session in sessions {
        let names: &[&str] = match session.dialect.as_str() {
            "talkifai" => &["chat.ended"],
            _ => &["session.ended", "session.finalized"],
        };
        for name in names {
            let told = events.remove(&(session.name.clone(), (*name).to_owned()));
            let told = told.unwrap_or_default();
            let accepted = told.iter().any(|delivery| delivery.is_accepted());
            found.check(accepted, || format!("nobody was told {name} of {session:?}: {told:?}"));
            let Some(first) = told.first() else { continue };
            let alike = told.iter().all(|d| (&d.id, &d.body) == (&first.id, &first.body));
            found.check(alike, || format!("{name} was told in different words: {told:?}"));
            found.check(ids.insert(first.id.clone()), || format!("{} tells two things", first.id));
            facts(session, first, found);
        }
    }
    found.check(events.is_empty(), || format!("told of nothing that is: {:?}", events.keys()));
}

/// The session and the event that a delivery tells of, in its API's words.
fn event(delivery: &Delivery) -> (String, String) {
    let text = |pointer: &str| delivery.json.pointer(pointer)?.as_str().map(str::to_owned);
    let session = text("/data/conversation_id").or_else(|| text("/data/session/name"));
    let name = text("/event").or_else(|| text("/type"));
    (session.unwrap_or_default(), name.unwrap_or_default())
}

/// What was told is what is stored.
fn facts(session: &Stored, delivery: &Delivery, found: &mut Findings) {
    let data = &delivery.json["data"];
    let cost = session.cost.unwrap_or_default();
    let fits = if session.dialect == "talkifai" {
        let credits: f64 =
            format!("{}.{:06}", cost / 1_000_000, cost % 1_000_000).parse().expect("a number");
        data["message_count"] == session.total_messages
            && data["input_tokens"] == session.input_tokens
            && data["output_tokens"] == session.output_tokens
            && data["total_cost"].as_f64() == Some(credits)
    } else {
        data["cost_micro_credits"] == cost
            && data["reason"].as_str() == session.reason.as_deref()
            && data["usage"]["total_messages"] == session.total_messages
    };
    found.check(fits, || format!("{session:?} is told as {}", delivery.json));
}

/// What steps make is there once: memory and analysis.
pub fn products(db: &Connection, sessions: &[Stored], found: &mut Findings) {
    let count = |table: &str| -> HashMap<String, i64> {
        let sql = format!("SELECT lower(hex(session_id)), count(*) FROM {table} GROUP BY 1");
        rows(db, &sql, |row| Ok((row.get(0)?, row.get(1)?))).into_iter().collect()
    };
    let (episodes, analyses) = (count("episodes"), count("analyses"));
    for session in sessions {
        let of = |table: &HashMap<String, i64>| table.get(&session.id).copied().unwrap_or(0);
        let remembered = (of(&episodes), i64::from(remembers(session)));
        found.check(remembered.0 == remembered.1, || {
            format!("{session:?} has {} episodes, not {}", remembered.0, remembered.1)
        });
        let results = (of(&analyses), i64::from(owed(session).contains(&"analyze")));
        found.check(results.0 == results.1, || {
            format!("{session:?} has {} analyses, not {}", results.0, results.1)
        });
    }
}
