//! Many sessions at once. One is made by the server itself, in the way that all are; the rest are
//! copies of its rows with other ids, written straight into the database while no server runs.

use std::path::Path;

use epilogue_core::Span;
use epilogue_engine::{
    clock::{Clock as _, SystemClock},
    ids::Ids,
};
use rusqlite::{Connection, params, params_from_iter, types::Value};
use uuid::Uuid;

use crate::Result;

/// Copies in one transaction.
const BATCH: usize = 20_000;

/// Sessions opened in one millisecond, by which ids are ordered.
const OPENS_PER_MS: usize = 4;

/// The idle timeout of sessions opened without one of their own, in milliseconds.
const IDLE_MS: i64 = 1_800_000;

/// When copies of an open session come due.
#[derive(Clone, Copy, Debug)]
pub struct Due {
    /// The first one, in milliseconds since the epoch.
    pub first_ms: i64,
    /// How long after it the last one, in milliseconds.
    pub spread_ms: i64,
}

/// Copies the only session of a database `count` times. Returns the copies' ids.
pub fn copy(database: &Path, count: usize, due: Option<Due>) -> Result<Vec<Uuid>> {
    let mut db = Connection::open(database)?;
    // Nothing is lost that could not be made again.
    db.pragma_update(None, "synchronous", "OFF")?;
    db.pragma_update(None, "cache_size", -262_144)?;
    let original = original(&db)?;
    let tables = tables(&db, original)?;
    let ids = ids(count);
    if let Some(due) = due {
        set_due(&db, original, due.first_ms)?;
    }
    let mut number = 0_usize;
    for batch in ids.chunks(BATCH) {
        let transaction = db.transaction()?;
        for id in batch {
            number += 1;
            for table in &tables {
                table.copy(&transaction, original, *id, number)?;
            }
            if let Some(due) = due {
                set_due(&transaction, *id, at(due, number, count))?;
            }
        }
        transaction.commit()?;
    }
    db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    Ok(ids)
}

/// Ids as a server would have drawn them that opened so many sessions until now.
fn ids(count: usize) -> Vec<Uuid> {
    let (ids, now) = (Ids::seeded(1), SystemClock.now());
    let ago = |number| Span::from_millis(((count - number) / OPENS_PER_MS) as u64);
    (0..count).map(|number| ids.session(now - ago(number)).0).collect()
}

/// When copy `number` of `count` comes due.
fn at(due: Due, number: usize, count: usize) -> i64 {
    let (number, count) = (i64::try_from(number), i64::try_from(count.max(1)));
    due.first_ms + due.spread_ms * number.unwrap_or(0) / count.unwrap_or(1)
}

fn set_due(db: &Connection, id: Uuid, due: i64) -> Result<()> {
    db.prepare_cached(
        "UPDATE sessions SET opened_at = ?2 - ?3, last_activity = ?2 - ?3, last_seen = ?2 - ?3,
            due_at = ?2
         WHERE org_id = 'org_bench' AND session_id = ?1",
    )?
    .execute(params![id.as_bytes().as_slice(), due, IDLE_MS])?;
    Ok(())
}

fn original(db: &Connection) -> Result<Uuid> {
    let bytes: Vec<u8> = db.query_row("SELECT session_id FROM sessions", [], |row| row.get(0))?;
    Ok(Uuid::from_slice(&bytes)?)
}

/// The original's rows in one table.
struct Table {
    insert: String,
    columns: Vec<String>,
    rows: Vec<Vec<Value>>,
}

/// Every table that speaks of sessions.
fn tables(db: &Connection, original: Uuid) -> Result<Vec<Table>> {
    let sql = "SELECT m.name FROM sqlite_master m
        WHERE m.type = 'table'
          AND EXISTS (SELECT 1 FROM pragma_table_info(m.name) c WHERE c.name = 'session_id')";
    let names: Vec<String> =
        db.prepare(sql)?.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    names.iter().map(|name| table(db, name, original)).collect()
}

fn table(db: &Connection, name: &str, original: Uuid) -> Result<Table> {
    let mut select = db.prepare(&format!("SELECT * FROM {name} WHERE session_id = ?1"))?;
    let columns: Vec<String> = select.column_names().map(str::to_owned).collect();
    let rows = select.query_map([original.as_bytes().as_slice()], |row| {
        (0..columns.len()).map(|column| row.get(column)).collect::<rusqlite::Result<Vec<Value>>>()
    })?;
    let rows = rows.collect::<rusqlite::Result<_>>()?;
    let places = vec!["?"; columns.len()].join(", ");
    let insert = format!("INSERT INTO {name} ({}) VALUES ({places})", columns.join(", "));
    Ok(Table { insert, columns, rows })
}

impl Table {
    fn copy(&self, db: &Connection, original: Uuid, id: Uuid, number: usize) -> Result<()> {
        let mut insert = db.prepare_cached(&self.insert)?;
        for row in &self.rows {
            let cells = self.columns.iter().zip(row);
            let values = cells.map(|(column, value)| match value {
                Value::Blob(_) if column == "session_id" => Value::Blob(id.as_bytes().to_vec()),
                Value::Text(text) if column == "dialect_id" => {
                    Value::Text(format!("{text}_{number}"))
                }
                Value::Text(text) => Value::Text(renamed(text, original, id)),
                other => other.clone(),
            });
            insert.execute(params_from_iter(values))?;
        }
        Ok(())
    }
}

/// Text that may hold the original's id, in either spelling.
fn renamed(text: &str, original: Uuid, id: Uuid) -> String {
    text.replace(&original.simple().to_string(), &id.simple().to_string())
        .replace(&original.hyphenated().to_string(), &id.hyphenated().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_differ_in_their_ids_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.db");
        let db = Connection::open(&path).expect("opened");
        let first = Uuid::from_u128(7);
        db.execute_batch(
            "PRAGMA journal_mode = WAL;
             CREATE TABLE sessions (org_id TEXT, session_id BLOB UNIQUE, dialect_id TEXT UNIQUE,
                opened_at, last_activity, last_seen, due_at);
             CREATE TABLE notes (session_id BLOB, note TEXT, price INTEGER);
             CREATE TABLE others (name TEXT);",
        )
        .expect("made");
        let id = first.as_bytes().as_slice();
        db.execute("INSERT INTO sessions VALUES ('org_bench', ?1, 'chat', 1, 1, 1, 1)", [id])
            .expect("a session");
        let note = format!("of {}", first.simple());
        db.execute("INSERT INTO notes VALUES (?1, ?2, 5)", params![id, note]).expect("a note");
        drop(db);
        let due = Due { first_ms: 1_000_000_000_000, spread_ms: 300 };
        let copies = copy(&path, 3, Some(due)).expect("copied");
        let db = Connection::open(&path).expect("opened");
        for (copy, place) in copies.iter().zip(1..) {
            let (note, price, due): (String, i64, i64) = db
                .query_row(
                    "SELECT note, price, due_at FROM notes JOIN sessions USING (session_id)
                     WHERE session_id = ?1",
                    [copy.as_bytes().as_slice()],
                    |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
                )
                .expect("there");
            let expected = (format!("of {}", copy.simple()), 5, 1_000_000_000_000 + 100 * place);
            assert_eq!((note, price, due), expected);
        }
    }
}
