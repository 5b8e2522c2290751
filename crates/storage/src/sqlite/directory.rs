//! Organizations, agents and keys in SQLite.

use async_trait::async_trait;
use epilogue_core::{
    Agent, AgentId, KeyId, MicroCredits, OrgId, ProjectId, Timestamp, event::Activity,
    ledger::Transaction, session::AgentVersion,
};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{SqliteStorage, activity, agents::Agents, ledger, project, project_agent, row};
use crate::{
    Credential, DirectoryStore, KeyHash, Organization, OrganizationConfig, Project, Result, Role,
};

/// The ids of all organizations: where every search for work begins.
pub(super) fn org_ids(db: &Connection) -> Result<Vec<OrgId>> {
    let mut statement = db.prepare_cached("SELECT org_id FROM organizations ORDER BY org_id")?;
    let rows = statement.query_map([], |row| row::text(row, 0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn apply(db: &Connection, config: &OrganizationConfig, now: Timestamp) -> Result<()> {
    let organization = &config.organization;
    db.prepare_cached(
        "INSERT INTO organizations (org_id, name, metered, grace, open_max, keep_transcripts)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT DO UPDATE SET
            name = excluded.name, metered = excluded.metered, grace = excluded.grace,
            open_max = excluded.open_max, keep_transcripts = excluded.keep_transcripts",
    )?
    .execute(params![
        organization.id.as_str(),
        organization.name,
        organization.metered,
        organization.grace.0,
        organization.open_max,
        organization.keep_transcripts,
    ])?;
    if let Some(credits) = config.opening_credits {
        ledger::post(db, &organization.id, &Transaction::grant("opening", credits), now)?;
    }
    for agent in &config.agents {
        put_agent(db, &organization.id, (agent, true), now)?;
    }
    project::apply(db, &organization.id, &config.projects, now)?;
    project_agent::follow(db, &organization.id, &config.projects, now)?;
    apply_keys(db, config, now)
}

fn apply_keys(db: &Connection, config: &OrganizationConfig, now: Timestamp) -> Result<()> {
    let org = &config.organization.id;
    for known in credentials(db, org)? {
        let kept = config.keys.iter().any(|key| key.hash == known.hash);
        if known.configured && known.revoked_at.is_none() && !kept {
            revoke(db, org, &known.id, None, now)?;
        }
    }
    for key in &config.keys {
        // A key that returns to the configuration works again.
        db.prepare_cached(
            "DELETE FROM credentials WHERE hash = ?1 AND org_id = ?2 AND configured",
        )?
        .execute(params![key.hash.0, org.as_str()])?;
        insert(db, key)?;
    }
    Ok(())
}

/// Writes an agent, listed or not: a new version if anything changed.
pub(super) fn put_agent(
    db: &Connection,
    org: &OrgId,
    (agent, listed): (&Agent, bool),
    now: Timestamp,
) -> Result<AgentVersion> {
    if let Some((version, known)) = latest_agent(db, org, &agent.id)?
        && known == *agent
    {
        return Ok(version);
    }
    // An agent that was deleted has versions too, and its sessions go by them.
    let next = Agents::latest(db, org, &agent.id)?.map_or(1, |latest| latest.version + 1);
    db.prepare_cached(
        "INSERT INTO agents (org_id, agent_id, version, config, created_at, listed)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![
        org.as_str(),
        agent.id.as_str(),
        next,
        row::to_json(agent)?,
        now.as_millis(),
        listed,
    ])?;
    Ok(AgentVersion { id: agent.id.clone(), version: next })
}

/// An agent's latest version, unless it is deleted.
pub(super) fn latest_agent(
    db: &Connection,
    org: &OrgId,
    id: &AgentId,
) -> Result<Option<(AgentVersion, Agent)>> {
    let found = db
        .prepare_cached(
            "SELECT agent_id, version, config FROM agents
             WHERE org_id = ?1 AND agent_id = ?2 AND deleted_at IS NULL
             ORDER BY version DESC LIMIT 1",
        )?
        .query_row(params![org.as_str(), id.as_str()], versioned_agent)
        .optional()?;
    Ok(found)
}

fn versioned_agent(row: &Row<'_>) -> rusqlite::Result<(AgentVersion, Agent)> {
    Ok((AgentVersion { id: row::text(row, 0)?, version: row.get(1)? }, row::json(row, 2)?))
}

fn agents(db: &Connection, org: &OrgId) -> Result<Vec<(AgentVersion, Agent)>> {
    let mut statement = db.prepare_cached(
        "SELECT agent_id, max(version), config FROM agents
         WHERE org_id = ?1 AND deleted_at IS NULL AND listed GROUP BY agent_id ORDER BY agent_id",
    )?;
    let rows = statement.query_map([org.as_str()], versioned_agent)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

const ORGANIZATION: &str = "org_id, name, metered, grace, open_max, keep_transcripts";

fn organization(row: &Row<'_>) -> rusqlite::Result<Organization> {
    Ok(Organization {
        id: row::text(row, 0)?,
        name: row.get(1)?,
        metered: row.get(2)?,
        grace: MicroCredits(row.get(3)?),
        open_max: row.get(4)?,
        keep_transcripts: row.get(5)?,
    })
}

const CREDENTIAL: &str =
    "key_id, hash, org_id, kind, role, name, created_at, expires_at, revoked_at, configured";

fn credential(row: &Row<'_>) -> rusqlite::Result<Credential> {
    Ok(Credential {
        id: row::text(row, 0)?,
        hash: KeyHash(row.get(1)?),
        org: row::text(row, 2)?,
        kind: row::json(row, 3)?,
        role: row::json::<Role>(row, 4)?,
        name: row.get(5)?,
        created_at: row::time(row, 6)?,
        expires_at: row::time_opt(row, 7)?,
        revoked_at: row::time_opt(row, 8)?,
        configured: row.get(9)?,
    })
}

fn credentials(db: &Connection, org: &OrgId) -> Result<Vec<Credential>> {
    let sql = format!("SELECT {CREDENTIAL} FROM credentials WHERE org_id = ?1 ORDER BY key_id");
    let mut statement = db.prepare_cached(&sql)?;
    let rows = statement.query_map([org.as_str()], credential)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn insert(db: &Connection, key: &Credential) -> Result<()> {
    db.prepare_cached(
        "INSERT INTO credentials (key_id, hash, org_id, kind, role, name, created_at, expires_at,
            revoked_at, configured)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )?
    .execute(params![
        key.id.as_str(),
        key.hash.0,
        key.org.as_str(),
        row::to_json(&key.kind)?,
        row::to_json(&key.role)?,
        key.name,
        key.created_at.as_millis(),
        key.expires_at.map(Timestamp::as_millis),
        key.revoked_at.map(Timestamp::as_millis),
        key.configured,
    ])?;
    Ok(())
}

fn revoke(
    db: &Connection,
    org: &OrgId,
    id: &KeyId,
    by: Option<&str>,
    now: Timestamp,
) -> Result<bool> {
    let changed = db
        .prepare_cached(
            "UPDATE credentials SET revoked_at = coalesce(revoked_at, ?3)
             WHERE org_id = ?1 AND key_id = ?2",
        )?
        .execute(params![org.as_str(), id.as_str(), now.as_millis()])?;
    if changed > 0 {
        activity::record(
            db,
            org,
            &Activity::key("revoked", id.as_str(), by.map(str::to_owned), now),
        )?;
    }
    Ok(changed > 0)
}

#[async_trait]
impl DirectoryStore for SqliteStorage {
    async fn apply_config(
        &self,
        organizations: Vec<OrganizationConfig>,
        now: Timestamp,
    ) -> Result<()> {
        let decision = move |db: &super::writer::Db<'_>| {
            organizations.iter().try_for_each(|config| apply(db.connection, config, now))
        };
        self.writer.decide(decision).await
    }

    async fn organizations(&self) -> Result<Vec<Organization>> {
        let read = |db: &Connection| {
            let sql = format!("SELECT {ORGANIZATION} FROM organizations ORDER BY org_id");
            let mut statement = db.prepare_cached(&sql)?;
            let rows = statement.query_map([], organization)?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        };
        self.readers.read(read).await
    }

    async fn organization(&self, org: &OrgId) -> Result<Option<Organization>> {
        let look = |db: &Connection| {
            let sql = format!("SELECT {ORGANIZATION} FROM organizations WHERE org_id = ?1");
            let mut statement = db.prepare_cached(&sql)?;
            Ok(statement.query_row([org.as_str()], organization).optional()?)
        };
        self.readers.look(look).await
    }

    async fn project(&self, org: &OrgId, id: &ProjectId) -> Result<Option<Project>> {
        self.readers.look(|db| project::find(db, org, id)).await
    }

    async fn projects(&self, org: &OrgId) -> Result<Vec<Project>> {
        self.readers.look(|db| project::all(db, org)).await
    }

    async fn agent(&self, org: &OrgId, id: &AgentId) -> Result<Option<(AgentVersion, Agent)>> {
        self.readers.look(|db| latest_agent(db, org, id)).await
    }

    async fn agent_version(&self, org: &OrgId, version: &AgentVersion) -> Result<Option<Agent>> {
        let look = |db: &Connection| {
            Ok(self.agents.find(db, org, version)?.map(|agent| Agent::clone(&agent)))
        };
        self.readers.look(look).await
    }

    async fn agents(&self, org: &OrgId) -> Result<Vec<(AgentVersion, Agent)>> {
        let org = org.clone();
        self.readers.read(move |db| agents(db, &org)).await
    }

    async fn put_agent(&self, org: &OrgId, agent: Agent, now: Timestamp) -> Result<AgentVersion> {
        let org = org.clone();
        self.writer.decide(move |db| put_agent(db.connection, &org, (&agent, true), now)).await
    }

    async fn credential(&self, hash: &KeyHash) -> Result<Option<Credential>> {
        let look = |db: &Connection| {
            let sql = format!("SELECT {CREDENTIAL} FROM credentials WHERE hash = ?1");
            Ok(db.prepare_cached(&sql)?.query_row([hash.0], credential).optional()?)
        };
        self.readers.look(look).await
    }

    async fn credentials(&self, org: &OrgId) -> Result<Vec<Credential>> {
        let org = org.clone();
        self.readers.read(move |db| credentials(db, &org)).await
    }

    async fn add_credential(&self, credential: Credential, now: Timestamp) -> Result<()> {
        let decision = move |db: &super::writer::Db<'_>| {
            insert(db.connection, &credential)?;
            let created = Activity::key("created", credential.id.as_str(), None, now);
            activity::record(db.connection, &credential.org, &created)
        };
        self.writer.decide(decision).await
    }

    async fn revoke_credential(
        &self,
        org: &OrgId,
        id: &KeyId,
        by: Option<String>,
        now: Timestamp,
    ) -> Result<bool> {
        let (org, id) = (org.clone(), id.clone());
        self.writer.decide(move |db| revoke(db.connection, &org, &id, by.as_deref(), now)).await
    }
}
