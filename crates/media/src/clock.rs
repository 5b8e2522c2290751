//! The time by which media flow. It only goes forward, and its beginning means nothing.
//!
//! Sessions live by the engine's clock, which tells the time of day and may be set; packets are paced
//! by this one, whatever happens to that.

use std::{future::Future, pin::Pin, time::Instant};

/// A future that is ready when a moment has come.
pub type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Tells moments and waits for them.
pub trait MediaClock: Send + Sync + 'static {
    /// What moment it is.
    fn now(&self) -> Instant;

    /// Ready when `at` has come.
    fn sleep_until(&self, at: Instant) -> Sleep;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemMediaClock;

impl MediaClock for SystemMediaClock {
    #[expect(clippy::disallowed_methods, reason = "this is the place that asks")]
    fn now(&self) -> Instant {
        Instant::now()
    }

    #[expect(clippy::disallowed_methods, reason = "this is the place that waits")]
    fn sleep_until(&self, at: Instant) -> Sleep {
        Box::pin(tokio::time::sleep_until(at.into()))
    }
}

/// Ready when a moment has come, if there is one.
pub(crate) async fn sleep_until_some(clock: &dyn MediaClock, wake: Option<Instant>) {
    match wake {
        Some(at) => clock.sleep_until(at).await,
        None => std::future::pending().await,
    }
}
