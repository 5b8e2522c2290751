//! What an avatar is still to say: turn after turn, each in the order of its parts. Nothing here waits or
//! speaks.

use std::collections::VecDeque;

use epilogue_core::{Span, Timestamp};

use crate::media::Clip;

/// How many parts may wait to be said in one session.
pub const PARTS_WAITING_MAX: usize = 128;
/// How much sound of the caller's own may wait to be said in one session.
pub const SOUND_WAITING_MAX: Span = Span::from_secs(10 * 60);
/// How many interrupted turns are remembered: what still comes of them is passed over.
pub const INTERRUPTED_MAX: usize = 256;
/// How long the next turn waits for more of one that is open.
pub const TURN_PATIENCE: Span = Span::from_secs(3);

/// A part of a turn.
#[derive(Clone, Debug)]
pub enum Part {
    /// Words, still to be spoken.
    Words(String),
    /// Sound that the caller brought.
    Recording(Clip),
}

impl Part {
    fn sound_ms(&self) -> u64 {
        match self {
            Self::Words(_) => 0,
            Self::Recording(clip) => clip.lasts().as_millis(),
        }
    }
}

/// What became of something that is to be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Queued {
    /// It waits for its moment.
    Waiting,
    /// Its turn was interrupted: nothing will be heard of it.
    PassedOver,
    /// There is no room.
    Full,
}

/// A turn, in the words of whoever speaks.
#[derive(Debug)]
struct Turn {
    id: String,
    parts: VecDeque<Part>,
    is_open: bool,
    last_at: Timestamp,
    /// Its number in the transcript, once something of it is there.
    number: Option<u32>,
}

/// What is to be said next.
#[derive(Debug)]
pub enum Next {
    /// This, as part of this turn, which has this number if it has been heard before.
    Part(String, Part, Option<u32>),
    /// Nothing before that moment, unless more comes.
    WaitUntil(Timestamp),
    /// Nothing, until more comes.
    Nothing,
}

/// Everything that is still to be said in one session.
#[derive(Debug, Default)]
pub struct Line {
    turns: VecDeque<Turn>,
    interrupted: VecDeque<String>,
    /// The turn that was heard last.
    heard: Option<String>,
    interruptions: u64,
}

impl Line {
    /// Adds parts, all or none. What comes of a new turn waits behind all turns before it.
    pub fn push(&mut self, id: &str, added: Vec<Part>, is_final: bool, now: Timestamp) -> Queued {
        if self.interrupted.iter().any(|known| known == id) {
            return Queued::PassedOver;
        }
        let parts = || self.turns.iter().flat_map(|turn| &turn.parts).chain(&added);
        let sound = parts().map(Part::sound_ms).fold(0, u64::saturating_add);
        if parts().count() > PARTS_WAITING_MAX || sound > SOUND_WAITING_MAX.as_millis() {
            return Queued::Full;
        }
        let turn = self.turn(id, now);
        turn.parts.extend(added);
        (turn.is_open, turn.last_at) = (!is_final, now);
        Queued::Waiting
    }

    /// Says that nothing more comes of a turn. Whether it was known.
    pub fn close(&mut self, id: &str) -> bool {
        let turn = self.turns.iter_mut().find(|turn| turn.id == id);
        turn.map(|turn| turn.is_open = false).is_some()
            || self.interrupted.iter().any(|known| known == id)
    }

    fn turn(&mut self, id: &str, now: Timestamp) -> &mut Turn {
        let place = self.turns.iter().position(|turn| turn.id == id).unwrap_or(self.turns.len());
        if place == self.turns.len() {
            self.turns.push_back(Turn {
                id: id.to_owned(),
                parts: VecDeque::new(),
                is_open: true,
                last_at: now,
                number: None,
            });
        }
        &mut self.turns[place]
    }

    /// Takes what is to be said next.
    pub fn next(&mut self, now: Timestamp) -> Next {
        while let Some(turn) = self.turns.front_mut() {
            if let Some(part) = turn.parts.pop_front() {
                self.heard = Some(turn.id.clone());
                return Next::Part(turn.id.clone(), part, turn.number);
            }
            let patient_until = turn.last_at + TURN_PATIENCE;
            if turn.is_open && now < patient_until {
                return Next::WaitUntil(patient_until);
            }
            self.turns.pop_front();
        }
        Next::Nothing
    }

    /// Notes under which number a turn stands in the transcript.
    pub fn number(&mut self, id: &str, number: u32) {
        if let Some(turn) = self.turns.iter_mut().find(|turn| turn.id == id) {
            turn.number = Some(number);
        }
    }

    /// How many parts wait to be said.
    pub fn parts(&self) -> usize {
        self.turns.iter().map(|turn| turn.parts.len()).sum()
    }

    /// How often it was interrupted.
    pub const fn interruptions(&self) -> u64 {
        self.interruptions
    }

    /// Forgets all that was still to be said. `is_heard`: something is being said at this moment.
    pub fn interrupt(&mut self, is_heard: bool) {
        self.interruptions += 1;
        let heard = self.heard.take().filter(|_| is_heard);
        let turns = self.turns.drain(..).map(|turn| turn.id).chain(heard).collect::<Vec<_>>();
        for id in turns {
            if self.interrupted.iter().all(|known| *known != id) {
                self.interrupted.push_back(id);
            }
        }
        let surplus = self.interrupted.len().saturating_sub(INTERRUPTED_MAX);
        self.interrupted.drain(..surplus);
    }
}

#[cfg(test)]
#[path = "line_tests.rs"]
mod tests;
