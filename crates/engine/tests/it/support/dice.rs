//! Seeded chance for races. `EPILOGUE_TEST_SEED` chooses the first round's seed, and
//! `EPILOGUE_TEST_ROUNDS` how many rounds each race has; a round that fails prints both for itself.

use std::future::Future;

use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use tokio::task::JoinHandle;

/// How many rounds each race has by default.
const ROUNDS: u64 = 150;

/// How many times a contender steps aside before it begins, at most.
const YIELDS_MAX: u32 = 60;

/// The chance of one round.
pub struct Dice {
    seed: u64,
    rng: StdRng,
}

/// The rounds of one race.
pub fn rounds() -> impl Iterator<Item = Dice> {
    let given = |name| std::env::var(name).ok().map(|text| text.parse().expect("a number"));
    let first = given("EPILOGUE_TEST_SEED").unwrap_or(1);
    let count = given("EPILOGUE_TEST_ROUNDS").unwrap_or(ROUNDS);
    (first..first + count).map(|seed| Dice { seed, rng: StdRng::seed_from_u64(seed) })
}

impl Dice {
    /// One of two, or more.
    pub fn roll(&mut self, sides: u32) -> u32 {
        self.rng.random_range(0..sides)
    }

    pub fn coin(&mut self) -> bool {
        self.roll(2) == 0
    }

    /// Begins something after stepping aside a few times.
    pub fn contend<F>(&mut self, work: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send + 'static> + Send + 'static,
    {
        let yields = self.roll(YIELDS_MAX);
        tokio::spawn(async move {
            for _ in 0..yields {
                tokio::task::yield_now().await;
            }
            work.await
        })
    }
}

impl Drop for Dice {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("to repeat: EPILOGUE_TEST_SEED={} EPILOGUE_TEST_ROUNDS=1", self.seed);
        }
    }
}
