//! Decisions about sessions that are seen and heard, in SQLite.

use async_trait::async_trait;
use epilogue_core::{
    Connection as Held, Role, Session, Span, Timestamp,
    message::NewMessage,
    staging::{SAID_BYTES_MAX, joined},
};
use rusqlite::{Connection, params};

use super::{SqliteStorage, session};
use crate::{Result, StageStore, TakeStage, TakeStageOutcome, WriteSaid, WriteSaidOutcome};

/// Who holds a session that lives by its stage: no client may take it up.
pub(super) const HOLDER: &str = "stage";

fn take(db: &Connection, request: &TakeStage, now: Timestamp) -> Result<TakeStageOutcome> {
    let Some(mut session) = session::read(db, &request.org, request.session)? else {
        return Ok(TakeStageOutcome::NoSession);
    };
    if !session.is_live(now) {
        return Ok(TakeStageOutcome::Over);
    }
    if session.connection.as_ref().is_some_and(|held| held.node == request.node) {
        return Ok(TakeStageOutcome::Taken(Box::new(session)));
    }
    db.prepare_cached(
        "UPDATE sessions SET connection_id = ?3, connection_holder = ?4, connection_node = ?5,
            connection_grace = 0, connection_lost_at = NULL
         WHERE org_id = ?1 AND session_id = ?2",
    )?
    .execute(params![
        session.org.as_str(),
        session.id.0.as_bytes().as_slice(),
        request.stage.as_str(),
        HOLDER,
        request.node.as_str(),
    ])?;
    session.connection = Some(Held {
        id: request.stage.clone(),
        holder: HOLDER.to_owned(),
        node: request.node.clone(),
        // What was shown there is gone with the node: nobody comes back to it.
        grace: Span::ZERO,
        lost_at: None,
    });
    Ok(TakeStageOutcome::Taken(Box::new(session)))
}

fn write(db: &Connection, request: &WriteSaid, now: Timestamp) -> Result<WriteSaidOutcome> {
    let Some(mut session) = session::read(db, &request.org, request.session)? else {
        return Ok(WriteSaidOutcome::NoSession);
    };
    if !session.is_live(now) {
        return Ok(WriteSaidOutcome::Over);
    }
    let latest = request.turn.filter(|turn| *turn == session.turns);
    if !goes_on(db, &session, latest, &request.text)? {
        session.turns = latest.unwrap_or_else(|| session.turns.saturating_add(1));
        let message = NewMessage::text(Role::Assistant, request.text.clone(), now);
        session::append(db, &session, (session.turns, session.messages), &[message])?;
        session.messages = session.messages.saturating_add(1);
        session.usage.total_messages = session.usage.total_messages.saturating_add(1);
    }
    session.last_activity = session.last_activity.max(now);
    db.prepare_cached(
        "UPDATE sessions SET messages = ?3, total_messages = ?4, turns = ?5, last_activity = ?6
         WHERE org_id = ?1 AND session_id = ?2",
    )?
    .execute(params![
        session.org.as_str(),
        session.id.0.as_bytes().as_slice(),
        session.messages,
        session.usage.total_messages,
        session.turns,
        session.last_activity.as_millis(),
    ])?;
    Ok(WriteSaidOutcome::Written { turn: session.turns })
}

/// Goes on with the latest message, if that is of this turn and has room.
fn goes_on(db: &Connection, session: &Session, turn: Option<u32>, text: &str) -> Result<bool> {
    let Some(turn) = turn else { return Ok(false) };
    let last = session::messages_from(db, session, (session.messages.saturating_sub(1), 1))?;
    let last = last.last().filter(|last| last.turn == turn && last.body.role == Role::Assistant);
    let whole = last.map(|last| (last.seq, joined(&last.body.content, text)));
    let Some((seq, whole)) = whole.filter(|(_, whole)| whole.len() <= SAID_BYTES_MAX) else {
        return Ok(false);
    };
    db.prepare_cached(
        "UPDATE messages SET content = ?4 WHERE org_id = ?1 AND session_id = ?2 AND seq = ?3",
    )?
    .execute(params![session.org.as_str(), session.id.0.as_bytes().as_slice(), seq, whole])?;
    Ok(true)
}

#[async_trait]
impl StageStore for SqliteStorage {
    async fn take_stage(&self, request: TakeStage, now: Timestamp) -> Result<TakeStageOutcome> {
        self.writer.decide(move |db| take(db.connection, &request, now)).await
    }

    async fn write_said(&self, request: WriteSaid, now: Timestamp) -> Result<WriteSaidOutcome> {
        self.writer.decide(move |db| write(db.connection, &request, now)).await
    }
}
