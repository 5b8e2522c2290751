//! `[pathors]`: what that API announces to go.

use epilogue_api::dialect::pathors::{PathorsSettings, Sunset};
use serde::Deserialize;

use super::{path::KeyPath, report::Report};

/// `[pathors]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PathorsConfig {
    /// When older paths are announced to go, as an HTTP date; empty: they are not.
    pub path_sunset: String,
    /// When older kinds of keys are.
    pub key_sunset: String,
    /// Whether what is announced to go is refused from then on.
    pub refuse_legacy: bool,
}

impl PathorsConfig {
    /// The settings of the API.
    pub fn settings(&self) -> PathorsSettings {
        PathorsSettings {
            path_sunset: Sunset::parse(&self.path_sunset),
            key_sunset: Sunset::parse(&self.key_sunset),
            refuse_legacy: self.refuse_legacy,
        }
    }

    pub(super) fn check(&self, at: &KeyPath, report: &mut Report) {
        for (key, text) in [("path_sunset", &self.path_sunset), ("key_sunset", &self.key_sunset)] {
            if !text.is_empty() && Sunset::parse(text).is_none() {
                let text =
                    "must be an HTTP date such as \"Sat, 11 Jul 2026 00:00:00 GMT\", or empty";
                report.fail(at.key(key), text);
            }
        }
    }
}
