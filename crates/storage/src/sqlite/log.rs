//! The write-ahead log: when it is folded back into the database, and when it is emptied.
//!
//! A thread with a connection of its own folds it in passing, so that no commit waits. Under steady
//! load it never catches up with the end of the log, so the writer itself does the small rest
//! between two commits when the log has grown long.
//!
//! A commit that removed what must not stay has the log emptied soon after: until then, the frames
//! of earlier commits still show it. That needs a moment in which nobody reads from the log; one
//! that does only puts it off.

use std::{
    fs::{File, OpenOptions},
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, TryLockError,
        atomic::{AtomicBool, AtomicU32, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use crossbeam_channel::{Receiver, Sender, after, never};
use rusqlite::{Connection, wal::CheckpointMode};

use super::{connection, scrub};
use crate::{Error, Result};

/// Pages in the log at which the thread sets to work: 16 MiB.
const PAGES_TO_FOLD: u32 = 4_096;

/// Pages in the log at which the writer does it itself: 128 MiB.
const PAGES_MAX: u32 = 32_768;

/// Pages that the writer folds itself in order to empty the log; of more, the thread folds the most
/// first. 2 MiB.
const PAGES_BETWEEN_COMMITS: u32 = 512;

/// How long after a removal the log is emptied, together with whatever else was removed meanwhile.
const EMPTY_AFTER: Duration = Duration::from_secs(1);

/// How long it is left alone when somebody still reads from it.
const EMPTY_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// How often it is left to the thread to fold the most of it first.
const HELPED_MAX: u32 = 20;

/// After how many vain tries that is told: about a minute. And again after as many more.
const TRIES_TOLD: u32 = 600;

/// How long the log is waited for where somebody waits for that.
const PATIENCE: Duration = Duration::from_secs(2);

/// Where the log stands, for the writer and the thread.
struct Shared {
    /// Pages in the log.
    pages: AtomicU32,
    /// How many of them have been folded back.
    folded: AtomicU32,
    folder: Mutex<Folder>,
}

/// Watches the length of the log, and what was removed.
pub(super) struct Log {
    shared: Arc<Shared>,
    wake: Sender<()>,
    removed: AtomicBool,
    /// When the log is to be emptied.
    due: Receiver<std::time::Instant>,
    waiting: bool,
    tries: u32,
}

impl Log {
    /// Watches the log behind `writer` and starts the thread that folds it back. What an earlier
    /// process left in the log is folded and emptied soon.
    pub fn watch(writer: &mut Connection, path: &Path, file: Arc<File>) -> Result<Self> {
        let folder = Mutex::new(Folder::open(path, file)?);
        let shared = Arc::new(Shared { pages: 0.into(), folded: 0.into(), folder });
        let seen = shared.clone();
        // Also switches SQLite's own checkpointing off, which would run inside a commit.
        writer.wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, now: i32| {
            seen.pages.store(u32::try_from(now).unwrap_or(0), Relaxed);
            Ok(())
        }))?;
        let folding = shared.clone();
        let (wake, woken) = crossbeam_channel::bounded(1);
        thread::Builder::new()
            .name("store-log".into())
            .spawn(move || woken.iter().for_each(|()| folding.fold()))
            .map_err(|source| Error::Other(source.into()))?;
        let due = after(EMPTY_AFTER);
        Ok(Self { shared, wake, removed: AtomicBool::new(false), due, waiting: true, tries: 0 })
    }

    /// A decision is removing what must not stay.
    pub fn removes(&self) {
        self.removed.store(true, Relaxed);
    }

    /// When the log is to be emptied: the writer then calls [`Self::empty`].
    pub fn due(&self) -> Receiver<std::time::Instant> {
        self.due.clone()
    }

    /// To be called by the writer between two commits.
    pub fn between_commits(&mut self) {
        let pages = self.shared.pages.load(Relaxed);
        if pages > PAGES_MAX {
            self.shared.fold();
        } else if pages > PAGES_TO_FOLD {
            self.have_folded();
        }
        if self.removed.swap(false, Relaxed) && !self.waiting {
            (self.due, self.waiting, self.tries) = (after(EMPTY_AFTER), true, 0);
        }
    }

    /// Wakes the thread.
    fn have_folded(&self) {
        // Full: the thread has been woken already.
        let _ = self.wake.try_send(());
    }

    /// Empties the log, or tries so again a little later. To be called by the writer between two
    /// commits, which then wait for no more than a few pages.
    pub fn empty(&mut self) {
        self.tries += 1;
        if self.is_long() && self.tries <= HELPED_MAX {
            self.have_folded();
            self.due = after(EMPTY_AGAIN_AFTER);
            return;
        }
        let emptied = match self.shared.folder.try_lock() {
            Ok(mut folder) => folder.empty(Duration::ZERO),
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner().empty(Duration::ZERO),
            Err(TryLockError::WouldBlock) => Ok(false),
        };
        if matches!(emptied, Ok(true)) {
            self.shared.folded.store(0, Relaxed);
            self.shared.pages.store(0, Relaxed);
            (self.due, self.waiting) = (never(), false);
            return;
        }
        self.due = after(EMPTY_AGAIN_AFTER);
        if self.tries.is_multiple_of(TRIES_TOLD) {
            let error = emptied.err();
            let error = error.as_ref().map(|error| error as &dyn std::error::Error);
            tracing::warn!(
                error,
                tries = self.tries,
                "the write-ahead log could not be emptied: what was removed is still in it"
            );
        }
    }

    fn is_long(&self) -> bool {
        let Shared { pages, folded, .. } = &*self.shared;
        pages.load(Relaxed).saturating_sub(folded.load(Relaxed)) > PAGES_BETWEEN_COMMITS
    }

    /// Folds all of the log back and empties it, now. To be called by the writer.
    pub fn empty_now(&mut self) -> Result<()> {
        let folder = self.shared.folder.lock();
        let mut folder = folder.unwrap_or_else(std::sync::PoisonError::into_inner);
        if folder.empty(PATIENCE)? {
            return Ok(());
        }
        Err(Error::Locked("somebody reads from the write-ahead log".into()))
    }
}

impl Shared {
    /// Folds what can be, unless that is being done.
    fn fold(&self) {
        let folded = match self.folder.try_lock() {
            Ok(mut folder) => folder.fold(),
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner().fold(),
            Err(TryLockError::WouldBlock) => return,
        };
        match folded {
            Ok(Some(folded)) => self.folded.store(folded.back, Relaxed),
            Ok(None) => {}
            Err(error) => {
                let error: &dyn std::error::Error = &error;
                tracing::warn!(
                    error,
                    "the write-ahead log could not be folded back; it stays for now"
                );
            }
        }
    }
}

/// How many frames the log has, and how many are folded back.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Folded {
    all: u32,
    back: u32,
}

/// Folds the log back and overwrites what SQLite leaves behind, one at a time.
struct Folder {
    folds: Connection,
    /// While it reads, nobody folds back what was written later, nor begins the log anew.
    holds: Connection,
    file: Arc<File>,
    log: PathBuf,
    page_size: u32,
    /// In which of the log's times of life how many frames have been scrubbed.
    scrubbed: (Option<scrub::Salt>, u32),
    /// Pages may have been folded back unseen: all of the file is to be scrubbed.
    unseen: bool,
    /// The file says that this has been done once.
    marked: bool,
}

impl Folder {
    fn open(path: &Path, file: Arc<File>) -> Result<Self> {
        let (folds, holds) = (connection::writing(path)?, connection::reading(path)?);
        folds.busy_timeout(Duration::ZERO)?;
        let page_size = folds.pragma_query_value(None, "page_size", |row| row.get(0))?;
        let mut log = path.as_os_str().to_owned();
        log.push("-wal");
        let (log, marked) = (log.into(), connection::is_scrubbed(&folds)?);
        let scrubbed = (None, 0);
        Ok(Self { folds, holds, file, log, page_size, scrubbed, unseen: !marked, marked })
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
    fn fold(&mut self) -> Result<Option<Folded>> {
        let Some(mut log) = self.alone()? else { return Ok(None) };
        self.fold_alone(&mut log).map(Some)
    }

    fn fold_alone(&mut self, log: &mut File) -> Result<Folded> {
        self.holds.execute_batch("BEGIN; SELECT 1 FROM sqlite_schema LIMIT 1")?;
        let folded = self.fold_held(log);
        self.holds.execute_batch("ROLLBACK")?;
        folded
    }

    fn fold_held(&mut self, log: &mut File) -> Result<Folded> {
        let (all, back) = self.folds.wal_checkpoint_v2(None::<&str>, CheckpointMode::PASSIVE)?;
        let count = |frames| u32::try_from(frames).unwrap_or(0);
        let folded = Folded { all: count(all), back: count(back) };
        // Whatever goes wrong, all of the file is scrubbed the next time.
        let unseen = std::mem::replace(&mut self.unseen, true);
        self.scrub(log, unseen, folded.back).map_err(|source| Error::Other(source.into()))?;
        self.unseen = false;
        Ok(folded)
    }

    fn scrub(&mut self, log: &mut File, unseen: bool, back: u32) -> io::Result<()> {
        let salt = scrub::salt_of(log)?;
        let from = if self.scrubbed.0 == salt { self.scrubbed.1 } else { 0 };
        if unseen {
            let pages = self.file.metadata()?.len() / u64::from(self.page_size);
            let pages = u32::try_from(pages).unwrap_or(u32::MAX);
            scrub::scrub(&self.file, 1..=pages, self.page_size)?;
        } else if let Some(salt) = salt {
            let pages = scrub::pages_in(log, salt, from + 1..back + 1, self.page_size)?;
            scrub::scrub(&self.file, pages, self.page_size)?;
        }
        self.scrubbed = (salt, from.max(back));
        Ok(())
    }

    /// Folds all of the log back and empties it. Nobody may write meanwhile. `false`: somebody reads.
    fn empty(&mut self, patience: Duration) -> Result<bool> {
        self.folds.busy_timeout(patience)?;
        let emptied = self.empty_within();
        self.folds.busy_timeout(Duration::ZERO)?;
        emptied
    }

    fn empty_within(&mut self) -> Result<bool> {
        let Some(mut log) = self.alone()? else { return Ok(false) };
        let mut folded = self.fold_alone(&mut log)?;
        if !self.marked {
            // Only now has all of an older file been looked through.
            connection::mark_scrubbed(&self.folds)?;
            self.marked = true;
            folded = self.fold_alone(&mut log)?;
        }
        if folded.all != folded.back {
            return Ok(false);
        }
        match self.folds.wal_checkpoint_v2(None::<&str>, CheckpointMode::TRUNCATE) {
            Ok(_) => Ok(true),
            Err(error) => match Error::from(error) {
                Error::Locked(_) => Ok(false),
                error => Err(error),
            },
        }
    }
}

/// The file, for as long as any connection to it is open: closing it lets go of the locks that this
/// process holds on it.
pub(super) fn file(path: &Path) -> Result<Arc<File>> {
    let file = OpenOptions::new().read(true).write(true).open(path);
    Ok(Arc::new(file.map_err(|source| Error::Other(source.into()))?))
}
