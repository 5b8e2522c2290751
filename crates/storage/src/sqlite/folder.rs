//! Folding the write-ahead log back into the file, and overwriting what SQLite leaves behind there,
//! one at a time. Why that is sound stands in `docs/adr/0003-gone-from-the-file.md`.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rusqlite::{Connection, wal::CheckpointMode};

use super::{connection, scrub};
use crate::{Error, Result};

/// Where looking through the whole file begins.
const FIRST_PAGE: u32 = 1;

/// How long a word in the file waits for the writer.
const PATIENCE: Duration = Duration::from_secs(2);

/// How many frames the log has, and how many are folded back.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Folded {
    pub all: u32,
    pub back: u32,
}

/// A read that is held: while it lasts, nobody folds back what was written later.
struct Held<'a>(&'a Connection);

impl<'a> Held<'a> {
    fn begin(holds: &'a Connection) -> Result<Self> {
        let held = Self(holds);
        // Whatever became of an earlier one.
        held.let_go()?;
        holds.execute_batch("BEGIN; SELECT 1 FROM sqlite_schema LIMIT 1")?;
        Ok(held)
    }

    fn let_go(&self) -> Result<()> {
        if !self.0.is_autocommit() {
            self.0.execute_batch("ROLLBACK")?;
        }
        Ok(())
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        // If it cannot be let go, the next one tries first.
        let _ = self.let_go();
    }
}

/// The pages of the file, and what of them has been scrubbed.
struct Pages {
    file: Arc<File>,
    size: u32,
    /// In which of the log's times of life how many frames have been.
    scrubbed: (Option<scrub::Salt>, u32),
}

impl Pages {
    /// Scrubs what the first `back` frames of the log have brought. `before` says in which time of
    /// life the log was when somebody began to hold.
    fn scrub(&mut self, log: &File, before: Option<scrub::Salt>, back: u32) -> io::Result<()> {
        let salt = scrub::salt_of(log)?;
        if salt != before {
            // Under a held read that can only be if all had been folded before, so that nothing was
            // folded now. The frames of the new life are for the next time.
            return if before.is_none() || self.scrubbed.0 == before {
                Ok(())
            } else {
                Err(io::Error::other("the write-ahead log was begun anew before it was looked at"))
            };
        }
        let from = if self.scrubbed.0 == salt { self.scrubbed.1 } else { 0 };
        if let Some(salt) = salt {
            let pages = scrub::pages_in(log, salt, from + 1..back + 1, self.size)?;
            scrub::scrub(&self.file, pages, self.size)?;
        }
        self.scrubbed = (salt, from.max(back));
        Ok(())
    }

    /// Scrubs at most `count` pages from this one on. Which is next, unless that was the last.
    fn look_through(&self, from: u32, count: u32) -> io::Result<Option<u32>> {
        let pages = self.file.metadata()?.len() / u64::from(self.size);
        let pages = u32::try_from(pages).unwrap_or(u32::MAX);
        let to = from.saturating_add(count.saturating_sub(1)).min(pages);
        scrub::scrub(&self.file, from..=to, self.size)?;
        Ok((to < pages).then(|| to + 1))
    }
}

/// Folds the log back and overwrites what SQLite leaves behind, one at a time.
pub(super) struct Folder {
    folds: Connection,
    holds: Connection,
    pages: Pages,
    log: PathBuf,
    /// From which page on the file is still to be looked through, because pages may have been folded
    /// back unseen. `None`: it need not be.
    unseen: Option<u32>,
    /// The file says that it need not be.
    marked: bool,
}

impl Folder {
    pub fn open(path: &Path, file: Arc<File>) -> Result<Self> {
        let (folds, holds) = (connection::writing(path)?, connection::reading(path)?);
        folds.busy_timeout(Duration::ZERO)?;
        let size = folds.pragma_query_value(None, "page_size", |row| row.get(0))?;
        let mut log = path.as_os_str().to_owned();
        log.push("-wal");
        let marked = connection::is_scrubbed(&folds)?;
        let unseen = (!marked).then_some(FIRST_PAGE);
        let pages = Pages { file, size, scrubbed: (None, 0) };
        Ok(Self { folds, holds, pages, log: log.into(), unseen, marked })
    }

    /// Whether the file is still to be looked through.
    pub fn is_unseen(&self) -> bool {
        self.unseen.is_some()
    }

    /// The log, with nobody else who folds it. A connection locks other files, so that this lock is
    /// between those who fold alone. `None`: another does.
    fn alone(&self) -> Result<Option<File>> {
        let other = |source: io::Error| Error::Other(source.into());
        let log = File::open(&self.log).map_err(other)?;
        match log.try_lock() {
            Ok(()) => Ok(Some(log)),
            Err(std::fs::TryLockError::WouldBlock) => Ok(None),
            Err(std::fs::TryLockError::Error(source)) => Err(other(source)),
        }
    }

    /// Folds back what is in the log by now. `None`: another does.
    pub fn fold(&mut self) -> Result<Option<Folded>> {
        let Some(log) = self.alone()? else { return Ok(None) };
        self.fold_alone(&log).map(Some)
    }

    fn fold_alone(&mut self, log: &File) -> Result<Folded> {
        let other = |source: io::Error| Error::Other(source.into());
        let _held = Held::begin(&self.holds)?;
        let before = scrub::salt_of(log).map_err(other)?;
        let (all, back) = self.folds.wal_checkpoint_v2(None::<&str>, CheckpointMode::PASSIVE)?;
        let count = |frames| u32::try_from(frames).unwrap_or(0);
        let folded = Folded { all: count(all), back: count(back) };
        // Whatever goes wrong from here on, all of the file is looked through.
        let unseen = self.unseen.replace(FIRST_PAGE);
        self.pages.scrub(log, before, folded.back).map_err(other)?;
        self.unseen = unseen;
        Ok(folded)
    }

    /// Looks through some more pages of a file that must be, and notes in it how that stands. `false`:
    /// it is done. After an error it goes on in the same place.
    pub fn look_on(&mut self, count: u32) -> Result<bool> {
        let Some(_log) = self.alone()? else { return Ok(true) };
        self.note()?;
        if let Some(from) = self.unseen {
            let _held = Held::begin(&self.holds)?;
            let next = self.pages.look_through(from, count);
            self.unseen = next.map_err(|source| Error::Other(source.into()))?;
        }
        self.note()?;
        Ok(self.is_unseen())
    }

    /// Says in the file whether it is to be looked through, for whoever opens it next.
    fn note(&mut self) -> Result<()> {
        let seen = !self.is_unseen();
        if seen != self.marked {
            self.folds.busy_timeout(PATIENCE)?;
            let noted = connection::mark_scrubbed(&self.folds, seen);
            self.folds.busy_timeout(Duration::ZERO)?;
            noted?;
            self.marked = seen;
        }
        Ok(())
    }

    /// Folds all of the log back and empties it. Nobody may write meanwhile. `false`: somebody reads.
    pub fn empty(&mut self, patience: Duration) -> Result<bool> {
        self.folds.busy_timeout(patience)?;
        let emptied = self.empty_within();
        self.folds.busy_timeout(Duration::ZERO)?;
        emptied
    }

    fn empty_within(&mut self) -> Result<bool> {
        let Some(log) = self.alone()? else { return Ok(false) };
        let version = self.version()?;
        let folded = self.fold_alone(&log)?;
        Ok(folded.all == folded.back && self.cut_off(version)?)
    }

    /// What changes with every commit of others. It must be asked of the connection that folds: to
    /// others, emptying the log is a change as well.
    fn version(&self) -> Result<i64> {
        Ok(self.folds.pragma_query_value(None, "data_version", |row| row.get(0))?)
    }

    /// Empties a log that is folded back, and was so since `version`.
    fn cut_off(&mut self, version: i64) -> Result<bool> {
        match self.folds.wal_checkpoint_v2(None::<&str>, CheckpointMode::TRUNCATE) {
            Ok(_) => {}
            Err(error) => match Error::from(error) {
                Error::Locked(_) => return Ok(false),
                error => return Err(error),
            },
        }
        if self.version()? != version {
            self.unseen = Some(FIRST_PAGE);
            tracing::warn!("another program has written into the database of a running server");
        }
        Ok(true)
    }
}

#[cfg(test)]
#[path = "folder_tests.rs"]
mod tests;
