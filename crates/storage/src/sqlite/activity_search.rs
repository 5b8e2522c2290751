//! Searching the activity log in SQLite: among its latest entries, or those of given sessions.

use std::{collections::BTreeMap, fmt::Write as _};

use epilogue_core::{OrgId, Timestamp, event::Activity};
use rusqlite::{Connection, params, params_from_iter};

use super::{activity, conditions::Conditions};
use crate::{
    ActivityCount, ActivityFilter, ActivityKind, ActivityOrder, ActivityText, ENTRIES_SEARCHED_MAX,
    Hits, OffsetPage, Result, TOTAL_MAX,
};

/// The kind of ends.
const ENDED: &str = "session.ended";

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
            "(SELECT rowid AS number, * FROM activity WHERE {} ORDER BY at DESC, activity_id DESC
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
            let text = with_text(&mut wanted, text)?;
            let _ = write!(wanted.sql, " AND {text}");
        }
        Ok(Self { from, conditions: wanted })
    }
}

/// Whether an entry has the text: in the words of its kind, in those of an end's reason, in the name
/// of who did it, or in one of its particulars, of an end only in those that are named.
fn with_text(wanted: &mut Conditions, text: &ActivityText) -> rusqlite::Result<String> {
    let kinds = one_of(wanted, &text.kinds);
    let needle = wanted.bind(text.text.to_lowercase());
    // Whatever has the text has it in its JSON, where it is found sooner.
    let escaped = wanted.bind(in_json(&text.text)?.to_lowercase());
    let ended = wanted.bind(ENDED.to_owned());
    let reasons: Vec<_> =
        text.reasons.iter().map(|reason| wanted.bind(reason.as_str().to_owned())).collect();
    let members: Vec<_> = text.end_members.iter().map(|name| wanted.bind(name.clone())).collect();
    let (reasons, members) = (reasons.join(", "), members.join(", "));
    Ok(format!(
        "({kinds} OR instr(lowered(coalesce(entry.by_key, '')), {needle}) > 0
          OR (entry.kind = {ended} AND entry.detail ->> '$.reason' IN ({reasons}))
          OR (instr(lowered(entry.detail), {escaped}) > 0 AND EXISTS (
            SELECT 1 FROM json_tree(entry.detail) AS part WHERE part.atom IS NOT NULL
              AND (entry.kind <> {ended} OR part.key IN ({members}))
              AND instr(lowered(CAST(part.atom AS TEXT)), {needle}) > 0)))"
    ))
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

/// One walk over what is wanted: it is counted by kinds, and the page is cut out of it.
pub(super) fn search(
    db: &Connection,
    org: &OrgId,
    filter: &ActivityFilter,
    order: ActivityOrder,
    page: OffsetPage,
) -> Result<(Hits<Activity>, Vec<ActivityCount>)> {
    let page = page.bounded();
    let Wanted { from, conditions } = Wanted::of(org, filter)?;
    let direction = if page.descending { "DESC" } else { "ASC" };
    let by = match order {
        ActivityOrder::At => String::new(),
        ActivityOrder::Kind => format!("entry.kind {direction}, "),
    };
    // What is sorted is narrow, however much the particulars hold.
    let sql = format!(
        "SELECT entry.number, entry.kind, {FAILED}, entry.by_key IS NOT NULL FROM {from} WHERE {}
         ORDER BY {by}entry.at {direction}, entry.activity_id {direction}",
        conditions.sql
    );
    let mut statement = db.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(&conditions.values))?;
    let (mut counts, mut numbers) = (BTreeMap::new(), Vec::new());
    let (mut total, shown) = (0, page.skip..page.skip.saturating_add(page.limit));
    while let Some(row) = rows.next()? {
        if shown.contains(&total) {
            numbers.push(row.get::<_, i64>(0)?);
        }
        total += 1;
        let (failed, by_someone) = (row.get::<_, bool>(2)?, row.get::<_, bool>(3)?);
        let kind = row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?;
        count(&mut counts, kind, (failed, by_someone));
    }
    let counts = counts.into_iter().flat_map(|(kind, spread)| {
        let of = move |((failed, by_someone), count)| ActivityCount {
            kind: kind.clone(),
            failed,
            by_someone,
            count,
        };
        spread.into_iter().map(of)
    });
    let items = read(db, org, &numbers)?;
    Ok((Hits { items, total: total.min(TOTAL_MAX) }, counts.collect()))
}

type Spread = BTreeMap<(bool, bool), u32>;

fn count(counts: &mut BTreeMap<String, Spread>, kind: &str, of: (bool, bool)) {
    if !counts.contains_key(kind) {
        counts.insert(kind.to_owned(), Spread::new());
    }
    if let Some(spread) = counts.get_mut(kind) {
        *spread.entry(of).or_default() += 1;
    }
}

/// The entries of these rows, in this order.
fn read(db: &Connection, org: &OrgId, numbers: &[i64]) -> Result<Vec<Activity>> {
    let columns = activity::COLUMNS;
    let sql = format!("SELECT {columns} FROM activity WHERE org_id = ?1 AND rowid = ?2");
    let mut statement = db.prepare_cached(&sql)?;
    let one = |number| Ok(statement.query_row(params![org.as_str(), number], activity::activity)?);
    numbers.iter().map(one).collect()
}
