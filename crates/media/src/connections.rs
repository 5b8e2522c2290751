//! The live connections a session holds on this node.
//!
//! Whoever opens one (a peer, a socket) registers it and watches its handle; releasing a session
//! tells all of them to stop. Nothing is kept for a session that holds none.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use epilogue_core::SessionId;
use tokio_util::sync::CancellationToken;

type Held = HashMap<SessionId, HashMap<u64, CancellationToken>>;

/// The live connections of this node, by session.
#[derive(Clone, Default)]
pub struct Connections {
    shared: Arc<Mutex<(u64, Held)>>,
}

/// One live connection. Dropping it says that it has stopped.
pub struct Connection {
    session: SessionId,
    number: u64,
    stop: CancellationToken,
    connections: Connections,
}

impl Connections {
    /// Registers a connection of `session`.
    pub fn register(&self, session: SessionId) -> Connection {
        let stop = CancellationToken::new();
        let mut shared = self.lock();
        shared.0 += 1;
        let number = shared.0;
        shared.1.entry(session).or_default().insert(number, stop.clone());
        Connection { session, number, stop, connections: self.clone() }
    }

    /// Tells every connection of `session` to stop. Returns how many there were.
    pub fn release(&self, session: SessionId) -> usize {
        let held = self.lock().1.remove(&session).unwrap_or_default();
        held.values().for_each(CancellationToken::cancel);
        held.len()
    }

    fn lock(&self) -> MutexGuard<'_, (u64, Held)> {
        // A counter and handles: whole at every moment, whatever panicked meanwhile.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connection {
    /// Ready when the session has been released.
    pub async fn released(&self) {
        self.stop.cancelled().await;
    }

    /// Whether the session has been released.
    pub fn is_released(&self) -> bool {
        self.stop.is_cancelled()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let mut shared = self.connections.lock();
        if let Some(held) = shared.1.get_mut(&self.session) {
            held.remove(&self.number);
            if held.is_empty() {
                shared.1.remove(&self.session);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(number: u128) -> SessionId {
        SessionId(uuid::Uuid::from_u128(number))
    }

    #[test]
    fn a_release_stops_every_connection_of_its_session_and_no_other() {
        let connections = Connections::default();
        let mine = [connections.register(session(1)), connections.register(session(1))];
        let other = connections.register(session(2));
        assert_eq!(connections.release(session(1)), 2);
        assert!(mine.iter().all(Connection::is_released) && !other.is_released());
        assert_eq!(connections.release(session(1)), 0);
    }

    #[test]
    fn a_connection_that_has_stopped_is_forgotten() {
        let connections = Connections::default();
        drop(connections.register(session(1)));
        assert!(connections.lock().1.is_empty());
    }
}
