//! Which sessions are shown now: only they may use the relay. The hall writes it, the relay reads it.

use std::{
    collections::HashSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

use epilogue_core::SessionId;
use tokio::sync::Notify;

/// The sessions that are shown now.
#[derive(Debug, Default)]
pub struct Guests {
    shown: Mutex<HashSet<SessionId>>,
    left: Notify,
}

impl Guests {
    /// A session is shown from now on.
    pub fn enter(&self, session: SessionId) {
        self.lock().insert(session);
    }

    /// A session is not shown any more: its credentials are worth nothing at once.
    pub fn leave(&self, session: SessionId) {
        self.lock().remove(&session);
    }

    /// Nobody is shown any more.
    pub fn leave_all(&self) {
        self.lock().clear();
    }

    /// Whether a session is shown.
    pub fn has(&self, session: SessionId) -> bool {
        self.lock().contains(&session)
    }

    /// Has the relay look who is not there any more, once all that was sent to them before is under way.
    pub fn tell(&self) {
        self.left.notify_one();
    }

    /// Ready when [`Guests::tell`] was called.
    pub(super) async fn told(&self) {
        self.left.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<SessionId>> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
