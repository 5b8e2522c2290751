//! How decisions are made to race: many rounds, each with an organization and a seed of its own,
//! and an audit after each.
//!
//! `EPILOGUE_TEST_ROUNDS` says how many rounds, `EPILOGUE_TEST_SEED` where they begin. A round
//! that fails prints its seed; one round from that seed deals the same contenders again.

use std::{env, future::Future, pin::Pin, sync::Arc};

use rand::{Rng as _, SeedableRng as _, rngs::StdRng, seq::SliceRandom as _};
use tokio::sync::Barrier;

use super::{
    Backend,
    audit::audit,
    fixture::{World, busy_agent},
};
use crate::Result;

/// How many rounds a race has unless the environment says otherwise.
const ROUNDS: u64 = 50;
/// How often a contender may stand back before it starts, so that each gets to be first.
const STAND_BACK_MAX: u32 = 6;

fn number(name: &str, otherwise: u64) -> u64 {
    let Ok(text) = env::var(name) else { return otherwise };
    text.parse().unwrap_or_else(|_| panic!("{name} must be a number, not `{text}`"))
}

/// The seeds of this run's rounds.
pub fn seeds() -> impl Iterator<Item = u64> {
    let first = number("EPILOGUE_TEST_SEED", 1);
    first..first.saturating_add(number("EPILOGUE_TEST_ROUNDS", ROUNDS))
}

/// Says which seed to repeat when the round it stands for panics.
#[derive(Debug)]
pub struct Seed(pub u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let seed = self.0;
            eprintln!("to repeat it: EPILOGUE_TEST_SEED={seed} EPILOGUE_TEST_ROUNDS=1");
        }
    }
}

/// Runs a race for every seed, each in a new organization of one store, and audits each.
pub async fn each_round<B: Backend>(
    backend: &B,
    round: impl AsyncFn(&World<B::Store>, &mut StdRng) -> Result<()>,
) -> Result<()> {
    let store = Arc::new(backend.fresh().await);
    for seed in seeds() {
        let seed = Seed(seed);
        let org = format!("org_{}", seed.0);
        let world = World::join(Arc::clone(&store), &org, busy_agent()).await?;
        let mut dice = StdRng::seed_from_u64(seed.0);
        round(&world, &mut dice).await?;
        audit(&*world.store, &world.org).await?;
    }
    Ok(())
}

/// One side of a race.
pub type Contender<T> = Pin<Box<dyn Future<Output = Result<T>> + Send>>;

/// A decision that takes part in a race.
pub fn contender<T>(decision: impl Future<Output = Result<T>> + Send + 'static) -> Contender<T> {
    Box::pin(decision)
}

/// Starts all at once, each on a task of its own. Their answers come in the order of `contenders`.
pub async fn race<T: Send + 'static>(
    dice: &mut StdRng,
    contenders: Vec<Contender<T>>,
) -> Result<Vec<T>> {
    let line = Arc::new(Barrier::new(contenders.len()));
    let mut starters: Vec<_> = contenders.into_iter().enumerate().collect();
    starters.shuffle(dice);
    let mut running = Vec::new();
    for (place, contender) in starters {
        let (line, stand_back) = (Arc::clone(&line), dice.random_range(0..STAND_BACK_MAX));
        let task = tokio::spawn(async move {
            line.wait().await;
            for _ in 0..stand_back {
                tokio::task::yield_now().await;
            }
            contender.await
        });
        running.push((place, task));
    }
    let mut answers = Vec::new();
    for (place, task) in running {
        answers.push((place, task.await.expect("a decision does not panic")?));
    }
    answers.sort_by_key(|(place, _)| *place);
    Ok(answers.into_iter().map(|(_, answer)| answer).collect())
}

/// Starts two different decisions at once.
pub async fn race_two<A: Send + 'static, B: Send + 'static>(
    dice: &mut StdRng,
    first: impl Future<Output = Result<A>> + Send + 'static,
    second: impl Future<Output = Result<B>> + Send + 'static,
) -> Result<(A, B)> {
    let both: Vec<Contender<(Option<A>, Option<B>)>> = vec![
        contender(async { Ok((Some(first.await?), None)) }),
        contender(async { Ok((None, Some(second.await?))) }),
    ];
    let mut answers = race(dice, both).await?.into_iter();
    let first = answers.next().and_then(|answer| answer.0).expect("the first answers");
    let second = answers.next().and_then(|answer| answer.1).expect("the second answers");
    Ok((first, second))
}
