//! Places for work: never more at once than the whole may have or one lane may have, and always one
//! in a lane where nothing runs, so that however slow some are, none keeps another from being served.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use epilogue_core::OrgId;
use tokio::sync::Notify;
use tokio_util::task::TaskTracker;

/// A lane of one organization.
pub(crate) type Lane = (OrgId, String);

/// What runs at the moment.
#[derive(Default)]
pub(crate) struct Lanes {
    counts: Mutex<HashMap<Lane, usize>>,
    /// The work itself.
    pub tasks: TaskTracker,
    /// Something has finished: its lane has room again.
    pub freed: Notify,
}

/// A place in a lane, given up when it is dropped.
pub(crate) struct InLane {
    lanes: Arc<Lanes>,
    lane: Lane,
}

impl Lanes {
    fn counts(&self) -> MutexGuard<'_, HashMap<Lane, usize>> {
        // Counters: whole at every moment.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place.
    pub fn enter(self: &Arc<Self>, lane: Lane) -> InLane {
        *self.counts().entry(lane.clone()).or_default() += 1;
        InLane { lanes: self.clone(), lane }
    }

    /// How many more may run in a lane that may have `per_lane` of the `in_all` there are.
    pub fn room(&self, lane: &Lane, per_lane: usize, in_all: usize) -> usize {
        let counts = self.counts();
        let here = counts.get(lane).copied().unwrap_or(0);
        let everywhere: usize = counts.values().sum();
        let in_lane = per_lane.saturating_sub(here);
        let left = in_all.saturating_sub(everywhere);
        in_lane.min(left.max(usize::from(here == 0)))
    }

    /// How many places are taken, in all lanes.
    pub fn taken(&self) -> usize {
        self.counts().values().sum()
    }

    /// Whether nothing runs.
    pub fn is_empty(&self) -> bool {
        self.counts().is_empty()
    }
}

impl Drop for InLane {
    fn drop(&mut self) {
        let mut counts = self.lanes.counts();
        if let Some(count) = counts.get_mut(&self.lane) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.lane);
            }
        }
        drop(counts);
        self.lanes.freed.notify_one();
    }
}
