//! What session tokens are signed with: the operator's secret, or one made once and kept.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::Path,
};

use epilogue_engine::secret::{self, SecretError};
use secrecy::{ExposeSecret, SecretString};

use super::{DataError, file_error};
use crate::config::{ConfigError, DEFAULT_TOKEN_SECRET, SecurityConfig};

const TOKEN_SECRET_FILE: &str = "token.secret";
/// How much randomness a token secret holds, in bytes.
pub const TOKEN_SECRET_BYTES: usize = 32;
/// The shortest secret an operator may choose, in bytes.
const SECRET_BYTES_MIN: usize = 16;
const KEY: &str = "security.token_secret";

/// Why there is no token secret.
#[derive(Debug, thiserror::Error)]
pub enum TokenSecretError {
    /// The configured one cannot be had.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The kept one cannot be had.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The configured one is too easy to guess.
    #[error(
        "{KEY} must have at least {SECRET_BYTES_MIN} bytes, better {TOKEN_SECRET_BYTES} random ones"
    )]
    TooShort,
}

/// The configured secret. While the default variable is not set: the one in the data folder, which
/// is made from `random` the first time.
pub fn token_secret(
    security: &SecurityConfig,
    folder: &Path,
    random: impl FnOnce() -> [u8; TOKEN_SECRET_BYTES],
) -> Result<SecretString, TokenSecretError> {
    match secret::resolve(&security.token_secret) {
        Ok(secret) if secret.expose_secret().len() < SECRET_BYTES_MIN => {
            Err(TokenSecretError::TooShort)
        }
        Ok(secret) => Ok(secret),
        Err(SecretError::Unset(_)) if security.token_secret.0 == DEFAULT_TOKEN_SECRET => {
            Ok(kept(&folder.join(TOKEN_SECRET_FILE), random)?)
        }
        Err(source) => Err(ConfigError::Secret { key: KEY.to_owned(), source }.into()),
    }
}

/// A secret in a file for its owner alone, made from `random` the first time.
pub(super) fn kept(
    path: &Path,
    random: impl FnOnce() -> [u8; TOKEN_SECRET_BYTES],
) -> Result<SecretString, DataError> {
    let failed = file_error(path);
    match File::open(path) {
        Ok(file) => read(path, file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let secret = hex::encode(random());
            write(path, &secret).map_err(failed)?;
            Ok(SecretString::from(secret))
        }
        Err(error) => Err(failed(error)),
    }
}

pub(super) fn read(path: &Path, file: File) -> Result<SecretString, DataError> {
    let failed = file_error(path);
    let mode = file.metadata().map_err(&failed)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(DataError::Permissions { path: path.to_owned(), mode });
    }
    let mut text = String::new();
    let limit = 2 * TOKEN_SECRET_BYTES as u64 + 2;
    file.take(limit).read_to_string(&mut text).map_err(&failed)?;
    let secret = text.trim_end();
    if secret.len() != 2 * TOKEN_SECRET_BYTES || !secret.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(DataError::BadTokenSecret { path: path.to_owned() });
    }
    Ok(SecretString::from(secret))
}

/// Written beside its place, synced and moved there, so that a crash leaves all of it or nothing.
fn write(path: &Path, secret: &str) -> io::Result<()> {
    let new = path.with_extension("secret.new");
    match std::fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    file.write_all(secret.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&new, path)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use epilogue_core::agent::SecretRef;

    use super::*;

    const SEVENS: fn() -> [u8; 32] = || [7; 32];

    fn configured(secret: &str) -> SecurityConfig {
        SecurityConfig { token_secret: SecretRef(secret.into()), allow_private_webhooks: false }
    }

    fn file(folder: &tempfile::TempDir) -> std::path::PathBuf {
        folder.path().join(TOKEN_SECRET_FILE)
    }

    #[test]
    fn it_is_made_once_for_its_owner_alone_and_used_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let made = kept(&file(&folder), SEVENS).expect("made");
        assert_eq!(made.expose_secret(), "07".repeat(32));
        let permissions = file(&folder).metadata().expect("kept").permissions();
        assert_eq!(permissions.mode() & 0o777, 0o600);
        let again = kept(&file(&folder), || unreachable!("it is there")).expect("read");
        assert_eq!(again.expose_secret(), made.expose_secret());
    }

    #[test]
    fn a_secret_others_can_read_is_refused_with_the_remedy() {
        let folder = tempfile::tempdir().expect("a folder");
        kept(&file(&folder), SEVENS).expect("made");
        for mode in [0o640, 0o604, 0o660] {
            let wide = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(file(&folder), wide).expect("set");
            let error = kept(&file(&folder), SEVENS).expect_err("readable by others");
            assert!(error.to_string().contains("chmod 600"), "{error}");
        }
    }

    #[test]
    fn a_damaged_secret_is_never_replaced() {
        let folder = tempfile::tempdir().expect("a folder");
        kept(&file(&folder), SEVENS).expect("made");
        for damaged in ["", "07", &"zz".repeat(32), &"07".repeat(33)] {
            std::fs::write(file(&folder), damaged).expect("written");
            let error = kept(&file(&folder), SEVENS).expect_err("damaged");
            assert!(matches!(error, DataError::BadTokenSecret { .. }));
        }
    }

    #[test]
    fn a_crash_between_writing_and_moving_is_made_good() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("token.secret.new"), "half").expect("written");
        assert_eq!(kept(&file(&folder), SEVENS).expect("made").expose_secret(), "07".repeat(32));
    }

    #[test]
    fn the_operators_secret_comes_first_and_leaves_no_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let chosen = "0123456789abcdef";
        let secret = token_secret(&configured(chosen), folder.path(), SEVENS).expect("chosen");
        assert_eq!(secret.expose_secret(), chosen);
        assert!(!file(&folder).exists());
        let short = token_secret(&configured(&chosen[1..]), folder.path(), SEVENS);
        assert!(matches!(short, Err(TokenSecretError::TooShort)));
        let unset = token_secret(&configured("env:NOT_SET_ANYWHERE"), folder.path(), SEVENS);
        assert!(matches!(unset, Err(TokenSecretError::Config(_))));
    }
}
