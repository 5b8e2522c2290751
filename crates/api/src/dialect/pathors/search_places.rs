//! How many searches run at once: one of each organization always, and some more of whoever comes first.
//! So nobody's searches keep another organization's waiting.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use epilogue_core::OrgId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How many searches run at once besides the one that each organization may always run.
pub const SHARED: usize = 4;

/// The places of searches.
pub(crate) struct Places {
    shared: Arc<Semaphore>,
    /// One place each, while anybody has it or waits for it.
    own: Mutex<HashMap<OrgId, Arc<Semaphore>>>,
}

impl Default for Places {
    fn default() -> Self {
        Self { shared: Arc::new(Semaphore::new(SHARED)), own: Mutex::default() }
    }
}

impl Places {
    /// Waits for a place: the organization's own, or a shared one, whichever is free first.
    pub async fn take(&self, org: &OrgId) -> Option<OwnedSemaphorePermit> {
        let own = self.own_of(org);
        let place = tokio::select! {
            biased;
            own = own.acquire_owned() => own,
            shared = self.shared.clone().acquire_owned() => shared,
        };
        place.ok()
    }

    fn own_of(&self, org: &OrgId) -> Arc<Semaphore> {
        // A map of handles, whole at every moment.
        let mut all = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever has a place or waits for one holds a handle.
        all.retain(|_, place| Arc::strong_count(place) > 1);
        all.entry(org.clone()).or_insert_with(|| Arc::new(Semaphore::new(1))).clone()
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn an_organization_takes_every_shared_place_and_nobody_elses_own() {
        let places = Places::default();
        let (greedy, other) = (OrgId::from("a"), OrgId::from("b"));
        let take = |org: &OrgId| places.take(org).now_or_never().flatten();
        let mut taken: Vec<_> = (0..=SHARED).map(|_| take(&greedy).expect("free")).collect();
        assert!(take(&greedy).is_none(), "one more than there are");
        let own = take(&other).expect("its own");
        assert!(take(&other).is_none());
        drop(own);
        assert!(take(&other).is_some());
        taken.pop();
        assert!(take(&other).is_some() && take(&greedy).is_some());
    }

    #[test]
    fn who_searches_no_more_is_forgotten() {
        let places = Places::default();
        for n in 0..100 {
            let place = places.take(&OrgId::from(&*n.to_string())).now_or_never().flatten();
            assert!(place.is_some());
        }
        assert_eq!(places.own.lock().expect("whole").len(), 1);
    }
}
