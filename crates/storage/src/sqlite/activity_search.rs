//! Searching the activity log in SQLite: among its latest entries, or those of given sessions.

use std::fmt::Write as _;

use epilogue_core::{OrgId, Timestamp, event::Activity};
use rusqlite::{Connection, params_from_iter};

use super::{activity, conditions::Conditions};
use crate::{
    ActivityCount, ActivityFilter, ActivityKind, ActivityOrder, ENTRIES_SEARCHED_MAX, Hits,
    OffsetPage, Result, TOTAL_MAX,
};

/// Whether the entry's reason is our own failure.
const FAILED: &str = "coalesce(entry.detail ->> '$.reason' = 'failed', 0)";

/// The entries that are looked at, as a table, and the conditions on them.
struct Wanted {
    from: String,
    conditions: Conditions,
}

impl Wanted {
    fn of(org: &OrgId, filter: &ActivityFilter) -> rusqlite::Result<Self> {
        let mut wanted = Conditions::of(org, "activity");
        if let Some(sessions) = &filter.sessions {
            let ids = sessions.iter().map(|id| id.0.as_bytes().to_vec());
            wanted.and_one_of("activity.session_id", ids);
        }
        let (from, until) = (filter.from, filter.until);
        wanted.and("activity.at >=", from.map_or(i64::MIN, Timestamp::as_millis));
        wanted.and("activity.at <=", until.map_or(i64::MAX, Timestamp::as_millis));
        let from = format!(
            "(SELECT * FROM activity WHERE {} ORDER BY at DESC, activity_id DESC
              LIMIT {ENTRIES_SEARCHED_MAX}) AS entry",
            wanted.sql
        );
        wanted.sql = String::from("1");
        if let Some(kinds) = &filter.kinds {
            let kinds = one_of(&mut wanted, kinds);
            let _ = write!(wanted.sql, " AND {kinds}");
        }
        if let Some(by_someone) = filter.by_someone {
            wanted.sql.push_str(if by_someone {
                " AND entry.by_key IS NOT NULL"
            } else {
                " AND entry.by_key IS NULL"
            });
        }
        if let Some(agents) = &filter.agents {
            wanted.and_one_of("entry.agent_id", agents.iter().map(ToString::to_string));
        }
        if let Some(text) = &filter.text {
            let needle = wanted.bind(in_json(&text.text)?.to_lowercase());
            let kinds = one_of(&mut wanted, &text.kinds);
            let _ =
                write!(wanted.sql, " AND (instr(lowered(entry.detail), {needle}) > 0 OR {kinds})");
        }
        Ok(Self { from, conditions: wanted })
    }
}

/// A text as it stands within a JSON text.
fn in_json(text: &str) -> rusqlite::Result<String> {
    let quoted = super::row::to_json(&text)?;
    Ok(quoted[1..quoted.len() - 1].to_owned())
}

fn one_of(wanted: &mut Conditions, kinds: &[ActivityKind]) -> String {
    let mut tests = vec!["0".to_owned()];
    for kind in kinds {
        let place = wanted.bind(kind.kind.clone());
        tests.push(match kind.failed {
            None => format!("entry.kind = {place}"),
            Some(failed) => {
                format!("(entry.kind = {place} AND {FAILED} = {})", u8::from(failed))
            }
        });
    }
    format!("({})", tests.join(" OR "))
}

pub(super) fn search(
    db: &Connection,
    org: &OrgId,
    filter: &ActivityFilter,
    order: ActivityOrder,
    page: OffsetPage,
) -> Result<Hits<Activity>> {
    let page = page.bounded();
    let Wanted { from, conditions } = Wanted::of(org, filter)?;
    let values = || params_from_iter(&conditions.values);
    let count = format!(
        "SELECT count(*) FROM (SELECT 1 FROM {from} WHERE {} LIMIT {TOTAL_MAX})",
        conditions.sql
    );
    let total = db.prepare_cached(&count)?.query_row(values(), |row| row.get(0))?;
    let direction = if page.descending { "DESC" } else { "ASC" };
    let by = match order {
        ActivityOrder::At => String::new(),
        ActivityOrder::Kind => format!("entry.kind {direction}, "),
    };
    let sql = format!(
        "SELECT {} FROM {from} WHERE {}
         ORDER BY {by}entry.at {direction}, entry.activity_id {direction} LIMIT {} OFFSET {}",
        activity::COLUMNS,
        conditions.sql,
        page.limit,
        page.skip
    );
    let mut statement = db.prepare_cached(&sql)?;
    let rows = statement.query_map(values(), activity::activity)?;
    Ok(Hits { items: rows.collect::<rusqlite::Result<_>>()?, total })
}

pub(super) fn counts(
    db: &Connection,
    org: &OrgId,
    filter: &ActivityFilter,
) -> Result<Vec<ActivityCount>> {
    let Wanted { from, conditions } = Wanted::of(org, filter)?;
    let sql = format!(
        "SELECT entry.kind, {FAILED} AS failed, entry.by_key IS NOT NULL AS someone, count(*)
         FROM {from} WHERE {} GROUP BY entry.kind, failed, someone
         ORDER BY entry.kind, failed, someone",
        conditions.sql
    );
    let mut statement = db.prepare_cached(&sql)?;
    let rows = statement.query_map(params_from_iter(&conditions.values), |row| {
        Ok(ActivityCount {
            kind: row.get(0)?,
            failed: row.get(1)?,
            by_someone: row.get(2)?,
            count: row.get(3)?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
