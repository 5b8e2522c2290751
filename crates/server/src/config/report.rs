//! Collects everything that is wrong, so that an operator corrects it in one go.

use std::{collections::HashMap, fmt::Display, hash::Hash, ops::RangeInclusive};

use rust_decimal::Decimal;
use url::{Host, Url};

use super::path::KeyPath;

/// The longest identity, in characters.
pub const ID_CHARS_MAX: usize = 64;
/// The longest name, in characters.
pub const NAME_CHARS_MAX: usize = 200;

/// What is wrong so far.
#[derive(Debug, Default)]
pub struct Report {
    problems: Vec<(KeyPath, String)>,
}

impl Report {
    /// Notes that something is wrong with the key at `path`.
    pub fn fail(&mut self, path: KeyPath, text: impl Into<String>) {
        self.problems.push((path, text.into()));
    }

    /// Everything noted, in the order it was.
    pub fn into_problems(self) -> Vec<(KeyPath, String)> {
        self.problems
    }

    /// A number must lie within a range.
    pub fn within<T: PartialOrd + Display>(
        &mut self,
        path: KeyPath,
        value: &T,
        range: &RangeInclusive<T>,
    ) {
        if !range.contains(value) {
            let text = format!("is {value}; it must be {} to {}", range.start(), range.end());
            self.fail(path, text);
        }
    }

    /// An amount of money must not be negative.
    pub fn not_negative(&mut self, path: KeyPath, amount: Decimal) {
        if amount < Decimal::ZERO {
            self.fail(path, format!("is {amount}; it must not be negative"));
        }
    }

    /// An identity is short and made of characters that need no escaping anywhere.
    pub fn id(&mut self, path: KeyPath, id: &str) {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        if id.is_empty() || id.len() > ID_CHARS_MAX || !id.chars().all(fits) {
            let rule = "letters, digits, `_`, `-` and `.`";
            self.fail(path, format!("must have 1 to {ID_CHARS_MAX} characters of {rule}"));
        }
    }

    /// A name is there and not endless.
    pub fn name(&mut self, path: KeyPath, name: &str) {
        if name.trim().is_empty() || name.chars().count() > NAME_CHARS_MAX {
            self.fail(path, format!("must have 1 to {NAME_CHARS_MAX} characters"));
        }
    }

    /// A host without anything around it.
    pub fn host(&mut self, path: KeyPath, host: &str) {
        if host.chars().count() > NAME_CHARS_MAX || Host::parse(host).is_err() {
            self.fail(path, "must be a bare host, such as \"avatars.example.com\"");
        }
    }

    /// Each value appears once. `path` makes the way to an element from its position.
    pub fn unique<T: Eq + Hash + Display>(
        &mut self,
        values: impl IntoIterator<Item = T>,
        path: impl Fn(usize) -> KeyPath,
    ) {
        let mut first = HashMap::new();
        for (position, value) in values.into_iter().enumerate() {
            if let Some(earlier) = first.get(&value) {
                let text = format!("`{value}` is already used by {}", path(*earlier));
                self.fail(path(position), text);
            } else {
                first.insert(value, position);
            }
        }
    }

    /// The address of something we call: `https`, or `http` where that is allowed.
    pub fn called_url(&mut self, path: KeyPath, url: &Url, allow_http: bool) {
        match url.scheme() {
            "https" => {}
            "http" if allow_http => {}
            "http" => self.fail(
                path,
                "must be an https URL; http is for development, with \
                 security.allow_private_webhooks = true",
            ),
            other => self.fail(path, format!("must be an https URL, not {other}")),
        }
    }

    /// The address of a service the operator runs or has chosen: `http` or `https`.
    pub fn service_url(&mut self, path: KeyPath, url: &Url) {
        if !matches!(url.scheme(), "http" | "https") {
            self.fail(path, format!("must be an http or https URL, not {}", url.scheme()));
        }
    }
}
