//! A conversation as it is told to Graphiti: each message under a name and at a time of its own.

use epilogue_core::{Message, Role, SessionId, Span, Timestamp, memory::redact};

/// The longest text that is sent as one message, in characters. A longer one is sent in parts: the
/// server gives each whole to its model, several times.
pub const PIECE_CHARS_MAX: usize = 8_000;

/// The least time between two messages. The server keeps no order but that of their times.
const APART: Span = Span::from_millis(1);

/// One message, or a part of a long one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// What we know it by again. The server has no other key that could tell a repeat.
    pub name: String,
    pub role: Role,
    pub text: String,
    pub at: Timestamp,
}

/// What both sides said, in order: the same pieces each time it is asked for. Tools and instructions
/// are left out, of which the server refuses the former, and what is never remembered.
pub(super) fn pieces(session: SessionId, messages: &[Message]) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    for message in messages.iter().filter(|message| message.body.is_visible()) {
        let text = readable(&redact(&message.body.content));
        for (part, text) in (0_u32..).zip(parts(&text)) {
            let earliest = pieces.last().map(|last| last.at + APART);
            pieces.push(Piece {
                name: format!("{session}.{}.{part}", message.seq),
                role: message.body.role,
                text: text.to_owned(),
                at: earliest.map_or(message.body.at, |earliest| earliest.max(message.body.at)),
            });
        }
    }
    pieces
}

/// The conversation that a piece belongs to, by its name.
pub(super) fn session_of(name: &str) -> Option<SessionId> {
    let (session, _) = name.split_once('.')?;
    uuid::Uuid::parse_str(session).ok().map(SessionId)
}

/// Without characters that a database may end a text at, or fail on, and with it the server's queue.
fn readable(text: &str) -> String {
    let plain = |c: char| if c.is_control() && c != '\n' && c != '\t' { ' ' } else { c };
    text.chars().map(plain).collect()
}

/// A text in parts that can be sent.
fn parts(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.trim().is_empty() {
            return None;
        }
        let end = rest.char_indices().nth(PIECE_CHARS_MAX).map_or(rest.len(), |(at, _)| at);
        let (part, after) = rest.split_at(end);
        rest = after;
        Some(part)
    })
}

#[cfg(test)]
mod tests {
    use epilogue_core::message::NewMessage;

    use super::*;

    const SESSION: SessionId = SessionId(uuid::Uuid::nil());

    fn told(said: &[(Role, &str)]) -> Vec<Piece> {
        let messages = said.iter().zip(0..).map(|((role, text), seq)| Message {
            seq,
            turn: 1,
            body: NewMessage::text(*role, *text, Timestamp::from_millis(1_000)),
        });
        pieces(SESSION, &messages.collect::<Vec<_>>())
    }

    #[test]
    fn each_side_is_told_in_order_under_names_and_at_times_of_its_own() {
        let told = told(&[
            (Role::Assistant, "Hello!"),
            (Role::System, "Be brief."),
            (Role::User, "I live in Ulm."),
            (Role::Tool, "{}"),
            (Role::User, " \n"),
        ]);
        let shown = |piece: &Piece| (piece.name[37..].to_owned(), piece.at.as_millis());
        let expected = [("0.0".to_owned(), 1_000), ("2.0".to_owned(), 1_001)];
        assert_eq!(told.iter().map(shown).collect::<Vec<_>>(), expected);
        assert_eq!(session_of(&told[1].name), Some(SESSION));
        assert_eq!(session_of("another.0"), None);
    }

    #[test]
    fn length_at_the_limit_and_one_past_it() {
        let at = |chars: usize| told(&[(Role::User, &"é".repeat(chars))]);
        assert_eq!(at(PIECE_CHARS_MAX).len(), 1);
        let two = at(PIECE_CHARS_MAX + 1);
        assert_eq!(
            two.iter().map(|piece| piece.text.chars().count()).collect::<Vec<_>>(),
            [PIECE_CHARS_MAX, 1]
        );
        assert_ne!(two[0].name, two[1].name);
    }

    #[test]
    fn what_is_never_remembered_is_not_sent() {
        let sent = &told(&[(Role::User, "Charge 4111 1111 1111 1111, please.")])[0].text;
        assert!(!sent.contains("4111"), "{sent}");
    }

    #[test]
    fn no_character_ends_a_text_early() {
        assert_eq!(told(&[(Role::User, "a\0b\u{1b}c\r\nd\te")])[0].text, "a b c \nd\te");
    }
}
