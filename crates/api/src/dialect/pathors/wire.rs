//! Reading requests and writing times. Bodies are JSON of whatever content type.

use std::fmt;

use axum::extract::{FromRequest, Request};
use epilogue_core::Timestamp;
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::{Map, Value, value::RawValue};

use super::error::Error;
use crate::{Api, body};

/// What a body has in it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Members {
    /// Nothing.
    Nothing,
    /// A JSON object of these. One that is there twice, or that cannot be read, is null.
    Of(Map<String, Value>),
    /// Something that is no JSON object.
    Other,
}

/// What keeps a member of a JSON object from being taken as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It is there more than once.
    Doubled,
    /// It is JSON, and nothing that has a value here: levels without end, or numbers past all bounds.
    Beyond,
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        Self::bad(match fault {
            Fault::Doubled => "The body names a member more than once",
            Fault::Beyond => "The body has more levels, or larger numbers, than can be read",
        })
    }
}

impl Members {
    /// What there is to read.
    #[cfg(test)]
    pub fn read(bytes: &[u8]) -> Self {
        Self::read_all(bytes).0
    }

    /// What there is to read, and what is wrong with part of it.
    fn read_all(bytes: &[u8]) -> (Self, Option<Fault>) {
        // Some editors and clients begin every text so.
        let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
        if bytes.trim_ascii().is_empty() {
            return (Self::Nothing, None);
        }
        let Ok(Raw(all)) = serde_json::from_slice(bytes) else { return (Self::Other, None) };
        let (mut members, mut fault) = (Map::new(), None);
        for (name, raw) in all {
            let read = serde_json::from_str(raw.get()).map_err(|_| Fault::Beyond);
            let read = if members.contains_key(&name) { Err(Fault::Doubled) } else { read };
            fault = fault.or(read.as_ref().err().copied());
            members.insert(name, read.unwrap_or_default());
        }
        (Self::Of(members), fault)
    }

    /// Whether a member may stand elsewhere, for it is not here, and nothing is wrong with what is.
    pub fn lacks(&self, name: &str) -> bool {
        match self {
            Self::Nothing => true,
            Self::Of(members) => !members.contains_key(name),
            Self::Other => false,
        }
    }

    /// All members, if it is an object.
    pub fn members(&self) -> Option<&Map<String, Value>> {
        match self {
            Self::Of(members) => Some(members),
            Self::Nothing | Self::Other => None,
        }
    }

    /// A member that is there and not null.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.members()?.get(name).filter(|value| !value.is_null())
    }
}

/// The members of an object as they are written, each as often as it is.
struct Raw(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Raw;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Raw, A::Error> {
                let mut all = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    all.push(entry);
                }
                Ok(Raw(all))
            }
        }
        from.deserialize_map(Object)
    }
}

impl FromRequest<Api> for Members {
    type Rejection = Error;

    async fn from_request(request: Request, api: &Api) -> Result<Self, Error> {
        let bytes = body::read(api, request.into_body()).await?;
        let (members, fault) = Self::read_all(&bytes);
        fault.map_or(Ok(members), |fault| Err(fault.into()))
    }
}

/// What a body has in it, for whoever wants one member and does not mind the others.
#[derive(Clone, Debug)]
pub(super) struct AnyMembers(pub Members);

impl FromRequest<Api> for AnyMembers {
    type Rejection = Error;

    async fn from_request(request: Request, api: &Api) -> Result<Self, Error> {
        let bytes = body::read(api, request.into_body()).await?;
        Ok(Self(Members::read_all(&bytes).0))
    }
}

/// A time as this API writes it: ISO 8601, UTC, always with milliseconds.
pub(super) fn time(at: Timestamp) -> String {
    at.to_jiff().strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_object_is_read_member_by_member() {
        let read = |text: &str| Members::read_all(text.as_bytes());
        let deep = format!(r#"{{"a":1,"b":{}1{}}}"#, "[".repeat(500), "]".repeat(500));
        let of = |value: Value| Members::Of(value.as_object().expect("an object").clone());
        for (text, members, fault) in [
            (r#"{"a":1}"#, json!({ "a": 1 }), None),
            ("\u{feff}{\"a\":1}", json!({ "a": 1 }), None),
            (r#"{"a":1,"a":2}"#, json!({ "a": null }), Some(Fault::Doubled)),
            (r#"{"a":1,"b":1e400}"#, json!({ "a": 1, "b": null }), Some(Fault::Beyond)),
            (&deep, json!({ "a": 1, "b": null }), Some(Fault::Beyond)),
        ] {
            assert_eq!(read(text), (of(members), fault), "{text}");
        }
        for other in ["{", "[1]", "7", r#"{"a":1}{"a":1}"#, r#"{"a":}"#, "\u{feff}\u{feff}{}"] {
            assert_eq!(read(other), (Members::Other, None), "{other}");
        }
        assert_eq!(read(" \n"), (Members::Nothing, None));
    }
}
