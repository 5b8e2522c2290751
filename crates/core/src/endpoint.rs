//! External endpoints: where a conversation comes from, such as a phone number behind a carrier. One
//! endpoint has one live session, so that a message always finds the conversation it belongs to.

use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};
use sha2::{Digest, Sha256};

/// What identifies an endpoint within a channel: the SHA-256 of its address in canonical form.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EndpointKey(String);

impl EndpointKey {
    /// The key of an address. Addresses that say the same have one key, however they are written.
    pub fn of(address: &Value) -> Self {
        let mut canonical = String::new();
        write(address, &mut canonical);
        Self(hex::encode(Sha256::digest(canonical)))
    }

    /// A key that was stored.
    pub fn stored(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The digest, in hexadecimal.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Writes JSON in its one form: keys sorted at every level, no whitespace, each number in one way.
/// Text stays text: `"1"` is not `1`.
fn write(value: &Value, out: &mut String) {
    match value {
        Value::Number(number) => out.push_str(&canonical_number(number)),
        Value::Array(items) => {
            out.push('[');
            for (place, item) in items.iter().enumerate() {
                if place > 0 {
                    out.push(',');
                }
                write(item, out);
            }
            out.push(']');
        }
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by_key(|(name, _)| *name);
            out.push('{');
            for (place, (name, member)) in members.into_iter().enumerate() {
                if place > 0 {
                    out.push(',');
                }
                out.push_str(&Value::from(name.as_str()).to_string());
                out.push(':');
                write(member, out);
            }
            out.push('}');
        }
        Value::Null | Value::Bool(_) | Value::String(_) => out.push_str(&value.to_string()),
    }
}

/// `1`, `1.0` and `1e0` are one number, and so are `0` and `-0.0`.
fn canonical_number(number: &Number) -> String {
    /// The first whole numbers past those that JSON numbers are kept in exactly.
    const PAST_U64: f64 = 18_446_744_073_709_551_616.0;
    const LEAST_I64: f64 = -9_223_372_036_854_775_808.0;
    let Some(float) = number.as_f64().filter(|_| number.is_f64()) else {
        return number.to_string();
    };
    let whole = float.fract() == 0.0;
    if whole && (0.0..PAST_U64).contains(&float) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in range")]
        return (float as u64).to_string();
    }
    if whole && (LEAST_I64..0.0).contains(&float) {
        #[expect(clippy::cast_possible_truncation, reason = "whole and in range")]
        return (float as i64).to_string();
    }
    number.to_string()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn key(text: &str) -> EndpointKey {
        EndpointKey::of(&serde_json::from_str(text).expect("JSON"))
    }

    #[test]
    fn what_says_the_same_is_one_endpoint() {
        let one = key(r#"{"from":"+1","to":{"a":1,"b":[0,null]}}"#);
        for same in [
            r#" { "to" : { "b" : [ 0 , null ] , "a" : 1 } , "from" : "+1" } "#,
            r#"{"from":"+1","to":{"a":1.0,"b":[-0.0,null]}}"#,
            r#"{"from":"\u002b1","to":{"a":1e0,"b":[0.0e7,null]}}"#,
            r#"{"from":"+1","to":{"a":10e-1,"b":[0,null]}}"#,
        ] {
            assert_eq!(key(same), one, "{same}");
        }
        assert_eq!(key("1e2"), key("100"));
        assert_eq!(key("18446744073709549568.0"), key("18446744073709549568"));
        assert_eq!(key("-9007199254740992.0"), key("-9007199254740992"));
        assert_eq!(key("0.30"), key("3e-1"));
    }

    #[test]
    fn what_differs_is_two_endpoints() {
        let different = [
            "1",
            "\"1\"",
            "1.5",
            "\"1.0\"",
            "null",
            "\"null\"",
            "[1]",
            "[1,1]",
            "[[1]]",
            "true",
            "{}",
            "[]",
            r#"{"a":1}"#,
            r#"{"a":"1"}"#,
            r#"{"A":1}"#,
            r#"{"a":1,"b":1}"#,
            "-1",
            "18446744073709551615",
            "18446744073709551616",
            "9007199254740993",
            "9007199254740992",
            r#"{"a":"b\",\"c\":\"d"}"#,
            r#"{"a":"b","c":"d"}"#,
        ];
        for (place, one) in different.iter().enumerate() {
            for other in &different[..place] {
                assert_ne!(key(one), key(other), "{one} and {other}");
            }
        }
    }

    /// Any JSON, with numbers of every form.
    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            (-1.0e20..1.0e20_f64).prop_map(Value::from),
            (-1_000_000..1_000_000_i32).prop_map(|n| Value::from(f64::from(n))),
            ".{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map(".{0,4}", inner, 0..4)
                    .prop_map(|members| members.into_iter().collect()),
            ]
        })
    }

    /// The same JSON, written otherwise: members in reverse, whole floats for whole numbers.
    fn otherwise(value: &Value) -> String {
        match value {
            Value::Array(items) => {
                let items: Vec<_> = items.iter().map(otherwise).collect();
                format!("[ {} ]", items.join(" , "))
            }
            Value::Object(members) => {
                let members: Vec<_> = members
                    .iter()
                    .rev()
                    .map(|(name, member)| format!("{} :\n{}", json!(name), otherwise(member)))
                    .collect();
                format!("{{ {} }}", members.join(" , "))
            }
            Value::Number(number) if number.as_i64().is_some_and(|n| n.abs() < 1 << 53) => {
                format!("{number}.0e0")
            }
            other => other.to_string(),
        }
    }

    proptest! {
        #[test]
        fn the_way_it_is_written_does_not_matter(value in any_json()) {
            prop_assert_eq!(key(&otherwise(&value)), EndpointKey::of(&value));
            prop_assert_eq!(key(&value.to_string()), EndpointKey::of(&value));
        }

        #[test]
        fn canonical_forms_read_back_to_themselves(value in any_json()) {
            let mut once = String::new();
            write(&value, &mut once);
            let mut twice = String::new();
            write(&serde_json::from_str(&once).expect("JSON"), &mut twice);
            prop_assert_eq!(once, twice);
        }

        #[test]
        fn another_member_is_another_endpoint(value in any_json()) {
            let wrapped = json!({ "a": value.clone() });
            let more = json!({ "a": value.clone(), "b": null });
            prop_assert_ne!(EndpointKey::of(&wrapped), EndpointKey::of(&more));
            prop_assert_ne!(EndpointKey::of(&wrapped), EndpointKey::of(&value));
        }
    }
}
