//! The connection that keeps a session alive, where one does: a session that talks over a socket ends
//! a short while after the socket is gone, unless the client comes back.

use crate::{
    id::{ConnectionId, NodeId},
    session::{Ended, Session},
    time::{Span, Timestamp},
};

/// The connection of a session that lives by one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// Which connection has it, or had it last.
    pub id: ConnectionId,
    /// Who may take the session up again: a word the core compares and never interprets.
    pub holder: String,
    /// The node that serves the connection.
    pub node: NodeId,
    /// How long the session lives without a connection.
    pub grace: Span,
    /// Since when it is without. `None`: the connection stands.
    pub lost_at: Option<Timestamp>,
}

impl Connection {
    /// From when on nobody is waited for any more.
    pub fn given_up_at(&self) -> Option<Timestamp> {
        self.lost_at.map(|lost_at| lost_at + self.grace)
    }
}

/// What a session says to a connection that wants to take it up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttachVerdict {
    /// It is the connection's. One that stands so far has lost it.
    Attach,
    /// It has ended.
    Over(Ended),
    /// It does not live by a connection, or is somebody else's.
    NotYours,
}

impl Session {
    /// Decides whether a connection of `holder`'s may take the session up. Until the timer has ended
    /// it, a session that was given up is taken up like any other.
    pub fn may_attach(&self, holder: &str) -> AttachVerdict {
        let Some(_) = self.connection.as_ref().filter(|known| known.holder == holder) else {
            return AttachVerdict::NotYours;
        };
        self.ended().map_or(AttachVerdict::Attach, |ended| AttachVerdict::Over(ended.clone()))
    }

    /// Whether this connection has the session, as far as is known.
    pub fn is_held_by(&self, id: &ConnectionId) -> bool {
        let held = |connection: &Connection| connection.id == *id && connection.lost_at.is_none();
        self.connection.as_ref().is_some_and(held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        reason::{Deadline, DeadlineKind, EndCause, EndReason},
        session::{EndVerdict, SessionState, TurnInFlight, tests::session},
    };

    const LOST: Timestamp = Timestamp::from_millis(1_700_000_001_000);
    const GRACE: Span = Span::from_secs(15);

    fn connected(lost_at: Option<Timestamp>) -> Session {
        let (id, node) = ("c".into(), "n".into());
        let connection = Connection { id, holder: "token".into(), node, grace: GRACE, lost_at };
        Session { connection: Some(connection), ..session() }
    }

    #[test]
    fn a_session_without_its_connection_ends_after_the_grace_and_not_before() {
        let at = LOST + GRACE;
        let session = connected(Some(LOST));
        let deadline = Deadline { kind: DeadlineKind::Disconnected, at };
        assert_eq!(session.deadline(), Some(deadline));
        assert_eq!(
            session.end(&EndCause::Due, at - Span::from_millis(1)),
            EndVerdict::NotDue { due_at: Some(at) }
        );
        assert_eq!(
            session.end(&EndCause::Due, at),
            EndVerdict::End { reason: EndReason::Disconnected, deadline: Some(deadline) }
        );
        let standing = connected(None).deadline().map(|deadline| deadline.kind);
        assert_eq!(standing, Some(DeadlineKind::Idle), "one that stands ends nothing");
    }

    #[test]
    fn a_turn_in_flight_is_waited_for_before_the_session_is_given_up() {
        let lease_until = LOST + Span::from_secs(60);
        let turn = TurnInFlight { number: 1, node: "n".into(), lease_until };
        let state = SessionState::Active { turn: Some(turn) };
        let session = Session { state, ..connected(Some(LOST)) };
        assert_eq!(session.deadline().map(|deadline| deadline.at), Some(lease_until));
    }

    #[test]
    fn only_its_holder_takes_a_session_up_and_only_while_it_lives() {
        for lost_at in [None, Some(LOST)] {
            assert_eq!(connected(lost_at).may_attach("token"), AttachVerdict::Attach);
            assert_eq!(connected(lost_at).may_attach("another"), AttachVerdict::NotYours);
        }
        assert_eq!(session().may_attach("token"), AttachVerdict::NotYours);
        let (at, reason) = (LOST, EndReason::Disconnected);
        let ended = Ended { at, reason, deadline: None, cost: crate::MicroCredits::ZERO };
        let state = SessionState::Finalizing(ended.clone());
        let over = Session { state, ..connected(Some(LOST)) };
        assert_eq!(over.may_attach("token"), AttachVerdict::Over(ended));
        assert_eq!(over.may_attach("another"), AttachVerdict::NotYours);
    }

    #[test]
    fn a_connection_holds_a_session_until_it_is_lost_or_replaced() {
        assert!(connected(None).is_held_by(&"c".into()));
        assert!(!connected(None).is_held_by(&"d".into()));
        assert!(!connected(Some(LOST)).is_held_by(&"c".into()));
        assert!(!session().is_held_by(&"c".into()));
    }
}
