//! What clients were told: the promises that the checker holds the server to.

use std::fmt::Write as _;

/// Which API a session was opened through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Through {
    TalkifAi,
    Native,
}

/// A session whose open was acknowledged, and everything its client knows of it.
#[derive(Clone, Debug)]
pub struct SessionLog {
    pub through: Through,
    /// Its name in its API.
    pub name: String,
    pub agent: &'static str,
    pub person: Option<String>,
    pub turns: Vec<TurnLog>,
    /// An end was sent, whatever became of it.
    pub asked: bool,
    /// The reasons that acknowledged ends have told.
    pub ends: Vec<String>,
    /// An end was acknowledged by a 401: the session was over before.
    pub was_over: bool,
    /// The agent has said goodbye in an acknowledged turn.
    pub finished: bool,
}

/// A turn that a client has tried.
#[derive(Clone, Debug)]
pub struct TurnLog {
    pub message: String,
    /// The server has said that the message is taken.
    pub begun: bool,
    /// The whole reply, if the server has said that it is complete.
    pub reply: Option<String>,
}

/// Everything that clients were told.
#[derive(Default)]
pub struct Told {
    pub sessions: Vec<SessionLog>,
    /// Answers that no client should ever get.
    pub unexpected: Vec<String>,
    /// Requests that were not answered.
    pub lost: usize,
}

impl Told {
    /// Adds what one client was told.
    pub fn take(&mut self, other: Self) {
        self.sessions.extend(other.sessions);
        self.unexpected.extend(other.unexpected);
        self.lost += other.lost;
    }

    fn count(&self, of: impl Fn(&SessionLog) -> bool) -> usize {
        self.sessions.iter().filter(|session| of(session)).count()
    }

    fn turns(&self, of: impl Fn(&TurnLog) -> bool) -> usize {
        self.sessions.iter().flat_map(|session| &session.turns).filter(|turn| of(turn)).count()
    }

    /// What the run was made of.
    pub fn summary(&self) -> String {
        let mut text = String::new();
        for (what, count) in [
            ("opens acknowledged", self.sessions.len()),
            ("turns begun", self.turns(|turn| turn.begun)),
            ("turns completed", self.turns(|turn| turn.reply.is_some())),
            ("ends acknowledged", self.count(|session| !session.ends.is_empty())),
            ("ends asked in vain", self.count(|session| session.asked && session.ends.is_empty())),
            ("left to expire", self.count(|session| !session.asked)),
            ("finished by the agent", self.count(|session| session.finished)),
            ("requests lost", self.lost),
        ] {
            // Writing to a string does not fail.
            let _ = write!(text, "{what}: {count}; ");
        }
        text
    }

    /// A run in which nothing happened proves nothing. How much happens depends on the machine; this
    /// is far below what any has done.
    pub fn assert_that_it_was_a_test(&self, kills: usize) {
        let least = kills / 4;
        let acknowledged = self.count(|session| !session.ends.is_empty());
        assert!(acknowledged >= least, "only {acknowledged} ends were acknowledged");
        let completed = self.turns(|turn| turn.reply.is_some());
        assert!(completed >= least, "only {completed} turns were completed");
        assert!(self.lost >= least, "only {} requests were lost: nothing was hit", self.lost);
    }
}
