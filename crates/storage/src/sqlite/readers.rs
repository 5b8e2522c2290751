//! Connections that only read. They see what is committed, never wait for the writer, and each
//! read sees one moment.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::connection;
use crate::{Error, Result};

/// A fixed number of reading connections. Whoever comes when all are busy waits in order.
#[derive(Clone)]
pub(super) struct Readers {
    shared: Arc<Shared>,
}

struct Shared {
    idle: Mutex<Vec<Connection>>,
    free: Arc<Semaphore>,
}

impl Readers {
    pub fn open(path: &Path, count: usize) -> Result<Self> {
        let idle = (0..count).map(|_| connection::reading(path)).collect::<Result<Vec<_>>>()?;
        let free = Arc::new(Semaphore::new(count));
        Ok(Self { shared: Arc::new(Shared { idle: Mutex::new(idle), free }) })
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
        let place = self.shared.free.clone().acquire_owned().await.map_err(|_| Error::Closed)?;
        let shared = self.shared.clone();
        let work = move || {
            let connection = shared.take().ok_or(Error::Closed)?;
            let result = snapshot(&connection, read);
            shared.put(connection);
            drop(place);
            result
        };
        tokio::task::spawn_blocking(work).await.unwrap_or_else(|e| Err(Error::Other(e.into())))
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

    #[tokio::test]
    async fn a_caller_that_goes_away_takes_no_connection_from_the_next() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("e.db");
        drop(connection::writing(&path).expect("opens"));
        let readers = Readers::open(&path, 1).expect("opens");
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
