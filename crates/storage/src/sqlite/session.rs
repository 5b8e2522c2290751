//! Decisions about sessions in SQLite. The rules are `epilogue-core`'s; here they are read, asked
//! and written down.

use async_trait::async_trait;
use epilogue_core::{
    Dialect, EndOutcome, EndReason, EndRequest, EndpointKey, Message, OrgId, ProjectId, Role,
    Session, SessionId, SessionState, Timestamp,
    event::Activity,
    finalization::{self, Closing, Standing, Surroundings},
    ledger::{self, Account},
    message::{NewMessage, ToolCall},
    open_calls,
    reason::Deadline,
    session::{EndVerdict, Ended},
};
use rusqlite::{Connection, OptionalExtension, params};

use super::{
    SqliteStorage, activity, agents::Agents, ledger as books, row, session_list, session_live,
    step, subscription, variables, writer::Db,
};
use crate::{
    Admission, DueSession, EndReceipt, LiveBounds, LiveConversations, OpenOutcome, OpenRequest,
    Page, PageRequest, RecentFilter, RecentSessions, Result, SessionCensus, SessionFilter,
    SessionName, SessionStore, WriteVariables, WriteVariablesOutcome,
};

/// Reads one session of one organization.
pub(super) fn read(db: &Connection, org: &OrgId, id: SessionId) -> Result<Option<Session>> {
    let found = db
        .prepare_cached(row::SELECT_SESSION_BY_ID)?
        .query_row(params![org.as_str(), id.0.as_bytes().as_slice()], row::session)
        .optional()?;
    Ok(found)
}

/// Adds messages to a transcript that has `from_seq` of them.
pub(super) fn append(
    db: &Connection,
    session: &Session,
    (turn, from_seq): (u32, u32),
    messages: &[NewMessage],
) -> Result<()> {
    let mut statement = db.prepare_cached(
        "INSERT INTO messages
            (org_id, session_id, seq, turn, role, content, at, tokens, tool_calls, tool_call_id, cut)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    )?;
    for (message, seq) in messages.iter().zip(from_seq..) {
        let tool_calls = (!message.tool_calls.is_empty())
            .then(|| row::to_json(&message.tool_calls))
            .transpose()?;
        statement.execute(params![
            session.org.as_str(),
            session.id.0.as_bytes().as_slice(),
            seq,
            turn,
            message.role.as_str(),
            message.content,
            message.at.as_millis(),
            message.tokens,
            tool_calls,
            message.tool_call_id,
            message.cut,
        ])?;
    }
    Ok(())
}

fn open(db: &Db<'_>, request: &OpenRequest, now: Timestamp) -> Result<OpenOutcome> {
    let (session, db) = (&request.session, db.connection);
    if let Some(live) = live_at_endpoint(db, session)? {
        return Ok(OpenOutcome::EndpointTaken(Box::new(live)));
    }
    if request.open_max > 0 && open_sessions(db, &session.org, request.open_max)? {
        return Ok(OpenOutcome::TooManyOpen);
    }
    if let Admission::Credits { grace } = request.admission {
        let balance = books::balance(db, &session.org, Account::Balance)?;
        if !ledger::may_open(balance, session.held, grace) {
            return Ok(OpenOutcome::InsufficientCredits { balance });
        }
    }
    if !insert(db, session, u32::from(request.greeting.is_some()))? {
        return Ok(OpenOutcome::NameTaken);
    }
    append(db, session, (0, 0), request.greeting.as_slice())?;
    if let Some(hold) = request.hold() {
        books::post(db, &session.org, &hold, now)?;
    }
    if session.came_about() {
        has_come_about(db, session, now)?;
    }
    Ok(OpenOutcome::Opened)
}

/// Tells of a session that there is one: at its open, or with its first turn.
pub(super) fn has_come_about(db: &Connection, session: &Session, now: Timestamp) -> Result<()> {
    if session.profile.searchable {
        activity::record(db, &session.org, &Activity::session_opened(session))?;
    }
    owe_opening(db, session, now)
}

/// Takes a session out of its project that never came about, and that nobody there is to hear of.
fn leave_project(db: &Connection, session: &mut Session) -> Result<()> {
    if session.project.is_none() || session.came_about() {
        return Ok(());
    }
    (session.project, session.dialect_id) = (None, session.id.to_string());
    db.prepare_cached(
        "UPDATE sessions SET project = NULL, dialect_id = ?3 WHERE org_id = ?1 AND session_id = ?2",
    )?
    .execute(params![
        session.org.as_str(),
        session.id.0.as_bytes().as_slice(),
        session.dialect_id,
    ])?;
    Ok(())
}

/// The live session of the endpoint that `session` would belong to.
fn live_at_endpoint(db: &Connection, session: &Session) -> Result<Option<Session>> {
    let (Some(channel), Some(endpoint)) = (&session.channel, &session.endpoint) else {
        return Ok(None);
    };
    live_at(db, &session.org, (&session.dialect, channel, endpoint))
}

/// The live session of an endpoint.
pub(super) fn live_at(
    db: &Connection,
    org: &OrgId,
    (dialect, channel, endpoint): (&Dialect, &str, &EndpointKey),
) -> Result<Option<Session>> {
    let sql = format!(
        "SELECT {} FROM sessions
         WHERE org_id = ?1 AND dialect = ?2 AND channel = ?3 AND endpoint = ?4
            AND state = 'active' AND endpoint IS NOT NULL",
        row::SESSION
    );
    let values = params![org.as_str(), dialect.as_str(), channel, endpoint.as_str()];
    Ok(db.prepare_cached(&sql)?.query_row(values, row::session).optional()?)
}

/// Whether the organization has `max` sessions open, or more.
fn open_sessions(db: &Connection, org: &OrgId, max: u32) -> Result<bool> {
    let open: u32 = db
        .prepare_cached(
            "SELECT count(*) FROM
                (SELECT 1 FROM sessions WHERE org_id = ?1 AND state = 'active' LIMIT ?2)",
        )?
        .query_row(params![org.as_str(), max], |row| row.get(0))?;
    Ok(open >= max)
}

/// `false`: the name is taken.
fn insert(db: &Connection, session: &Session, messages: u32) -> Result<bool> {
    let usage = &session.usage;
    let added = db
        .prepare_cached(
            "INSERT INTO sessions
                (org_id, session_id, dialect, dialect_id, agent_id, agent_version, person, profile,
                 context, opened_at, last_activity, last_seen, user_messages, total_messages,
                 input_tokens, output_tokens, prompt_tokens, model_calls, estimated, held, messages,
                 turns, state, due_at, channel, endpoint, connection_id, connection_holder,
                 connection_node, connection_grace, project)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18,
                     ?19, ?20, ?21, 0, 'active', ?22, ?23, ?24, ?25, ?26, ?27, ?28, ?29)
             ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            session.org.as_str(),
            session.id.0.as_bytes().as_slice(),
            session.dialect.as_str(),
            session.dialect_id,
            session.agent.id.as_str(),
            session.agent.version,
            session.person.as_ref().map(epilogue_core::Person::as_str),
            row::to_json(&session.profile)?,
            row::to_json(&session.context)?,
            session.opened_at.as_millis(),
            session.last_activity.as_millis(),
            session.last_seen.as_millis(),
            usage.user_messages,
            usage.total_messages,
            usage.input_tokens,
            usage.output_tokens,
            usage.prompt_tokens,
            usage.model_calls,
            usage.estimated,
            session.held.0,
            messages,
            session.due_at().map(Timestamp::as_millis),
            session.channel,
            session.endpoint.as_ref().map(EndpointKey::as_str),
            session.connection.as_ref().map(|connection| connection.id.as_str()),
            session.connection.as_ref().map(|connection| &connection.holder),
            session.connection.as_ref().map(|connection| connection.node.as_str()),
            session.connection.as_ref().map(|connection| connection.grace.as_millis()),
            session.project.as_ref().map(ProjectId::as_str),
        ])?;
    Ok(added > 0)
}

fn end(
    db: &Db<'_>,
    org: &OrgId,
    id: SessionId,
    request: &EndRequest,
    now: Timestamp,
) -> Result<Option<EndReceipt>> {
    let Some(mut session) = read(db.connection, org, id)? else { return Ok(None) };
    let outcome = match session.end(&request.cause, now) {
        EndVerdict::AlreadyEnded(ended) => EndOutcome::AlreadyEnded(ended),
        EndVerdict::NotDue { due_at } => {
            correct_due(db.connection, &session, due_at)?;
            EndOutcome::StillActive { due_at }
        }
        EndVerdict::End { reason, deadline } => {
            if deadline.is_none() {
                session_live::say_last(db.connection, &mut session, request, now)?;
            }
            let ended = close(db, &mut session, (reason, deadline), request, now)?;
            let asked = matches!(request.cause, epilogue_core::EndCause::Asked(_));
            if asked && deadline.is_some() {
                EndOutcome::Lapsed(ended)
            } else {
                EndOutcome::EndedNow(ended)
            }
        }
    };
    Ok(Some(EndReceipt { session, outcome }))
}

pub(super) fn correct_due(
    db: &Connection,
    session: &Session,
    due_at: Option<Timestamp>,
) -> Result<()> {
    db.prepare_cached("UPDATE sessions SET due_at = ?3 WHERE org_id = ?1 AND session_id = ?2")?
        .execute(params![
            session.org.as_str(),
            session.id.0.as_bytes().as_slice(),
            due_at.map(Timestamp::as_millis),
        ])?;
    Ok(())
}

/// Writes everything an end commits: state, settlement, steps, activity.
pub(super) fn close(
    db: &Db<'_>,
    session: &mut Session,
    why: (EndReason, Option<Deadline>),
    request: &EndRequest,
    now: Timestamp,
) -> Result<Ended> {
    Agents::follow(db.connection, session)?;
    let agent = db.agents.of_session(db.connection, &session.org, &session.agent)?;
    let around = surroundings(db.connection, session)?;
    let db = db.connection;
    close_calls(db, session, now)?;
    leave_project(db, session)?;
    let closing = finalization::close(session, (&agent, &around), why, request, now);
    write_end(db, session, &closing)?;
    books::post(db, &session.org, &closing.settlement, now)?;
    step::owe(db, session, &closing.steps, now)?;
    if let Some(entry) = &closing.activity {
        activity::record(db, &session.org, entry)?;
    }
    let ended = closing.ended;
    session.state = if closing.settled {
        SessionState::Final { ended: ended.clone(), finalized_at: now }
    } else {
        SessionState::Finalizing(ended.clone())
    };
    Ok(ended)
}

/// Says of the calls that are open that nobody will answer them any more, so that the transcript
/// stays valid for replay.
pub(super) fn close_calls(db: &Connection, session: &mut Session, now: Timestamp) -> Result<()> {
    let closed = open_calls::without_result(&open_calls(db, session)?, now);
    append(db, session, (session.turns, session.messages), &closed)?;
    session.messages += u32::try_from(closed.len()).unwrap_or(u32::MAX);
    Ok(())
}

/// The calls at the end of a transcript that have no result. Looks no further back than to the
/// message that made them, and not at all where a session can have none.
pub(super) fn open_calls(db: &Connection, session: &Session) -> Result<Vec<ToolCall>> {
    if !session.profile.turns.defers_calls {
        return Ok(Vec::new());
    }
    let sql = format!(
        "SELECT {} FROM messages WHERE org_id = ?1 AND session_id = ?2 ORDER BY seq DESC",
        row::MESSAGE
    );
    let mut statement = db.prepare_cached(&sql)?;
    let values = params![session.org.as_str(), session.id.0.as_bytes().as_slice()];
    let mut latest = Vec::new();
    for message in statement.query_map(values, row::message)? {
        latest.push(message?.body);
        if latest.last().is_some_and(|message| message.role != Role::Tool) {
            break;
        }
    }
    latest.reverse();
    Ok(open_calls::open_calls(&latest).into_iter().cloned().collect())
}

/// What an end finds of its session's project. One without a project finds nothing, and looks for
/// nothing.
fn surroundings(db: &Connection, session: &Session) -> Result<Surroundings> {
    let Some(project) = &session.project else { return Ok(Surroundings::default()) };
    let subscribers = subscription::of_project(db, &session.org, project)?;
    let begun = step::of_session(db, &session.org, session.id)?;
    let begun = begun.iter().map(Standing::from).collect();
    Ok(Surroundings { subscribers, begun })
}

/// Writes the steps that an open owes, which tell subscribers of the project.
fn owe_opening(db: &Connection, session: &Session, now: Timestamp) -> Result<()> {
    let Some(project) = &session.project else { return Ok(()) };
    let subscribers = subscription::of_project(db, &session.org, project)?;
    step::owe(db, session, &finalization::opening(&subscribers, now), now)
}

fn write_end(db: &Connection, session: &Session, closing: &Closing) -> Result<()> {
    let ended = &closing.ended;
    // A session that owes nothing is final at once.
    let finalized_at = closing.settled.then_some(ended.at.as_millis());
    db.prepare_cached(
        "UPDATE sessions SET
            state = CASE WHEN ?8 IS NULL THEN 'finalizing' ELSE 'final' END,
            ended_at = ?3, reason = ?4, deadline_kind = ?5, deadline_at = ?6, cost = ?7,
            finalized_at = ?8, agent_version = ?9, due_at = NULL, turn_number = NULL, turn_node = NULL, turn_until = NULL,
            messages = ?10
         WHERE org_id = ?1 AND session_id = ?2",
    )?
    .execute(params![
        session.org.as_str(),
        session.id.0.as_bytes().as_slice(),
        ended.at.as_millis(),
        ended.reason.as_str(),
        ended.deadline.map(|deadline| deadline.kind.reason().as_str()),
        ended.deadline.map(|deadline| deadline.at.as_millis()),
        ended.cost.0,
        finalized_at,
        session.agent.version,
        session.messages,
    ])?;
    Ok(())
}

fn keep_alive(db: &Db<'_>, org: &OrgId, id: SessionId, now: Timestamp) -> Result<Option<bool>> {
    let Some(session) = read(db.connection, org, id)? else { return Ok(None) };
    if !session.is_live(now) {
        return Ok(Some(false));
    }
    db.connection
        .prepare_cached(
            "UPDATE sessions SET last_seen = max(last_seen, ?3)
             WHERE org_id = ?1 AND session_id = ?2",
        )?
        .execute(params![org.as_str(), id.0.as_bytes().as_slice(), now.as_millis()])?;
    Ok(Some(true))
}

/// Due sessions: a fair share of every organization's first, then whatever there is, up to `limit`.
fn due(db: &Connection, now: Timestamp, limit: u32) -> Result<Vec<DueSession>> {
    let mut orgs = super::directory::org_ids(db)?;
    let share = limit.div_ceil(u32::try_from(orgs.len().max(1)).unwrap_or(u32::MAX));
    let mut found = Vec::new();
    for (skip, most) in [(0, share), (share, limit)] {
        let mut have_more = Vec::new();
        for org in orgs {
            let room = limit.saturating_sub(u32::try_from(found.len()).unwrap_or(u32::MAX));
            let wanted = most.min(room);
            let due = due_of(db, &org, now, (skip, wanted))?;
            if due.len() == wanted as usize {
                have_more.push(org);
            }
            found.extend(due);
        }
        orgs = have_more;
    }
    Ok(found)
}

fn due_of(
    db: &Connection,
    org: &OrgId,
    now: Timestamp,
    (skip, limit): (u32, u32),
) -> Result<Vec<DueSession>> {
    let mut statement = db.prepare_cached(
        "SELECT session_id, due_at FROM sessions
         WHERE org_id = ?1 AND due_at <= ?2 ORDER BY due_at LIMIT ?3 OFFSET ?4",
    )?;
    let rows = statement.query_map(params![org.as_str(), now.as_millis(), limit, skip], |row| {
        let id = row::session_id(row, 0)?;
        Ok(DueSession { org: org.clone(), id, due_at: row::time(row, 1)? })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn next_due(db: &Connection) -> Result<Option<Timestamp>> {
    let mut statement = db.prepare_cached(
        "SELECT min(due_at) FROM sessions WHERE org_id = ?1 AND due_at IS NOT NULL",
    )?;
    let mut next = None;
    for org in super::directory::org_ids(db)? {
        let earliest: Option<i64> = statement.query_row([org.as_str()], |row| row.get(0))?;
        next = next.into_iter().chain(earliest).min();
    }
    Ok(next.map(Timestamp::from_millis))
}

fn census(db: &Connection) -> Result<SessionCensus> {
    let mut census = SessionCensus::default();
    let mut open = db.prepare_cached(
        "SELECT dialect, count(*) FROM sessions WHERE state = 'active' GROUP BY dialect",
    )?;
    let rows = open.query_map([], |row| Ok((row::text::<Dialect>(row, 0)?, row.get(1)?)))?;
    census.open = rows.collect::<rusqlite::Result<_>>()?;
    census.turns = db
        .prepare_cached("SELECT count(*) FROM sessions WHERE turn_number IS NOT NULL")?
        .query_row([], |row| row.get(0))?;
    Ok(census)
}

/// The messages of a transcript from a number on, at most so many.
pub(super) fn messages_from(
    db: &Connection,
    session: &Session,
    (from_seq, count): (u32, u32),
) -> Result<Vec<Message>> {
    let part = Slice { visible_only: false, skip: from_seq, limit: count };
    transcript(db, &session.org, session.id, &part)
}

/// Which messages of a transcript are wanted.
struct Slice {
    visible_only: bool,
    skip: u32,
    limit: u32,
}

fn transcript(db: &Connection, org: &OrgId, id: SessionId, part: &Slice) -> Result<Vec<Message>> {
    // From a number on where every message counts; by offset where only the visible ones do.
    let sql = if part.visible_only {
        format!(
            "SELECT {} FROM messages
             WHERE org_id = ?1 AND session_id = ?2 AND role IN ('user', 'assistant') AND content <> ''
             ORDER BY seq LIMIT ?4 OFFSET ?3",
            row::MESSAGE
        )
    } else {
        format!(
            "SELECT {} FROM messages WHERE org_id = ?1 AND session_id = ?2 AND seq >= ?3
             ORDER BY seq LIMIT ?4",
            row::MESSAGE
        )
    };
    let mut statement = db.prepare_cached(&sql)?;
    let rows = statement.query_map(
        params![org.as_str(), id.0.as_bytes().as_slice(), part.skip, part.limit],
        row::message,
    )?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The last messages of a transcript, oldest first.
pub(super) fn last_messages(
    db: &Connection,
    session: &Session,
    count: u32,
) -> Result<Vec<Message>> {
    messages_from(db, session, (session.messages.saturating_sub(count), count))
}

#[async_trait]
impl SessionStore for SqliteStorage {
    async fn open(&self, request: OpenRequest, now: Timestamp) -> Result<OpenOutcome> {
        self.writer.decide(move |db| open(db, &request, now)).await
    }

    async fn find(&self, org: &OrgId, name: &SessionName) -> Result<Option<Session>> {
        self.readers.look(|db| session_list::find(db, org, name)).await
    }

    async fn list(
        &self,
        org: &OrgId,
        filter: &SessionFilter,
        page: &PageRequest,
    ) -> Result<Page<Session>> {
        let (org, filter, page) = (org.clone(), filter.clone(), page.clone());
        self.readers.read(move |db| session_list::list(db, &org, &filter, &page)).await
    }

    async fn list_recent(
        &self,
        org: &OrgId,
        filter: &RecentFilter,
        skip: u32,
        take: u32,
    ) -> Result<RecentSessions> {
        let (org, filter) = (org.clone(), filter.clone());
        self.readers.read(move |db| session_list::recent(db, &org, &filter, (skip, take))).await
    }

    async fn messages(
        &self,
        org: &OrgId,
        id: SessionId,
        from_seq: u32,
        limit: u32,
    ) -> Result<Vec<Message>> {
        let (org, part) = (org.clone(), Slice { visible_only: false, skip: from_seq, limit });
        self.readers.read(move |db| transcript(db, &org, id, &part)).await
    }

    async fn conversation(
        &self,
        org: &OrgId,
        id: SessionId,
    ) -> Result<Option<(Session, Vec<Message>)>> {
        let org = org.clone();
        let read = move |db: &Connection| {
            let Some(session) = self::read(db, &org, id)? else { return Ok(None) };
            let all = Slice { visible_only: false, skip: 0, limit: u32::MAX };
            Ok(Some((session, transcript(db, &org, id, &all)?)))
        };
        self.readers.read(read).await
    }

    async fn visible_messages(
        &self,
        org: &OrgId,
        id: SessionId,
        skip: u32,
        limit: u32,
    ) -> Result<Vec<Message>> {
        let (org, part) = (org.clone(), Slice { visible_only: true, skip, limit });
        self.readers.read(move |db| transcript(db, &org, id, &part)).await
    }

    async fn keep_alive(&self, org: &OrgId, id: SessionId, now: Timestamp) -> Result<Option<bool>> {
        let org = org.clone();
        self.writer.decide(move |db| keep_alive(db, &org, id, now)).await
    }

    async fn write_variables(
        &self,
        request: WriteVariables,
        now: Timestamp,
    ) -> Result<WriteVariablesOutcome> {
        self.writer.decide(move |db| variables::write(db.connection, &request, now)).await
    }

    async fn live_conversations(
        &self,
        org: &OrgId,
        project: &ProjectId,
        after: Option<&str>,
        bounds: LiveBounds,
    ) -> Result<LiveConversations> {
        let (org, project, after) = (org.clone(), project.clone(), after.map(str::to_owned));
        let read = move |db: &Connection| {
            session_live::of_project(db, &org, &project, after.as_deref(), bounds)
        };
        self.searchers.search(read).await
    }

    async fn end(
        &self,
        org: &OrgId,
        id: SessionId,
        request: EndRequest,
        now: Timestamp,
    ) -> Result<Option<EndReceipt>> {
        let org = org.clone();
        self.writer.decide(move |db| end(db, &org, id, &request, now)).await
    }

    async fn due_sessions(&self, now: Timestamp, limit: u32) -> Result<Vec<DueSession>> {
        self.readers.read(move |db| due(db, now, limit)).await
    }

    async fn next_due_session(&self) -> Result<Option<Timestamp>> {
        self.readers.look(next_due).await
    }

    async fn session_census(&self) -> Result<SessionCensus> {
        self.readers.read(census).await
    }
}
