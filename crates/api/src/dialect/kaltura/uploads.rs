//! Who may send a recording now: each is whole in memory until it is decoded, so there are only so many
//! places. A session has few of them, so that no client, however slow, keeps all the others waiting.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use epilogue_core::{SessionId, Span};
use epilogue_engine::clock::{Clock, within};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

/// How many recordings are taken in at a time.
const UPLOADS_AT_ONCE: usize = 16;
/// How many recordings of one session are taken in, or wait for that, at a time.
const UPLOADS_OF_SESSION_MAX: usize = 2;
/// How long a recording waits for a place.
const PLACE_PATIENCE: Span = Span::from_secs(5);

/// The places of recordings that are taken in.
pub(crate) struct Uploads {
    all: Semaphore,
    /// The places of each session of which a recording comes in or waits.
    own: Mutex<HashMap<SessionId, Arc<Semaphore>>>,
}

/// A place, until it is dropped.
pub(super) struct Place<'a> {
    _own: OwnedSemaphorePermit,
    _one_of_all: SemaphorePermit<'a>,
}

impl Default for Uploads {
    fn default() -> Self {
        Self { all: Semaphore::new(UPLOADS_AT_ONCE), own: Mutex::default() }
    }
}

impl Uploads {
    /// Waits for a place, not for long. `None`: there is none, or the session has its share.
    pub(super) async fn take(&self, session: SessionId, clock: &dyn Clock) -> Option<Place<'_>> {
        let own = self.own_of(session).try_acquire_owned().ok()?;
        let one_of_all = within(clock, PLACE_PATIENCE, self.all.acquire()).await?.ok()?;
        Some(Place { _own: own, _one_of_all: one_of_all })
    }

    fn own_of(&self, session: SessionId) -> Arc<Semaphore> {
        // A map of handles, whole at every moment.
        let mut all = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever has a place or waits for one holds a handle.
        all.retain(|_, places| Arc::strong_count(places) > 1);
        let places = || Arc::new(Semaphore::new(UPLOADS_OF_SESSION_MAX));
        all.entry(session).or_insert_with(places).clone()
    }
}

#[cfg(test)]
mod tests {
    use epilogue_core::Timestamp;
    use epilogue_engine::{clock::SimClock, ids::Ids};
    use futures::FutureExt as _;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

    fn world() -> (Uploads, SimClock, Ids) {
        (Uploads::default(), SimClock::at(NOW), Ids::seeded(7))
    }

    #[test]
    fn a_session_has_its_share_and_no_more() {
        let (uploads, clock, ids) = world();
        let (one, other) = (ids.session(NOW), ids.session(NOW));
        let take = |session| uploads.take(session, &clock).now_or_never();
        let mut held: Vec<_> = (0..UPLOADS_OF_SESSION_MAX).map(|_| take(one)).collect();
        assert!(held.iter().all(|place| matches!(place, Some(Some(_)))));
        assert!(matches!(take(one), Some(None)), "it is told at once");
        assert!(matches!(take(other), Some(Some(_))), "another has its own");
        held.pop();
        assert!(matches!(take(one), Some(Some(_))));
    }

    #[tokio::test]
    async fn a_place_is_waited_for_and_not_for_long() {
        let (uploads, clock, ids) = world();
        let mut held = Vec::new();
        for _ in 0..UPLOADS_AT_ONCE {
            held.push(uploads.take(ids.session(NOW), &clock).await.expect("there is room"));
        }
        let (lucky, late) = (ids.session(NOW), ids.session(NOW));
        let mut first = Box::pin(uploads.take(lucky, &clock));
        let mut second = Box::pin(uploads.take(late, &clock));
        assert!(
            futures::poll!(&mut first).is_pending() && futures::poll!(&mut second).is_pending()
        );
        clock.advance(Span::from_millis(PLACE_PATIENCE.as_millis() - 1));
        assert!(
            futures::poll!(&mut first).is_pending() && futures::poll!(&mut second).is_pending()
        );
        held.pop();
        let got = first.await;
        assert!(got.is_some());
        clock.advance(Span::from_millis(1));
        assert!(second.await.is_none());
    }

    #[tokio::test]
    async fn a_session_that_sends_nothing_is_forgotten() {
        let (uploads, clock, ids) = world();
        for _ in 0..100 {
            assert!(uploads.take(ids.session(NOW), &clock).await.is_some());
        }
        assert_eq!(uploads.own.lock().expect("whole").len(), 1);
    }
}
