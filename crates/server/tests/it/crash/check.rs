//! The checker: reads the database with its own statements, sets it beside what clients were told
//! and what the receiver heard, and says what does not fit. Shares no code with the server.

use std::collections::{HashMap, HashSet};

use rusqlite::{Connection, Row};
use serde_json::Value;

use super::{
    check_ledger, check_steps,
    log::{SessionLog, Through, Told},
    world::{AGENTS, AgentFacts, GREETING, World},
};

/// What was found wrong.
#[derive(Default)]
pub struct Findings(Vec<String>);

impl Findings {
    /// Notes `problem` unless `holds`.
    pub fn check(&mut self, holds: bool, problem: impl FnOnce() -> String) {
        if !holds {
            self.0.push(problem());
        }
    }
}

/// A session as it is stored.
#[derive(Debug)]
pub struct Stored {
    /// In hexadecimal.
    pub id: String,
    pub dialect: String,
    pub name: String,
    pub agent: String,
    pub person: Option<String>,
    pub opened_at: i64,
    pub ended_at: Option<i64>,
    pub reason: Option<String>,
    pub deadline_at: Option<i64>,
    pub cost: Option<i64>,
    pub held: i64,
    pub user_messages: i64,
    pub total_messages: i64,
    pub input_tokens: i64,
    pub output_tokens: i64,
    pub messages: i64,
    pub state: String,
}

impl Stored {
    const SELECT: &str = "SELECT lower(hex(session_id)), dialect, dialect_id, agent_id, person,
        opened_at, ended_at, reason, deadline_at, cost, held, user_messages, total_messages,
        input_tokens, output_tokens, messages, state FROM sessions";

    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            dialect: row.get(1)?,
            name: row.get(2)?,
            agent: row.get(3)?,
            person: row.get(4)?,
            opened_at: row.get(5)?,
            ended_at: row.get(6)?,
            reason: row.get(7)?,
            deadline_at: row.get(8)?,
            cost: row.get(9)?,
            held: row.get(10)?,
            user_messages: row.get(11)?,
            total_messages: row.get(12)?,
            input_tokens: row.get(13)?,
            output_tokens: row.get(14)?,
            messages: row.get(15)?,
            state: row.get(16)?,
        })
    }

    pub fn facts(&self) -> &'static AgentFacts {
        AGENTS.iter().find(|agent| agent.id == self.agent).expect("a known agent")
    }
}

/// A message as it is stored.
#[derive(Debug)]
struct Message {
    seq: i64,
    role: String,
    content: String,
    at: i64,
    tool_calls: Option<String>,
    answers: Option<String>,
}

type Transcripts = HashMap<String, Vec<Message>>;

/// Checks everything, and returns what does not fit.
pub fn everything(world: &World, told: &Told, logs: &str) -> Vec<String> {
    let db = Connection::open(world.home.database()).expect("the database");
    let mut found = Findings::default();
    for answer in &told.unexpected {
        found.check(false, || answer.clone());
    }
    let alarming = logs
        .lines()
        .filter(|line| line.contains(r#""level":"ERROR""#) || line.contains("panicked"));
    for line in alarming {
        found.check(false, || format!("the server logged {line}"));
    }
    let intact: String =
        db.query_row("PRAGMA integrity_check", [], |row| row.get(0)).expect("a check");
    found.check(intact == "ok", || format!("the database is damaged: {intact}"));
    let sessions = rows(&db, Stored::SELECT, Stored::read);
    let transcripts = transcripts(&db);
    for session in &sessions {
        over(session, &mut found);
        let none = Vec::new();
        let transcript = transcripts.get(&session.id).unwrap_or(&none);
        if session.facts().keeps_transcript {
            whole(session, transcript, &mut found);
        } else {
            found.check(transcript.is_empty(), || format!("{} was not purged", session.name));
        }
    }
    acknowledged(told, &sessions, &transcripts, &mut found);
    check_ledger::books(&db, &sessions, &mut found);
    check_steps::steps(&db, &sessions, &mut found);
    check_steps::told(&world.receiver.deliveries(), &sessions, &mut found);
    check_steps::products(&db, &sessions, &mut found);
    found.0
}

/// Every row of a query.
pub fn rows<T>(
    db: &Connection,
    sql: &str,
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> Vec<T> {
    let mut statement = db.prepare(sql).expect("a statement");
    let rows = statement.query_map([], read).expect("a query");
    rows.collect::<rusqlite::Result<_>>().expect("rows")
}

fn transcripts(db: &Connection) -> Transcripts {
    let sql = "SELECT lower(hex(session_id)), seq, role, content, at, tool_calls, tool_call_id
               FROM messages ORDER BY session_id, seq";
    let all = rows(db, sql, |row| {
        let message = Message {
            seq: row.get(1)?,
            role: row.get(2)?,
            content: row.get(3)?,
            at: row.get(4)?,
            tool_calls: row.get(5)?,
            answers: row.get(6)?,
        };
        Ok((row.get::<_, String>(0)?, message))
    });
    let mut transcripts = Transcripts::new();
    for (id, message) in all {
        transcripts.entry(id).or_default().push(message);
    }
    transcripts
}

/// It is over, and nothing is owed.
fn over(session: &Stored, found: &mut Findings) {
    found.check(session.state == "final", || format!("{session:?} is not final"));
    let is_idle = session.reason.as_deref() == Some("idle");
    found.check(is_idle == session.deadline_at.is_some(), || {
        format!("{session:?} ended by a deadline, or not")
    });
    let early = session.deadline_at.zip(session.ended_at).filter(|(due, ended)| ended < due);
    found.check(early.is_none(), || format!("{session:?} expired early"));
}

/// Its transcript has no gaps, nothing past the fence, and an answer to every call.
fn whole(session: &Stored, transcript: &[Message], found: &mut Findings) {
    let numbered = transcript.iter().zip(0..).all(|(message, seq)| message.seq == seq);
    let all = i64::try_from(transcript.len()) == Ok(session.messages);
    found.check(numbered && all, || format!("{session:?} has gaps: {transcript:?}"));
    let late = transcript.iter().find(|message| Some(message.at) > session.ended_at);
    found.check(late.is_none(), || format!("{session:?} has {late:?} past its fence"));
    let of =
        |role: &str| transcript.iter().filter(|m| m.role == role && !m.content.is_empty()).count();
    let (user, assistant) = (of("user"), of("assistant"));
    let counted = (i64::try_from(user), i64::try_from(user + assistant));
    found.check(counted == (Ok(session.user_messages), Ok(session.total_messages)), || {
        format!("{session:?} counts otherwise than {transcript:?}")
    });
    let greeted = transcript.first().is_some_and(|message| message.content == GREETING);
    found.check(greeted, || format!("{session:?} lost its greeting"));
    let calls: Vec<String> = transcript
        .iter()
        .filter_map(|message| message.tool_calls.as_deref())
        .flat_map(|calls| serde_json::from_str::<Vec<Value>>(calls).expect("JSON"))
        .map(|call| call["id"].as_str().expect("an id").to_owned())
        .collect();
    let answers: Vec<_> = transcript.iter().filter_map(|m| m.answers.clone()).collect();
    found.check(calls == answers, || {
        format!("{session:?} has calls {calls:?}, answers {answers:?}")
    });
}

/// What clients were told is so.
fn acknowledged(told: &Told, sessions: &[Stored], transcripts: &Transcripts, found: &mut Findings) {
    let by_name: HashMap<_, _> =
        sessions.iter().map(|session| ((&*session.dialect, &*session.name), session)).collect();
    let mut known = HashSet::new();
    for log in &told.sessions {
        let dialect = match log.through {
            Through::TalkifAi => "talkifai",
            Through::Native => "native",
        };
        let Some(session) = by_name.get(&(dialect, &*log.name)) else {
            found.check(false, || format!("an acknowledged open is lost: {log:?}"));
            continue;
        };
        known.insert(&session.id);
        found.check((&*session.agent, &session.person) == (log.agent, &log.person), || {
            format!("{session:?} is not what was opened: {log:?}")
        });
        ended_as_told(log, session, found);
        if session.facts().keeps_transcript {
            said_as_told(log, session, transcripts, found);
        }
    }
    // Those that nobody heard of are there by right, and expire.
    for session in sessions.iter().filter(|session| !known.contains(&session.id)) {
        found.check(session.reason.as_deref() == Some("idle"), || {
            format!("{session:?} was ended, though nobody knew its name")
        });
    }
}

/// Acknowledged ends stand, with the first reason; what nobody ended has expired.
fn ended_as_told(log: &SessionLog, session: &Stored, found: &mut Findings) {
    let reason = session.reason.as_deref().unwrap_or("none");
    let possible: &[&str] = match log.through {
        // The end is on disk before the goodbye is told.
        Through::Native if log.finished => &["agent_finish"],
        // A goodbye that was not told may have been lost with its end.
        Through::Native if log.turns.iter().any(|turn| turn.message.starts_with("goodbye")) => {
            &["agent_finish", "idle"]
        }
        _ if log.asked => &["user_end", "idle"],
        _ => &["idle"],
    };
    found.check(possible.contains(&reason), || {
        format!("{session:?} ended as {reason}, which is none of {possible:?}: {log:?}")
    });
    let stands = log.ends.iter().all(|told| told == reason);
    found.check(stands, || format!("an acknowledged end is lost: {session:?}, {log:?}"));
    if log.through == Through::TalkifAi {
        found.check(log.ends.len() <= 1, || format!("two ends were the first: {log:?}"));
    }
}

/// Acknowledged turns are there, whole and in order.
fn said_as_told(
    log: &SessionLog,
    session: &Stored,
    transcripts: &Transcripts,
    found: &mut Findings,
) {
    let mut rest = transcripts.get(&session.id).map_or(&[][..], Vec::as_slice);
    for turn in log.turns.iter().filter(|turn| turn.begun) {
        let asked = rest.iter().position(|m| m.role == "user" && m.content == turn.message);
        let Some(asked) = asked else {
            found.check(false, || format!("a message is lost: {turn:?} of {session:?}"));
            return;
        };
        rest = &rest[asked + 1..];
        let Some(reply) = turn.reply.as_ref().filter(|reply| !reply.is_empty()) else { continue };
        let answer: String = rest
            .iter()
            .take_while(|message| message.role != "user")
            .filter(|message| message.role == "assistant")
            .map(|message| message.content.as_str())
            .collect();
        found.check(answer == *reply, || {
            format!("an acknowledged reply is lost: {turn:?}, found {answer:?} in {session:?}")
        });
    }
}
