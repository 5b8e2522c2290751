//! Looking into the database of a server that runs: what it says itself is not what is measured.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use crate::{
    Result,
    load::Latencies,
    time::{self, Duration},
};

/// How often we look.
const EVERY: Duration = Duration::from_millis(20);

/// Waits until no session is open any more. Returns how long that took.
pub async fn until_all_ended(database: &Path, patience: Duration) -> Result<Duration> {
    until_none(
        database,
        "SELECT count(*) FROM (SELECT 1 FROM sessions WHERE due_at IS NOT NULL LIMIT 1)",
        patience,
    )
    .await
}

/// Waits until no step is owed any more. Returns how long that took.
pub async fn until_all_settled(database: &Path, patience: Duration) -> Result<Duration> {
    until_none(
        database,
        "SELECT count(*) FROM (SELECT 1 FROM steps WHERE due_at IS NOT NULL LIMIT 1)",
        patience,
    )
    .await
}

async fn until_none(database: &Path, sql: &str, patience: Duration) -> Result<Duration> {
    let db = reading(database)?;
    let started = time::now();
    loop {
        let left: i64 = db.prepare_cached(sql)?.query_row([], |row| row.get(0))?;
        if left == 0 {
            return Ok(started.elapsed());
        }
        if started.elapsed() > patience {
            return Err(format!("not done after {} s", patience.as_secs()).into());
        }
        time::sleep(EVERY).await;
    }
}

/// How late each session was ended that was ended by its deadline.
pub fn lateness(database: &Path) -> Result<Latencies> {
    let db = reading(database)?;
    let mut statement = db.prepare(
        "SELECT max(0, ended_at - deadline_at) FROM sessions WHERE deadline_at IS NOT NULL",
    )?;
    let late = statement.query_map([], |row| row.get::<_, u64>(0))?;
    Ok(late.collect::<rusqlite::Result<Vec<_>>>()?.into_iter().map(Duration::from_millis).collect())
}

fn reading(database: &Path) -> Result<Connection> {
    let db = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    db.busy_timeout(Duration::from_secs(5))?;
    Ok(db)
}
