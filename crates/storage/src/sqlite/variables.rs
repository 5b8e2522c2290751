//! Prompt variables of live sessions in SQLite.

use epilogue_core::{Session, Timestamp, session::Context, variables};
use rusqlite::{Connection, params};

use super::{row, session};
use crate::{Result, WriteVariables, WriteVariablesOutcome};

pub(super) fn write(
    db: &Connection,
    request: &WriteVariables,
    now: Timestamp,
) -> Result<WriteVariablesOutcome> {
    let Some(mut session) = session::read(db, &request.org, request.session)? else {
        return Ok(WriteVariablesOutcome::NoSession);
    };
    if !session.is_live(now) {
        return Ok(WriteVariablesOutcome::Over);
    }
    let merged = variables::merged(&session.context.bag, &request.variables, request.nulls);
    let Ok(bag) = merged else { return Ok(WriteVariablesOutcome::TooLong) };
    session.context = Context { bag, ..session.context };
    session.last_activity = session.last_activity.max(now);
    write_context(db, &session)?;
    Ok(WriteVariablesOutcome::Written(Box::new(session)))
}

/// Writes a session's context, and its activity with it.
pub(super) fn write_context(db: &Connection, session: &Session) -> Result<()> {
    db.prepare_cached(
        "UPDATE sessions SET context = ?3, last_activity = ?4
         WHERE org_id = ?1 AND session_id = ?2",
    )?
    .execute(params![
        session.org.as_str(),
        session.id.0.as_bytes().as_slice(),
        row::to_json(&session.context)?,
        session.last_activity.as_millis(),
    ])?;
    Ok(())
}
