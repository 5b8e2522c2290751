//! Connections that only read. They see what is committed, never wait for the writer, and each
//! read sees one moment.

use std::{
    fs::File,
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::connection;
use crate::{Error, Result};

/// After how many of SQLite's operations a search is looked after.
const OPERATIONS_PER_CHECK: i32 = 10_000;
/// How often it is, before it is stopped: some seconds of work.
const CHECKS_MAX: u32 = 20_000;

/// A fixed number of reading connections. Whoever comes when all are busy waits in order.
#[derive(Clone)]
pub(super) struct Readers {
    shared: Arc<Shared>,
}

/// Every place of some [`Readers`]: nobody reads with them while it is held.
pub(super) struct AllPlaces {
    _places: Option<OwnedSemaphorePermit>,
}

struct Shared {
    count: u32,
    idle: Mutex<Vec<Connection>>,
    free: Arc<Semaphore>,
    /// Closed after the connections.
    _file: Arc<File>,
}

impl Readers {
    pub fn open(path: &Path, file: &Arc<File>, count: usize) -> Result<Self> {
        let idle = (0..count).map(|_| connection::reading(path)).collect::<Result<Vec<_>>>()?;
        let free = Arc::new(Semaphore::new(count));
        let (idle, all) = (Mutex::new(idle), u32::try_from(count).unwrap_or(u32::MAX));
        Ok(Self { shared: Arc::new(Shared { count: all, idle, free, _file: file.clone() }) })
    }

    /// Waits in line for every place at once.
    pub async fn all_places(self) -> AllPlaces {
        let Shared { count, free, .. } = &*self.shared;
        AllPlaces { _places: free.clone().acquire_many_owned(*count).await.ok() }
    }

    /// Looks up a few rows by their keys, here and now. That takes less time than handing it to
    /// another thread and hearing back, which is why it may.
    pub async fn look<T>(&self, read: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let place = self.shared.free.acquire().await.map_err(|_| Error::Closed)?;
        let connection = self.shared.take().ok_or(Error::Closed)?;
        let result = snapshot(&connection, read);
        self.shared.put(connection);
        drop(place);
        result
    }

    /// Runs a longer read on a thread that may block. A caller that goes away meanwhile leaves the read to
    /// finish by itself: the place is free only when its connection is back.
    pub async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.run(|db| snapshot(db, read)).await
    }

    /// Runs a read that may find out that it is too long. It is stopped when it has done as many
    /// operations as one may, and when its caller has gone away.
    pub async fn search<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.search_within(CHECKS_MAX, read).await
    }

    async fn search_within<T: Send + 'static>(
        &self,
        checks_max: u32,
        read: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let caller = Caller::default();
        let gone = caller.gone.clone();
        let bounded = move |db: &mut Connection| {
            let mut checks = 0;
            let stop = move || {
                checks += 1;
                checks > checks_max || gone.load(Relaxed)
            };
            db.progress_handler(OPERATIONS_PER_CHECK, Some(stop))?;
            let result = snapshot(db, read);
            db.progress_handler(0, None::<fn() -> bool>)?;
            // The end of the transaction may have been stopped as well.
            if !db.is_autocommit() {
                db.execute_batch("ROLLBACK")?;
            }
            result
        };
        self.run(bounded).await
    }

    async fn run<T: Send + 'static>(
        &self,
        read: impl FnOnce(&mut Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let place = self.shared.free.clone().acquire_owned().await.map_err(|_| Error::Closed)?;
        let shared = self.shared.clone();
        let work = move || {
            let mut connection = shared.take().ok_or(Error::Closed)?;
            let result = read(&mut connection);
            shared.put(connection);
            drop(place);
            result
        };
        tokio::task::spawn_blocking(work).await.unwrap_or_else(|e| Err(Error::Other(e.into())))
    }
}

/// Whoever waits for a search.
#[derive(Default)]
struct Caller {
    gone: Arc<AtomicBool>,
}

impl Drop for Caller {
    fn drop(&mut self) {
        self.gone.store(true, Relaxed);
    }
}

/// Runs a read inside a transaction, so that its statements see the same moment. Both ends of the
/// transaction are statements that stay prepared: parsing them costs as much as a small read.
fn snapshot<T>(connection: &Connection, read: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
    connection.prepare_cached("BEGIN DEFERRED")?.execute([])?;
    let result = read(connection);
    // Some faults end the transaction by themselves.
    if !connection.is_autocommit() {
        connection.prepare_cached("ROLLBACK")?.execute([])?;
    }
    result
}

impl Shared {
    fn take(&self) -> Option<Connection> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    fn put(&self, connection: Connection) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
    }
}

#[cfg(test)]
mod tests {
    use std::{pin::pin, sync::mpsc};

    use super::*;

    const COUNT: &str = "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n
        WHERE i < ?1) SELECT count(*) FROM n";

    #[tokio::test]
    async fn a_search_that_is_too_long_is_stopped_and_the_next_has_its_own_time() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("e.db");
        drop(connection::writing(&path).expect("opens"));
        let file = super::super::log::file(&path).expect("opens");
        let readers = Readers::open(&path, &file, 1).expect("opens");
        let count = |to: u32| {
            let count = move |db: &Connection| Ok(db.query_row(COUNT, [to], |row| row.get(0))?);
            readers.search_within::<u32>(3, count)
        };
        for _ in 0..2 {
            assert_eq!(count(1_000).await.expect("short"), 1_000);
            assert!(matches!(count(1_000_000).await, Err(Error::TooMuch(_))));
        }
        let count = |db: &Connection| Ok(db.query_row(COUNT, [1_000_000], |row| row.get(0))?);
        assert_eq!(readers.read::<u32>(count).await.expect("no search"), 1_000_000);
    }

    #[tokio::test]
    async fn a_caller_that_goes_away_takes_no_connection_from_the_next() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("e.db");
        drop(connection::writing(&path).expect("opens"));
        let file = super::super::log::file(&path).expect("opens");
        let readers = Readers::open(&path, &file, 1).expect("opens");
        let (started, starting) = tokio::sync::oneshot::channel();
        let (go_on, wait) = mpsc::channel();
        let long = readers.read(move |_| {
            let _ = started.send(());
            wait.recv().map_err(|error| Error::Other(error.into()))
        });
        {
            let mut long = pin!(long);
            tokio::select! {
                _ = &mut long => panic!("it was not told to go on"),
                _ = starting => {}
            }
        }
        let next = readers.read(|db| Ok(db.query_row("SELECT 7", [], |row| row.get::<_, u8>(0))?));
        let told = async { go_on.send(()).expect("still reading") };
        let (read, ()) = tokio::join!(next, told);
        assert_eq!(read.expect("waited for the connection"), 7);
    }
}
