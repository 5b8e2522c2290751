//! Whether the server stores what it takes. Its own health check says that it is well while its one
//! worker is dead, so that only what it shows counts.

use std::sync::{Mutex, MutexGuard, PoisonError};

use epilogue_core::Timestamp;

/// What has been seen of the server since this process started.
#[derive(Debug, Default)]
pub(super) struct Watch {
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    last_found: Option<Timestamp>,
    stalled_since: Option<Timestamp>,
}

impl Watch {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        // Two points in time: whole at every moment.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The server shows a message that it did not show before. `true`: that ends a stall.
    pub fn found(&self, now: Timestamp) -> bool {
        let mut seen = self.seen();
        seen.last_found = Some(now);
        seen.stalled_since.take().is_some()
    }

    /// What was sent then has not come and will not be waited for any longer. `true`: nothing else has
    /// come since, which makes it a stall.
    pub fn lost(&self, sent_at: Timestamp, now: Timestamp) -> bool {
        let mut seen = self.seen();
        let stores = seen.last_found.is_some_and(|found| found > sent_at);
        if stores || seen.stalled_since.is_some() {
            return false;
        }
        seen.stalled_since = Some(now);
        true
    }

    /// Since when the server has taken messages and stored none.
    pub fn stalled_since(&self) -> Option<Timestamp> {
        self.seen().stalled_since
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn one_lost_message_among_others_that_come_is_no_stall() {
        let watch = Watch::default();
        assert!(!watch.found(at(11)));
        assert!(!watch.lost(at(10), at(20)));
        assert_eq!(watch.stalled_since(), None);
    }

    #[test]
    fn a_stall_is_told_once_and_ends_with_the_next_message() {
        let watch = Watch::default();
        watch.found(at(10));
        assert!(watch.lost(at(10), at(20)));
        assert!(!watch.lost(at(15), at(25)));
        assert_eq!(watch.stalled_since(), Some(at(20)));
        assert!(watch.found(at(30)));
        assert!(!watch.found(at(31)));
        assert_eq!(watch.stalled_since(), None);
    }
}
