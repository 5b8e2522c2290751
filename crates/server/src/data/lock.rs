//! One server per data folder. The lock dies with the process, however it dies.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{Read, Write},
    path::Path,
};

use super::{DataError, file_error};

const LOCK_FILE: &str = "epilogue.lock";
/// How much of the lock file is read, in bytes.
const HOLDER_BYTES_MAX: u64 = 20;

/// Holds a data folder for as long as it lives.
#[derive(Debug)]
pub struct DataLock {
    _file: File,
}

impl DataLock {
    /// Takes the folder, or says who has it.
    pub fn acquire(folder: &Path) -> Result<Self, DataError> {
        let path = folder.join(LOCK_FILE);
        let failed = file_error(&path);
        // Not truncated: until the lock is ours, the file is another's.
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(&failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(DataError::InUse { path: folder.to_owned(), holder: holder(file) });
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        file.set_len(0).map_err(&failed)?;
        write!(file, "{}", std::process::id()).map_err(&failed)?;
        Ok(Self { _file: file })
    }
}

fn holder(file: File) -> String {
    let mut text = String::new();
    let read = file.take(HOLDER_BYTES_MAX).read_to_string(&mut text);
    match (read, text.trim().parse::<u32>()) {
        (Ok(_), Ok(pid)) => format!("process {pid}"),
        _ => "another process".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_holder_at_a_time_and_a_second_learns_who() {
        let folder = tempfile::tempdir().expect("a folder");
        let lock = DataLock::acquire(folder.path()).expect("free");
        let error = DataLock::acquire(folder.path()).expect_err("taken");
        let holder = format!("in use by process {}", std::process::id());
        assert!(error.to_string().ends_with(&holder), "{error}");
        drop(lock);
        DataLock::acquire(folder.path()).expect("free again");
    }

    #[test]
    fn a_lock_file_left_behind_holds_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join(LOCK_FILE), "99999999").expect("written");
        let _lock = DataLock::acquire(folder.path()).expect("free");
        let error = DataLock::acquire(folder.path()).expect_err("taken");
        assert!(error.to_string().ends_with(&std::process::id().to_string()), "{error}");
    }
}
