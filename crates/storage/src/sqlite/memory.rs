//! Episodes in SQLite.

use async_trait::async_trait;
use epilogue_core::{MemoryScope, OrgId};
use rusqlite::{Connection, params};

use super::{SqliteStorage, row};
use crate::{Episode, MemoryStore, Result};

#[async_trait]
impl MemoryStore for SqliteStorage {
    async fn remember(&self, org: &OrgId, episode: Episode) -> Result<bool> {
        let org = org.clone();
        let decision = move |db: &super::writer::Db<'_>| {
            let added = db
                .connection
                .prepare_cached(
                    "INSERT INTO episodes (org_id, scope, session_id, at, text)
                     VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING",
                )?
                .execute(params![
                    org.as_str(),
                    episode.scope.0,
                    episode.session.0.as_bytes().as_slice(),
                    episode.at.as_millis(),
                    episode.text,
                ])?;
            Ok(added > 0)
        };
        self.writer.decide(decision).await
    }

    async fn recall(&self, org: &OrgId, scope: &MemoryScope, limit: u32) -> Result<Vec<Episode>> {
        let (org, scope) = (org.clone(), scope.clone());
        let read = move |db: &Connection| {
            let mut statement = db.prepare_cached(
                "SELECT session_id, at, text FROM episodes WHERE org_id = ?1 AND scope = ?2
                 ORDER BY at DESC LIMIT ?3",
            )?;
            let rows = statement.query_map(params![org.as_str(), scope.0, limit], |row| {
                Ok(Episode {
                    scope: scope.clone(),
                    session: row::session_id(row, 0)?,
                    at: row::time(row, 1)?,
                    text: row.get(2)?,
                })
            })?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        };
        self.readers.read(read).await
    }

    async fn forget(&self, org: &OrgId, scope: &MemoryScope) -> Result<u64> {
        let (org, scope) = (org.clone(), scope.clone());
        let decision = move |db: &super::writer::Db<'_>| {
            let gone = db
                .connection
                .prepare_cached("DELETE FROM episodes WHERE org_id = ?1 AND scope = ?2")?
                .execute(params![org.as_str(), scope.0])?;
            db.removes();
            Ok(gone as u64)
        };
        self.writer.decide(decision).await
    }
}
