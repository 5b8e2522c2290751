//! How much a client may send, and how each part is held to it.

use epilogue_core::variables::{self, BagLimits};
use serde_json::{Map, Value};

use super::{error::Error, wire::Members};
use crate::{
    Api,
    rate::{Subject, Verdict},
};

/// The longest name of a session, in characters.
pub const NAME_CHARS_MAX: usize = 255;
/// The longest text that is said last when a session is terminated, in bytes.
pub const LAST_WORDS_BYTES_MAX: usize = 32 * 1024;
/// The longest `provider`, in characters.
pub const PROVIDER_CHARS_MAX: usize = 64;
/// How many levels variables may have, the object itself included.
pub const VARIABLES_DEPTH_MAX: usize = 32;
/// How many variables a session may have, and how long they may be in bytes of JSON.
pub const VARIABLES: BagLimits = BagLimits { bytes_max: 64 * 1024, names_max: 1_000 };

/// What is said where a session is not named, or not in a way that names one.
pub const NAME_REQUIRED: &str = "session_id is required";

/// Whether a text can be the name of a session.
pub(super) fn is_name(text: &str) -> bool {
    !text.trim().is_empty() && text.chars().count() <= NAME_CHARS_MAX
}

/// The session that a body names.
pub(super) fn name(body: &Members) -> Result<String, Error> {
    let name = body.get("session_id").and_then(Value::as_str).filter(|name| is_name(name));
    name.map(str::to_owned).ok_or_else(|| Error::bad(NAME_REQUIRED))
}

/// The variables that a body brings. `None`: it brings none.
pub(super) fn variables(body: &Members) -> Result<Option<Map<String, Value>>, Error> {
    let Some(given) = body.get("variables") else { return Ok(None) };
    let given = given.as_object().ok_or_else(|| Error::bad("variables must be an object"))?;
    let depth = 1 + given.values().map(variables::depth).max().unwrap_or(0);
    if depth > VARIABLES_DEPTH_MAX {
        return Err(Error::bad(format!(
            "variables must have at most {VARIABLES_DEPTH_MAX} levels"
        )));
    }
    VARIABLES.hold(given).map_err(|full| Error::bad(format!("variables {full}")))?;
    Ok(Some(given.clone()))
}

/// A text that a body may bring, of at most so many characters. An empty one is none.
pub(super) fn text(body: &Members, name: &str, chars_max: usize) -> Result<Option<String>, Error> {
    let Some(given) = body.get(name) else { return Ok(None) };
    let text = given.as_str().ok_or_else(|| Error::bad(format!("{name} must be a string")))?;
    if text.chars().count() > chars_max {
        return Err(Error::bad(format!("{name} must have at most {chars_max} characters")));
    }
    Ok(Some(text.to_owned()).filter(|text| !text.trim().is_empty()))
}

/// Counts a request against a limit. An error: it is one too many.
pub(super) fn within(api: &Api, subject: &Subject, per_minute: u32) -> Result<(), Error> {
    match api.limiter().count(subject, per_minute, api.engine().now()) {
        Some(rate) if rate.verdict == Verdict::Past => Err(Error::rate_limited(rate)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn body(value: &Value) -> Members {
        Members::read(value.to_string().as_bytes())
    }

    #[test]
    fn a_name_has_1_to_255_characters_and_is_not_blank() {
        for good in ["x", " x ", "\u{1f44b}", "a/b?c#d", "..", "\0", &"é".repeat(NAME_CHARS_MAX)] {
            assert!(name(&body(&json!({ "session_id": good }))).is_ok(), "{good:?}");
        }
        let long = "é".repeat(NAME_CHARS_MAX + 1);
        for bad in
            [json!(""), json!(" \t\n\u{3000}"), json!(null), json!(7), json!([]), json!(long)]
        {
            assert!(name(&body(&json!({ "session_id": bad }))).is_err(), "{bad}");
        }
        assert!(name(&body(&json!({}))).is_err() && name(&Members::Nothing).is_err());
    }

    #[test]
    fn variables_are_held_to_their_levels_bytes_and_names() {
        let take = |value: Value| variables(&body(&json!({ "variables": value })));
        let deep = |levels: usize| (1..levels).fold(json!({}), |inner, _| json!({ "a": inner }));
        assert!(take(deep(VARIABLES_DEPTH_MAX)).is_ok());
        assert!(take(deep(VARIABLES_DEPTH_MAX + 1)).is_err());
        let long = |bytes: usize| json!({ "a": "x".repeat(bytes - r#"{"a":""}"#.len()) });
        assert!(take(long(VARIABLES.bytes_max)).is_ok());
        assert!(take(long(VARIABLES.bytes_max + 1)).is_err());
        let many =
            |names: usize| Value::Object((0..names).map(|n| (n.to_string(), json!(n))).collect());
        assert!(take(many(VARIABLES.names_max)).is_ok());
        assert!(take(many(VARIABLES.names_max + 1)).is_err());
        for wrong in [json!([]), json!("a"), json!(1), json!(true)] {
            assert!(take(wrong).is_err());
        }
        assert_eq!(take(Value::Null), Ok(None));
    }

    #[test]
    fn a_text_is_held_to_its_length() {
        let take = |value: Value| text(&body(&json!({ "provider": value })), "provider", 3);
        assert_eq!(take(json!("éé3")), Ok(Some("éé3".into())));
        assert!(take(json!("éé34")).is_err() && take(json!(3)).is_err());
        assert_eq!((take(json!(" ")), take(json!(null))), (Ok(None), Ok(None)));
    }
}
