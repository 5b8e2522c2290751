//! Conversations in parts, small enough for a model to read with care.

use epilogue_core::{Message, Timestamp};

/// How many messages a part has.
const MESSAGES_MAX: usize = 40;

/// How long a part is, in characters. A message that is longer is a part of its own.
const CHARS_MAX: usize = 12_000;

/// How many messages before it a part is read with, so that "it" and "there" can be understood.
const CONTEXT_MAX: usize = 4;

/// A part of a conversation: what is read of its messages is what people see.
#[derive(Debug)]
pub(super) struct Chunk<'a> {
    /// The first message.
    pub from: u32,
    /// The message after the last.
    pub until: u32,
    /// When the last of it was said.
    pub at: Timestamp,
    /// What was said.
    pub said: Vec<&'a Message>,
    /// What was said just before, and has been read.
    pub before: Vec<&'a Message>,
}

impl<'a> Chunk<'a> {
    /// The part that begins with message number `from`. `None`: there is nothing more to be read.
    pub fn next(messages: &'a [Message], from: u32) -> Option<Self> {
        let start = from as usize;
        let visible = |message: &&&Message| message.body.is_visible();
        let (mut said, mut chars, mut end) = (Vec::new(), 0, start);
        for message in messages.get(start..)? {
            if message.body.is_visible() {
                chars += message.body.content.chars().count();
                let is_full = said.len() >= MESSAGES_MAX || chars > CHARS_MAX;
                if is_full && !said.is_empty() {
                    break;
                }
                said.push(message);
            }
            end += 1;
        }
        let at = said.last()?.body.at;
        let earlier: Vec<&Message> = messages[..start].iter().collect();
        let mut before: Vec<_> =
            earlier.iter().rev().filter(visible).take(CONTEXT_MAX).copied().collect();
        before.reverse();
        Some(Self { from, until: u32::try_from(end).unwrap_or(u32::MAX), at, said, before })
    }
}

#[cfg(test)]
mod tests {
    use epilogue_core::{Role, message::NewMessage};

    use super::*;

    fn message(seq: u32, role: Role, content: &str) -> Message {
        let at = Timestamp::from_millis(i64::from(seq));
        Message { seq, turn: 1, body: NewMessage::text(role, content, at) }
    }

    fn parts(messages: &[Message]) -> Vec<(u32, u32, usize, usize)> {
        let (mut parts, mut from) = (Vec::new(), 0);
        while let Some(chunk) = Chunk::next(messages, from) {
            from = chunk.until;
            parts.push((chunk.from, chunk.until, chunk.said.len(), chunk.before.len()));
        }
        parts
    }

    #[test]
    fn a_long_conversation_is_read_whole_each_message_once() {
        let all: Vec<_> = (0..5_000).map(|n| message(n, Role::User, "hello")).collect();
        let parts = parts(&all);
        assert_eq!(parts.len(), 125);
        assert_eq!((parts[0], parts[1]), ((0, 40, 40, 0), (40, 80, 40, 4)));
        assert_eq!(parts.iter().map(|part| part.2).sum::<usize>(), 5_000);
        assert!(parts.windows(2).all(|two| two[0].1 == two[1].0));
    }

    #[test]
    fn a_part_is_as_long_as_it_may_be_and_no_longer() {
        let half = "é".repeat(CHARS_MAX / 2);
        let fits = [message(0, Role::User, &half), message(1, Role::Assistant, &half)];
        assert_eq!(parts(&fits), [(0, 2, 2, 0)]);
        let one_more = [fits[0].clone(), fits[1].clone(), message(2, Role::User, "x")];
        assert_eq!(parts(&one_more), [(0, 2, 2, 0), (2, 3, 1, 2)]);
        let huge = [message(0, Role::User, &"x".repeat(3 * CHARS_MAX)), fits[0].clone()];
        assert_eq!(parts(&huge), [(0, 1, 1, 0), (1, 2, 1, 1)]);
    }

    #[test]
    fn what_nobody_sees_is_passed_over() {
        let all = [
            message(0, Role::Tool, "{}"),
            message(1, Role::User, "hello"),
            message(2, Role::System, "be brief"),
        ];
        assert_eq!(parts(&all), [(0, 3, 1, 0)]);
        assert_eq!(parts(&all[2..]), []);
        assert_eq!(parts(&[]), []);
        assert!(Chunk::next(&all, 9).is_none());
    }
}
