//! Headers that an owner adds to calls of their own addresses.

use epilogue_core::agent::SecretRef;
use http::{HeaderName, HeaderValue, header};
use secrecy::ExposeSecret;

use crate::secret::{self, SecretError};

/// Headers that decide where a request begins and ends, or to whom it goes: not for owners to set.
const TRANSPORT_HEADERS: [HeaderName; 8] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::EXPECT,
    header::HOST,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// A header that cannot be sent.
#[derive(Debug, thiserror::Error)]
pub enum HeaderError {
    /// Its name or value is not one of a header, or it is not the owner's to set.
    #[error("the header {0} cannot be sent")]
    Unfit(String),
    /// Its secret cannot be had.
    #[error(transparent)]
    Secret(#[from] SecretError),
}

/// A header of the owner's, its secret resolved at the last moment and marked as one.
pub fn header(name: &str, value: &SecretRef) -> Result<(HeaderName, HeaderValue), HeaderError> {
    let unfit = || HeaderError::Unfit(name.escape_debug().to_string());
    let parsed = HeaderName::from_bytes(name.as_bytes()).map_err(|_| unfit())?;
    if TRANSPORT_HEADERS.contains(&parsed) {
        return Err(unfit());
    }
    let secret = secret::resolve(value)?;
    let mut value = HeaderValue::from_str(secret.expose_secret()).map_err(|_| unfit())?;
    value.set_sensitive(true);
    Ok((parsed, value))
}

/// Whether an owner may set a header of this name.
pub fn may_set(name: &str) -> bool {
    HeaderName::from_bytes(name.as_bytes()).is_ok_and(|name| !TRANSPORT_HEADERS.contains(&name))
}
