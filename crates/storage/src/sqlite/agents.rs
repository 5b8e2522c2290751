//! Versions of agents, kept because they never change.

use std::sync::Arc;

use epilogue_core::{
    Agent, AgentId, OrgId, Session, agent::AgentKind, profile::Configuration, session::AgentVersion,
};
use quick_cache::sync::Cache;
use rusqlite::{Connection, OptionalExtension, params};

use super::row::json;
use crate::{Error, Result};

/// How many versions are kept in memory.
const AGENTS_MAX: usize = 1_024;

/// Reads versions of agents, each once.
pub(super) struct Agents {
    known: Cache<(OrgId, AgentVersion), Arc<Agent>>,
}

impl Agents {
    pub fn new() -> Self {
        Self { known: Cache::new(AGENTS_MAX) }
    }

    /// `None`: there is no such version.
    pub fn find(
        &self,
        db: &Connection,
        org: &OrgId,
        version: &AgentVersion,
    ) -> Result<Option<Arc<Agent>>> {
        let key = (org.clone(), version.clone());
        if let Some(agent) = self.known.get(&key) {
            return Ok(Some(agent));
        }
        let found = db
            .prepare_cached(
                "SELECT config FROM agents WHERE org_id = ?1 AND agent_id = ?2 AND version = ?3",
            )?
            .query_row(params![org.as_str(), version.id.as_str(), version.version], |row| {
                json::<Agent>(row, 0)
            })
            .optional()?
            .map(Arc::new);
        if let Some(agent) = &found {
            self.known.insert(key, agent.clone());
        }
        Ok(found)
    }

    /// The latest version of an agent that there has ever been.
    pub fn latest(db: &Connection, org: &OrgId, id: &AgentId) -> Result<Option<AgentVersion>> {
        let version: Option<u32> = db
            .prepare_cached("SELECT max(version) FROM agents WHERE org_id = ?1 AND agent_id = ?2")?
            .query_row(params![org.as_str(), id.as_str()], |row| row.get(0))?;
        Ok(version.map(|version| AgentVersion { id: id.clone(), version }))
    }

    /// Where a session's configuration is live, has it go by its agent's latest version.
    pub fn follow(db: &Connection, session: &mut Session) -> Result<()> {
        if session.profile.turns.configuration == Configuration::Live
            && let Some(latest) = Self::latest(db, &session.org, &session.agent.id)?
        {
            session.agent = latest;
        }
        Ok(())
    }

    /// As [`Self::follow`], for a turn. `false`: the agent is gone, or no longer one that writes.
    pub fn follow_to_turn(&self, db: &Connection, session: &mut Session) -> Result<bool> {
        if session.profile.turns.configuration != Configuration::Live {
            return Ok(true);
        }
        Self::follow(db, session)?;
        if Self::is_deleted(db, &session.org, &session.agent)? {
            return Ok(false);
        }
        let agent = self.find(db, &session.org, &session.agent)?;
        Ok(agent.is_some_and(|agent| agent.kind == AgentKind::Text))
    }

    fn is_deleted(db: &Connection, org: &OrgId, version: &AgentVersion) -> Result<bool> {
        Ok(db
            .prepare_cached(
                "SELECT deleted_at IS NOT NULL FROM agents
                 WHERE org_id = ?1 AND agent_id = ?2 AND version = ?3",
            )?
            .query_row(params![org.as_str(), version.id.as_str(), version.version], |row| {
                row.get(0)
            })
            .optional()?
            .unwrap_or(true))
    }

    /// The version a session goes by, which must exist.
    pub fn of_session(
        &self,
        db: &Connection,
        org: &OrgId,
        version: &AgentVersion,
    ) -> Result<Arc<Agent>> {
        self.find(db, org, version)?.ok_or_else(|| Error::Unreadable {
            what: "agent version",
            source: format!("{} version {} is missing", version.id, version.version).into(),
        })
    }
}
