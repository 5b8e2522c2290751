//! The real time, which is what a benchmark measures.

pub use std::time::{Duration, Instant};

/// Now.
#[expect(clippy::disallowed_methods, reason = "a benchmark measures the real time")]
pub fn now() -> Instant {
    Instant::now()
}

/// Ready after `span`.
#[expect(clippy::disallowed_methods, reason = "a benchmark takes real time")]
pub async fn sleep(span: Duration) {
    tokio::time::sleep(span).await;
}

/// Ready when `at` has come.
#[expect(clippy::disallowed_methods, reason = "a benchmark takes real time")]
pub async fn sleep_until(at: Instant) {
    tokio::time::sleep_until(at.into()).await;
}
