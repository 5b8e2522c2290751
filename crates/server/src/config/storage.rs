//! `[storage]`: where the server keeps what it knows.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use serde::Deserialize;

/// The data folder, where no other is named.
const DATA_FOLDER: &str = "data";

/// `[storage]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StorageConfig {
    /// The database.
    pub url: StorageUrl,
    /// The data folder the command line names.
    #[serde(skip)]
    pub data: Option<PathBuf>,
}

impl StorageConfig {
    /// The folder for what is kept outside the database: the one the command line names, else the
    /// one the SQLite database is in, else `data`.
    pub fn data_folder(&self) -> PathBuf {
        match (&self.data, &self.url) {
            (Some(folder), _) => folder.clone(),
            (None, StorageUrl::Sqlite(file)) => match file.parent() {
                Some(folder) if folder.as_os_str().is_empty() => PathBuf::from("."),
                Some(folder) => folder.to_owned(),
                None => PathBuf::from(DATA_FOLDER),
            },
            (None, StorageUrl::Postgres(_)) => PathBuf::from(DATA_FOLDER),
        }
    }
}

/// Which database. Read from `sqlite:PATH` or `postgres://…`.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum StorageUrl {
    /// A file of this machine.
    Sqlite(PathBuf),
    /// A PostgreSQL server. May hold a password, so it is not printed.
    Postgres(String),
}

impl StorageUrl {
    /// The same database in another folder, if it is a file with a relative path.
    pub(super) fn moved_to(&self, folder: &Path) -> Self {
        match self {
            Self::Sqlite(file) if file.is_relative() => Self::Sqlite(
                file.file_name().map_or_else(|| file.clone(), |name| folder.join(name)),
            ),
            other => other.clone(),
        }
    }
}

impl fmt::Debug for StorageUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(file) => write!(f, "sqlite:{}", file.display()),
            Self::Postgres(_) => f.write_str("postgres://…"),
        }
    }
}

/// The text names no database we know.
#[derive(Debug, thiserror::Error)]
#[error("a database is sqlite:PATH or postgres://USER@HOST/NAME")]
pub struct BadStorageUrl;

impl std::str::FromStr for StorageUrl {
    type Err = BadStorageUrl;

    fn from_str(text: &str) -> Result<Self, BadStorageUrl> {
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Ok(Self::Postgres(text.to_owned()));
        }
        let path = text.strip_prefix("sqlite:").ok_or(BadStorageUrl)?;
        let path = Path::new(path.strip_prefix("//").unwrap_or(path));
        let is_file = path.file_name().is_some_and(|name| name != ":memory:");
        is_file.then(|| Self::Sqlite(path.to_owned())).ok_or(BadStorageUrl)
    }
}

impl TryFrom<String> for StorageUrl {
    type Error = BadStorageUrl;

    fn try_from(text: String) -> Result<Self, BadStorageUrl> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> StorageUrl {
        text.parse().expect("a database")
    }

    #[test]
    fn the_forms_of_a_database() {
        assert_eq!(url("sqlite:data/e.db"), StorageUrl::Sqlite("data/e.db".into()));
        assert_eq!(url("sqlite:///var/e.db"), StorageUrl::Sqlite("/var/e.db".into()));
        assert!(matches!(url("postgres://u@h/db"), StorageUrl::Postgres(_)));
        for bad in ["", "data/e.db", "sqlite:", "sqlite::memory:", "sqlite:..", "mysql://x"] {
            assert!(bad.parse::<StorageUrl>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_password_never_prints() {
        let shown = format!("{:?}", url("postgres://user:very_secret@host/db"));
        assert!(!shown.contains("very_secret"));
    }

    #[test]
    fn a_data_folder_takes_a_relative_database_along() {
        let folder = Path::new("/srv/e");
        assert_eq!(url("sqlite:data/e.db").moved_to(folder), url("sqlite:/srv/e/e.db"));
        assert_eq!(url("sqlite:/var/e.db").moved_to(folder), url("sqlite:/var/e.db"));
    }

    #[test]
    fn without_a_named_data_folder_it_is_the_databases() {
        let folder = |text| StorageConfig { url: url(text), data: None }.data_folder();
        assert_eq!(folder("sqlite:data/e.db"), Path::new("data"));
        assert_eq!(folder("sqlite:e.db"), Path::new("."));
        assert_eq!(folder("postgres://u@h/db"), Path::new("data"));
    }
}
