//! Decisions about connections in SQLite.

use async_trait::async_trait;
use epilogue_core::{
    Connection, ConnectionId, NodeId, OrgId, Session, SessionId, Timestamp,
    connection::AttachVerdict,
};
use rusqlite::params;

use super::{SqliteStorage, session, stage};
use crate::{AttachOutcome, AttachRequest, ConnectionStore, DetachOutcome, Result};

type Db = rusqlite::Connection;

fn attach(db: &Db, org: &OrgId, id: SessionId, request: AttachRequest) -> Result<AttachOutcome> {
    let Some(mut session) = session::read(db, org, id)? else {
        return Ok(AttachOutcome::NotYours);
    };
    match session.may_attach(&request.holder) {
        AttachVerdict::Attach => {}
        AttachVerdict::Over(_) => return Ok(AttachOutcome::Over(Box::new(session))),
        AttachVerdict::NotYours => return Ok(AttachOutcome::NotYours),
    }
    if let Some(connection) = &mut session.connection {
        let AttachRequest { connection: id, node, .. } = request;
        *connection = Connection { id, node, lost_at: None, ..connection.clone() };
    }
    // The deadline index stays as it is: it is corrected when it comes due.
    write(db, &session)?;
    Ok(AttachOutcome::Attached(Box::new(session)))
}

fn detach(
    db: &Db,
    org: &OrgId,
    id: SessionId,
    connection: &ConnectionId,
    now: Timestamp,
) -> Result<DetachOutcome> {
    let Some(mut session) = session::read(db, org, id)? else {
        return Ok(DetachOutcome::NotHeld);
    };
    if session.ended().is_some() || !session.is_held_by(connection) {
        return Ok(DetachOutcome::NotHeld);
    }
    lose(&mut session, now);
    write(db, &session)?;
    let due_at = session.due_at();
    session::correct_due(db, &session, due_at)?;
    Ok(DetachOutcome::Lost { due_at })
}

fn lose(session: &mut Session, now: Timestamp) {
    if let Some(connection) = &mut session.connection {
        connection.lost_at = Some(now);
    }
}

fn write(db: &Db, session: &Session) -> Result<()> {
    let Some(connection) = &session.connection else { return Ok(()) };
    db.prepare_cached(
        "UPDATE sessions SET connection_id = ?3, connection_node = ?4, connection_lost_at = ?5
         WHERE org_id = ?1 AND session_id = ?2",
    )?
    .execute(params![
        session.org.as_str(),
        session.id.0.as_bytes().as_slice(),
        connection.id.as_str(),
        connection.node.as_str(),
        connection.lost_at.map(Timestamp::as_millis),
    ])?;
    Ok(())
}

/// A client may be waiting to come back, and has its grace from now on. A stage was lost when its node
/// was, which nobody saw: it is known to have stood when its session was last heard of.
const LOSE: &str =
    "UPDATE sessions SET connection_lost_at = since, due_at = min(coalesce(due_at, over), over)
    FROM (
        SELECT session_id AS id, since, since + connection_grace AS over FROM (
            SELECT session_id, connection_grace, CASE connection_holder
                WHEN ?4 THEN min(?3, max(last_activity, last_seen)) ELSE ?3 END AS since
            FROM sessions
            WHERE org_id = ?1 AND connection_node = ?2
                AND connection_lost_at IS NULL AND state = 'active'
        )
    ) AS lost
    WHERE org_id = ?1 AND session_id = lost.id";

/// The index entry may come early, and then it is corrected: the rules are the session's.
fn lose_all(db: &Db, alive: &[NodeId], now: Timestamp) -> Result<u64> {
    let mut lost = 0;
    for org in super::directory::org_ids(db)? {
        let nodes: Vec<String> = db
            .prepare_cached(
                "SELECT DISTINCT connection_node FROM sessions
                 WHERE org_id = ?1 AND connection_node IS NOT NULL
                    AND connection_lost_at IS NULL AND state = 'active'",
            )?
            .query_map([org.as_str()], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        for gone in nodes.iter().filter(|node| alive.iter().all(|a| a.as_str() != *node)) {
            lost += db.prepare_cached(LOSE)?.execute(params![
                org.as_str(),
                gone,
                now.as_millis(),
                stage::HOLDER
            ])?;
        }
    }
    Ok(lost as u64)
}

#[async_trait]
impl ConnectionStore for SqliteStorage {
    async fn attach(
        &self,
        org: &OrgId,
        id: SessionId,
        request: AttachRequest,
    ) -> Result<AttachOutcome> {
        let org = org.clone();
        self.writer.decide(move |db| attach(db.connection, &org, id, request.clone())).await
    }

    async fn detach(
        &self,
        org: &OrgId,
        id: SessionId,
        connection: &ConnectionId,
        now: Timestamp,
    ) -> Result<DetachOutcome> {
        let (org, connection) = (org.clone(), connection.clone());
        self.writer.decide(move |db| detach(db.connection, &org, id, &connection, now)).await
    }

    async fn lose_connections(&self, alive: &[NodeId], now: Timestamp) -> Result<u64> {
        let alive = alive.to_vec();
        self.writer.decide(move |db| lose_all(db.connection, &alive, now)).await
    }
}
