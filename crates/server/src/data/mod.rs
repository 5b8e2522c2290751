//! The data folder: what the server keeps outside the database, and who may hold it.

mod lock;
mod operator;
mod token_secret;

use std::{
    io,
    path::{Path, PathBuf},
};

pub use self::{
    lock::DataLock,
    operator::{Address, OperatorKey},
    token_secret::{TokenSecretError, token_secret},
};

/// Why the data folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// The folder cannot be made.
    #[error("the data folder {} cannot be made", path.display())]
    Folder {
        /// Which folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file in it cannot be read or written.
    #[error("{} cannot be used", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Another server holds it.
    #[error("the data folder {} is in use by {holder}", path.display())]
    InUse {
        /// Which folder.
        path: PathBuf,
        /// `process 123`, or as much as is known.
        holder: String,
    },
    /// Others may read the token secret.
    #[error("{} has mode {mode:o}, so that others may use it; run: chmod 600 {}", path.display(), path.display())]
    Permissions {
        /// Which file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// A secret is not what was written.
    #[error("{} does not hold what was written to it; restore it, or remove it to have a new one made (a new token.secret makes every session's token invalid)", path.display())]
    BadTokenSecret {
        /// Which file.
        path: PathBuf,
    },
}

/// Makes the folder, for its owner alone. One that exists is left as it is.
pub fn create_folder(path: &Path) -> Result<(), DataError> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|source| DataError::Folder { path: path.to_owned(), source })
}

fn file_error(path: &Path) -> impl Fn(io::Error) -> DataError {
    move |source| DataError::File { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_folder_is_its_owners_alone() {
        let parent = tempfile::tempdir().expect("a folder");
        let folder = parent.path().join("a/data");
        create_folder(&folder).expect("made");
        create_folder(&folder).expect("there already");
        let mode = folder.metadata().expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let error = create_folder(&file.path().join("data")).expect_err("below a file");
        assert!(error.to_string().contains(&file.path().display().to_string()));
    }
}
