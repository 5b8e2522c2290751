//! Searching ended conversations in SQLite. The words of each are in a full-text index, which knows
//! the organization as a word of its own, so that no search walks through another's.

use std::collections::HashMap;

use async_trait::async_trait;
use epilogue_core::{EndReason, OrgId, SessionId, Span};
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};

use super::{SqliteStorage, conditions::Conditions, row};
use crate::{
    BUCKETS_MAX, Counts, Hits, OffsetPage, RESULTS_SEARCHED_MAX, Result, ResultFacets,
    ResultFilter, ResultHit, ResultOrder, ResultRecord, ResultStore, TOTAL_MAX, WORDS_MAX,
};

const RESULT: &str = "results.session_id, results.dialect, results.agent_id, results.reason,
    results.opened_at, results.ended_at, results.active_ms, results.endpoint, results.data";

/// How well the words match; the organization's own word does not count.
const SCORE: &str = "-bm25(result_words, 0.0, 1.0)";

fn record(row: &Row<'_>) -> rusqlite::Result<ResultRecord> {
    Ok(ResultRecord {
        session: row::session_id(row, 0)?,
        dialect: row::text(row, 1)?,
        agent: row::text(row, 2)?,
        reason: row::word(row, 3, EndReason::parse)?,
        opened_at: row::time(row, 4)?,
        ended_at: row::time(row, 5)?,
        active: Span::from_millis(row.get(6)?),
        endpoint: row.get(7)?,
        data: row::json(row, 8)?,
    })
}

/// The organization as one word of the index.
fn org_word(org: &OrgId) -> String {
    let digits = org.as_str().bytes().map(|byte| format!("{byte:02x}"));
    format!("o{}", digits.collect::<String>())
}

/// Keeps a conversation, in the place of what was kept of it before.
pub(super) fn keep(db: &Connection, org: &OrgId, made: &ResultRecord, words: &str) -> Result<()> {
    remove(db, org, made.session)?;
    let number: i64 = db
        .prepare_cached(
            "INSERT INTO results (org_id, session_id, dialect, agent_id, reason, opened_at,
                ended_at, active_ms, endpoint, data)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) RETURNING number",
        )?
        .query_row(
            params![
                org.as_str(),
                made.session.0.as_bytes().as_slice(),
                made.dialect.as_str(),
                made.agent.as_str(),
                made.reason.as_str(),
                made.opened_at.as_millis(),
                made.ended_at.as_millis(),
                made.active.as_millis(),
                made.endpoint,
                row::to_json(&made.data)?,
            ],
            |row| row.get(0),
        )?;
    db.prepare_cached("INSERT INTO result_words (rowid, org, words) VALUES (?1, ?2, ?3)")?
        .execute(params![number, org_word(org), words])?;
    Ok(())
}

fn number(db: &Connection, org: &OrgId, session: SessionId) -> Result<Option<i64>> {
    let number = db
        .prepare_cached("SELECT number FROM results WHERE org_id = ?1 AND session_id = ?2")?
        .query_row(params![org.as_str(), session.0.as_bytes().as_slice()], |row| row.get(0))
        .optional()?;
    Ok(number)
}

/// Takes a row out of the text index, which knows the organization as a word.
fn forget_words(db: &Connection, org: &OrgId, number: i64) -> Result<()> {
    db.prepare_cached("DELETE FROM result_words WHERE org = ?1 AND rowid = ?2")?
        .execute(params![org_word(org), number])?;
    Ok(())
}

fn remove(db: &Connection, org: &OrgId, session: SessionId) -> Result<()> {
    let Some(number) = number(db, org, session)? else { return Ok(()) };
    forget_words(db, org, number)?;
    db.prepare_cached("DELETE FROM results WHERE org_id = ?1 AND number = ?2")?
        .execute(params![org.as_str(), number])?;
    Ok(())
}

/// Removes the words of a conversation and the client's data; that it was had stays.
pub(super) fn purge(db: &Connection, org: &OrgId, session: SessionId) -> Result<()> {
    let Some(number) = number(db, org, session)? else { return Ok(()) };
    forget_words(db, org, number)?;
    db.prepare_cached(
        "UPDATE results SET data = '{}', endpoint = '' WHERE org_id = ?1 AND number = ?2",
    )?
    .execute(params![org.as_str(), number])?;
    Ok(())
}

/// What is wanted, and where to look: the tables with their conditions.
struct Wanted {
    from: String,
    conditions: Conditions,
    /// Where the words are bound, if there are any.
    words: Option<String>,
}

impl Wanted {
    fn of(org: &OrgId, filter: &ResultFilter) -> rusqlite::Result<Self> {
        let mut wanted = Conditions::of(org, "results");
        wanted.and("results.dialect =", filter.dialect.to_string());
        if let Some(from) = filter.ended_from {
            wanted.and("results.ended_at >=", from.as_millis());
        }
        if let Some(until) = filter.ended_until {
            wanted.and("results.ended_at <=", until.as_millis());
        }
        let words = (!filter.words.is_empty()).then(|| matching(org, &filter.words));
        let words = words.map(|words| wanted.bind(words));
        let from = match &words {
            Some(words) => with_words(words),
            None => latest(&mut wanted, filter),
        };
        if !filter.agents.is_empty() {
            wanted.and_one_of("results.agent_id", filter.agents.iter().map(ToString::to_string));
        }
        if let Some(reasons) = &filter.reasons {
            let words = reasons.iter().map(|reason| reason.as_str().to_owned());
            wanted.and_one_of("results.reason", words);
        }
        if let Some(sessions) = &filter.sessions {
            let ids = sessions.iter().map(|id| id.0.as_bytes().to_vec());
            wanted.and_one_of("results.session_id", ids);
        }
        if let Some(endpoint) = &filter.endpoint {
            wanted.and("results.endpoint =", endpoint.clone());
        }
        for (member, value) in &filter.data {
            let path = wanted.bind(member_path(member));
            wanted.and(&format!("results.data -> {path} ="), row::to_json(value)?);
        }
        Ok(Self { from, conditions: wanted, words })
    }

    fn count(&self, db: &Connection) -> Result<u32> {
        let sql = format!(
            "SELECT count(*) FROM (SELECT 1 FROM {} WHERE {} LIMIT {TOTAL_MAX})",
            self.from, self.conditions.sql
        );
        let values = params_from_iter(&self.conditions.values);
        Ok(db.prepare_cached(&sql)?.query_row(values, |row| row.get(0))?)
    }

    /// How often each value of `expression` occurs, in this order.
    fn counts(&self, db: &Connection, expression: &str, order: &str) -> Result<Counts> {
        let sql = format!(
            "SELECT {expression} AS value, count(*) AS matches FROM {} WHERE {}
             GROUP BY value HAVING value IS NOT NULL ORDER BY {order} LIMIT {BUCKETS_MAX}",
            self.from, self.conditions.sql
        );
        let mut statement = db.prepare_cached(&sql)?;
        let values = params_from_iter(&self.conditions.values);
        let rows = statement.query_map(values, |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}

/// The conversations with these words, which come first: then no more rows are read than have them.
fn with_words(words: &str) -> String {
    format!(
        "(SELECT rowid AS hit FROM result_words WHERE result_words MATCH {words}
          ORDER BY rowid DESC LIMIT {RESULTS_SEARCHED_MAX})
         CROSS JOIN results ON results.number = hit"
    )
}

/// The conversations that ended last, from the index that says most of what is asked for.
fn latest(wanted: &mut Conditions, filter: &ResultFilter) -> String {
    let outer = wanted.sql.clone();
    let index = if let Some(sessions) = &filter.sessions {
        let ids = sessions.iter().map(|id| id.0.as_bytes().to_vec());
        wanted.and_one_of("results.session_id", ids);
        "results_by_session"
    } else if let [agent] = filter.agents.as_slice() {
        wanted.and("results.agent_id =", agent.to_string());
        "results_by_agent"
    } else if let Some(endpoint) = &filter.endpoint {
        wanted.and("results.endpoint =", endpoint.clone());
        "results_by_endpoint"
    } else {
        "results_by_end"
    };
    let inner = std::mem::replace(&mut wanted.sql, outer);
    format!(
        "(SELECT * FROM results INDEXED BY {index} WHERE {inner}
          ORDER BY ended_at DESC LIMIT {RESULTS_SEARCHED_MAX}) AS results"
    )
}

/// The path of a member, whatever is in its name.
fn member_path(member: &str) -> String {
    // A path has no way to write these. No member is then of that name.
    format!("$.\"{}\"", member.replace(['"', '\\', '\0'], "\u{fffd}"))
}

/// All of the words, within the organization. Quoted, so that nothing in them is an operator. What
/// has neither letter nor digit is in no index: it restricts nothing, unless there is nothing else,
/// which then finds nothing.
fn matching(org: &OrgId, words: &[String]) -> String {
    let is_word = |word: &&String| word.chars().any(char::is_alphanumeric);
    let mut wanted: Vec<_> = words.iter().filter(is_word).take(WORDS_MAX).collect();
    if wanted.is_empty() {
        wanted.extend(words.first());
    }
    let quote = |word: &String| format!("\"{}\"", word.replace('"', "\"\"").replace('\0', " "));
    let all: Vec<_> = wanted.into_iter().map(quote).collect();
    format!("org : \"{}\" AND words : ({})", org_word(org), all.join(" AND "))
}

fn search(
    db: &Connection,
    org: &OrgId,
    filter: &ResultFilter,
    order: ResultOrder,
    page: OffsetPage,
) -> Result<Hits<ResultHit>> {
    let wanted = Wanted::of(org, filter)?;
    let total = wanted.count(db)?;
    let numbers = page_of(db, &wanted, order, page.bounded())?;
    let mut found = excerpts(db, org, filter, &numbers)?;
    let sql = format!("SELECT {RESULT} FROM results WHERE org_id = ?1 AND number = ?2");
    let mut statement = db.prepare_cached(&sql)?;
    let mut items = Vec::with_capacity(numbers.len());
    for number in numbers {
        let record = statement.query_row(params![org.as_str(), number], record)?;
        let (score, excerpt) = found.remove(&number).unzip();
        items.push(ResultHit { record, score, excerpt });
    }
    Ok(Hits { items, total })
}

/// The numbers of the rows on a page: what is sorted is narrow, however much the rows hold.
fn page_of(
    db: &Connection,
    wanted: &Wanted,
    order: ResultOrder,
    page: OffsetPage,
) -> Result<Vec<i64>> {
    let mut statement = db.prepare_cached(&page_query(wanted, order, page))?;
    let rows =
        statement.query_map(params_from_iter(&wanted.conditions.values), |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn page_query(wanted: &Wanted, order: ResultOrder, page: OffsetPage) -> String {
    let by = match order {
        ResultOrder::Score if wanted.words.is_some() => "score",
        ResultOrder::EndedAt | ResultOrder::Score => "results.ended_at",
        ResultOrder::OpenedAt => "results.opened_at",
        ResultOrder::Active => "results.active_ms",
        ResultOrder::Endpoint => "results.endpoint",
        ResultOrder::Agent => "results.agent_id",
    };
    let from = if by == "score" {
        wanted.from.replacen("rowid AS hit", &format!("rowid AS hit, {SCORE} AS score"), 1)
    } else {
        wanted.from.clone()
    };
    let direction = if page.descending { "DESC" } else { "ASC" };
    format!(
        "SELECT results.number FROM {from} WHERE {}
         ORDER BY {by} {direction}, results.session_id {direction} LIMIT {} OFFSET {}",
        wanted.conditions.sql, page.limit, page.skip
    )
}

/// How well the words match the rows that are shown, and where: for these alone.
fn excerpts(
    db: &Connection,
    org: &OrgId,
    filter: &ResultFilter,
    numbers: &[i64],
) -> Result<HashMap<i64, (f64, String)>> {
    let (Some(least), Some(most)) = (numbers.iter().min(), numbers.iter().max()) else {
        return Ok(HashMap::new());
    };
    if filter.words.is_empty() {
        return Ok(HashMap::new());
    }
    // One walk over the matches, whose statistics are then made once. The sign keeps the list from
    // being a search for each of its items.
    let list = numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let sql = format!(
        "SELECT rowid, {SCORE}, snippet(result_words, 1, '', '', '…', 24) FROM result_words
         WHERE result_words MATCH ?1 AND rowid BETWEEN ?2 AND ?3 AND +rowid IN ({list})"
    );
    let mut statement = db.prepare(&sql)?;
    let values = params![matching(org, &filter.words), least, most];
    let rows = statement.query_map(values, |row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?))))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn facets(
    db: &Connection,
    org: &OrgId,
    filter: &ResultFilter,
    members: &[String],
) -> Result<ResultFacets> {
    let most = "matches DESC, value";
    let wanted = Wanted::of(org, filter)?;
    let mut facets = ResultFacets {
        reasons: wanted.counts(db, "results.reason", most)?,
        agents: wanted.counts(db, "results.agent_id", most)?,
        endpoints: wanted.counts(db, "results.endpoint", most)?,
        days: wanted.counts(db, "date(results.ended_at / 1000, 'unixepoch')", "value DESC")?,
        data: Vec::new(),
    };
    // The latest days are kept when there are too many, and shown from the first on.
    facets.days.reverse();
    for member in members {
        let mut wanted = Wanted::of(org, filter)?;
        let path = wanted.conditions.bind(member_path(member));
        let counts = wanted.counts(db, &format!("results.data -> {path}"), most)?;
        facets.data.push((member.clone(), counts));
    }
    Ok(facets)
}

#[async_trait]
impl ResultStore for SqliteStorage {
    async fn search_results(
        &self,
        org: &OrgId,
        filter: &ResultFilter,
        order: ResultOrder,
        page: OffsetPage,
    ) -> Result<Hits<ResultHit>> {
        let (org, filter) = (org.clone(), filter.clone());
        self.searchers.search(move |db| search(db, &org, &filter, order, page)).await
    }

    async fn result_facets(
        &self,
        org: &OrgId,
        filter: &ResultFilter,
        members: &[String],
    ) -> Result<ResultFacets> {
        let (org, filter, members) = (org.clone(), filter.clone(), members.to_vec());
        self.searchers.search(move |db| facets(db, &org, &filter, &members)).await
    }

    async fn result(&self, org: &OrgId, session: SessionId) -> Result<Option<ResultRecord>> {
        let read = |db: &Connection| {
            let sql = format!("SELECT {RESULT} FROM results WHERE org_id = ?1 AND session_id = ?2");
            let values = params![org.as_str(), session.0.as_bytes().as_slice()];
            Ok(db.prepare_cached(&sql)?.query_row(values, record).optional()?)
        };
        self.readers.look(read).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::connection;

    fn plans(filter: &ResultFilter, order: ResultOrder) -> String {
        let folder = tempfile::tempdir().expect("a folder");
        let mut db = connection::writing(&folder.path().join("x.db")).expect("opens");
        connection::migrate(&mut db).expect("migrated");
        let wanted = Wanted::of(&OrgId::from("org"), filter).expect("conditions");
        let page = OffsetPage { skip: 0, limit: 10, descending: true };
        let sql = format!("EXPLAIN QUERY PLAN {}", page_query(&wanted, order, page));
        let mut statement = db.prepare(&sql).expect("prepared");
        let values = params_from_iter(&wanted.conditions.values);
        let steps = statement.query_map(values, |row| row.get::<_, String>(3)).expect("explained");
        steps.map(|step| step.expect("a step")).collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn a_search_for_words_walks_the_words_first_and_looks_each_row_up() {
        for order in [ResultOrder::EndedAt, ResultOrder::Score] {
            let filter =
                ResultFilter { words: vec!["word".into()], ..ResultFilter::of("dasha".into()) };
            let plan = plans(&filter, order);
            let words = plan.find("SCAN result_words").expect(&plan);
            let rows = plan.find("SEARCH results USING INTEGER PRIMARY KEY").expect(&plan);
            assert!(words < rows, "{plan}");
        }
    }

    #[test]
    fn a_search_without_words_walks_the_index_that_says_most_in_its_order() {
        let all = || ResultFilter::of("dasha".into());
        for (filter, index) in [
            (all(), "results_by_end"),
            (ResultFilter { agents: vec!["a".into()], ..all() }, "results_by_agent"),
            (ResultFilter { agents: vec!["a".into(), "b".into()], ..all() }, "results_by_end"),
            (ResultFilter { endpoint: Some("+1".into()), ..all() }, "results_by_endpoint"),
        ] {
            let plan = plans(&filter, ResultOrder::Active);
            assert!(plan.contains(index), "{plan}");
            // One sort, that of the page: the rows that are looked at come in order.
            assert_eq!(plan.matches("B-TREE").count(), 1, "{plan}");
        }
    }
}
