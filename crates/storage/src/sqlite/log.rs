//! The write-ahead log, and when it is folded back into the database.
//!
//! A thread with a connection of its own does it in passing, so that no commit waits. Under steady
//! load it never catches up with the end of the log, so the writer itself does the small rest
//! between two commits when the log has grown long.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    thread,
};

use crossbeam_channel::Sender;
use rusqlite::{Connection, wal::CheckpointMode};

use super::connection;
use crate::{Error, Result};

/// Pages in the log at which the thread sets to work: 16 MiB.
const PAGES_TO_FOLD: u32 = 4_096;

/// Pages in the log at which the writer does it itself: 128 MiB.
const PAGES_MAX: u32 = 32_768;

/// Watches the length of the log.
pub(super) struct Log {
    pages: Arc<AtomicU32>,
    wake: Sender<()>,
}

impl Log {
    /// Watches the log behind `writer` and starts the thread that folds it back.
    pub fn watch(writer: &mut Connection, path: &Path) -> Result<Self> {
        let pages = Arc::new(AtomicU32::new(0));
        let seen = pages.clone();
        // Also switches SQLite's own checkpointing off, which would run inside a commit.
        writer.wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, now: i32| {
            seen.store(u32::try_from(now).unwrap_or(0), Relaxed);
            Ok(())
        }))?;
        let own = connection::writing(path)?;
        let (wake, woken) = crossbeam_channel::bounded(1);
        thread::Builder::new()
            .name("store-log".into())
            .spawn(move || woken.iter().for_each(|()| fold(&own)))
            .map_err(|source| Error::Other(source.into()))?;
        Ok(Self { pages, wake })
    }

    /// To be called by the writer between two commits.
    pub fn fold_between_commits(&self, writer: &Connection) {
        let pages = self.pages.load(Relaxed);
        if pages > PAGES_MAX {
            fold(writer);
        } else if pages > PAGES_TO_FOLD {
            // Full: the thread has been woken already.
            let _ = self.wake.try_send(());
        }
    }
}

fn fold(connection: &Connection) {
    let folded = connection.wal_checkpoint_v2(None::<&str>, CheckpointMode::PASSIVE);
    if let Err(error) = folded {
        tracing::warn!(%error, "the write-ahead log could not be folded back; it stays for now");
    }
}

/// Folds all of the log back and empties it.
pub(super) fn fold_whole(connection: &Connection) -> Result<()> {
    connection.wal_checkpoint_v2(None::<&str>, CheckpointMode::TRUNCATE)?;
    Ok(())
}
