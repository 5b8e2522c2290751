//! Hints that something has happened to a session. Whoever is hinted looks at the record, which alone
//! is the truth; a hint that never comes, such as from another node, is made up for by looking anyway.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use epilogue_core::{OrgId, SessionId};
use tokio::sync::watch;

use super::turns::Key;
use crate::Engine;

/// Who is watched on this node. A session that nobody watches costs nothing.
#[derive(Default)]
pub(crate) struct Watches {
    watched: Watched,
}

type Watched = Arc<Mutex<HashMap<Key, watch::Sender<()>>>>;

impl Watches {
    fn watch(&self, key: Key) -> Watch {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        let hints = watched.entry(key.clone()).or_default().subscribe();
        Watch { key, hints, watched: self.watched.clone() }
    }

    /// Has everybody look who watches.
    pub fn hint(&self, key: &Key) {
        let watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(hints) = watched.get(key) {
            hints.send_replace(());
        }
    }

    /// How many sessions are watched.
    #[cfg(test)]
    fn len(&self) -> usize {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

/// Somebody who watches a session, until it is dropped.
pub struct Watch {
    key: Key,
    hints: watch::Receiver<()>,
    watched: Watched,
}

impl Watch {
    /// Ready when something has happened since this was last asked. Dropping it loses nothing.
    pub async fn hinted(&mut self) {
        if self.hints.changed().await.is_err() {
            // The sender lives for as long as anybody watches.
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        if watched.get(&self.key).is_some_and(|hints| hints.receiver_count() <= 1) {
            watched.remove(&self.key);
        }
    }
}

impl Engine {
    /// Watches a session for its end, and for another connection that takes it up.
    pub fn watch(&self, org: &OrgId, id: SessionId) -> Watch {
        self.inner.watches.watch((org.clone(), id))
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    fn key(n: u128) -> Key {
        ("org".into(), SessionId(uuid::Uuid::from_u128(n)))
    }

    #[test]
    fn whoever_watches_is_hinted_and_nobody_else() {
        let watches = Watches::default();
        let (mut one, mut two) = (watches.watch(key(1)), watches.watch(key(1)));
        let mut other = watches.watch(key(2));
        assert!(one.hinted().now_or_never().is_none());
        watches.hint(&key(1));
        watches.hint(&key(3));
        assert!(one.hinted().now_or_never().is_some());
        assert!(one.hinted().now_or_never().is_none(), "once");
        assert!(two.hinted().now_or_never().is_some());
        assert!(other.hinted().now_or_never().is_none());
    }

    #[test]
    fn what_nobody_watches_any_more_is_forgotten() {
        let watches = Watches::default();
        let (one, two) = (watches.watch(key(1)), watches.watch(key(1)));
        drop(one);
        assert_eq!(watches.len(), 1);
        drop(two);
        assert_eq!(watches.len(), 0);
    }
}
