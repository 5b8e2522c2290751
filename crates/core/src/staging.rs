//! How an avatar appears in one session: what it looks and sounds like.

use serde::{Deserialize, Serialize};

/// The longest message that what is said in one turn goes on with, in bytes. What is more is another.
pub const SAID_BYTES_MAX: usize = 64 * 1024;

/// What was chosen when the session was opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Staging {
    /// The avatar, as the stage calls it.
    pub avatar: String,
    /// Whose voice, in the words of whoever speaks. `None`: as configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub voice: Option<String>,
    /// How fast it speaks, in hundredths of the voice's own pace. `None`: as configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pace_percent: Option<u16>,
}

impl Staging {
    /// How fast it speaks; 1 is the voice's own pace.
    pub fn pace(&self) -> Option<f64> {
        self.pace_percent.map(|percent| f64::from(percent) / 100.0)
    }
}

/// What was said before, and what follows it in the same breath. Words that come in parts are not
/// run together.
pub fn joined(before: &str, after: &str) -> String {
    let parted = before.is_empty()
        || after.is_empty()
        || before.ends_with(char::is_whitespace)
        || after.starts_with(char::is_whitespace);
    if parted { format!("{before}{after}") } else { format!("{before} {after}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_what_is_said_are_joined_by_one_space_at_least() {
        for (before, after, whole) in [
            ("Hello,", "world.", "Hello, world."),
            ("Hello, ", "world.", "Hello, world."),
            ("Hello,", "\nworld.", "Hello,\nworld."),
            ("", "world.", "world."),
            ("Hello,", "", "Hello,"),
        ] {
            assert_eq!(joined(before, after), whole);
        }
    }

    #[test]
    fn a_pace_is_kept_in_hundredths() {
        let staging: Staging =
            serde_json::from_value(serde_json::json!({ "avatar": "a", "pace_percent": 150 }))
                .expect("reads");
        assert_eq!((staging.pace(), staging.voice), (Some(1.5), None));
    }
}
