//! Projects in SQLite.

use epilogue_core::{OrgId, ProjectId, Timestamp};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::row;
use crate::{Project, Result};

/// Brings an organization's projects in line with its configuration. Those that left it are marked,
/// so that one that returns is as old as it is.
pub(super) fn apply(
    db: &Connection,
    org: &OrgId,
    projects: &[Project],
    now: Timestamp,
) -> Result<()> {
    for known in all(db, org)? {
        if projects.iter().all(|project| project.id != known.id) {
            db.prepare_cached(
                "UPDATE projects SET removed_at = ?3 WHERE org_id = ?1 AND project_id = ?2",
            )?
            .execute(params![org.as_str(), known.id.as_str(), now.as_millis()])?;
        }
    }
    for project in projects {
        db.prepare_cached(
            "INSERT INTO projects (org_id, project_id, name, agent_id, created_at)
             VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT DO UPDATE SET
                name = excluded.name, agent_id = excluded.agent_id, removed_at = NULL",
        )?
        .execute(params![
            org.as_str(),
            project.id.as_str(),
            project.name,
            project.agent.as_str(),
            project.created_at.as_millis(),
        ])?;
    }
    Ok(())
}

const PROJECT: &str = "org_id, project_id, name, agent_id, created_at";

fn project(row: &Row<'_>) -> rusqlite::Result<Project> {
    Ok(Project {
        org: row::text(row, 0)?,
        id: row::text(row, 1)?,
        name: row.get(2)?,
        agent: row::text(row, 3)?,
        created_at: row::time(row, 4)?,
    })
}

/// One project that is in the configuration.
pub(super) fn find(db: &Connection, org: &OrgId, id: &ProjectId) -> Result<Option<Project>> {
    let sql = format!(
        "SELECT {PROJECT} FROM projects
         WHERE org_id = ?1 AND project_id = ?2 AND removed_at IS NULL"
    );
    let values = params![org.as_str(), id.as_str()];
    Ok(db.prepare_cached(&sql)?.query_row(values, project).optional()?)
}

/// Those that are in the configuration, by id.
pub(super) fn all(db: &Connection, org: &OrgId) -> Result<Vec<Project>> {
    let sql = format!(
        "SELECT {PROJECT} FROM projects
         WHERE org_id = ?1 AND removed_at IS NULL ORDER BY project_id"
    );
    let mut statement = db.prepare_cached(&sql)?;
    let rows = statement.query_map([org.as_str()], project)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
