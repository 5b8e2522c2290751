//! The turns that run or wait on this node: one at a time per session, the next in order.
//!
//! Only sessions with a turn have an entry here. An idle session costs nothing.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use epilogue_core::{OrgId, SessionId, Span};
use tokio::sync::{Notify, OwnedMutexGuard};
use tokio_util::sync::CancellationToken;

use crate::clock::{SharedClock, within};

/// Why a turn in flight is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// The session ends.
    Ended,
    /// The person said something else meanwhile, and asked not to wait.
    Interrupted,
    /// Whoever read the reply is gone.
    ReaderGone,
    /// It took too long.
    TooLong,
    /// The server stops.
    ShuttingDown,
}

/// A turn that runs, as others see it.
#[derive(Clone, Default)]
pub(crate) struct Running {
    cut: CancellationToken,
    why: Arc<OnceLock<Cut>>,
    done: CancellationToken,
}

impl Running {
    /// Tells the turn to stop and keep what it has. The first cause wins.
    pub fn cut(&self, why: Cut) {
        let _ = self.why.set(why);
        self.cut.cancel();
    }

    /// Ready when the turn has been told to stop.
    pub async fn cut_down(&self) -> Cut {
        self.cut.cancelled().await;
        *self.why.get().unwrap_or(&Cut::Ended)
    }
}

/// One session's line.
#[derive(Default)]
struct Slot {
    line: Arc<tokio::sync::Mutex<()>>,
    state: Mutex<SlotState>,
    changed: Notify,
}

#[derive(Default)]
struct SlotState {
    /// How many turns run or wait, and how many ends are being decided.
    users: usize,
    /// How many ends are being decided: no turn begins meanwhile.
    endings: usize,
    running: Option<Running>,
}

impl Slot {
    fn state(&self) -> MutexGuard<'_, SlotState> {
        // Counters and handles: whole at every moment, whatever panicked meanwhile.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a turn unless an end is being decided.
    fn try_start(&self) -> Option<Running> {
        let mut state = self.state();
        (state.endings == 0).then(|| state.running.insert(Running::default()).clone())
    }
}

/// Whose line it is. The organization is part of it: who names another one's session meets an empty
/// line, not the session's own.
pub(crate) type Key = (OrgId, SessionId);

/// The lines of all sessions that have one.
type Slots = Arc<Mutex<HashMap<Key, Arc<Slot>>>>;

/// The lines of this node.
#[derive(Default)]
pub(crate) struct Turns {
    slots: Slots,
}

/// Why a turn did not get a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Another turn runs, and the caller did not want to wait.
    Busy,
    /// Too many wait already.
    TooManyWaiting,
    /// It waited too long.
    WaitedTooLong,
}

/// How a turn wants to be treated when another runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Patience {
    pub wait: bool,
    pub interrupt: bool,
    pub wait_max: Span,
    pub waiting_max: usize,
}

impl Turns {
    /// Takes the session's place, after everyone who came before.
    pub async fn enter(
        &self,
        key: Key,
        patience: Patience,
        clock: &SharedClock,
    ) -> Result<Place, Refused> {
        let user = self.user(key);
        {
            let state = user.slot.state();
            let others = state.users - 1;
            if others > 0 && !patience.wait {
                return Err(Refused::Busy);
            }
            if others > patience.waiting_max {
                return Err(Refused::TooManyWaiting);
            }
            if let Some(running) = state.running.as_ref().filter(|_| patience.interrupt) {
                running.cut(Cut::Interrupted);
            }
        }
        let line = user.slot.line.clone().lock_owned();
        let wait = async {
            let turn_in_line = line.await;
            loop {
                let changed = user.slot.changed.notified();
                if let Some(running) = user.slot.try_start() {
                    return (running, turn_in_line);
                }
                changed.await;
            }
        };
        let entered = within(&**clock, patience.wait_max, wait).await;
        let (running, turn_in_line) = entered.ok_or(Refused::WaitedTooLong)?;
        Ok(Place { running, user, _turn_in_line: turn_in_line })
    }

    /// Keeps turns from beginning while an end is decided. The one in flight goes on.
    pub fn hold_for_end(&self, key: Key) -> Ending {
        let user = self.user(key);
        let running = {
            let mut state = user.slot.state();
            state.endings += 1;
            state.running.clone()
        };
        Ending { running, user }
    }

    /// Cuts every turn that runs.
    pub fn cut_all(&self) {
        for slot in self.slots.lock().unwrap_or_else(PoisonError::into_inner).values() {
            if let Some(running) = &slot.state().running {
                running.cut(Cut::ShuttingDown);
            }
        }
    }

    fn user(&self, key: Key) -> User {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = slots.entry(key.clone()).or_default().clone();
        slot.state().users += 1;
        User { key, slot, slots: self.slots.clone() }
    }

    /// How many sessions have an entry.
    #[cfg(test)]
    fn len(&self) -> usize {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

/// A turn or an end that uses a slot. The last one out removes it.
struct User {
    key: Key,
    slot: Arc<Slot>,
    slots: Slots,
}

impl Drop for User {
    fn drop(&mut self) {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let mut state = self.slot.state();
        state.users -= 1;
        if state.users == 0 {
            slots.remove(&self.key);
        }
    }
}

/// The right to run the session's one turn, until it is dropped.
pub(crate) struct Place {
    /// How others reach this turn.
    pub running: Running,
    user: User,
    _turn_in_line: OwnedMutexGuard<()>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.user.slot.state().running = None;
        self.running.done.cancel();
    }
}

/// An end that is being decided. No turn begins until it is dropped.
pub(crate) struct Ending {
    running: Option<Running>,
    user: User,
}

impl Ending {
    /// Whether a turn is in flight that the end could wait for or cut.
    pub const fn meets_a_turn(&self) -> bool {
        self.running.is_some()
    }

    /// Cuts the turn in flight.
    pub fn cut(&self, why: Cut) {
        if let Some(running) = &self.running {
            running.cut(why);
        }
    }

    /// Waits for the turn in flight to keep what it has, but not for longer than `limit`: the
    /// fence goes up anyway.
    pub async fn settled(&self, clock: &SharedClock, limit: Span) {
        let Some(running) = &self.running else { return };
        if within(&**clock, limit, running.done.cancelled()).await.is_none() {
            tracing::warn!(session = %self.user.key.1, "a turn did not settle in time");
        }
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.user.slot.state().endings -= 1;
        self.user.slot.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use epilogue_core::Timestamp;
    use futures::FutureExt as _;

    use super::*;
    use crate::clock::SimClock;

    const PATIENT: Patience =
        Patience { wait: true, interrupt: false, wait_max: Span::from_secs(120), waiting_max: 2 };

    fn clock() -> (SimClock, SharedClock) {
        let clock = SimClock::at(Timestamp::from_millis(0));
        (clock.clone(), Arc::new(clock))
    }

    fn session() -> Key {
        (OrgId::from("org_test"), SessionId(uuid::Uuid::from_u128(1)))
    }

    #[tokio::test]
    async fn turns_wait_in_order_up_to_the_limit_and_one_past_it() {
        let (turns, (_, clock)) = (Turns::default(), clock());
        let first = turns.enter(session(), PATIENT, &clock).await.expect("a place");
        let mut second = Box::pin(turns.enter(session(), PATIENT, &clock));
        assert!(futures::poll!(&mut second).is_pending());
        let mut third = Box::pin(turns.enter(session(), PATIENT, &clock));
        assert!(futures::poll!(&mut third).is_pending());
        let fourth = turns.enter(session(), PATIENT, &clock).await.err();
        assert_eq!(fourth, Some(Refused::TooManyWaiting));
        drop(first);
        assert!(futures::poll!(&mut third).is_pending());
        let second = second.await.expect("its turn");
        assert!(futures::poll!(&mut third).is_pending());
        drop(second);
        drop(third.await.expect("its turn"));
        assert_eq!(turns.len(), 0);
    }

    #[tokio::test]
    async fn waiting_has_an_end() {
        let (turns, (sim, clock)) = (Turns::default(), clock());
        let _first = turns.enter(session(), PATIENT, &clock).await.expect("a place");
        let mut second = Box::pin(turns.enter(session(), PATIENT, &clock));
        assert!(futures::poll!(&mut second).is_pending());
        sim.advance(Span::from_secs(120));
        assert_eq!(second.await.err(), Some(Refused::WaitedTooLong));
        let impatient = Patience { wait: false, ..PATIENT };
        assert_eq!(turns.enter(session(), impatient, &clock).await.err(), Some(Refused::Busy));
    }

    #[tokio::test]
    async fn an_interruption_cuts_the_turn_that_runs() {
        let (turns, (_, clock)) = (Turns::default(), clock());
        let first = turns.enter(session(), PATIENT, &clock).await.expect("a place");
        let interrupting = Patience { interrupt: true, ..PATIENT };
        let mut second = Box::pin(turns.enter(session(), interrupting, &clock));
        assert!(futures::poll!(&mut second).is_pending());
        assert_eq!(first.running.cut_down().now_or_never(), Some(Cut::Interrupted));
        drop(first);
        second.await.expect("its turn");
    }

    #[tokio::test]
    async fn no_turn_begins_while_an_end_is_decided() {
        let (turns, (_, clock)) = (Turns::default(), clock());
        let first = turns.enter(session(), PATIENT, &clock).await.expect("a place");
        let ending = turns.hold_for_end(session());
        assert!(ending.meets_a_turn());
        assert_eq!(first.running.cut_down().now_or_never(), None, "it goes on until it is cut");
        ending.cut(Cut::Ended);
        assert_eq!(first.running.cut_down().now_or_never(), Some(Cut::Ended));
        let mut second = Box::pin(turns.enter(session(), PATIENT, &clock));
        assert!(futures::poll!(&mut second).is_pending());
        drop(first);
        ending.settled(&clock, Span::from_secs(1)).await;
        assert!(futures::poll!(&mut second).is_pending());
        drop(ending);
        drop(second.await.expect("its turn, to learn that the session has ended"));
        assert_eq!(turns.len(), 0);
    }

    #[tokio::test]
    async fn an_end_does_not_wait_for_a_turn_that_never_settles() {
        let (turns, (sim, clock)) = (Turns::default(), clock());
        let _stuck = turns.enter(session(), PATIENT, &clock).await.expect("a place");
        let ending = turns.hold_for_end(session());
        ending.cut(Cut::Ended);
        let mut settled = Box::pin(ending.settled(&clock, Span::from_secs(1)));
        assert!(futures::poll!(&mut settled).is_pending());
        sim.advance(Span::from_secs(1));
        settled.await;
    }
}
