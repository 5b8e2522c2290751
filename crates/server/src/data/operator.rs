//! How the command line finds and enters the running server: whoever can read the data folder may.

use std::{fs, io, path::Path};

use epilogue_engine::records::KeyHash;
use secrecy::{ExposeSecret, SecretString};

use super::{
    DataError, file_error,
    token_secret::{kept, read},
};
use crate::config::hash_key;

const OPERATOR_KEY_FILE: &str = "operator.key";
const ADDRESS_FILE: &str = "server.url";

/// The key of whoever has the data folder, good for every organization of this server.
pub struct OperatorKey(SecretString);

impl OperatorKey {
    /// The key in the folder, made from `random` the first time.
    pub fn load_or_make(
        folder: &Path,
        random: impl FnOnce() -> [u8; 32],
    ) -> Result<Self, DataError> {
        kept(&folder.join(OPERATOR_KEY_FILE), random).map(Self)
    }

    /// The key that a running server has made.
    pub fn load(folder: &Path) -> Result<Self, DataError> {
        let path = folder.join(OPERATOR_KEY_FILE);
        read(&path, fs::File::open(&path).map_err(file_error(&path))?).map(Self)
    }

    /// What the server compares it with.
    pub fn hash(&self) -> KeyHash {
        hash_key(self.0.expose_secret())
    }

    /// The key itself, to be sent.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

/// Where the running server listens, written in the data folder while it runs.
pub struct Address;

impl Address {
    /// Says where the server listens.
    pub fn publish(folder: &Path, url: &str) -> Result<(), DataError> {
        let path = folder.join(ADDRESS_FILE);
        fs::write(&path, url).map_err(file_error(&path))
    }

    /// Where the server listens. `None`: none has run here.
    pub fn read(folder: &Path) -> Result<Option<String>, DataError> {
        let path = folder.join(ADDRESS_FILE);
        match fs::read_to_string(&path) {
            Ok(url) => Ok(Some(url.trim().to_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(file_error(&path)(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_made_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let made = OperatorKey::load_or_make(folder.path(), || [7; 32]).expect("made");
        let again = OperatorKey::load_or_make(folder.path(), || [8; 32]).expect("read");
        assert_eq!((made.expose(), made.hash()), (again.expose(), again.hash()));
    }

    #[test]
    fn the_address_is_read_back() {
        let folder = tempfile::tempdir().expect("a folder");
        assert_eq!(Address::read(folder.path()).expect("read"), None);
        Address::publish(folder.path(), "http://127.0.0.1:7400").expect("written");
        let read = Address::read(folder.path()).expect("read");
        assert_eq!(read.as_deref(), Some("http://127.0.0.1:7400"));
    }
}
