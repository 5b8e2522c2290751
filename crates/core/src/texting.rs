//! Text messages: the accounts at carriers that bring and take them, the numbers they come to, and
//! each message on its way to an answer.

use serde_json::{Value, json};
use unicode_segmentation::UnicodeSegmentation as _;

use crate::{
    endpoint::EndpointKey,
    id::{AgentId, NodeId, OrgId, SessionId},
    time::Timestamp,
};

/// An organization's account at a carrier.
#[derive(Clone, Debug, PartialEq)]
pub struct CarrierAccount {
    /// Its identity, which nobody else's account has.
    pub id: String,
    /// What the carrier calls it. Unique within the organization.
    pub account: String,
    /// What its owner calls it.
    pub name: String,
    /// The account's secret, sealed: whoever reads the store learns nothing.
    pub secret: String,
    /// Everything else about it, in its owner's words.
    pub document: Value,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last written.
    pub updated_at: Timestamp,
}

/// A number that people write to.
#[derive(Clone, Debug, PartialEq)]
pub struct PhoneNumber {
    /// Its identity within the organization.
    pub id: String,
    /// The account it belongs to.
    pub carrier: String,
    /// The number itself. Unique within the organization.
    pub number: String,
    /// Who answers. `None`: nobody.
    pub agent: Option<AgentId>,
    /// Everything else about it, in its owner's words.
    pub document: Value,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last written.
    pub updated_at: Timestamp,
}

/// What names a message within its organization.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct InboundId {
    /// The account it came through.
    pub carrier: String,
    /// What the carrier calls it. A message that is brought again has the same name.
    pub message: String,
}

/// What the person wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// To say something, and be answered.
    Talk,
    /// To hear no more: the conversation ends, and nothing is sent.
    Leave,
}

impl Wish {
    /// The word it is stored as.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Talk => "talk",
            Self::Leave => "leave",
        }
    }

    /// The wish that is stored as this word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Talk, Self::Leave].into_iter().find(|wish| wish.as_str() == word)
    }
}

/// A message as it was brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inbound {
    /// Its name.
    pub id: InboundId,
    /// Whose number it came from.
    pub from: String,
    /// The number it came to.
    pub to: String,
    /// What was written.
    pub text: String,
    /// What is to be done with it.
    pub wish: Wish,
}

impl Inbound {
    /// The line it stands in: messages of one line are taken one at a time, in the order they came.
    pub fn line(&self) -> EndpointKey {
        EndpointKey::of(&json!({ "carrier": self.id.carrier, "from": self.from, "to": self.to }))
    }
}

/// Where a message stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InboundState {
    /// Others of its line come first.
    Waiting,
    /// It is to be taken from then on.
    Owed {
        /// When.
        due_at: Timestamp,
    },
    /// A node works on it.
    Leased {
        /// Which.
        node: NodeId,
        /// Until when it is believed.
        until: Timestamp,
    },
    /// It is answered, or needs no answer.
    Done {
        /// Since when.
        at: Timestamp,
    },
    /// It was given up on, until somebody resumes it.
    Parked {
        /// Since when.
        at: Timestamp,
    },
}

impl InboundState {
    /// Every word of [`Self::as_str`].
    pub const WORDS: [&'static str; 5] = ["waiting", "owed", "leased", "done", "parked"];

    /// The word it is stored and listed as.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Owed { .. } => "owed",
            Self::Leased { .. } => "leased",
            Self::Done { .. } => "done",
            Self::Parked { .. } => "parked",
        }
    }
}

/// A message on its way to an answer. What was said, and by whom, is only there until it is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboundMessage {
    /// The tenant.
    pub org: OrgId,
    /// The message.
    pub inbound: Inbound,
    /// When it was brought first.
    pub received_at: Timestamp,
    /// Where it stands.
    pub state: InboundState,
    /// How often it was claimed: the fencing token of whoever works on it.
    pub attempt: u32,
    /// How often an attempt failed since it was last owed afresh.
    pub failures: u32,
    /// The conversation it belongs to, once that is known.
    pub session: Option<SessionId>,
    /// The answer in the parts it is sent in, once it is known.
    pub reply: Option<Vec<String>>,
    /// How many of the parts the carrier has accepted.
    pub sent: u32,
    /// What was done last, or went wrong. Never message text.
    pub detail: String,
}

/// Cuts a text into parts of at most `max` UTF-16 units, at white space where there is some, else
/// between two letters as people see them. White space at a cut and around the whole is dropped;
/// whatever else was in the text is in the parts.
pub fn split(text: &str, max: usize) -> Vec<String> {
    let mut parts = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (part, after) = rest.split_at(cut(rest, max));
        parts.extend(Some(part.trim_end().to_owned()).filter(|part| !part.is_empty()));
        rest = after.trim_start();
    }
    parts
}

/// Where a text is cut so that what comes before has at most `max` UTF-16 units.
fn cut(text: &str, max: usize) -> usize {
    let Some(hard) = fits(text.grapheme_indices(true), max) else { return text.len() };
    if hard == 0 {
        // A single letter that is longer than a part: there is nowhere to cut but inside it.
        let first = text.chars().next().map_or(0, char::len_utf8);
        let chars = text.char_indices().map(|(at, c)| (at, &text[at..at + c.len_utf8()]));
        return fits(chars, max).unwrap_or(text.len()).max(first);
    }
    // White space right after what fits makes it fit whole.
    if text[hard..].starts_with(char::is_whitespace) {
        return hard;
    }
    let space = text[..hard].char_indices().rev().find(|(_, c)| c.is_whitespace());
    space.map_or(hard, |(at, c)| at + c.len_utf8())
}

/// Up to where pieces fit. `None`: all of them do.
fn fits<'a>(pieces: impl Iterator<Item = (usize, &'a str)>, max: usize) -> Option<usize> {
    let mut units = 0;
    for (at, piece) in pieces {
        units += piece.encode_utf16().count();
        if units > max {
            return Some(at);
        }
    }
    None
}

#[cfg(test)]
#[path = "texting_tests.rs"]
mod tests;
