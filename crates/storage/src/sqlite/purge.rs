//! Removing what must not stay of a session, in SQLite. What that is stands in
//! `docs/dialects/pathors.md`, table by table.

use epilogue_core::{
    OrgId, Session, SessionId,
    analysis::EXTRACTION,
    message::ToolCall,
    profile::{Keeps, Profile},
    variables::SAVE_VARIABLES,
};
use rusqlite::{Connection, OptionalExtension, params};

use super::{delivery, result, row, session, step};
use crate::Result;

/// Removes what must not stay. Counters, cost, evaluation, steps and the ledger do.
pub(super) fn purge(db: &Connection, org: &OrgId, id: SessionId) -> Result<()> {
    let Some(session) = session::read(db, org, id)? else { return Ok(()) };
    let Profile { keeps, .. } = session.profile;
    purge_to(db, &session, keeps)
}

/// Removes all that is not to be kept, whatever the session's own profile keeps.
pub(super) fn purge_to(db: &Connection, session: &Session, keeps: Keeps) -> Result<()> {
    let (org, id) = (&session.org, session.id);
    let everywhere = |sql: &str| -> Result<()> {
        db.prepare_cached(sql)?.execute(params![org.as_str(), id.0.as_bytes().as_slice()])?;
        Ok(())
    };
    if keeps == Keeps::Messages {
        forget_saved(db, session)?;
    } else {
        everywhere("DELETE FROM messages WHERE org_id = ?1 AND session_id = ?2")?;
        everywhere("UPDATE sessions SET messages = 0 WHERE org_id = ?1 AND session_id = ?2")?;
    }
    everywhere(
        "UPDATE sessions SET context = '{}', endpoint = NULL WHERE org_id = ?1 AND session_id = ?2",
    )?;
    // The conversation's variables, filled in after it. What judges it stays.
    db.prepare_cached("DELETE FROM analyses WHERE org_id = ?1 AND session_id = ?2 AND form = ?3")?
        .execute(params![org.as_str(), id.0.as_bytes().as_slice(), EXTRACTION])?;
    if keeps != Keeps::Transcript {
        // Who it was with is the client's as well. What memory keeps has its own key.
        everywhere("UPDATE sessions SET person = NULL WHERE org_id = ?1 AND session_id = ?2")?;
        // What was said at the end is part of what was said.
        everywhere(
            "UPDATE activity SET detail = json_remove(detail, '$.note')
             WHERE org_id = ?1 AND session_id = ?2 AND session_id IS NOT NULL",
        )?;
    }
    // Text messages that nobody answers any more. Answered ones are forgotten by then.
    everywhere(
        "UPDATE inbox SET state = 'done', sender = '', body = '', reply = NULL
         WHERE org_id = ?1 AND session_id = ?2 AND settled_at IS NOT NULL",
    )?;
    result::purge(db, org, id)?;
    delivery::purge(db, org, id, &step::of_session(db, org, id)?)
}

/// Takes the variables out of a transcript that stays: the agent's calls by which it saved them keep
/// their names alone.
fn forget_saved(db: &Connection, session: &Session) -> Result<()> {
    let values = params![session.org.as_str(), session.id.0.as_bytes().as_slice()];
    let mut statement = db.prepare_cached(
        "SELECT seq, tool_calls FROM messages
         WHERE org_id = ?1 AND session_id = ?2 AND tool_calls IS NOT NULL",
    )?;
    let rows = statement.query_map(values, |row| Ok((row.get(0)?, row::json(row, 1)?)))?;
    let rows: Vec<(u32, Vec<ToolCall>)> = rows.collect::<rusqlite::Result<_>>()?;
    for (seq, mut calls) in rows {
        for call in calls.iter_mut().filter(|call| call.name == SAVE_VARIABLES) {
            "{}".clone_into(&mut call.arguments);
        }
        db.prepare_cached(
            "UPDATE messages SET tool_calls = ?4
             WHERE org_id = ?1 AND session_id = ?2 AND seq = ?3 AND tool_calls <> ?4",
        )?
        .execute(params![
            session.org.as_str(),
            session.id.0.as_bytes().as_slice(),
            seq,
            row::to_json(&calls)?,
        ])?;
    }
    Ok(())
}

/// Whether it has been done: from then on nothing is kept that others say of the conversation.
pub(super) fn is_done(db: &Connection, org: &OrgId, session: SessionId) -> Result<bool> {
    let done = db
        .prepare_cached(
            "SELECT 1 FROM steps WHERE org_id = ?1 AND session_id = ?2 AND kind = 'purge'
                AND state = 'done'",
        )?
        .query_row(params![org.as_str(), session.0.as_bytes().as_slice()], |_| Ok(()))
        .optional()?;
    Ok(done.is_some())
}
