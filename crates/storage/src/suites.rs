//! Every backend passes the whole conformance suite.

mod sqlite {
    use std::{
        path::PathBuf,
        sync::atomic::{AtomicU32, Ordering},
    };

    use tempfile::TempDir;

    use crate::{
        conformance::Backend,
        conformance_suite,
        sqlite::{Options, SqliteStorage},
    };

    /// Databases in a folder that goes when the case is over.
    struct Files {
        folder: TempDir,
        made: AtomicU32,
    }

    impl Files {
        fn new() -> Self {
            let folder = tempfile::tempdir().expect("a folder for the case");
            Self { folder, made: AtomicU32::new(0) }
        }

        fn path(&self, number: u32) -> PathBuf {
            self.folder.path().join(format!("{number}.db"))
        }

        fn open(&self, number: u32) -> SqliteStorage {
            SqliteStorage::open(&self.path(number), &Options::default()).expect("it opens")
        }
    }

    impl Backend for Files {
        type Store = SqliteStorage;

        // One writer takes decisions from one queue.
        const KEEPS_ORDER: bool = true;

        async fn fresh(&self) -> SqliteStorage {
            self.open(self.made.fetch_add(1, Ordering::Relaxed) + 1)
        }

        async fn reopen(&self, store: SqliteStorage) -> SqliteStorage {
            drop(store);
            // Cases that reopen have one store, which is the last that was made.
            self.open(self.made.load(Ordering::Relaxed))
        }
    }

    conformance_suite!(Files::new());
}
