//! Finding and listing sessions in SQLite.

use epilogue_core::{OrgId, ProjectId, Session, SessionId, Timestamp};
use rusqlite::{Connection, OptionalExtension, params, params_from_iter};
use uuid::Uuid;

use super::{conditions::Conditions, row};
use crate::{
    Cursor, Page, PageRequest, RecentFilter, RecentSessions, Result, SessionFilter, SessionName,
    StateFilter,
};

/// Finds a session by one of its names.
pub(super) fn find(db: &Connection, org: &OrgId, name: &SessionName) -> Result<Option<Session>> {
    match name {
        SessionName::Id(id) => super::session::read(db, org, *id),
        SessionName::Dialect(dialect, name) => {
            let sql = format!(
                "SELECT {} FROM sessions
                 WHERE org_id = ?1 AND dialect_id = ?2 AND dialect = ?3 AND project IS NULL",
                row::SESSION
            );
            let values = params![org.as_str(), name, dialect.as_str()];
            Ok(db.prepare_cached(&sql)?.query_row(values, row::session).optional()?)
        }
        SessionName::Endpoint(dialect, channel, endpoint) => {
            super::session::live_at(db, org, (dialect, channel, endpoint))
        }
        SessionName::LiveInProject(project, name) => live_called(db, org, (project, name)),
        SessionName::LatestInProject(project, name) => {
            // Of two that were opened in one millisecond, the ids do not say which came later.
            if let Some(live) = live_called(db, org, (project, name))? {
                return Ok(Some(live));
            }
            let sql = format!(
                "SELECT {} FROM sessions INDEXED BY sessions_named_in_project
                 WHERE org_id = ?1 AND dialect_id = ?2 AND project = ?3 AND project IS NOT NULL
                 ORDER BY session_id DESC LIMIT 1",
                row::SESSION
            );
            let values = params![org.as_str(), name, project.as_str()];
            Ok(db.prepare_cached(&sql)?.query_row(values, row::session).optional()?)
        }
        SessionName::Any(name) => {
            if let Ok(id) = name.parse::<SessionId>()
                && let Some(session) = super::session::read(db, org, id)?
            {
                return Ok(Some(session));
            }
            Ok(latest_called(db, org, name)?
                .map(|id| super::session::read(db, org, id))
                .transpose()?
                .flatten())
        }
    }
}

/// The live session of a name in a project.
fn live_called(
    db: &Connection,
    org: &OrgId,
    (project, name): (&ProjectId, &str),
) -> Result<Option<Session>> {
    let sql = format!(
        "SELECT {} FROM sessions
         WHERE org_id = ?1 AND project = ?2 AND dialect_id = ?3
            AND state = 'active' AND project IS NOT NULL",
        row::SESSION
    );
    let values = params![org.as_str(), project.as_str(), name];
    Ok(db.prepare_cached(&sql)?.query_row(values, row::session).optional()?)
}

/// The latest session of a name, in whatever dialect or project. Names of projects and the others stand
/// in indexes of their own, so that each is asked.
fn latest_called(db: &Connection, org: &OrgId, name: &str) -> Result<Option<SessionId>> {
    let latest = |sql: &str| {
        let found = db
            .prepare_cached(sql)?
            .query_row(params![org.as_str(), name], |row| row::session_id_opt(row, 0))?;
        Ok::<_, crate::Error>(found)
    };
    let plain = latest(
        "SELECT max(session_id) FROM sessions INDEXED BY sessions_by_name
         WHERE org_id = ?1 AND dialect_id = ?2 AND project IS NULL",
    )?;
    let in_project = latest(
        "SELECT max(session_id) FROM sessions INDEXED BY sessions_named_in_project
         WHERE org_id = ?1 AND dialect_id = ?2 AND project IS NOT NULL",
    )?;
    Ok(plain.max(in_project))
}

/// The smallest session id of a point in time: ids are ordered by the time of opening.
pub(super) fn first_id_at(at: Timestamp) -> Vec<u8> {
    let millis = u64::try_from(at.as_millis()).unwrap_or(0);
    let smallest = uuid::Builder::from_unix_timestamp_millis(millis, &[0; 10]).into_uuid();
    smallest.as_bytes().to_vec()
}

/// Lists an organization's sessions, the latest opened first, along the order of their ids.
pub(super) fn list(
    db: &Connection,
    org: &OrgId,
    filter: &SessionFilter,
    page: &PageRequest,
) -> Result<Page<Session>> {
    let mut wanted = Conditions::of(org, "sessions");
    match filter.state {
        // Spelt out, not bound, so that the partial indexes of these states are used.
        Some(StateFilter::Active) => wanted.sql.push_str(" AND state = 'active'"),
        Some(StateFilter::Finalizing) => wanted.sql.push_str(" AND state = 'finalizing'"),
        Some(StateFilter::Final) => wanted.sql.push_str(" AND state = 'final'"),
        None => {}
    }
    if let Some(dialect) = &filter.dialect {
        wanted.and("dialect =", dialect.to_string());
    }
    if let Some(project) = &filter.project {
        wanted.sql.push_str(" AND project IS NOT NULL");
        wanted.and("project =", project.to_string());
    }
    if let Some(agent) = &filter.agent {
        wanted.and("agent_id =", agent.to_string());
    }
    if let Some(reason) = filter.reason {
        wanted.and("reason =", reason.as_str().to_owned());
    }
    if let Some(person) = &filter.person {
        wanted.and("person =", person.as_str().to_owned());
    }
    if let Some(from) = filter.opened_from {
        wanted.and("session_id >=", first_id_at(from));
    }
    if let Some(before) = filter.opened_before {
        wanted.and("session_id <", first_id_at(before));
    }
    if let Some(after) = page.after.as_ref().and_then(|cursor| Uuid::parse_str(&cursor.key).ok()) {
        wanted.and("session_id <", after.as_bytes().to_vec());
    }
    let sql = format!(
        "SELECT {} FROM sessions WHERE {} ORDER BY session_id DESC LIMIT {}",
        row::SESSION,
        wanted.sql,
        page.limit() + 1
    );
    let mut statement = db.prepare_cached(&sql)?;
    let rows = statement.query_map(params_from_iter(wanted.values), row::session)?;
    let rows = rows.collect::<rusqlite::Result<_>>()?;
    Ok(Page::from_rows(rows, page.limit(), |session: &Session| Cursor {
        at: session.opened_at.as_millis(),
        key: session.id.to_string(),
    }))
}

/// What a list by activity looks for.
fn recently(org: &OrgId, filter: &RecentFilter) -> Conditions {
    let mut wanted = Conditions::of(org, "sessions");
    wanted.and("dialect =", filter.dialect.to_string());
    // Spelt out, so that the partial indexes are used.
    wanted.sql.push_str(" AND channel IS NOT NULL");
    match filter.active {
        Some(true) => wanted.sql.push_str(" AND state = 'active'"),
        Some(false) => wanted.sql.push_str(" AND state <> 'active'"),
        None => {}
    }
    if let Some(channel) = &filter.channel {
        wanted.and("channel =", channel.clone());
    }
    if let Some(agent) = &filter.agent {
        wanted.and("agent_id =", agent.to_string());
    }
    if let Some(after) = filter.active_after {
        wanted.and("last_activity >", after.as_millis());
    }
    wanted
}

/// The count of what is wanted, and a page of it.
fn recent_queries(active: Option<bool>, wanted: &Conditions) -> (String, String) {
    // Named, for the planner does not know how few the active ones are.
    let index =
        if active == Some(true) { "sessions_active_by_activity" } else { "sessions_by_activity" };
    let from = format!("FROM sessions INDEXED BY {index} WHERE {}", wanted.sql);
    let place = wanted.values.len();
    let page = format!(
        "SELECT {} {from} ORDER BY last_activity DESC, session_id LIMIT ?{} OFFSET ?{}",
        row::SESSION,
        place + 1,
        place + 2,
    );
    (format!("SELECT count(*) {from}"), page)
}

/// The sessions of one dialect's channels, the latest active first.
pub(super) fn recent(
    db: &Connection,
    org: &OrgId,
    filter: &RecentFilter,
    (skip, take): (u32, u32),
) -> Result<RecentSessions> {
    let mut wanted = recently(org, filter);
    let (count, page) = recent_queries(filter.active, &wanted);
    let values = params_from_iter(wanted.values.iter());
    let total = db.prepare_cached(&count)?.query_row(values, |row| row.get(0))?;
    wanted.values.extend([take.into(), skip.into()]);
    let mut statement = db.prepare_cached(&page)?;
    let rows = statement.query_map(params_from_iter(wanted.values), row::session)?;
    Ok(RecentSessions { sessions: rows.collect::<rusqlite::Result<_>>()?, total })
}

#[cfg(test)]
mod tests {
    use epilogue_core::Dialect;

    use super::*;
    use crate::sqlite::connection;

    #[test]
    fn the_list_by_activity_walks_an_index_and_sorts_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut db = connection::writing(&folder.path().join("x.db")).expect("opens");
        connection::migrate(&mut db).expect("migrated");
        for active in [None, Some(true), Some(false)] {
            let filter = RecentFilter {
                dialect: Dialect::from("native"),
                channel: active.map(|_| "web".to_owned()),
                agent: Some("agent".into()),
                active,
                active_after: Some(Timestamp::from_millis(5)),
            };
            let mut wanted = recently(&OrgId::from("org"), &filter);
            let (count, page) = recent_queries(active, &wanted);
            let counted = plan(&db, &count, &wanted.values);
            assert!(counted.contains("COVERING INDEX"), "{counted}");
            wanted.values.extend([1.into(), 1.into()]);
            let paged = plan(&db, &page, &wanted.values);
            assert!(paged.contains("SEARCH") && !paged.contains("B-TREE"), "{paged}");
        }
    }

    #[test]
    fn names_are_found_by_an_index_whether_or_not_there_is_a_project() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut db = connection::writing(&folder.path().join("x.db")).expect("opens");
        connection::migrate(&mut db).expect("migrated");
        let of_org = "SELECT session_id FROM sessions WHERE org_id = ?1";
        for (rest, index) in [
            ("dialect_id = ?2 AND dialect = ?3 AND project IS NULL", "sessions_by_name"),
            (
                "project = ?2 AND dialect_id = ?3 AND state = 'active' AND project IS NOT NULL",
                "sessions_live_in_project",
            ),
            (
                "project IS NOT NULL AND project = ?2 AND session_id < ?3 ORDER BY session_id DESC",
                "sessions_of_project",
            ),
        ] {
            let values = ["o", "a", "b"].map(|value| value.to_owned().into());
            let plan = plan(&db, &format!("{of_org} AND {rest}"), &values);
            assert!(plan.contains(index) && !plan.contains("B-TREE"), "{plan}");
        }
    }

    fn plan(db: &Connection, sql: &str, values: &[rusqlite::types::Value]) -> String {
        let mut statement = db.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).expect("prepared");
        let steps = statement.query_map(params_from_iter(values), |row| row.get::<_, String>(3));
        steps.expect("explained").map(|step| step.expect("a step")).collect::<Vec<_>>().join("; ")
    }
}
