//! How much a client may send, and how each part is held to it.

use epilogue_core::{Message, message::NewMessage};
use serde_json::{Map, Value};

use super::error::Problem;

/// How much of transcripts or documents one answer may hold, in bytes.
pub const ANSWER_BYTES_MAX: usize = 32 * 1024 * 1024;

/// How much an answer can still take.
pub(super) struct Room {
    left: Option<usize>,
}

impl Room {
    /// An answer that is empty.
    pub fn whole() -> Self {
        Self { left: None }
    }

    /// Whether the next part still fits. The first one always does, or nobody could ever see it.
    pub fn takes(&mut self, bytes: usize) -> bool {
        let fits = match self.left {
            None => Some(ANSWER_BYTES_MAX.saturating_sub(bytes)),
            Some(left) => left.checked_sub(bytes),
        };
        self.left = Some(fits.unwrap_or(0));
        fits.is_some()
    }
}

/// How much text a transcript holds.
pub(super) fn bytes_of(transcript: &[Message]) -> usize {
    let calls = |body: &NewMessage| -> usize {
        body.tool_calls.iter().map(|call| call.arguments.len()).sum()
    };
    transcript.iter().map(|message| message.body.content.len() + calls(&message.body)).sum()
}

/// The longest text of one message, in bytes.
pub const CONTENT_BYTES_MAX: usize = 32 * 1024;
/// The longest bag of prompt variables, in bytes of JSON.
pub const BAG_BYTES_MAX: usize = 64 * 1024;
/// How many levels a bag or an external id may have.
pub const DEPTH_MAX: usize = 32;
/// The longest external id, in bytes of JSON.
pub const EXTERNAL_ID_BYTES_MAX: usize = 4 * 1024;
/// The longest name of a channel, in characters.
pub const CHANNEL_CHARS_MAX: usize = 64;
/// The longest idempotency key, in characters.
pub const KEY_CHARS_MAX: usize = 128;
/// The longest note, in characters.
pub const NOTE_CHARS_MAX: usize = 4_000;
/// The least and the most seconds after which a quiet session ends.
pub const TTL_SECONDS: std::ops::RangeInclusive<i64> = 60..=86_400;

/// Holds a text to a length in characters.
pub(super) fn chars(name: &str, text: &str, max: usize) -> Result<(), Problem> {
    if text.chars().count() > max {
        return Err(Problem::field(name, format!("must have at most {max} characters")));
    }
    Ok(())
}

/// Holds a message's text to its length.
pub(super) fn content(name: &str, text: &str) -> Result<(), Problem> {
    if text.len() > CONTENT_BYTES_MAX {
        return Err(Problem::too_large(name, CONTENT_BYTES_MAX));
    }
    Ok(())
}

/// Holds an object to its length and depth.
pub(super) fn object(name: &str, members: &Map<String, Value>, max: usize) -> Result<(), Problem> {
    let depth = 1 + members.values().map(epilogue_core::variables::depth).max().unwrap_or(0);
    if depth > DEPTH_MAX {
        return Err(Problem::field(name, format!("must have at most {DEPTH_MAX} levels")));
    }
    // A map of JSON: it always serializes.
    let bytes = serde_json::to_string(members).map_or(0, |json| json.len());
    if bytes > max {
        return Err(Problem::too_large(name, max));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_takes_what_fits_and_always_its_first_part() {
        let mut room = Room::whole();
        assert!(room.takes(1) && room.takes(ANSWER_BYTES_MAX - 1), "to the last byte");
        assert!(!room.takes(1), "and not one more");
        let mut room = Room::whole();
        assert!(room.takes(ANSWER_BYTES_MAX + 1) && !room.takes(1));
        let mut room = Room::whole();
        assert!(room.takes(2) && !room.takes(ANSWER_BYTES_MAX - 1));
        assert!(!room.takes(1), "what comes after a gap is left out, too");
    }
}
