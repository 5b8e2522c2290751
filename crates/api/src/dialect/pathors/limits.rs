//! How much a client may send, and how each part is held to it.

use epilogue_core::{
    Person,
    variables::{self, BagLimits},
};
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

/// The largest number up to which a float is every whole number.
const WHOLE_FLOAT_MAX: f64 = 9_007_199_254_740_992.0;

/// What is said of a number that would not come back as it was given.
const NUMBER_ROUNDED: &str =
    "variables must have no whole number of more than 64 bits: write it as a string";

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
    if given.values().any(is_rounded) {
        return Err(Error::bad(NUMBER_ROUNDED));
    }
    VARIABLES.hold(given).map_err(|full| Error::bad(format!("variables {full}")))?;
    Ok(Some(given.clone()))
}

/// Whether there is a whole number in it that was too large to be read exactly. What has no more than 64
/// bits is exact; past that, digits are lost.
fn is_rounded(value: &Value) -> bool {
    match value {
        Value::Number(number) if number.is_f64() => number
            .as_f64()
            .is_some_and(|number| number.fract() == 0.0 && number.abs() > WHOLE_FLOAT_MAX),
        Value::Array(items) => items.iter().any(is_rounded),
        Value::Object(members) => members.values().any(is_rounded),
        _ => false,
    }
}

/// Whom a body says the agent talks to.
pub(super) fn person(body: &Members) -> Result<Option<Person>, Error> {
    let Some(given) = text(body, "user_identifier", usize::MAX)? else { return Ok(None) };
    let most = Person::BYTES_MAX;
    let wrong = || Error::bad(format!("user_identifier must have at most {most} bytes"));
    Person::new(&given).map(Some).ok_or_else(wrong)
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
    fn a_whole_number_is_kept_exactly_or_refused() {
        let take = |number: &str| {
            let body = format!(r#"{{"variables":{{"a":[{{"b":{number}}}]}}}}"#);
            variables(&Members::read(body.as_bytes()))
        };
        for exact in ["18446744073709551615", "-9223372036854775808", "9007199254740993", "0.1"] {
            let kept = take(exact).expect("taken").expect("given")["a"][0]["b"].to_string();
            assert_eq!(kept, exact);
        }
        assert!(take("9007199254740992.0").is_ok());
        for rounded in
            ["18446744073709551616", "-9223372036854775809", "12345678901234567890123", "1e300"]
        {
            assert_eq!(take(rounded), Err(Error::bad(NUMBER_ROUNDED)), "{rounded}");
        }
    }

    #[test]
    fn a_person_is_held_to_their_length() {
        let take = |value: &str| person(&body(&json!({ "user_identifier": value })));
        assert_eq!(take(" "), Ok(None));
        assert!(take(&"a".repeat(Person::BYTES_MAX)).is_ok_and(|person| person.is_some()));
        assert!(take(&"a".repeat(Person::BYTES_MAX + 1)).is_err());
        assert!(person(&body(&json!({ "user_identifier": 7 }))).is_err());
    }

    #[test]
    fn a_text_is_held_to_its_length() {
        let take = |value: Value| text(&body(&json!({ "provider": value })), "provider", 3);
        assert_eq!(take(json!("éé3")), Ok(Some("éé3".into())));
        assert!(take(json!("éé34")).is_err() && take(json!(3)).is_err());
        assert_eq!((take(json!(" ")), take(json!(null))), (Ok(None), Ok(None)));
    }
}
