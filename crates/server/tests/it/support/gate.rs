//! What a fake waits at.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Stops whoever comes to a moment that the test has named.
#[derive(Clone, Default)]
pub struct Gate(Arc<Mutex<(Option<String>, bool)>>);

impl Gate {
    /// The next one who comes there stays.
    pub fn hold_at(&self, moment: &str) {
        *self.lock() = (Some(moment.to_owned()), false);
    }

    /// Whether somebody is held.
    pub fn holds(&self) -> bool {
        self.lock().1
    }

    /// Nobody is held any more.
    pub fn open(&self) {
        *self.lock() = (None, false);
    }

    fn lock(&self) -> MutexGuard<'_, (Option<String>, bool)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Goes by, or stays for ever.
    pub async fn pass(&self, moment: &str) {
        let held = {
            let mut state = self.lock();
            let held = state.0.as_deref() == Some(moment) && !state.1;
            state.1 |= held;
            held
        };
        if held {
            std::future::pending::<()>().await;
        }
    }
}
