//! The embedded backend: SQLite, one file, one writer, many readers.

mod activity;
mod activity_search;
mod agent_write;
mod agents;
mod attach;
mod carrier;
mod conditions;
mod connection;
mod delivery;
mod directory;
mod fault;
mod folder;
mod history;
mod inbox;
mod inbox_settle;
mod integration;
mod ledger;
mod log;
mod memory;
mod memory_absorb;
mod memory_curate;
mod memory_erase;
mod memory_expire;
mod memory_find;
mod memory_graph;
mod memory_words;
mod project;
mod project_agent;
mod purge;
mod readers;
mod result;
mod row;
mod scrub;
mod session;
mod session_list;
mod session_live;
mod stage;
mod step;
mod step_settle;
mod subscription;
mod turn;
mod upload;
mod upload_settle;
mod variables;
mod writer;

use std::{path::Path, sync::Arc};

use async_trait::async_trait;

use self::{agents::Agents, log::Log, readers::Readers, writer::Writer};
use crate::{CommitStats, Result, Storage};

/// How many searches run at once.
const SEARCHERS: usize = 2;

/// How a database is opened.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many decisions may wait for the writer; one more is turned away.
    pub queue_max: usize,
    /// How many reads run at once.
    pub readers: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { queue_max: 8_192, readers: 4 }
    }
}

/// A store in one SQLite file.
#[derive(Clone)]
pub struct SqliteStorage {
    writer: Writer,
    readers: Readers,
    /// Apart, so that nobody's look-up waits for somebody's search.
    searchers: Readers,
    agents: Arc<Agents>,
}

impl SqliteStorage {
    /// Opens the database, making it if need be, and brings its schema up to date. Blocks.
    pub fn open(path: &Path, options: &Options) -> Result<Self> {
        let mut connection = connection::writing(path)?;
        let file = log::file(path)?;
        log::take_over(path, &file)?;
        connection::migrate(&mut connection)?;
        let readers = Readers::open(path, &file, options.readers)?;
        let searchers = Readers::open(path, &file, SEARCHERS)?;
        let agents = Arc::new(Agents::new());
        let log = Log::watch(&mut connection, path, file, searchers.clone())?;
        let writer = Writer::start(connection, log, agents.clone(), options.queue_max)?;
        Ok(Self { writer, readers, searchers, agents })
    }
}

#[async_trait]
impl Storage for SqliteStorage {
    fn commit_stats(&self) -> CommitStats {
        self.writer.stats()
    }

    /// Folds the write-ahead log back, so that the database is whole in its one file.
    async fn tidy(&self) -> Result<()> {
        self.writer.tidy().await
    }
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod memory_tests;
