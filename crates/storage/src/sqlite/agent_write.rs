//! Agents that are written at run time, in SQLite.

use async_trait::async_trait;
use epilogue_core::{AgentId, OrgId, Timestamp, event::Activity, session::AgentVersion};
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde_json::json;

use super::{SqliteStorage, activity, row};
use crate::{
    AGENTS_MAX, AgentChange, AgentRecord, AgentStore, AgentWrite, DeleteAgentOutcome, Result,
    WriteAgentOutcome,
};

const RECORD: &str = "latest.agent_id, latest.version, latest.config, latest.document,
    (SELECT first.created_at FROM agents AS first
      WHERE first.org_id = latest.org_id AND first.agent_id = latest.agent_id
      ORDER BY first.version LIMIT 1),
    latest.created_at, latest.deleted_at";

fn record(row: &Row<'_>) -> rusqlite::Result<AgentRecord> {
    let document = match row.get_ref(3)? {
        rusqlite::types::ValueRef::Null => None,
        _ => Some(row::json(row, 3)?),
    };
    Ok(AgentRecord {
        version: AgentVersion { id: row::text(row, 0)?, version: row.get(1)? },
        agent: row::json(row, 2)?,
        document,
        created_at: row::time(row, 4)?,
        updated_at: row::time(row, 5)?,
        deleted_at: row::time_opt(row, 6)?,
    })
}

fn read(db: &Connection, org: &OrgId, id: &AgentId) -> Result<Option<AgentRecord>> {
    let sql = format!(
        "SELECT {RECORD} FROM agents AS latest WHERE org_id = ?1 AND agent_id = ?2
         ORDER BY version DESC LIMIT 1"
    );
    let values = params![org.as_str(), id.as_str()];
    Ok(db.prepare_cached(&sql)?.query_row(values, record).optional()?)
}

fn list(db: &Connection, org: &OrgId, skip: u32, limit: u32) -> Result<Vec<AgentRecord>> {
    let sql = format!(
        "SELECT {RECORD} FROM agents AS latest INDEXED BY agents_in_short
         WHERE org_id = ?1 AND deleted_at IS NULL AND listed AND version = (SELECT max(version) FROM agents AS all_of
              WHERE all_of.org_id = latest.org_id AND all_of.agent_id = latest.agent_id)
         ORDER BY agent_id LIMIT ?3 OFFSET ?2"
    );
    let mut statement = db.prepare_cached(&sql)?;
    let rows = statement.query_map(params![org.as_str(), skip, limit], record)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn is_full(db: &Connection, org: &OrgId) -> Result<bool> {
    let count: u32 = db
        .prepare_cached(
            "SELECT count(DISTINCT agent_id) FROM agents INDEXED BY agents_written
             WHERE org_id = ?1 AND deleted_at IS NULL AND listed AND document IS NOT NULL",
        )?
        .query_row([org.as_str()], |row| row.get(0))?;
    Ok(count >= AGENTS_MAX)
}

fn write(
    db: &Connection,
    org: &OrgId,
    write: &AgentWrite,
    now: Timestamp,
) -> Result<WriteAgentOutcome> {
    let known = read(db, org, &write.agent.id)?;
    let (version, verb, detail) = match (&write.change, known) {
        (AgentChange::Follow(_), None) => return Ok(WriteAgentOutcome::Gone),
        (AgentChange::Follow(latest), Some(known)) => {
            if known.deleted_at.is_some() {
                return Ok(WriteAgentOutcome::Gone);
            }
            let Some(document) = known.document else { return Ok(WriteAgentOutcome::Configured) };
            if known.version.version != *latest {
                return Ok(WriteAgentOutcome::Changed);
            }
            if known.agent == write.agent && document == write.document {
                return Ok(WriteAgentOutcome::Written(known.version));
            }
            (latest + 1, "updated", json!({ "name": write.agent.name }))
        }
        (AgentChange::CreateUnlisted, Some(known)) => {
            return repeat_unlisted(db, org, write, known, now);
        }
        (_, Some(_)) => return Ok(WriteAgentOutcome::Changed),
        (AgentChange::CreateUnlisted, None) => {
            insert(db, org, write, 1, now)?;
            return Ok(WriteAgentOutcome::Written(AgentVersion {
                id: write.agent.id.clone(),
                version: 1,
            }));
        }
        (_, None) if is_full(db, org)? => return Ok(WriteAgentOutcome::TooMany),
        (AgentChange::Create, None) => (1, "created", json!({ "name": write.agent.name })),
        (AgentChange::CloneOf(original), None) => {
            (1, "cloned", json!({ "name": write.agent.name, "clone_of": original }))
        }
    };
    insert(db, org, write, version, now)?;
    let written = Activity::agent(verb, (&write.agent.id, version), detail, write.by.clone(), now);
    activity::record(db, org, &written)?;
    Ok(WriteAgentOutcome::Written(AgentVersion { id: write.agent.id.clone(), version }))
}

/// The same document again is the same agent, in a new version if other things follow from it by now.
fn repeat_unlisted(
    db: &Connection,
    org: &OrgId,
    write: &AgentWrite,
    known: AgentRecord,
    now: Timestamp,
) -> Result<WriteAgentOutcome> {
    if known.deleted_at.is_some() || known.document.as_ref() != Some(&write.document) {
        return Ok(WriteAgentOutcome::Changed);
    }
    let mut version = known.version;
    if known.agent != write.agent {
        version.version += 1;
        insert(db, org, write, version.version, now)?;
    }
    Ok(WriteAgentOutcome::Written(version))
}

fn insert(
    db: &Connection,
    org: &OrgId,
    write: &AgentWrite,
    version: u32,
    now: Timestamp,
) -> Result<()> {
    db.prepare_cached(
        "INSERT INTO agents (org_id, agent_id, version, config, document, created_at, listed)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute(params![
        org.as_str(),
        write.agent.id.as_str(),
        version,
        row::to_json(&write.agent)?,
        row::to_json(&write.document)?,
        now.as_millis(),
        write.change != AgentChange::CreateUnlisted,
    ])?;
    Ok(())
}

fn delete(
    db: &Connection,
    org: &OrgId,
    id: &AgentId,
    by: Option<String>,
    now: Timestamp,
) -> Result<DeleteAgentOutcome> {
    let Some(known) = read(db, org, id)?.filter(|known| known.deleted_at.is_none()) else {
        return Ok(DeleteAgentOutcome::NoAgent);
    };
    if known.document.is_none() {
        return Ok(DeleteAgentOutcome::Configured);
    }
    db.prepare_cached("UPDATE agents SET deleted_at = ?3 WHERE org_id = ?1 AND agent_id = ?2")?
        .execute(params![org.as_str(), id.as_str(), now.as_millis()])?;
    let detail = json!({ "name": known.agent.name });
    let deleted = Activity::agent("deleted", (id, known.version.version), detail, by, now);
    activity::record(db, org, &deleted)?;
    Ok(DeleteAgentOutcome::Deleted)
}

#[async_trait]
impl AgentStore for SqliteStorage {
    async fn agent_record(&self, org: &OrgId, id: &AgentId) -> Result<Option<AgentRecord>> {
        self.readers.look(|db| read(db, org, id)).await
    }

    async fn agent_records(&self, org: &OrgId, skip: u32, limit: u32) -> Result<Vec<AgentRecord>> {
        let org = org.clone();
        self.readers.read(move |db| list(db, &org, skip, limit)).await
    }

    async fn write_agent(
        &self,
        org: &OrgId,
        request: AgentWrite,
        now: Timestamp,
    ) -> Result<WriteAgentOutcome> {
        let org = org.clone();
        self.writer.decide(move |db| write(db.connection, &org, &request, now)).await
    }

    async fn delete_agent(
        &self,
        org: &OrgId,
        id: &AgentId,
        by: Option<String>,
        now: Timestamp,
    ) -> Result<DeleteAgentOutcome> {
        let (org, id) = (org.clone(), id.clone());
        self.writer.decide(move |db| delete(db.connection, &org, &id, by.clone(), now)).await
    }
}
