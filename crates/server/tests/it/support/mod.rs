//! What these tests stand on: the binary, those who speak to it, and those it speaks to.

pub mod binary;
pub mod client;
pub mod events;
pub mod gate;
pub mod model;
pub mod native;
pub mod peer;
pub mod raw;
pub mod receiver;
pub mod talkifai;

use std::time::Duration;

/// How long a poll waits before it looks again.
const POLL: Duration = Duration::from_millis(25);

/// How often a poll looks before it gives up: 30 seconds on an idle machine, more on a busy one.
const LOOKS_MAX: usize = 1_200;

/// Lets real time pass: the binary is another process, and lives in it.
#[expect(clippy::disallowed_methods, reason = "the process under test cannot be given a clock")]
pub async fn pause(time: Duration) {
    tokio::time::sleep(time).await;
}

/// Looks until there is something to see. `what` is what the test has waited for in vain.
pub async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    for _ in 0..LOOKS_MAX {
        if let Some(seen) = look().await {
            return seen;
        }
        pause(POLL).await;
    }
    panic!("waited in vain for {what}");
}

/// Waits for something that must happen, and says what has not if it does not.
pub async fn in_time<F: Future>(what: &str, work: F) -> F::Output {
    let limit = POLL * u32::try_from(LOOKS_MAX).expect("a small number");
    let done = tokio::time::timeout(limit, work).await;
    done.unwrap_or_else(|_| panic!("waited in vain for {what}"))
}
