//! How decisions are made to race: many rounds, each with an organization and a seed of its own,
//! and an audit after each.
//!
//! A decision is whole or not at all, so what decides a race is the order in which the contenders are
//! decided. In a round *in order* the seed chooses that order, and the same seed always comes to the
//! same answers; this is made sure of by trying the first seeds twice. A round *at once* starts the
//! contenders on threads, which decide among themselves: its seed repeats who contends, not who wins.
//! It finds what an order cannot, such as a decision that reads before it locks.
//!
//! `EPILOGUE_TEST_ROUNDS` says how many rounds in order, `EPILOGUE_TEST_SEED` where they begin. A round
//! that fails prints its seed and how it was run.

use std::{
    collections::BTreeSet,
    env,
    fmt::Debug,
    future::{Future, poll_fn},
    pin::Pin,
    sync::Arc,
    task::Poll,
};

use rand::{Rng as _, RngCore, SeedableRng as _, rngs::StdRng, seq::SliceRandom as _};
use tokio::sync::Barrier;

use super::{
    Backend,
    audit::audit,
    fixture::{World, busy_agent},
};
use crate::Result;

/// How many rounds a race has in order, unless the environment says otherwise.
const ROUNDS: u64 = 50;
/// One round in so many is tried once more with its contenders at once.
const ROUNDS_PER_ROUND_AT_ONCE: u64 = 3;
/// How many of the rounds are tried twice in order.
const REPEATED_MAX: u64 = 5;
/// With so many rounds, not all of them can have had the same order.
const ENOUGH_ROUNDS: u64 = 20;
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

/// How the contenders of a round meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meeting {
    /// One is decided after the other, in an order that the seed chooses.
    InOrder,
    /// All at once, on threads.
    AtOnce,
}

impl Meeting {
    const fn as_str(self) -> &'static str {
        match self {
            Self::InOrder => "in order",
            Self::AtOnce => "at once, as their threads would have it",
        }
    }
}

/// The chance of one round, and what came of it.
#[derive(Debug)]
pub struct Dice {
    rng: StdRng,
    meeting: Meeting,
    /// Whether the store decides in the order in which it is asked.
    keeps_order: bool,
    record: Record,
}

/// In which order contenders were started, and what they were answered.
#[derive(Debug, Default, PartialEq, Eq)]
struct Record {
    orders: Vec<Vec<usize>>,
    answers: Vec<String>,
}

impl RngCore for Dice {
    fn next_u32(&mut self) -> u32 {
        self.rng.next_u32()
    }

    fn next_u64(&mut self) -> u64 {
        self.rng.next_u64()
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        self.rng.fill_bytes(bytes);
    }
}

/// Runs a race for every seed, each in a new organization of one store, and audits each.
pub async fn each_round<B: Backend>(
    backend: &B,
    round: impl AsyncFn(&World<B::Store>, &mut Dice) -> Result<()>,
) -> Result<()> {
    let [store, again, at_once] =
        [backend.fresh().await, backend.fresh().await, backend.fresh().await].map(Arc::new);
    let (mut orders, mut rounds) = (BTreeSet::new(), 0);
    for seed in seeds() {
        let record = run::<B>(&store, seed, Meeting::InOrder, &round).await?;
        if rounds < REPEATED_MAX {
            let repeated = run::<B>(&again, seed, Meeting::InOrder, &round).await?;
            assert_eq!(record, repeated, "seed {seed} comes to two outcomes");
        }
        if rounds % ROUNDS_PER_ROUND_AT_ONCE == 0 {
            run::<B>(&at_once, seed, Meeting::AtOnce, &round).await?;
        }
        orders.insert(record.orders);
        rounds += 1;
    }
    assert!(rounds < ENOUGH_ROUNDS || orders.len() > 1, "every round has the same order");
    Ok(())
}

async fn run<B: Backend>(
    store: &Arc<B::Store>,
    seed: u64,
    meeting: Meeting,
    round: &impl AsyncFn(&World<B::Store>, &mut Dice) -> Result<()>,
) -> Result<Record> {
    let failing = Failing { seed: Seed(seed), meeting };
    let org = format!("org_{}", failing.seed.0);
    let world = World::join(Arc::clone(store), &org, busy_agent()).await?;
    let (rng, record) = (StdRng::seed_from_u64(seed), Record::default());
    let mut dice = Dice { rng, meeting, keeps_order: B::KEEPS_ORDER, record };
    round(&world, &mut dice).await?;
    audit(&*world.store, &world.org).await?;
    Ok(dice.record)
}

/// Says how a round was run when it panics, beside its seed.
struct Failing {
    seed: Seed,
    meeting: Meeting,
}

impl Drop for Failing {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("a round failed in which the contenders met {}", self.meeting.as_str());
        }
    }
}

/// One side of a race.
pub type Contender<T> = Pin<Box<dyn Future<Output = Result<T>> + Send>>;

/// A decision that takes part in a race.
pub fn contender<T>(decision: impl Future<Output = Result<T>> + Send + 'static) -> Contender<T> {
    Box::pin(decision)
}

/// Lets the contenders meet. Their answers come in the order of `contenders`.
pub async fn race<T: Debug + Send + 'static>(
    dice: &mut Dice,
    contenders: Vec<Contender<T>>,
) -> Result<Vec<T>> {
    let mut starters: Vec<_> = contenders.into_iter().enumerate().collect();
    starters.shuffle(&mut dice.rng);
    dice.record.orders.push(starters.iter().map(|(place, _)| *place).collect());
    let mut answers = match dice.meeting {
        Meeting::InOrder => in_order(dice, starters).await?,
        Meeting::AtOnce => at_once(dice, starters).await?,
    };
    answers.sort_by_key(|(place, _)| *place);
    let answers: Vec<_> = answers.into_iter().map(|(_, answer)| answer).collect();
    dice.record.answers.push(format!("{answers:?}"));
    Ok(answers)
}

/// A contender and its place among the others.
type Starter<T> = (usize, Contender<T>);

/// Has one decided after the other. A store that keeps the order is sometimes asked for all of them
/// before it has answered any, so that several share a commit.
async fn in_order<T>(dice: &mut Dice, starters: Vec<Starter<T>>) -> Result<Vec<(usize, T)>> {
    let mut answers = Vec::new();
    if dice.keeps_order && dice.rng.random() {
        return asked_together(starters).await;
    }
    for (place, contender) in starters {
        answers.push((place, contender.await?));
    }
    Ok(answers)
}

/// Asks for all of them in their order, then hears the answers as they come.
async fn asked_together<T>(starters: Vec<Starter<T>>) -> Result<Vec<(usize, T)>> {
    let mut waiting: Vec<_> = starters.into_iter().map(|starter| (starter, None)).collect();
    poll_fn(|cx| {
        let mut all = true;
        for ((_, contender), answer) in &mut waiting {
            if answer.is_none() {
                match contender.as_mut().poll(cx) {
                    Poll::Ready(ready) => *answer = Some(ready),
                    Poll::Pending => all = false,
                }
            }
        }
        if all { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    let answered = waiting.into_iter().filter_map(|((place, _), answer)| Some((place, answer?)));
    answered.map(|(place, answer)| Ok((place, answer?))).collect()
}

/// Starts all of them on tasks of their own, at once.
async fn at_once<T: Send + 'static>(
    dice: &mut Dice,
    starters: Vec<Starter<T>>,
) -> Result<Vec<(usize, T)>> {
    let line = Arc::new(Barrier::new(starters.len()));
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
    Ok(answers)
}

/// Lets two different decisions meet.
pub async fn race_two<A: Debug + Send + 'static, B: Debug + Send + 'static>(
    dice: &mut Dice,
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
