//! What comes with a request.

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, header};
use serde_json::{Map, Value};

use super::error::Error;
use crate::{Api, body};

/// The longest word of a client's, such as an id, in characters.
pub(super) const WORD_CHARS_MAX: usize = 256;

/// Whether a request says that its body is of this type, whatever else it says of it.
pub(super) fn is_of_type(headers: &HeaderMap, wanted: &str) -> bool {
    let said = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = said.and_then(|said| said.split(';').next()).unwrap_or_default();
    essence.trim().eq_ignore_ascii_case(wanted)
}

/// Reads the body of a request that needs none: absent, empty, or any object. Only what says that it is
/// JSON must be.
pub(super) async fn nothing(api: &Api, headers: &HeaderMap, body: Body) -> Result<(), Error> {
    let text = body::read(api, body).await?;
    if text.trim_ascii().is_empty() || !is_of_type(headers, "application/json") {
        return Ok(());
    }
    object(&text).map(drop)
}

/// Reads an object, whatever type it says it is of.
pub(super) fn object(text: &Bytes) -> Result<Map<String, Value>, Error> {
    serde_json::from_slice(text).map_err(|_| Error::bad("Request body must be a JSON object"))
}

/// A text among an object's members. Null is as good as absent, and so is an empty one.
pub(super) fn word(
    object: &Map<String, Value>,
    name: &str,
    place: &str,
) -> Result<Option<String>, Error> {
    match object.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.chars().count() > WORD_CHARS_MAX => {
            let error = format!("{place}{name} is too long (at most {WORD_CHARS_MAX} characters)");
            Err(Error::bad(error))
        }
        Some(Value::String(text)) => Ok(Some(text.clone()).filter(|text| !text.is_empty())),
        Some(_) => Err(Error::bad(format!("{place}{name} must be a string"))),
    }
}
