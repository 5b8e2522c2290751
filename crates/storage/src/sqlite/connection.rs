//! How connections are opened, and how the schema is brought up to date.

use std::{path::Path, time::Duration};

use rusqlite::{Connection, OpenFlags, config::DbConfig, functions::FunctionFlags};

use crate::{Error, Result};

/// How long a statement waits for another process that holds the database.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);

/// How many statements are kept prepared. Only searches, which are put together from what is asked
/// for, come to more.
const STATEMENTS_MAX: usize = 256;

/// The `user_version` of a file whose pages have all been scrubbed since they were written.
const SCRUBBED: u32 = 1;

mod embedded {
    refinery::embed_migrations!("src/sqlite/migrations");
}

/// A connection that writes.
pub(super) fn writing(path: &Path) -> Result<Connection> {
    let connection = Connection::open(path)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    // Removed content is overwritten, so that what was purged is gone from the file too.
    connection.pragma_update(None, "secure_delete", "ON")?;
    // Nor does SQLite fold its log back by itself: whoever does also scrubs what is folded.
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "cache_size", -16_384)?;
    prepared(connection)
}

/// A connection that only reads.
pub(super) fn reading(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.pragma_update(None, "cache_size", -4_096)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    prepared(connection)
}

fn prepared(connection: Connection) -> Result<Connection> {
    // A plan depends on the statement alone. Otherwise SQLite prepares statements anew for other
    // values, which costs more than most of them do.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    // Nor does the last one to close.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    // SQLite's own knows the letters of ASCII alone.
    let pure = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    connection.create_scalar_function("lowered", 1, pure, |of| {
        Ok(of.get_raw(0).as_str()?.to_lowercase())
    })?;
    Ok(connection)
}

/// Whether nothing stands in the file that was left there before pages were scrubbed.
pub(super) fn is_scrubbed(connection: &Connection) -> Result<bool> {
    let version: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    Ok(version >= SCRUBBED)
}

/// Says in the file whether that is so.
pub(super) fn mark_scrubbed(connection: &Connection, is: bool) -> Result<()> {
    Ok(connection.pragma_update(None, "user_version", if is { SCRUBBED } else { 0 })?)
}

/// Brings the schema up to date. Refuses a database that a newer version wrote.
pub(super) fn migrate(connection: &mut Connection) -> Result<()> {
    let tables: u32 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    let runner = embedded::migrations::runner();
    let known = runner.get_migrations().iter().map(refinery::Migration::version).max();
    if tables == 0 {
        mark_scrubbed(connection, true)?;
    } else if is_older(connection, known)? && is_scrubbed(connection)? {
        // A migration may move whole tables: the file is looked through again.
        mark_scrubbed(connection, false)?;
    }
    runner.run(connection).map(drop).map_err(|error| of_migration(error, known.unwrap_or(0)))
}

/// Whether a migration is to come. A file without any is none of ours, and refused by them.
fn is_older(connection: &Connection, known: Option<i32>) -> Result<bool> {
    if !connection.table_exists(None, "refinery_schema_history")? {
        return Ok(false);
    }
    let sql = "SELECT max(version) FROM refinery_schema_history";
    let latest: Option<i32> = connection.query_row(sql, [], |row| row.get(0))?;
    Ok(latest < known)
}

/// Brings the schema to an older version, for tests of those that follow it.
#[cfg(test)]
pub(super) fn migrate_to(connection: &mut Connection, version: i32) {
    let target = refinery::Target::Version(version);
    let runner = embedded::migrations::runner().set_target(target);
    runner.run(connection).map(drop).expect("migrated");
}

/// A migration that failed for a reason of SQLite's keeps that reason's kind.
fn of_migration(error: refinery::Error, known: i32) -> Error {
    match error.kind() {
        refinery::error::Kind::MissingVersion(later) => {
            Error::TooNew { found: later.version(), known }
        }
        refinery::error::Kind::Connection(_, source) => {
            match source.downcast_ref::<rusqlite::Error>().and_then(rusqlite::Error::sqlite_error) {
                Some(cause) => super::fault::of_code(cause.code, error.into()),
                None => Error::Other(error.into()),
            }
        }
        _ => Error::Other(error.into()),
    }
}
