//! Which sessions are shown now: only they may use the relay. The hall writes it, the relay reads it.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use epilogue_core::SessionId;
use tokio::sync::Notify;

/// The sessions that are shown now, and those that are not any more and whose viewers are yet to be told.
#[derive(Debug, Default)]
pub struct Guests {
    all: Mutex<All>,
    left: Notify,
}

#[derive(Debug, Default)]
struct All {
    shown: HashSet<SessionId>,
    /// Until when they hear what is said to them.
    leaving: HashMap<SessionId, Instant>,
}

impl Guests {
    /// A session is shown from now on.
    pub fn enter(&self, session: SessionId) {
        let mut all = self.lock();
        all.leaving.remove(&session);
        all.shown.insert(session);
    }

    /// A session is not shown any more: its credentials are worth nothing at once. What it has it keeps
    /// until that moment, for its goodbye.
    pub fn leave(&self, session: SessionId, until: Instant) {
        let mut all = self.lock();
        if all.shown.remove(&session) {
            all.leaving.insert(session, until);
        }
    }

    /// Nobody is shown any more.
    pub fn leave_all(&self, until: Instant) {
        let mut all = self.lock();
        let All { shown, leaving } = &mut *all;
        leaving.extend(shown.drain().map(|session| (session, until)));
    }

    /// Whether a session is shown.
    pub fn has(&self, session: SessionId) -> bool {
        self.lock().shown.contains(&session)
    }

    /// Whether a session keeps what it has: it is shown, or is yet to hear its goodbye.
    pub(super) fn keeps(&self, session: SessionId) -> bool {
        let all = self.lock();
        all.shown.contains(&session) || all.leaving.contains_key(&session)
    }

    /// When [`Guests::part`] is due.
    pub(crate) fn wake(&self) -> Option<Instant> {
        self.lock().leaving.values().min().copied()
    }

    /// Parts with those whose time to leave is over, and has the relay look who they are. To be called
    /// once all that was to be said to them until then is on the line.
    pub(crate) fn part(&self, now: Instant) {
        let mut all = self.lock();
        let before = all.leaving.len();
        all.leaving.retain(|_, until| *until > now);
        if all.leaving.len() < before {
            self.left.notify_one();
        }
    }

    /// Ready when somebody was parted with.
    pub(super) async fn told(&self) {
        self.left.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, All> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
