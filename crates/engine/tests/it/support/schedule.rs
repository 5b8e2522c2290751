//! A schedule drawn from a seed. Whoever takes part steps aside as often as the schedule says, before
//! and after everything it does to the world, and each such thing happens at once; on a runtime with
//! one thread nothing is left to chance, and a round can be repeated from its seed.

use std::{
    future::{Future, poll_fn},
    sync::{Arc, Mutex, MutexGuard},
    task::Poll,
};

use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

/// How often one steps aside in a round, at most: in some rounds everyone is prompt, in some everyone
/// may be slow.
const ASIDE_MAX: [u32; 4] = [2, 6, 20, 60];

/// Who goes on when, and what was done.
pub struct Schedule {
    rng: Mutex<StdRng>,
    aside_max: u32,
    trace: Mutex<Vec<String>>,
}

impl Schedule {
    /// Apart from the dice of the same round, so that one more roll of either moves not the other.
    pub fn seeded(seed: u64) -> Arc<Self> {
        let mut rng = StdRng::seed_from_u64(!seed);
        let aside_max = ASIDE_MAX[rng.random_range(0..ASIDE_MAX.len())];
        Arc::new(Self { rng: Mutex::new(rng), aside_max, trace: Mutex::default() })
    }

    /// Lets others go first, as often as the schedule says. Then it is on record who goes on.
    pub async fn aside(&self, who: &str) {
        let times = self.draw();
        step_aside(times).await;
        self.note(who.to_owned());
    }

    fn draw(&self) -> u32 {
        let mut rng = self.rng.lock().expect("not poisoned");
        // Half of the time nobody steps aside at all, so that there are long runs too.
        if rng.random() { 0 } else { rng.random_range(0..=self.aside_max) }
    }

    /// Puts on record what was done, and what came of it.
    pub fn note(&self, done: String) {
        self.trace().push(done);
    }

    /// Everything that was done so far, in order.
    pub fn trace(&self) -> MutexGuard<'_, Vec<String>> {
        self.trace.lock().expect("not poisoned")
    }
}

/// How a fake outside takes its time: by a schedule, or by letting others go first once.
#[derive(Clone, Default)]
pub struct Pace(pub Option<Arc<Schedule>>);

impl Pace {
    pub async fn aside(&self, who: &str) {
        match &self.0 {
            Some(schedule) => schedule.aside(who).await,
            None => step_aside(1).await,
        }
    }
}

/// Goes to the end of the queue of those who can go on, so many times.
pub async fn step_aside(times: u32) {
    let mut left = times;
    poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(());
        }
        left -= 1;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Carries something through while nothing else on this thread goes on. It may wait for other
/// threads alone, as a store waits for its writer and its readers.
pub fn at_once<F: Future>(work: F) -> F::Output {
    // A task that has used up its share of the runtime would otherwise wait here to be resumed.
    futures::executor::block_on(tokio::task::unconstrained(work))
}
