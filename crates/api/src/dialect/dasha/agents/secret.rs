//! The secrets in a document: hidden where it is shown, put back where it is sent back.

use std::fmt;

use serde_json::{Map, Value};
use url::Url;

use super::super::error::Problem;

/// What stands in the place of a secret. Sent back, it stands for the secret that is stored.
pub(super) const MASK: &str = "********";

/// Members that are secrets, wherever they stand and whatever they are.
const SECRETS: [&str; 4] = ["apiKey", "authToken", "password", "secret"];
/// Members that pair names with secrets, as an object or as a list: receivers know their callers by
/// them.
const PAIRS: [&str; 3] = ["headers", "customHeaders", "queryParams"];
/// Members that are addresses, in which a password may stand.
const ADDRESSES: [&str; 2] = ["url", "endpoint"];
/// What the items of lists are known by.
const NAMES: [&str; 2] = ["name", "key"];
/// The member that describes a tool's arguments to the model: what looks like a secret's name there
/// is an argument's.
const SCHEMA: &str = "schema";

/// What a part of a document is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Plain,
    Secret,
    Pairs,
    Address,
}

impl Kind {
    fn of(member: &str) -> Self {
        let among = |names: &[&str]| names.iter().any(|name| name.eq_ignore_ascii_case(member));
        if among(&SECRETS) {
            Self::Secret
        } else if among(&PAIRS) {
            Self::Pairs
        } else if among(&ADDRESSES) {
            Self::Address
        } else {
            Self::Plain
        }
    }
}

/// The way to a part.
#[derive(Clone, Copy)]
enum Way<'a> {
    Root,
    Member(&'a Self, &'a str),
    Item(&'a Self, usize),
}

impl fmt::Display for Way<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Member(Self::Root, name) => f.write_str(name),
            Self::Member(before, name) => write!(f, "{before}.{name}"),
            Self::Item(before, place) => write!(f, "{before}[{place}]"),
        }
    }
}

/// Hides every secret. Nothing stays nothing, so that a client sees that there is no secret.
pub(in super::super) fn mask(document: &mut Value) {
    // Hiding refuses nothing.
    let _ = walk(Way::Root, document, None, Kind::Plain, &|_, value, _, kind| {
        hide(value, kind);
        Ok(())
    });
}

/// Puts stored secrets back where the mask stands for them.
pub(super) fn unmask(
    document: Map<String, Value>,
    stored: &Map<String, Value>,
) -> Result<Map<String, Value>, Problem> {
    let (mut document, stored) = (Value::from(document), Value::from(stored.clone()));
    walk(Way::Root, &mut document, Some(&stored), Kind::Plain, &restore)?;
    match document {
        Value::Object(document) => Ok(document),
        _ => Ok(Map::new()),
    }
}

/// What is done with a part that may be or hold a secret, given what is stored in its place.
type Act<'a> = &'a dyn Fn(Way<'_>, &mut Value, Option<&Value>, Kind) -> Result<(), Problem>;

/// Comes to every part that is or holds a secret. Both directions walk this way, so that what the
/// one hides the other knows.
fn walk(
    way: Way<'_>,
    value: &mut Value,
    stored: Option<&Value>,
    kind: Kind,
    act: Act<'_>,
) -> Result<(), Problem> {
    match (kind, value) {
        (Kind::Plain | Kind::Address, Value::Array(items)) => {
            each(way, items, stored, |way, item, known| walk(way, item, known, Kind::Plain, act))
        }
        (Kind::Plain | Kind::Address, Value::Object(members)) => {
            for (name, member) in members.iter_mut().filter(|(name, _)| *name != SCHEMA) {
                let known = stored.and_then(|stored| stored.get(name));
                walk(Way::Member(&way, name), member, known, Kind::of(name), act)?;
            }
            Ok(())
        }
        (Kind::Plain, _) => Ok(()),
        (Kind::Pairs, Value::Object(pairs)) => values(way, pairs, stored, act),
        (Kind::Pairs, Value::Array(items)) => {
            each(way, items, stored, |way, item, known| match item {
                Value::Object(pair) => values(way, pair, known, act),
                item => act(way, item, known, Kind::Secret),
            })
        }
        (Kind::Pairs, value) => act(way, value, stored, Kind::Secret),
        (Kind::Secret | Kind::Address, value) => act(way, value, stored, kind),
    }
}

/// Every item of a list, with the stored one that it follows: the one of the same name, or in the
/// same place.
fn each(
    way: Way<'_>,
    items: &mut [Value],
    stored: Option<&Value>,
    visit: impl Fn(Way<'_>, &mut Value, Option<&Value>) -> Result<(), Problem>,
) -> Result<(), Problem> {
    for (place, item) in items.iter_mut().enumerate() {
        let known = stored.and_then(|stored| counterpart(stored, place, item));
        visit(Way::Item(&way, place), item, known)?;
    }
    Ok(())
}

fn counterpart<'a>(stored: &'a Value, place: usize, item: &Value) -> Option<&'a Value> {
    let stored = stored.as_array()?;
    match NAMES.iter().find(|name| item.get(name).is_some()) {
        Some(name) => stored.iter().find(|known| known.get(name) == item.get(name)),
        None => stored.get(place),
    }
}

/// The values beside names.
fn values(
    way: Way<'_>,
    pairs: &mut Map<String, Value>,
    stored: Option<&Value>,
    act: Act<'_>,
) -> Result<(), Problem> {
    let in_list = matches!(way, Way::Item(..));
    for (name, value) in pairs {
        if !(in_list && NAMES.contains(&name.as_str())) {
            let known = stored.and_then(|stored| stored.get(name));
            act(Way::Member(&way, name), value, known, Kind::Secret)?;
        }
    }
    Ok(())
}

fn hide(value: &mut Value, kind: Kind) {
    if kind == Kind::Address {
        if let Value::String(text) = value
            && let Some(masked) = without_password(text)
        {
            *text = masked;
        }
        return;
    }
    let is_nothing = match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    };
    if !is_nothing {
        *value = MASK.into();
    }
}

fn restore(
    way: Way<'_>,
    value: &mut Value,
    stored: Option<&Value>,
    kind: Kind,
) -> Result<(), Problem> {
    let Value::String(text) = value else { return Ok(()) };
    let known = match kind {
        Kind::Address => match password_of(text) {
            Some(password) if password == MASK => {
                stored.and_then(Value::as_str).and_then(|stored| with_password_of(stored, text))
            }
            _ => return Ok(()),
        },
        _ if text == MASK => stored.filter(|stored| !stored.is_null()).cloned(),
        _ => return Ok(()),
    };
    let nothing = || "is the mask of a secret, and there is none stored";
    *value = known.ok_or_else(|| Problem::field(way.to_string(), nothing()))?;
    Ok(())
}

fn password_of(address: &str) -> Option<String> {
    Url::parse(address.trim()).ok()?.password().map(str::to_owned)
}

/// The address with the mask for its password. `None`: it has none.
fn without_password(address: &str) -> Option<String> {
    let mut url = Url::parse(address.trim()).ok()?;
    url.password()?;
    url.set_password(Some(MASK)).ok()?;
    Some(url.into())
}

/// A masked address with the password of the stored one; the stored one itself if nothing else
/// differs.
fn with_password_of(stored: &str, masked: &str) -> Option<Value> {
    if without_password(stored)? == masked {
        return Some(stored.into());
    }
    let mut url = Url::parse(masked.trim()).ok()?;
    url.set_password(Some(&password_of(stored)?)).ok()?;
    Some(String::from(url).into())
}
