//! The session of a completion: named by a header, or by the body, or by the server.

use std::fmt::Write as _;

use epilogue_core::ProjectId;
use http::{HeaderMap, HeaderName, HeaderValue};
use sha2::{Digest as _, Sha256};

use crate::{
    Api,
    dialect::pathors::{
        cors::SESSION_ID,
        error::Error,
        limits::{self, NAME_CHARS_MAX},
        wire::Members,
    },
};

/// Names a call, so that a repeated one is answered from the record.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The longest name of a call, in characters.
pub const KEY_CHARS_MAX: usize = 255;

/// Which session a call is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    /// Its name.
    pub name: String,
    /// Whether the server made the name, so that only its answer tells the client.
    pub is_made: bool,
}

/// The session that a call names: the header's name wins over the body's. Without either the server
/// makes one; of a call that has a name itself, always the same, for whoever repeats the call must find
/// its session.
pub(super) fn session(
    api: &Api,
    project: &ProjectId,
    headers: &HeaderMap,
    body: &Members,
    key: Option<&str>,
) -> Result<Named, Error> {
    // Clients set the header from variables that may be empty.
    let header =
        headers.get(SESSION_ID).filter(|header| !header.as_bytes().trim_ascii().is_empty());
    let given = match header {
        Some(header) => Some(of_header(header)?),
        None => body.get("session_id").map(|_| limits::name(body)).transpose()?,
    };
    let is_made = given.is_none();
    let name = given.unwrap_or_else(|| match key {
        Some(key) => of_call(project, key),
        None => api.engine().new_session_id().to_string(),
    });
    Ok(Named { name, is_made })
}

/// A header carries bytes: they are the name's UTF-8, as it is.
fn of_header(header: &HeaderValue) -> Result<String, Error> {
    let name = std::str::from_utf8(header.as_bytes());
    let name = name.map_err(|_| Error::bad("X-Session-ID must be UTF-8"))?;
    if limits::is_name(name) {
        return Ok(name.to_owned());
    }
    let message =
        format!("X-Session-ID must have 1 to {NAME_CHARS_MAX} characters and not be blank");
    Err(Error::bad(message))
}

fn of_call(project: &ProjectId, key: &str) -> String {
    let mut digest = Sha256::new();
    digest.update(project.as_str().len().to_be_bytes());
    digest.update(project.as_str());
    digest.update(key);
    let digest = digest.finalize();
    let (half, _) = digest.split_at(16);
    hex(half)
}

/// A call's name as it is kept: it outlives the conversation, so it must not tell what the client put
/// into it.
pub(super) fn kept(key: &str) -> String {
    hex(&Sha256::digest(key))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut name, byte| {
        // A text takes whatever is written to it.
        let _ = write!(name, "{byte:02x}");
        name
    })
}

/// The header that names the session in an answer. `None`: its name cannot stand in a header, and came
/// in a body.
pub(super) fn header(name: &str) -> Option<HeaderValue> {
    // What stands around a header's value is cut off on the way.
    let survives = name.trim_matches([' ', '\t']) == name;
    HeaderValue::from_bytes(name.as_bytes()).ok().filter(|_| survives)
}

/// The name of the call itself, if it has one.
pub(super) fn key(headers: &HeaderMap) -> Result<Option<String>, Error> {
    let Some(header) = headers.get(IDEMPOTENCY_KEY) else { return Ok(None) };
    let key = header.to_str().ok().filter(|key| !key.is_empty() && key.len() <= KEY_CHARS_MAX);
    let wrong =
        || Error::bad(format!("Idempotency-Key must have 1 to {KEY_CHARS_MAX} ASCII characters"));
    key.map(|key| Some(key.to_owned())).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_the_names_bytes_and_comes_back_as_they_are() {
        for name in ["user-123", "caf\u{e9}", "\u{1f44b}", "50%25", "a b", &"\u{e9}".repeat(255)] {
            let header = HeaderValue::from_bytes(name.as_bytes()).expect("a header");
            assert_eq!(of_header(&header).as_deref(), Ok(name));
            assert_eq!(self::header(name), Some(header));
        }
        for wrong in [&b""[..], b" ", b"caf\xe9", &[b'x'; 256]] {
            let header = HeaderValue::from_bytes(wrong).expect("a header");
            assert!(of_header(&header).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn what_cannot_stand_in_a_header_is_left_out() {
        for name in ["a\nb", "\0", " a", "a\t", "\u{7f}"] {
            assert_eq!(header(name), None, "{name:?}");
        }
    }

    #[test]
    fn a_call_is_named_within_bounds() {
        let read = |key: &[u8]| {
            let value = HeaderValue::from_bytes(key).expect("a header");
            super::key(&[(IDEMPOTENCY_KEY, value)].into_iter().collect())
        };
        assert_eq!(super::key(&HeaderMap::new()), Ok(None));
        assert_eq!(read(b"k-1"), Ok(Some("k-1".into())));
        assert!(read(&[b'k'; KEY_CHARS_MAX]).is_ok());
        for wrong in [&b""[..], &[b'k'; KEY_CHARS_MAX + 1], "\u{e9}".as_bytes()] {
            assert!(read(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_call_finds_its_session_again_and_no_other() {
        let name = |project: &str, key| of_call(&ProjectId::from(project), key);
        assert_eq!(name("p", "k"), name("p", "k"));
        assert_ne!(name("p", "k"), name("p", "l"));
        assert_ne!(name("pa", "b"), name("p", "ab"));
    }
}
