//! An empty database, migrated once for all tests: each begins with a copy.

use std::{path::Path, sync::OnceLock};

use epilogue_storage::{
    Storage as _,
    sqlite::{Options, SqliteStorage},
};
use tempfile::TempDir;

use super::schedule::at_once;

/// Puts an empty database here.
pub fn write(file: &Path) {
    static TEMPLATE: OnceLock<Vec<u8>> = OnceLock::new();
    std::fs::write(file, TEMPLATE.get_or_init(migrated)).expect("written");
}

fn migrated() -> Vec<u8> {
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("epilogue.db");
    let store = SqliteStorage::open(&file, &Options::default()).expect("a store");
    at_once(store.tidy()).expect("one file");
    std::fs::read(&file).expect("read")
}
