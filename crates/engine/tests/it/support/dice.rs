//! Seeded chance for races: the plan of a round.

use std::future::Future;

use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use tokio::task::JoinHandle;

use super::schedule::step_aside;

/// How many times a contender steps aside before it begins, at most: often it begins about when the
/// others do, and often when they are well under way.
const ASIDE_MAX: [u32; 4] = [8, 30, 100, 300];
/// How many times whoever leads steps aside, at most.
const LEADER_ASIDE_MAX: u32 = 4;

/// The chance of one round.
pub struct Dice {
    rng: StdRng,
}

impl Dice {
    pub fn seeded(seed: u64) -> Self {
        Self { rng: StdRng::seed_from_u64(seed) }
    }

    /// One of two, or more.
    pub fn roll(&mut self, sides: u32) -> u32 {
        self.rng.random_range(0..sides)
    }

    pub fn coin(&mut self) -> bool {
        self.roll(2) == 0
    }

    /// Steps aside a few times, or many.
    pub async fn aside(&mut self) {
        step_aside(self.times_aside()).await;
    }

    fn times_aside(&mut self) -> u32 {
        let max = ASIDE_MAX[self.rng.random_range(0..ASIDE_MAX.len())];
        self.roll(max)
    }

    /// Begins something after stepping aside.
    pub fn contend<F>(&mut self, work: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send + 'static> + Send + 'static,
    {
        begin_after(self.times_aside(), work)
    }

    /// Begins something that takes long, soon, so that the others come when it is under way.
    pub fn lead<F>(&mut self, work: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send + 'static> + Send + 'static,
    {
        begin_after(self.roll(LEADER_ASIDE_MAX), work)
    }
}

fn begin_after<F>(times: u32, work: F) -> JoinHandle<F::Output>
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    tokio::spawn(async move {
        step_aside(times).await;
        work.await
    })
}
