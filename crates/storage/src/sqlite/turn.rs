//! Decisions about turns in SQLite.

use async_trait::async_trait;
use epilogue_core::{
    EndRequest, Message, NodeId, Session, SessionState, Timestamp, Usage,
    message::usage_of,
    open_calls,
    profile::Writes,
    session::{BeginVerdict, EndVerdict, FinishVerdict, TurnInFlight},
    variables::merged_as_far,
};
use rusqlite::{Connection, OptionalExtension, params};

use super::{SqliteStorage, activity, session, variables, writer::Db};
use crate::{
    BeginTurnOutcome, BeginTurnRequest, FinishTurnOutcome, FinishTurnRequest, Result, TurnStore,
};

fn begin(db: &Db<'_>, request: &BeginTurnRequest, now: Timestamp) -> Result<BeginTurnOutcome> {
    let (db, agents) = (db.connection, db.agents);
    let Some(mut session) = session::read(db, &request.org, request.session)? else {
        return Ok(BeginTurnOutcome::NoSession);
    };
    // Before anything else: what was answered once is answered again, even by a session that is over.
    if let Some((messages, said)) = on_record(db, &session, request.key.as_deref())? {
        return Ok(BeginTurnOutcome::OnRecord { session: Box::new(session), messages, said });
    }
    let number = match session.may_begin_turn(now) {
        BeginVerdict::Begin(number) => number,
        BeginVerdict::Busy(turn) => return Ok(BeginTurnOutcome::Busy(turn)),
        BeginVerdict::Lapsed(deadline) => return Ok(BeginTurnOutcome::Lapsed(deadline)),
        BeginVerdict::Over(ended) => return Ok(BeginTurnOutcome::Over(ended)),
    };
    let open = session::open_calls(db, &session)?;
    let messages = match open_calls::fit(&open, request.messages.clone(), now) {
        Ok(messages) => messages,
        Err(misfit) => return Ok(BeginTurnOutcome::Misfit(misfit)),
    };
    if !agents.follow_to_turn(db, &mut session)? {
        return Ok(BeginTurnOutcome::NoAgent);
    }
    session.turns = number;
    session.state = SessionState::Active {
        turn: Some(TurnInFlight {
            number,
            node: request.node.clone(),
            lease_until: request.lease_until,
        }),
    };
    match session.profile.turns.writes {
        Writes::AsItGoes => {
            let bodies: Vec<_> = messages.iter().map(|said| said.body.clone()).collect();
            session::append(db, &session, (number, session.messages), &bodies)?;
            count(&mut session, bodies.len(), usage_of(&messages), now);
        }
        Writes::WholeTurns | Writes::WithReply => count(&mut session, 0, Usage::default(), now),
    }
    write(db, &session)?;
    let history = session::last_messages(db, &session, request.history_max)?;
    Ok(BeginTurnOutcome::Begun { session: Box::new(session), number, history, messages })
}

/// What the turn with this key added to the transcript, and how much of that was said to the agent.
/// `None`: there is no such turn on record.
fn on_record(
    db: &Connection,
    session: &Session,
    key: Option<&str>,
) -> Result<Option<(Vec<Message>, u32)>> {
    let Some(key) = key else { return Ok(None) };
    let place: Option<(u32, u32, u32)> = db
        .prepare_cached(
            "SELECT from_seq, messages, said FROM turn_keys
             WHERE org_id = ?1 AND session_id = ?2 AND key = ?3",
        )?
        .query_row(params![session.org.as_str(), session.id.0.as_bytes().as_slice(), key], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .optional()?;
    let Some((from, count, said)) = place else { return Ok(None) };
    Ok(Some((session::messages_from(db, session, (from, count))?, said)))
}

/// Puts a turn on record under its key, in the commit of its result.
fn put_on_record(db: &Connection, session: &Session, request: &FinishTurnRequest) -> Result<()> {
    let Some(key) = &request.key else { return Ok(()) };
    db.prepare_cached(
        "INSERT INTO turn_keys (org_id, session_id, key, turn, from_seq, messages, said)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute(params![
        session.org.as_str(),
        session.id.0.as_bytes().as_slice(),
        key,
        request.number,
        session.messages,
        request.messages.len(),
        request.said,
    ])?;
    Ok(())
}

fn finish(db: &Db<'_>, request: &FinishTurnRequest, now: Timestamp) -> Result<FinishTurnOutcome> {
    let writer = db;
    let db = db.connection;
    let Some(mut session) = session::read(db, &request.org, request.session)? else {
        return Ok(FinishTurnOutcome::NoSession);
    };
    let verdict = session.may_finish_turn(request.number);
    // Where what is said comes with its reply, what comes too late leaves no trace.
    let traceless = session.profile.turns.writes == Writes::WithReply;
    if verdict == FinishVerdict::Record || !traceless {
        for entry in &request.activity {
            activity::record(db, &request.org, entry)?;
        }
    }
    match verdict {
        FinishVerdict::Record => {}
        FinishVerdict::Fenced(ended) => return Ok(FinishTurnOutcome::Fenced(ended)),
        FinishVerdict::Superseded => return Ok(FinishTurnOutcome::Superseded),
    }
    session::append(db, &session, (request.number, session.messages), &request.messages)?;
    put_on_record(db, &session, request)?;
    session.state = SessionState::Active { turn: None };
    let was = session.came_about();
    count(&mut session, request.messages.len(), request.usage, now);
    write(db, &session)?;
    save(db, &mut session, request)?;
    if !was && session.came_about() {
        session::has_come_about(db, &session, now)?;
    }
    let end = request
        .then_end
        .map(|reason| EndRequest { by: request.by.clone(), ..EndRequest::asked(reason) });
    match end.map(|end| (session.end(&end.cause, now), end)) {
        Some((EndVerdict::End { reason, deadline }, end)) => {
            session::close(writer, &mut session, (reason, deadline), &end, now)?;
        }
        _ => bring_forward(db, &session)?,
    }
    Ok(FinishTurnOutcome::Recorded(Box::new(session)))
}

/// Lays what the agent saved over the session's bag, in the commit of its turn.
fn save(db: &Connection, session: &mut Session, request: &FinishTurnRequest) -> Result<()> {
    if request.variables.is_empty() {
        return Ok(());
    }
    // The client may have filled it meanwhile. What was said counts all the same.
    session.context.bag = merged_as_far(&session.context.bag, &request.variables);
    variables::write_context(db, session)
}

/// While a turn ran, the deadline index may have been put off to the end of its lease. It must
/// never be later than the deadline.
fn bring_forward(db: &Connection, session: &Session) -> Result<()> {
    let Some(due_at) = session.due_at() else { return Ok(()) };
    db.prepare_cached(
        "UPDATE sessions SET due_at = ?3 WHERE org_id = ?1 AND session_id = ?2 AND due_at > ?3",
    )?
    .execute(params![
        session.org.as_str(),
        session.id.0.as_bytes().as_slice(),
        due_at.as_millis(),
    ])?;
    Ok(())
}

fn count(session: &mut Session, messages: usize, usage: Usage, now: Timestamp) {
    let messages = u32::try_from(messages).unwrap_or(u32::MAX);
    session.messages = session.messages.saturating_add(messages);
    session.usage = session.usage.plus(usage);
    session.last_activity = session.last_activity.max(now);
}

/// Writes what a turn changes. The deadline index stays as it is: it is corrected when it comes due.
fn write(db: &Connection, session: &Session) -> Result<()> {
    let (turn, usage) = (session.turn_in_flight(), &session.usage);
    db.prepare_cached(
        "UPDATE sessions SET
            last_activity = ?3, user_messages = ?4, total_messages = ?5, input_tokens = ?6,
            output_tokens = ?7, prompt_tokens = ?8, model_calls = ?9, estimated = ?10,
            messages = ?11, turns = ?12, turn_number = ?13, turn_node = ?14, turn_until = ?15,
            agent_version = ?16
         WHERE org_id = ?1 AND session_id = ?2",
    )?
    .execute(params![
        session.org.as_str(),
        session.id.0.as_bytes().as_slice(),
        session.last_activity.as_millis(),
        usage.user_messages,
        usage.total_messages,
        usage.input_tokens,
        usage.output_tokens,
        usage.prompt_tokens,
        usage.model_calls,
        usage.estimated,
        session.messages,
        session.turns,
        turn.map(|turn| turn.number),
        turn.map(|turn| turn.node.as_str()),
        turn.map(|turn| turn.lease_until.as_millis()),
        session.agent.version,
    ])?;
    Ok(())
}

/// Frees the turns of nodes that are gone, and has the timer look at their sessions at once.
fn abandon(db: &Connection, alive: &[NodeId], now: Timestamp) -> Result<u64> {
    let mut freed = 0;
    for org in super::directory::org_ids(db)? {
        let nodes: Vec<String> = db
            .prepare_cached(
                "SELECT DISTINCT turn_node FROM sessions
                 WHERE org_id = ?1 AND turn_number IS NOT NULL",
            )?
            .query_map([org.as_str()], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        for gone in nodes.iter().filter(|node| alive.iter().all(|a| a.as_str() != *node)) {
            freed += db
                .prepare_cached(
                    "UPDATE sessions SET turn_number = NULL, turn_node = NULL, turn_until = NULL,
                        due_at = min(due_at, ?3)
                     WHERE org_id = ?1 AND turn_node = ?2 AND turn_number IS NOT NULL",
                )?
                .execute(params![org.as_str(), gone, now.as_millis()])?;
        }
    }
    Ok(freed as u64)
}

#[async_trait]
impl TurnStore for SqliteStorage {
    async fn begin_turn(
        &self,
        request: BeginTurnRequest,
        now: Timestamp,
    ) -> Result<BeginTurnOutcome> {
        self.writer.decide(move |db| begin(db, &request, now)).await
    }

    async fn finish_turn(
        &self,
        request: FinishTurnRequest,
        now: Timestamp,
    ) -> Result<FinishTurnOutcome> {
        self.writer.decide(move |db| finish(db, &request, now)).await
    }

    async fn abandon_turns(&self, alive: &[NodeId], now: Timestamp) -> Result<u64> {
        let alive = alive.to_vec();
        self.writer.decide(move |db| abandon(db.connection, &alive, now)).await
    }
}
