//! Live sessions in SQLite: their variables, what is said last in them, and those of a project.

use epilogue_core::{
    EndRequest, Message, OrgId, ProjectId, Role, Session, Timestamp, message::NewMessage,
};
use rusqlite::{Connection, params};

use super::{row, session};
use crate::{LiveBounds, LiveConversations, Result};

/// Writes what is said last, before the session is closed.
pub(super) fn say_last(
    db: &Connection,
    session: &mut Session,
    request: &EndRequest,
    now: Timestamp,
) -> Result<()> {
    let Some(words) = request.last_words.as_ref().filter(|words| !words.is_empty()) else {
        return Ok(());
    };
    session::close_calls(db, session, now)?;
    let message = NewMessage::text(Role::Assistant, words.clone(), now);
    session::append(db, session, (session.turns, session.messages), &[message])?;
    session.messages = session.messages.saturating_add(1);
    session.usage.total_messages = session.usage.total_messages.saturating_add(1);
    session.last_activity = session.last_activity.max(now);
    db.prepare_cached(
        "UPDATE sessions SET messages = ?3, total_messages = ?4, last_activity = ?5
         WHERE org_id = ?1 AND session_id = ?2",
    )?
    .execute(params![
        session.org.as_str(),
        session.id.0.as_bytes().as_slice(),
        session.messages,
        session.usage.total_messages,
        session.last_activity.as_millis(),
    ])?;
    Ok(())
}

/// Part of a project's live sessions, in the order of their names.
pub(super) fn of_project(
    db: &Connection,
    org: &OrgId,
    project: &ProjectId,
    after: Option<&str>,
    bounds: LiveBounds,
) -> Result<LiveConversations> {
    let sql = format!(
        "SELECT {} FROM sessions INDEXED BY sessions_live_in_project
         WHERE org_id = ?1 AND project = ?2 AND state = 'active' AND project IS NOT NULL
            AND dialect_id > ?3 ORDER BY dialect_id LIMIT ?4",
        row::SESSION
    );
    let mut statement = db.prepare_cached(&sql)?;
    let sessions_max = bounds.sessions_max.max(1);
    let values = params![org.as_str(), project.as_str(), after.unwrap_or(""), sessions_max];
    let mut rows = statement.query(values)?;
    let (mut items, mut bytes) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        let session = row::session(row)?;
        let transcript = session::messages_from(db, &session, (0, u32::MAX))?;
        bytes += bytes_of(&transcript);
        items.push((session, transcript));
        if bytes >= bounds.bytes_max {
            break;
        }
    }
    let full = items.len() >= sessions_max as usize || bytes >= bounds.bytes_max;
    let next = items.last().filter(|_| full).map(|(session, _)| session.dialect_id.clone());
    Ok(LiveConversations { items, next })
}

fn bytes_of(transcript: &[Message]) -> usize {
    transcript.iter().map(|message| message.body.content.len()).sum()
}
