//! Goodbyes are said thrice. The datagram that tells a viewer of its end is answered by nobody: if it were
//! lost, the page would go by its own timers, which take seconds. Whoever has heard it passes over the rest.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use crate::peer::Datagram;

/// After how long a goodbye is said again.
pub(super) const AGAIN_AFTER: [Duration; 2] =
    [Duration::from_millis(60), Duration::from_millis(240)];
/// After how long a goodbye is said for the last time.
pub(crate) const GOODBYE_LASTS: Duration = {
    let [.., last] = AGAIN_AFTER;
    last
};
/// How many datagrams of one goodbye are said again: the latest.
const OF_ONE_MAX: usize = 4;
/// How many datagrams wait to be said again. What is more is said once.
pub(super) const WAITING_MAX: usize = 4_096;

/// What is to be said again, each time in the order in which it is due.
#[derive(Default)]
pub(super) struct Farewells([VecDeque<(Instant, Datagram)>; AGAIN_AFTER.len()]);

impl Farewells {
    /// Has a goodbye said again.
    pub(super) fn repeat(&mut self, goodbye: &[Datagram], now: Instant) {
        let latest = &goodbye[goodbye.len().saturating_sub(OF_ONE_MAX)..];
        for (waiting, after) in self.0.iter_mut().zip(AGAIN_AFTER) {
            let room = WAITING_MAX.saturating_sub(waiting.len());
            let said = latest.iter().take(room);
            waiting.extend(said.map(|datagram| (now + after, datagram.clone())));
        }
    }

    /// When something is due.
    pub(super) fn wake(&self) -> Option<Instant> {
        self.0.iter().filter_map(|waiting| Some(waiting.front()?.0)).min()
    }

    /// Says what is due.
    pub(super) fn tick(&mut self, now: Instant, out: &mut Vec<Datagram>) {
        for waiting in &mut self.0 {
            while let Some((_, datagram)) = waiting.pop_front_if(|(at, _)| *at <= now) {
                out.push(datagram);
            }
        }
    }
}
