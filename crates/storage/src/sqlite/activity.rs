//! The activity log in SQLite.

use async_trait::async_trait;
use epilogue_core::{OrgId, SessionId, event::Activity};
use rusqlite::{Connection, Row, params};

use super::{SqliteStorage, activity_search, row};
use crate::{
    ActivityCount, ActivityFilter, ActivityOrder, ActivityStore, Cursor, Hits, OffsetPage, Page,
    PageRequest, Result,
};

/// Records what happened. Recording it again changes nothing.
pub(super) fn record(db: &Connection, org: &OrgId, activity: &Activity) -> Result<()> {
    db.prepare_cached(
        "INSERT INTO activity (org_id, at, activity_id, kind, session_id, by_key, detail, agent_id)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT DO NOTHING",
    )?
    .execute(params![
        org.as_str(),
        activity.at.as_millis(),
        activity.id,
        activity.kind,
        activity.session.as_ref().map(|id| id.0.as_bytes().as_slice()),
        activity.by,
        row::to_json(&activity.detail)?,
        activity.agent.as_ref().map(epilogue_core::AgentId::as_str),
    ])?;
    Ok(())
}

/// The columns of [`activity`].
pub(super) const COLUMNS: &str = "at, activity_id, kind, session_id, by_key, detail, agent_id";

/// A row of [`COLUMNS`].
pub(super) fn activity(row: &Row<'_>) -> rusqlite::Result<Activity> {
    Ok(Activity {
        at: row::time(row, 0)?,
        id: row.get(1)?,
        kind: row.get(2)?,
        session: row::session_id_opt(row, 3)?,
        by: row.get(4)?,
        detail: row::json(row, 5)?,
        agent: row.get::<_, Option<String>>(6)?.map(Into::into),
    })
}

#[async_trait]
impl ActivityStore for SqliteStorage {
    async fn list_activity(
        &self,
        org: &OrgId,
        session: Option<SessionId>,
        page: &PageRequest,
    ) -> Result<Page<Activity>> {
        let (org, page) = (org.clone(), page.clone());
        let read = move |db: &Connection| {
            let after = page.after.as_ref();
            let of_session =
                if session.is_some() { "AND session_id = ?2" } else { "AND ?2 IS NULL" };
            let mut statement = db.prepare_cached(&format!(
                "SELECT {COLUMNS} FROM activity
                 WHERE org_id = ?1 {of_session} AND (at, activity_id) < (?3, ?4)
                 ORDER BY at DESC, activity_id DESC LIMIT ?5"
            ))?;
            let rows = statement.query_map(
                params![
                    org.as_str(),
                    session.as_ref().map(|id| id.0.as_bytes().as_slice()),
                    after.map_or(i64::MAX, |cursor| cursor.at),
                    after.map_or("", |cursor| cursor.key.as_str()),
                    page.limit() + 1,
                ],
                activity,
            )?;
            let rows = rows.collect::<rusqlite::Result<_>>()?;
            Ok(Page::from_rows(rows, page.limit(), |entry: &Activity| Cursor {
                at: entry.at.as_millis(),
                key: entry.id.clone(),
            }))
        };
        self.readers.read(read).await
    }

    async fn search_activity(
        &self,
        org: &OrgId,
        filter: &ActivityFilter,
        order: ActivityOrder,
        page: OffsetPage,
    ) -> Result<(Hits<Activity>, Vec<ActivityCount>)> {
        let (org, filter) = (org.clone(), filter.clone());
        let read = move |db: &Connection| activity_search::search(db, &org, &filter, order, page);
        self.searchers.search(read).await
    }
}
