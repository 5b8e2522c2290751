//! A conversation on its way to a memory service of its own, which takes what it is given into a
//! queue, says so, and may lose it all the same. Each person has a lane: one conversation after the
//! other, one message after the other.

use crate::{
    id::{NodeId, OrgId, SessionId},
    person::MemoryScope,
    time::{Span, Timestamp},
};

/// How soon the service is looked at again after it has accepted a message, at the least. A look costs the
/// official server about as much as a message costs it beside its model.
pub const LOOK_MIN: Span = Span::from_secs(1);

/// And at the most, however long it has taken already.
pub const LOOK_MAX: Span = Span::from_secs(15);

/// How long a conversation stands in its lane before anybody begins with it, at the least: whatever
/// ended before it, and is put there at the same time, goes first.
pub const GATHER: Span = Span::from_secs(1);

/// A conversation in its person's lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    /// The tenant.
    pub org: OrgId,
    /// The conversation. It stands in one lane, once.
    pub session: SessionId,
    /// The lane: whose memory, of whom.
    pub scope: MemoryScope,
    /// When it ended, which is its place in the lane.
    pub ended_at: Timestamp,
    /// Where it stands.
    pub state: UploadState,
    /// How far it has come.
    pub progress: Progress,
    /// How often it has been claimed. Also the fencing token: only the latest claim may report.
    pub attempt: u32,
    /// How many attempts failed since a message was last found in the service.
    pub failures: u32,
    /// When it was put into its lane.
    pub queued_at: Timestamp,
    /// What was last said about it. Never message text.
    pub detail: String,
}

/// How far an upload has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// How many of its messages have been found in the service: the first ones.
    pub confirmed: u32,
    /// When the next one was sent, if it may have been accepted. Written before it is sent, so that
    /// nobody forgets that it may come.
    pub sent_at: Option<Timestamp>,
    /// How many were accepted and did not come, over all.
    pub lost: u32,
}

/// Where an upload stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UploadState {
    /// Another of its lane comes first.
    Waiting,
    /// To be gone on with from then on.
    Owed {
        /// When it is due.
        due_at: Timestamp,
    },
    /// A node is at it.
    Leased {
        /// Which.
        node: NodeId,
        /// Until when the node is believed.
        until: Timestamp,
    },
    /// All of it has been found in the service.
    Done {
        /// When.
        at: Timestamp,
    },
    /// Given up on, visibly, until someone resumes it.
    Parked {
        /// When.
        at: Timestamp,
    },
    /// The person was forgotten before it was through.
    Dropped {
        /// When.
        at: Timestamp,
    },
}

impl UploadState {
    /// The stored word.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Owed { .. } => "owed",
            Self::Leased { .. } => "leased",
            Self::Done { .. } => "done",
            Self::Parked { .. } => "parked",
            Self::Dropped { .. } => "dropped",
        }
    }
}

/// What to do about the next message, when the service has just been read and it is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// It was never sent, or counts as lost and may be sent again.
    Send,
    /// It may still be in the service's queue. Look again then.
    LookAgain(Timestamp),
    /// It was accepted and has not come for as long as anybody would wait.
    Lost,
}

impl Progress {
    /// What to do about the next message, which the service does not show.
    pub fn next_move(&self, patience: Span, now: Timestamp) -> Move {
        let Some(sent_at) = self.sent_at else { return Move::Send };
        let waited = now.since(sent_at);
        if waited >= patience {
            return Move::Lost;
        }
        // Ever less often: a service that takes minutes is not asked four times a second.
        let wait = Span::from_millis(waited.as_millis() / 4).clamp(LOOK_MIN, LOOK_MAX);
        Move::LookAgain((now + wait).min(sent_at + patience))
    }

    /// `count` more messages were found.
    #[must_use]
    pub fn found(self, count: u32) -> Self {
        if count == 0 {
            return self;
        }
        Self { confirmed: self.confirmed + count, sent_at: None, ..self }
    }

    /// The next message counts as lost.
    #[must_use]
    pub fn without_the_lost(self) -> Self {
        Self { sent_at: None, lost: self.lost + 1, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);
    const PATIENCE: Span = Span::from_secs(300);

    fn sent(ago: Span) -> Progress {
        let at = Timestamp::from_millis(
            NOW.as_millis() - i64::try_from(ago.as_millis()).expect("short"),
        );
        Progress { sent_at: Some(at), ..Progress::default() }
    }

    #[test]
    fn what_was_never_sent_is_sent() {
        assert_eq!(Progress::default().next_move(PATIENCE, NOW), Move::Send);
    }

    #[test]
    fn what_was_sent_is_waited_for_ever_less_often_and_to_the_limit() {
        let next = |millis| sent(Span::from_millis(millis)).next_move(PATIENCE, NOW);
        assert_eq!(next(0), Move::LookAgain(NOW + LOOK_MIN));
        assert_eq!(next(8_000), Move::LookAgain(NOW + Span::from_secs(2)));
        assert_eq!(next(200_000), Move::LookAgain(NOW + LOOK_MAX));
        assert_eq!(next(299_999), Move::LookAgain(NOW + Span::from_millis(1)));
        assert_eq!(next(300_000), Move::Lost);
    }

    #[test]
    fn what_is_found_or_lost_is_not_on_its_way_any_more() {
        let under_way = Progress { confirmed: 3, lost: 1, ..sent(Span::ZERO) };
        assert_eq!(under_way.found(0), under_way);
        assert_eq!(under_way.found(2), Progress { confirmed: 5, sent_at: None, lost: 1 });
        let lost = Progress { confirmed: 3, sent_at: None, lost: 2 };
        assert_eq!(under_way.without_the_lost(), lost);
    }
}
