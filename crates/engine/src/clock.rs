//! The only clock. Everything that asks for the time or waits for it takes a [`Clock`].

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use epilogue_core::{Span, Timestamp};

/// A future that is ready when a point in time has come.
pub type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Tells the time and waits for it.
pub trait Clock: Send + Sync + 'static {
    /// What time it is.
    fn now(&self) -> Timestamp;

    /// Ready when `at` has come; at once if it has passed.
    fn sleep_until(&self, at: Timestamp) -> Sleep;

    /// Ready after `span`.
    fn sleep(&self, span: Span) -> Sleep {
        self.sleep_until(self.now() + span)
    }
}

/// A clock that is shared.
pub type SharedClock = Arc<dyn Clock>;

/// Runs `future` for at most `limit`. `None`: the time ran out first, and the future was dropped.
pub async fn within<F: Future>(clock: &dyn Clock, limit: Span, future: F) -> Option<F::Output> {
    tokio::select! {
        biased;
        output = future => Some(output),
        () = clock.sleep(limit) => None,
    }
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the place that asks")]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    #[expect(clippy::disallowed_methods, reason = "this is the place that waits")]
    fn sleep_until(&self, at: Timestamp) -> Sleep {
        Box::pin(tokio::time::sleep(at.since(self.now()).into()))
    }
}

/// A clock that stands still until it is told to move. Whoever waits for it is woken in the order in
/// which they began to wait, so that a run can be repeated.
#[cfg(any(test, feature = "testing"))]
#[derive(Clone, Debug)]
pub struct SimClock {
    shown: Arc<Shown>,
}

#[cfg(any(test, feature = "testing"))]
#[derive(Debug)]
struct Shown {
    now: std::sync::Mutex<Timestamp>,
    moved: tokio::sync::Notify,
}

#[cfg(any(test, feature = "testing"))]
impl SimClock {
    /// A clock that shows `now`.
    pub fn at(now: Timestamp) -> Self {
        let moved = tokio::sync::Notify::new();
        Self { shown: Arc::new(Shown { now: now.into(), moved }) }
    }

    /// Moves the time forward and wakes whoever waited for it.
    pub fn advance(&self, span: Span) {
        self.shown.change(|now| now + span);
    }

    /// Moves the time forward to `at`; never back.
    pub fn advance_to(&self, at: Timestamp) {
        self.shown.change(|now| now.max(at));
    }
}

#[cfg(any(test, feature = "testing"))]
impl Shown {
    fn now(&self) -> std::sync::MutexGuard<'_, Timestamp> {
        // A point in time: whole at every moment.
        self.now.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(Timestamp) -> Timestamp) {
        let mut now = self.now();
        *now = change(*now);
        drop(now);
        self.moved.notify_waiters();
    }
}

#[cfg(any(test, feature = "testing"))]
impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        *self.shown.now()
    }

    fn sleep_until(&self, at: Timestamp) -> Sleep {
        let shown = self.shown.clone();
        Box::pin(async move {
            loop {
                // Listening begins before the look, so that no move between the two is missed.
                let moved = shown.moved.notified();
                if *shown.now() >= at {
                    return;
                }
                moved.await;
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn simulated_time_moves_only_when_told() {
        let clock = SimClock::at(Timestamp::from_millis(0));
        let mut sleep = clock.sleep(Span::from_secs(1800));
        assert!(futures::poll!(&mut sleep).is_pending());
        clock.advance(Span::from_millis(1_799_999));
        assert!(futures::poll!(&mut sleep).is_pending());
        clock.advance(Span::from_millis(1));
        sleep.await;
    }

    #[tokio::test]
    async fn whoever_waited_first_is_woken_first() {
        let clock = SimClock::at(Timestamp::from_millis(0));
        let (woken, mut order) = tokio::sync::mpsc::unbounded_channel();
        for number in 0..100 {
            let (sleep, woken) = (clock.sleep(Span::from_secs(1)), woken.clone());
            tokio::spawn(async move {
                sleep.await;
                woken.send(number).expect("heard");
            });
        }
        for _ in 0..8 {
            tokio::task::yield_now().await;
        }
        clock.advance(Span::from_secs(1));
        for number in 0..100 {
            assert_eq!(order.recv().await, Some(number));
        }
    }

    #[tokio::test]
    async fn a_time_limit_drops_what_takes_longer() {
        let clock = SimClock::at(Timestamp::from_millis(0));
        let (limited, ()) =
            tokio::join!(within(&clock, Span::from_secs(7), std::future::pending::<()>()), async {
                clock.advance(Span::from_secs(7));
            });
        assert_eq!(limited, None);
        assert_eq!(within(&clock, Span::ZERO, async { 5 }).await, Some(5));
    }
}
