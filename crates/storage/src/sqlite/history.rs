//! Looking back at a project in SQLite.

use async_trait::async_trait;
use epilogue_core::{OrgId, ProjectId, SessionId, Span};
use rusqlite::{Connection, ToSql, params};

use super::{SqliteStorage, row, session, session_list, step};
use crate::{
    HISTORY_MAX, HistoryEntry, HistoryPage, HistoryStore, Hits, OpenedWithin, PageRequest,
    ProjectStats, Result,
};

/// All sessions of a project, in the order of their opening.
const ALL: &str = "FROM sessions INDEXED BY sessions_of_project
    WHERE org_id = ?1 AND project = ?2 AND project IS NOT NULL";

/// Those with such a name. The index has the names, so that no row is read to look at them.
const NAMED: &str = "FROM sessions INDEXED BY sessions_named_in_project
    WHERE org_id = ?1 AND project = ?2 AND project IS NOT NULL AND instr(dialect_id, ?3) > 0";

/// What the ended ones come to, from an index that has all that is counted.
const ENDED: &str = "SELECT count(*), coalesce(sum(total_messages), 0),
        coalesce(sum(max(ended_at - opened_at, 0)), 0)
    FROM sessions INDEXED BY sessions_ended_in_project
    WHERE org_id = ?1 AND project = ?2 AND project IS NOT NULL AND ended_at IS NOT NULL
        AND session_id >= ?3 AND session_id < ?4";

/// And the live ones.
const LIVE: &str = "SELECT count(*), coalesce(sum(total_messages), 0)
    FROM sessions INDEXED BY sessions_live_in_project
    WHERE org_id = ?1 AND project = ?2 AND project IS NOT NULL AND state = 'active'
        AND session_id >= ?3 AND session_id < ?4";

fn history(
    db: &Connection,
    org: &OrgId,
    project: &ProjectId,
    search: Option<&str>,
    (page, most): (HistoryPage, u32),
) -> Result<Hits<HistoryEntry>> {
    let (from, bound) = if search.is_some() { (NAMED, 3) } else { (ALL, 2) };
    let values: [&dyn ToSql; 3] = [&org.as_str(), &project.as_str(), &search];
    let counted = format!("SELECT count(*) FROM (SELECT 1 {from} LIMIT {most})");
    let total: u32 = db.prepare_cached(&counted)?.query_row(&values[..bound], |row| row.get(0))?;
    // What is not counted is not shown either: the pages end where the count does.
    let limit = page.limit.clamp(1, PageRequest::LIMIT_MAX);
    let limit = u64::from(limit).min(u64::from(total).saturating_sub(page.skip));
    if limit == 0 {
        return Ok(Hits { items: Vec::new(), total });
    }
    // Narrow rows, of which one page is then read whole.
    let skip = page.skip;
    let ids =
        format!("SELECT session_id {from} ORDER BY session_id DESC LIMIT {limit} OFFSET {skip}");
    let mut statement = db.prepare(&ids)?;
    let ids = statement.query_map(&values[..bound], |row| row::session_id(row, 0))?;
    let ids: Vec<_> = ids.collect::<rusqlite::Result<_>>()?;
    let entries = ids.into_iter().map(|id| entry(db, org, id));
    let items = entries.filter_map(Result::transpose).collect::<Result<_>>()?;
    Ok(Hits { items, total })
}

fn entry(db: &Connection, org: &OrgId, id: SessionId) -> Result<Option<HistoryEntry>> {
    let Some(session) = session::read(db, org, id)? else { return Ok(None) };
    Ok(Some(HistoryEntry { session, analyses: step::analyses(db, org, id)? }))
}

fn stats(
    db: &Connection,
    org: &OrgId,
    project: &ProjectId,
    opened: OpenedWithin,
) -> Result<ProjectStats> {
    let from = opened.from.map(session_list::first_id_at).unwrap_or_default();
    let before = opened.before.map_or_else(|| vec![u8::MAX; 17], session_list::first_id_at);
    let values = params![org.as_str(), project.as_str(), from, before];
    let (ended, said, lasted): (u64, u64, u64) = db
        .prepare_cached(ENDED)?
        .query_row(values, |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let (active, saying): (u64, u64) =
        db.prepare_cached(LIVE)?.query_row(values, |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(ProjectStats { active, ended, messages: said + saying, lasted: Span::from_millis(lasted) })
}

#[async_trait]
impl HistoryStore for SqliteStorage {
    async fn project_history(
        &self,
        org: &OrgId,
        project: &ProjectId,
        search: Option<&str>,
        page: HistoryPage,
    ) -> Result<Hits<HistoryEntry>> {
        let (org, project, search) = (org.clone(), project.clone(), search.map(str::to_owned));
        let page = (page, HISTORY_MAX);
        let read = move |db: &Connection| history(db, &org, &project, search.as_deref(), page);
        self.searchers.search(read).await
    }

    async fn project_stats(
        &self,
        org: &OrgId,
        project: &ProjectId,
        opened: OpenedWithin,
    ) -> Result<ProjectStats> {
        let (org, project) = (org.clone(), project.clone());
        self.searchers.search(move |db| stats(db, &org, &project, opened)).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        conformance::fixture::{World, at, quiet_agent},
        sqlite::{Options, connection},
    };

    #[tokio::test]
    async fn the_pages_end_where_the_count_does() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("x.db");
        let store = Arc::new(SqliteStorage::open(&path, &Options::default()).expect("opens"));
        let world = World::join(store, "org", quiet_agent()).await.expect("joined");
        for n in 1..=5 {
            let mut session = world.session_at(n, at(u64::from(n)));
            session.project = Some("p".into());
            world.open(&session).await.expect("opened");
        }
        let db = connection::writing(&path).expect("opens");
        for (search, skip, limit, most, expected) in [
            (None, 0, 10, 6, (5, 5)),
            (None, 0, 10, 5, (5, 5)),
            (None, 0, 10, 4, (4, 4)),
            (Some(""), 0, 10, 4, (4, 4)),
            (None, 2, 2, 4, (2, 4)),
            (None, 3, 2, 4, (1, 4)),
            (None, 4, 2, 4, (0, 4)),
            (None, u64::MAX, 2, 4, (0, 4)),
        ] {
            let page = (HistoryPage { skip, limit }, most);
            let found = history(&db, &world.org, &"p".into(), search, page).expect("read");
            assert_eq!((found.items.len(), found.total), expected, "{skip} {limit} of {most}");
        }
    }

    #[test]
    fn what_is_counted_stands_in_indexes_and_nothing_is_sorted_but_names() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut db = connection::writing(&folder.path().join("x.db")).expect("opens");
        connection::migrate(&mut db).expect("migrated");
        let plan = |sql: &str, values: &[&dyn ToSql]| {
            let mut statement = db.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).expect("prepared");
            let steps = statement.query_map(values, |row| row.get::<_, String>(3));
            let steps = steps.expect("explained").map(|step| step.expect("a step"));
            steps.collect::<Vec<_>>().join("; ")
        };
        let ended = plan(ENDED, params!["org", "p", [0_u8], [1_u8]]);
        assert!(ended.contains("COVERING INDEX sessions_ended_in_project"), "{ended}");
        let live = plan(LIVE, params!["org", "p", [0_u8], [1_u8]]);
        assert!(live.contains("INDEX sessions_live_in_project"), "{live}");
        let page = format!("SELECT session_id {ALL} ORDER BY session_id DESC LIMIT 1");
        let page = plan(&page, params!["org", "p"]);
        assert!(page.contains("COVERING INDEX") && !page.contains("B-TREE"), "{page}");
        let named = plan(&format!("SELECT session_id {NAMED}"), params!["org", "p", "x"]);
        assert!(named.contains("COVERING INDEX"), "{named}");
    }
}
