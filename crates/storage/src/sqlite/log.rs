//! The write-ahead log: when it is folded back into the database, and when it is emptied.
//!
//! A thread with a connection of its own folds it in passing, so that no commit waits. Under steady
//! load it never catches up with the end of the log, so the writer itself does the small rest
//! between two commits when the log has grown long.
//!
//! A commit that removed what must not stay has the log emptied soon after: until then, the frames
//! of earlier commits still show it. That needs a moment in which nobody reads from the log; one
//! that does only puts it off, and searches, which may come without end, wait in the end.
//!
//! A file that must be looked through as a whole is, by the thread alone, a few pages at a time.

use std::{
    fs::{File, OpenOptions},
    path::Path,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, TryLockError,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll, Waker},
    thread,
    time::Duration,
};

use crossbeam_channel::{Receiver, Sender, after, never};
use rusqlite::Connection;

use super::{
    connection,
    folder::Folder,
    readers::{AllPlaces, Readers},
};
use crate::{Error, Result};

/// Pages that come to the log before the thread sets to work, again and again: 16 MiB. A page that is
/// written often stands there many times and is folded back once, so that less often costs less.
const PAGES_TO_FOLD: u32 = 4_096;

/// Pages in the log at which the writer does it itself: 128 MiB.
const PAGES_MAX: u32 = 32_768;

/// Pages that the writer folds itself in order to empty the log; of more, the thread folds the most
/// first. 2 MiB.
const PAGES_BETWEEN_COMMITS: u32 = 512;

/// Pages that the thread looks through at a time, where all of the file must be. 16 MiB.
const PAGES_AT_A_TIME: u32 = 4_096;

/// How long it then leaves the log to others.
const LOOK_ON_AFTER: Duration = Duration::from_millis(20);

/// How long it leaves a file alone that it could not read or write; twice as long each time, up to
/// the other.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(1);
const LOOK_AGAIN_AFTER_MAX: Duration = Duration::from_mins(5);

/// How long after a removal the log is emptied, together with whatever else was removed meanwhile.
const EMPTY_AFTER: Duration = Duration::from_secs(1);

/// How long it is left alone when somebody still reads from it, at first and at most.
const EMPTY_AGAIN_AFTER: Duration = Duration::from_millis(100);
const EMPTY_AGAIN_AFTER_MAX: Duration = Duration::from_secs(1);

/// How often it is left to the thread to fold the most of it first. From then on searches wait, too.
const HELPED_MAX: u32 = 20;

/// After how long in vain that is told, and again after as long.
const TOLD_AFTER: Duration = Duration::from_mins(1);

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
    /// How long the log was when the thread was last woken.
    woken_at: u32,
    removed: AtomicBool,
    /// When the log is to be emptied.
    due: Receiver<std::time::Instant>,
    waiting: bool,
    tries: u32,
    /// For how long it has been tried in vain, in milliseconds.
    overdue: Arc<AtomicU64>,
    searchers: Readers,
    /// The searchers' places, asked for or taken until the log is empty.
    places: Option<Places>,
}

enum Places {
    Asked(Pin<Box<dyn Future<Output = AllPlaces> + Send>>),
    Taken { _all: AllPlaces },
}

/// Folds back what an earlier process has left in the log, before anything begins the log anew: it may
/// have died between folding and scrubbing. To be called before the first commit.
pub(super) fn take_over(path: &Path, file: &Arc<File>) -> Result<()> {
    let Err(error) = Folder::open(path, file.clone())?.fold() else { return Ok(()) };
    let cause: &dyn std::error::Error = &error;
    tracing::warn!(error = cause, "what the last process left in the log could not be folded back");
    // All of the file is looked through instead.
    connection::mark_scrubbed(&connection::writing(path)?, false)
}

impl Log {
    /// Watches the log behind `writer` and starts the thread that folds it back. What an earlier
    /// process left in the log is emptied soon. `searchers` wait if it cannot be otherwise.
    pub fn watch(
        writer: &mut Connection,
        path: &Path,
        file: Arc<File>,
        searchers: Readers,
    ) -> Result<Self> {
        let folder = Folder::open(path, file)?;
        let first = folder.is_unseen().then_some(EMPTY_AFTER);
        let folder = Mutex::new(folder);
        let shared = Arc::new(Shared { pages: 0.into(), folded: 0.into(), folder });
        let seen = shared.clone();
        writer.wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, now: i32| {
            seen.pages.store(u32::try_from(now).unwrap_or(0), Relaxed);
            Ok(())
        }))?;
        let folding = shared.clone();
        let (wake, woken) = crossbeam_channel::bounded(1);
        thread::Builder::new()
            .name("store-log".into())
            .spawn(move || folding.run(&woken, first))
            .map_err(|source| Error::Other(source.into()))?;
        Ok(Self {
            shared,
            wake,
            woken_at: 0,
            removed: AtomicBool::new(false),
            due: after(EMPTY_AFTER),
            waiting: true,
            tries: 0,
            overdue: Arc::default(),
            searchers,
            places: None,
        })
    }

    /// A decision is removing what must not stay.
    pub fn removes(&self) {
        self.removed.store(true, Relaxed);
    }

    /// When the log is to be emptied: the writer then calls [`Self::empty`].
    pub fn due(&self) -> Receiver<std::time::Instant> {
        self.due.clone()
    }

    /// For how long the log could not be emptied of what was removed, in milliseconds.
    pub fn overdue(&self) -> Arc<AtomicU64> {
        self.overdue.clone()
    }

    /// To be called by the writer between two commits.
    pub fn between_commits(&mut self) {
        let pages = self.shared.pages.load(Relaxed);
        if pages > PAGES_MAX {
            self.shared.fold();
        } else if grown(pages, &mut self.woken_at) {
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
        if self.tries > HELPED_MAX {
            self.take_places();
        }
        let emptied = if self.is_long() && self.tries <= HELPED_MAX {
            self.have_folded();
            Ok(false)
        } else {
            self.try_empty()
        };
        if matches!(emptied, Ok(true)) {
            self.shared.folded.store(0, Relaxed);
            self.shared.pages.store(0, Relaxed);
            self.overdue.store(0, Relaxed);
            (self.due, self.waiting, self.places) = (never(), false, None);
        } else {
            self.put_off(emptied.err().as_ref());
        }
    }

    fn try_empty(&self) -> Result<bool> {
        let mut folder = match self.shared.folder.try_lock() {
            Ok(folder) => folder,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return Ok(false),
        };
        let emptied = folder.empty(Duration::ZERO);
        if folder.is_unseen() {
            // That is the thread's.
            self.have_folded();
        }
        emptied
    }

    /// Tries again later, and says so now and then.
    fn put_off(&mut self, error: Option<&Error>) {
        let pause = again_after(self.tries);
        self.due = after(pause);
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let before = self.overdue.fetch_add(millis(pause), Relaxed);
        let now = before.saturating_add(millis(pause));
        if now / millis(TOLD_AFTER) > before / millis(TOLD_AFTER) {
            let error = error.map(|error| error as &dyn std::error::Error);
            tracing::warn!(
                error,
                seconds = now / 1_000,
                "the write-ahead log could not be emptied: what was removed is still in it"
            );
        }
    }

    /// Takes the searchers' places as they become free, so that nobody searches until the log is empty.
    fn take_places(&mut self) {
        let places = self
            .places
            .get_or_insert_with(|| Places::Asked(Box::pin(self.searchers.clone().all_places())));
        let Places::Asked(asked) = places else { return };
        if let Poll::Ready(all) = asked.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            *places = Places::Taken { _all: all };
        }
    }

    fn is_long(&self) -> bool {
        let Shared { pages, folded, .. } = &*self.shared;
        pages.load(Relaxed).saturating_sub(folded.load(Relaxed)) > PAGES_BETWEEN_COMMITS
    }

    /// Folds all of the log back and empties it, now. To be called by the writer.
    pub fn empty_now(&mut self) -> Result<()> {
        if self.shared.folder().empty(PATIENCE)? {
            return Ok(());
        }
        Err(Error::Locked("somebody reads from the write-ahead log".into()))
    }
}

/// Whether enough has come to the log since the thread was woken, which it then is.
fn grown(pages: u32, woken_at: &mut u32) -> bool {
    // Shorter: it has been begun anew since.
    let from = if pages < *woken_at { 0 } else { *woken_at };
    let enough = pages - from > PAGES_TO_FOLD;
    *woken_at = if enough { pages } else { from };
    enough
}

/// How long the log is left alone after so many vain tries.
fn again_after(tries: u32) -> Duration {
    let more = tries.saturating_sub(HELPED_MAX).saturating_add(1);
    EMPTY_AGAIN_AFTER.saturating_mul(more).min(EMPTY_AGAIN_AFTER_MAX)
}

impl Shared {
    fn folder(&self) -> MutexGuard<'_, Folder> {
        self.folder.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The thread: folds when it is woken, and looks through the file where that must be, at first
    /// after `pause`.
    fn run(&self, woken: &Receiver<()>, pause: Option<Duration>) {
        let (mut faults, mut looks) = (0, pause.is_some());
        let mut next = pause.map_or_else(never, after);
        loop {
            crossbeam_channel::select! {
                recv(woken) -> word => match word {
                    Ok(()) => self.fold(),
                    Err(_) => return,
                },
                recv(next) -> _ => {
                    let pause = self.look_on(&mut faults);
                    (looks, next) = (pause.is_some(), pause.map_or_else(never, after));
                }
            }
            if !looks && self.folder().is_unseen() {
                (looks, next) = (true, after(LOOK_ON_AFTER));
            }
        }
    }

    /// Looks through a part of the file. When to go on, if that is not all.
    fn look_on(&self, faults: &mut u32) -> Option<Duration> {
        match self.folder().look_on(PAGES_AT_A_TIME) {
            Ok(more) => {
                *faults = 0;
                more.then_some(LOOK_ON_AFTER)
            }
            Err(error) => {
                let pause = look_again_after(*faults);
                *faults += 1;
                let error: &dyn std::error::Error = &error;
                let again_s = pause.as_secs();
                tracing::warn!(error, again_s, "the database could not be looked through");
                Some(pause)
            }
        }
    }

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

/// How long a file is left alone after so many faults in a row.
fn look_again_after(faults: u32) -> Duration {
    LOOK_AGAIN_AFTER.saturating_mul(2_u32.saturating_pow(faults)).min(LOOK_AGAIN_AFTER_MAX)
}

/// The file, for as long as any connection to it is open: closing it lets go of the locks that this
/// process holds on it.
pub(super) fn file(path: &Path) -> Result<Arc<File>> {
    let file = OpenOptions::new().read(true).write(true).open(path);
    Ok(Arc::new(file.map_err(|source| Error::Other(source.into()))?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_is_folded_each_time_that_enough_has_come_to_it() {
        let mut woken_at = 0;
        let mut wakes = |pages: u32| grown(pages, &mut woken_at);
        assert!(!wakes(PAGES_TO_FOLD));
        assert!(wakes(PAGES_TO_FOLD + 1));
        assert!(!wakes(PAGES_TO_FOLD + 2), "not at each commit from then on");
        assert!(!wakes(2 * PAGES_TO_FOLD + 1));
        assert!(wakes(2 * PAGES_TO_FOLD + 2));
        assert!(!wakes(3), "begun anew");
        assert!(wakes(PAGES_TO_FOLD + 1), "and as long again");
    }

    #[test]
    fn vain_tries_become_rarer_when_the_thread_has_helped_long_enough() {
        let second = Duration::from_secs(1);
        assert_eq!(
            (again_after(1), again_after(HELPED_MAX)),
            (EMPTY_AGAIN_AFTER, EMPTY_AGAIN_AFTER)
        );
        assert_eq!(again_after(HELPED_MAX + 1), 2 * EMPTY_AGAIN_AFTER);
        assert_eq!((again_after(HELPED_MAX + 9), again_after(u32::MAX)), (second, second));
    }

    #[test]
    fn a_file_that_cannot_be_read_is_left_alone_longer_each_time() {
        let seconds: Vec<_> = [0, 1, 5, 9, u32::MAX].map(|n| look_again_after(n).as_secs()).into();
        assert_eq!(seconds, [1, 2, 32, 300, 300]);
    }
}
