//! The clock of the conversations: set to the day of each, and running on from there.

use std::sync::{Mutex, PoisonError};

use epilogue_core::{Span, Timestamp};
use epilogue_engine::clock::{Clock, Sleep};

use crate::time::{self, Instant};

/// A clock that can be set.
#[derive(Debug)]
pub struct SetClock {
    set: Mutex<(Timestamp, Instant)>,
}

impl SetClock {
    /// A clock that shows `at` now.
    pub fn at(at: Timestamp) -> Self {
        Self { set: Mutex::new((at, time::now())) }
    }

    /// Sets it.
    pub fn set(&self, at: Timestamp) {
        *self.set.lock().unwrap_or_else(PoisonError::into_inner) = (at, time::now());
    }
}

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        let (at, since) = *self.set.lock().unwrap_or_else(PoisonError::into_inner);
        at + Span::from_millis(u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    fn sleep_until(&self, at: Timestamp) -> Sleep {
        Box::pin(time::sleep(at.since(self.now()).into()))
    }
}
