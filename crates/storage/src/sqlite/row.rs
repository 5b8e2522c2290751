//! Rows to values. Columns are read by their place in the lists below, which each query selects.

use epilogue_core::{
    Connection, EndReason, EndpointKey, Message, MicroCredits, Person, Role, Session, SessionId,
    SessionState, Span, SubscriptionId, Timestamp, Usage,
    message::NewMessage,
    reason::{Deadline, DeadlineKind},
    session::{AgentVersion, Ended, TurnInFlight},
};
use rusqlite::{Row, types::Type};
use serde::de::DeserializeOwned;

/// The columns of [`session`].
macro_rules! session_columns {
    () => {
        "org_id, session_id, dialect, dialect_id, agent_id, agent_version, person, profile, \
         context, opened_at, last_activity, last_seen, user_messages, total_messages, \
         input_tokens, output_tokens, prompt_tokens, model_calls, estimated, held, messages, \
         turns, state, turn_number, turn_node, turn_until, ended_at, reason, deadline_kind, \
         deadline_at, cost, finalized_at, channel, endpoint, connection_id, connection_holder, \
         connection_node, connection_grace, connection_lost_at, project"
    };
}
pub(super) const SESSION: &str = session_columns!();

/// The query behind every decision on one session.
pub(super) const SELECT_SESSION_BY_ID: &str =
    concat!("SELECT ", session_columns!(), " FROM sessions WHERE org_id = ?1 AND session_id = ?2");

/// The columns of [`message`].
pub(super) const MESSAGE: &str =
    "seq, turn, role, content, at, tokens, tool_calls, tool_call_id, cut";

type Read<T> = rusqlite::Result<T>;

/// A column that holds something else than it should.
pub(super) fn unreadable(
    column: usize,
    cause: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, cause.into())
}

/// A column of JSON.
pub(super) fn json<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> Read<T> {
    let text = row.get_ref(column)?.as_str()?;
    serde_json::from_str(text).map_err(|error| unreadable(column, error))
}

/// A column of one of our closed sets of words.
pub(super) fn word<T>(
    row: &Row<'_>,
    column: usize,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Read<T> {
    let text = row.get_ref(column)?.as_str()?;
    parse(text).ok_or_else(|| unreadable(column, format!("unknown word `{text}`")))
}

/// A column of text that becomes an id.
pub(super) fn text<T: for<'a> From<&'a str>>(row: &Row<'_>, column: usize) -> Read<T> {
    Ok(T::from(row.get_ref(column)?.as_str()?))
}

/// A column of text that becomes an id, and may be absent.
pub(super) fn text_opt<T: for<'a> From<&'a str>>(row: &Row<'_>, column: usize) -> Read<Option<T>> {
    Ok(row.get_ref(column)?.as_str_or_null()?.map(T::from))
}

/// A column of a time.
pub(super) fn time(row: &Row<'_>, column: usize) -> Read<Timestamp> {
    row.get(column).map(Timestamp::from_millis)
}

/// A column of a time that may be absent.
pub(super) fn time_opt(row: &Row<'_>, column: usize) -> Read<Option<Timestamp>> {
    Ok(row.get::<_, Option<i64>>(column)?.map(Timestamp::from_millis))
}

/// A column of a session's id.
pub(super) fn session_id(row: &Row<'_>, column: usize) -> Read<SessionId> {
    let bytes = row.get_ref(column)?.as_blob()?;
    uuid::Uuid::from_slice(bytes).map(SessionId).map_err(|error| unreadable(column, error))
}

/// Whom a step tells, as it is stored: nobody in particular is an empty value.
pub(super) fn target_bytes(target: Option<&SubscriptionId>) -> &[u8] {
    target.map_or(&[], |target| target.0.as_bytes().as_slice())
}

/// A column of whom a step tells.
pub(super) fn target(row: &Row<'_>, column: usize) -> Read<Option<SubscriptionId>> {
    match row.get_ref(column)?.as_blob()? {
        [] => Ok(None),
        bytes => match uuid::Uuid::from_slice(bytes) {
            Ok(id) => Ok(Some(SubscriptionId(id))),
            Err(error) => Err(unreadable(column, error)),
        },
    }
}

/// A column of a session's id that may be absent.
pub(super) fn session_id_opt(row: &Row<'_>, column: usize) -> Read<Option<SessionId>> {
    if row.get_ref(column)? == rusqlite::types::ValueRef::Null {
        return Ok(None);
    }
    session_id(row, column).map(Some)
}

/// A row of [`SESSION`].
pub(super) fn session(row: &Row<'_>) -> Read<Session> {
    Ok(Session {
        org: text(row, 0)?,
        id: session_id(row, 1)?,
        dialect: text(row, 2)?,
        dialect_id: row.get(3)?,
        project: text_opt(row, 39)?,
        agent: AgentVersion { id: text(row, 4)?, version: row.get(5)? },
        channel: row.get(32)?,
        endpoint: row.get::<_, Option<String>>(33)?.map(EndpointKey::stored),
        connection: connection(row)?,
        // Normalised when it was written, and unchanged by being normalised again.
        person: row.get::<_, Option<String>>(6)?.and_then(|person| Person::new(&person)),
        profile: json(row, 7)?,
        context: json(row, 8)?,
        opened_at: time(row, 9)?,
        last_activity: time(row, 10)?,
        last_seen: time(row, 11)?,
        usage: Usage {
            user_messages: row.get(12)?,
            total_messages: row.get(13)?,
            input_tokens: row.get(14)?,
            output_tokens: row.get(15)?,
            prompt_tokens: row.get(16)?,
            model_calls: row.get(17)?,
            estimated: row.get(18)?,
        },
        held: MicroCredits(row.get(19)?),
        messages: row.get(20)?,
        turns: row.get(21)?,
        state: state(row)?,
    })
}

fn state(row: &Row<'_>) -> Read<SessionState> {
    match row.get_ref(22)?.as_str()? {
        "active" => Ok(SessionState::Active { turn: turn(row)? }),
        "finalizing" => ended(row).map(SessionState::Finalizing),
        "final" => Ok(SessionState::Final { ended: ended(row)?, finalized_at: time(row, 31)? }),
        other => Err(unreadable(22, format!("unknown state `{other}`"))),
    }
}

fn turn(row: &Row<'_>) -> Read<Option<TurnInFlight>> {
    let Some(number) = row.get(23)? else { return Ok(None) };
    Ok(Some(TurnInFlight { number, node: text(row, 24)?, lease_until: time(row, 25)? }))
}

fn connection(row: &Row<'_>) -> Read<Option<Connection>> {
    if row.get_ref(34)? == rusqlite::types::ValueRef::Null {
        return Ok(None);
    }
    Ok(Some(Connection {
        id: text(row, 34)?,
        holder: row.get(35)?,
        node: text(row, 36)?,
        grace: Span::from_millis(row.get(37)?),
        lost_at: time_opt(row, 38)?,
    }))
}

fn ended(row: &Row<'_>) -> Read<Ended> {
    let deadline = match row.get_ref(28)? {
        rusqlite::types::ValueRef::Null => None,
        _ => Some(Deadline { kind: word(row, 28, deadline_kind)?, at: time(row, 29)? }),
    };
    Ok(Ended {
        at: time(row, 26)?,
        reason: word(row, 27, EndReason::parse)?,
        deadline,
        cost: MicroCredits(row.get(30)?),
    })
}

fn deadline_kind(word: &str) -> Option<DeadlineKind> {
    DeadlineKind::ALL.into_iter().find(|kind| kind.reason().as_str() == word)
}

/// A row of [`MESSAGE`].
pub(super) fn message(row: &Row<'_>) -> Read<Message> {
    let tool_calls = match row.get_ref(6)? {
        rusqlite::types::ValueRef::Null => Vec::new(),
        _ => json(row, 6)?,
    };
    Ok(Message {
        seq: row.get(0)?,
        turn: row.get(1)?,
        body: NewMessage {
            role: word(row, 2, Role::parse)?,
            content: row.get(3)?,
            at: time(row, 4)?,
            tokens: row.get(5)?,
            tool_calls,
            tool_call_id: row.get(7)?,
            cut: row.get(8)?,
        },
    })
}

/// A value as a JSON column. Our own types always serialize.
pub(super) fn to_json(value: &impl serde::Serialize) -> rusqlite::Result<String> {
    serde_json::to_string(value)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}
