//! The bare group-commit loop: the rows of an end, in the server's own schema, by one thread that
//! does nothing else. What a durable end costs on this disk without any of the rest.

use std::path::Path;

use rusqlite::{Connection, params};
use uuid::Uuid;

use crate::{Result, load::count, time};

/// Pages in the log at which it is folded back, as in the server.
const PAGES_TO_FOLD: u32 = 4_096;

const NOW: i64 = 1_800_000_000_000;
const DETAIL: &str =
    r#"{"reason":"user_end","caused_by":"user","deadline":null,"cost":"0.001","note":null}"#;

/// What an end owes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owes {
    /// One step.
    Step,
    /// Nothing.
    Nothing,
}

/// Ends these sessions in commits of `batch`. Returns ends per second.
pub fn ends_per_second(
    database: &Path,
    sessions: &[Uuid],
    batch: usize,
    owes: Owes,
) -> Result<f64> {
    let db = Connection::open(database)?;
    db.pragma_update(None, "synchronous", "FULL")?;
    db.pragma_update(None, "secure_delete", "ON")?;
    db.pragma_update(None, "cache_size", -16_384)?;
    db.pragma_update(None, "wal_autocheckpoint", PAGES_TO_FOLD)?;
    db.set_prepared_statement_cache_capacity(32);
    let started = time::now();
    for batch in sessions.chunks(batch) {
        db.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        for session in batch {
            end(&db, *session, owes)?;
        }
        db.prepare_cached("COMMIT")?.execute([])?;
    }
    Ok(count(sessions.len()) / started.elapsed().as_secs_f64())
}

fn end(db: &Connection, session: Uuid, owes: Owes) -> Result<()> {
    let (bytes, name) = (session.as_bytes().as_slice(), session.simple().to_string());
    db.prepare_cached(
        "UPDATE sessions SET state = 'finalizing', ended_at = ?2, reason = 'user_end', cost = 1000,
            due_at = NULL WHERE org_id = 'org_bench' AND session_id = ?1",
    )?
    .execute(params![bytes, NOW])?;
    for (account, amount) in [("balance", -1000), ("revenue", 1000)] {
        db.prepare_cached(
            "INSERT INTO ledger VALUES ('org_bench', ?1, ?2, ?3, 'settlement', ?4, ?5)",
        )?
        .execute(params![format!("settle_{name}"), account, amount, bytes, NOW])?;
        db.prepare_cached(
            "INSERT INTO balances VALUES ('org_bench', ?1, ?2)
             ON CONFLICT DO UPDATE SET amount = amount + excluded.amount",
        )?
        .execute(params![account, amount])?;
    }
    if owes == Owes::Step {
        db.prepare_cached(
            "INSERT INTO steps (org_id, session_id, kind, lane, state, due_at, attempt, failures,
                owed_at)
             VALUES ('org_bench', ?1, 'notify_ended', 'hook:127.0.0.1:12345', 'owed', ?2, 0, 0, ?2)",
        )?
        .execute(params![bytes, NOW])?;
    }
    db.prepare_cached(
        "INSERT INTO activity (org_id, at, activity_id, kind, session_id, by_key, detail,
            agent_id)
         VALUES ('org_bench', ?1, ?2, 'session.ended', ?3, 'key_bench', ?4, 'agent_bench')",
    )?
    .execute(params![NOW, format!("session.ended:{name}"), bytes, DETAIL])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use epilogue_storage::sqlite::{Options, SqliteStorage};

    use super::*;

    #[test]
    fn the_rows_fit_the_servers_schema() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.db");
        drop(SqliteStorage::open(&path, &Options::default()).expect("a store"));
        let sessions = [Uuid::from_u128(1), Uuid::from_u128(2), Uuid::from_u128(3)];
        for (sessions, owes) in [(&sessions[..2], Owes::Step), (&sessions[2..], Owes::Nothing)] {
            let rate = ends_per_second(&path, sessions, 2, owes).expect("written");
            assert!(rate > 0.0);
        }
        let db = Connection::open(&path).expect("opened");
        let rows = |table: &str| -> i64 {
            let sql = format!("SELECT count(*) FROM {table}");
            db.query_row(&sql, [], |row| row.get(0)).expect("counted")
        };
        assert_eq!(
            [rows("ledger"), rows("steps"), rows("activity"), rows("balances")],
            [6, 2, 3, 2]
        );
    }
}
