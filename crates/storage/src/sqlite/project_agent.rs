//! What projects change about their agents, in SQLite.

use async_trait::async_trait;
use epilogue_core::{OrgId, ProjectId, Timestamp, event::Activity, session::AgentVersion};
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde_json::json;

use super::{SqliteStorage, activity, directory, project, row};
use crate::{
    Project, ProjectAgent, ProjectAgentStore, Result, WriteProjectAgent, WriteProjectAgentOutcome,
};

fn project_agent(row: &Row<'_>) -> rusqlite::Result<ProjectAgent> {
    Ok(ProjectAgent {
        overlay: row::json(row, 0)?,
        document: row::json(row, 1)?,
        revision: row.get(2)?,
        created_at: row::time(row, 3)?,
        updated_at: row::time(row, 4)?,
    })
}

fn read(db: &Connection, org: &OrgId, project: &ProjectId) -> Result<Option<ProjectAgent>> {
    let found = db
        .prepare_cached(
            "SELECT overlay, document, revision, created_at, updated_at FROM project_agents
             WHERE org_id = ?1 AND project_id = ?2",
        )?
        .query_row(params![org.as_str(), project.as_str()], project_agent)
        .optional()?;
    Ok(found)
}

/// Makes the agents of those projects anew whose operator's agent may have changed.
pub(super) fn follow(
    db: &Connection,
    org: &OrgId,
    projects: &[Project],
    now: Timestamp,
) -> Result<()> {
    for project in projects {
        if let Some(known) = read(db, org, &project.id)? {
            derive(db, org, (project, &known.overlay), now)?;
        }
    }
    Ok(())
}

/// The version of a project's own agent that follows from the operator's. `None`: there is no agent.
fn derive(
    db: &Connection,
    org: &OrgId,
    (project, overlay): (&Project, &epilogue_core::AgentOverlay),
    now: Timestamp,
) -> Result<Option<AgentVersion>> {
    let Some((_, agent)) = directory::latest_agent(db, org, &project.agent)? else {
        return Ok(None);
    };
    let own = overlay.over(&agent, &project.id);
    directory::put_agent(db, org, (&own, false), now).map(Some)
}

fn write(
    db: &Connection,
    org: &OrgId,
    request: &WriteProjectAgent,
    now: Timestamp,
) -> Result<WriteProjectAgentOutcome> {
    let Some(project) = project::find(db, org, &request.project)? else {
        return Ok(WriteProjectAgentOutcome::NoProject);
    };
    let known = read(db, org, &project.id)?;
    if known.as_ref().map_or(0, |known| known.revision) != request.follows {
        return Ok(WriteProjectAgentOutcome::Changed);
    }
    let Some(version) = derive(db, org, (&project, &request.overlay), now)? else {
        return Ok(WriteProjectAgentOutcome::NoProject);
    };
    db.prepare_cached(
        "INSERT INTO project_agents
            (org_id, project_id, overlay, document, revision, created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6)
         ON CONFLICT DO UPDATE SET overlay = excluded.overlay, document = excluded.document,
            revision = excluded.revision, updated_at = excluded.updated_at",
    )?
    .execute(params![
        org.as_str(),
        project.id.as_str(),
        row::to_json(&request.overlay)?,
        row::to_json(&request.document)?,
        request.follows + 1,
        now.as_millis(),
    ])?;
    let detail = json!({ "project": project.id, "revision": request.follows + 1 });
    let entry =
        Activity::agent("updated", (&version.id, version.version), detail, request.by.clone(), now);
    activity::record(db, org, &entry)?;
    Ok(WriteProjectAgentOutcome::Written(version))
}

#[async_trait]
impl ProjectAgentStore for SqliteStorage {
    async fn project_agent(
        &self,
        org: &OrgId,
        project: &ProjectId,
    ) -> Result<Option<ProjectAgent>> {
        self.readers.look(|db| read(db, org, project)).await
    }

    async fn write_project_agent(
        &self,
        org: &OrgId,
        request: WriteProjectAgent,
        now: Timestamp,
    ) -> Result<WriteProjectAgentOutcome> {
        let org = org.clone();
        self.writer.decide(move |db| write(db.connection, &org, &request, now)).await
    }
}
