//! How a race is run: many rounds, each with a seed, a store and engines of its own.
//!
//! In a *seeded* round everything runs on one thread by a [`Schedule`], and the seed that a failure
//! prints repeats it decision by decision. It explores interleavings of decisions, which is what the
//! engine's promises are about. A round *on threads* runs on a real runtime against the real store:
//! its seed repeats the plan, not what the threads make of it, and it finds what a schedule of whole
//! decisions cannot, such as a lock that is taken too late.
//!
//! `EPILOGUE_TEST_SEED` chooses the first round's seed, and `EPILOGUE_TEST_ROUNDS` how many seeded
//! rounds each race has.

use std::{
    any::Any,
    collections::BTreeSet,
    future::Future,
    hash::{DefaultHasher, Hash, Hasher as _},
    panic::resume_unwind,
    sync::{Arc, LazyLock},
};

use epilogue_engine::webhook::egress::Egress;
use tokio::{
    runtime::{Builder, Runtime},
    task::JoinError,
};

use super::{Setup, TestEngine, client, dice::Dice, schedule::Schedule};

/// How many seeded rounds each race has by default.
const ROUNDS: u64 = 150;
/// There is one round on threads for so many seeded ones.
const SEEDED_PER_ROUND_ON_THREADS: u64 = 8;
/// How many seeds are tried twice.
const REPEATED_MAX: usize = 8;
/// How many histories so many seeded rounds must lead to. The smallest race knows some dozens, however
/// many rounds it has; the others, hundreds.
const HISTORIES_MIN: usize = 12;
const ENOUGH_ROUNDS: usize = 100;
/// How much of a line of a failed round's trace is shown.
const LINE_MAX: usize = 240;

/// What no race uses and every engine has.
static CLIENT: LazyLock<Egress> = LazyLock::new(client);

/// What a failed round panicked with.
type Panic = Box<dyn Any + Send>;

/// One round of a race.
pub struct Round {
    pub dice: Dice,
    schedule: Option<Arc<Schedule>>,
}

impl Round {
    /// An engine with nothing unusual.
    pub async fn engine(&self) -> TestEngine {
        self.engine_with(|_| {}).await
    }

    /// An engine with what the race changes.
    pub async fn engine_with(&self, change: impl FnOnce(&mut Setup)) -> TestEngine {
        TestEngine::with(|setup| {
            change(setup);
            setup.schedule.clone_from(&self.schedule);
            setup.egress = Some(CLIENT.clone());
        })
        .await
    }
}

/// Makes the tests of each race: by its seeds, on threads, and whether a seed repeats a round.
macro_rules! races {
    ($($race:ident,)*) => {
        mod seeded {
            $(#[test] fn $race() { crate::support::rounds::seeded(super::$race); })*
        }
        mod on_threads {
            $(#[test] fn $race() { crate::support::rounds::on_threads(super::$race); })*
        }
        mod repeated {
            $(#[test] fn $race() { crate::support::rounds::repeated(super::$race); })*
        }
    };
}
pub(crate) use races;

/// Runs a race by its seeds, which must lead to many histories.
pub fn seeded<R>(race: impl Fn(Round) -> R)
where
    R: Future<Output = ()> + Send + 'static,
{
    let histories: Vec<_> = seeds().map(|seed| digest(&seeded_round(&race, seed))).collect();
    let rounds = histories.len();
    let found = histories.iter().collect::<BTreeSet<_>>().len();
    println!("{found} histories in {rounds} rounds, together {:016x}", digest(&histories));
    let enough = rounds < ENOUGH_ROUNDS || found >= HISTORIES_MIN;
    assert!(enough, "only {found} histories in {rounds} rounds");
}

/// Runs the same seeds twice: decision by decision, the second time is as the first.
pub fn repeated<R>(race: impl Fn(Round) -> R)
where
    R: Future<Output = ()> + Send + 'static,
{
    for seed in seeds().take(REPEATED_MAX) {
        let (first, second) = (seeded_round(&race, seed), seeded_round(&race, seed));
        let parted = first.iter().zip(&second).find(|(first, second)| first != second);
        assert_eq!(parted, None, "seed {seed} leads to two histories");
        assert_eq!(first.len(), second.len(), "seed {seed} leads to two histories");
        assert!(!first.is_empty(), "nothing is decided in it");
    }
}

/// Runs a race on threads.
pub fn on_threads<R>(race: impl Fn(Round) -> R)
where
    R: Future<Output = ()> + Send + 'static,
{
    let runtime = Builder::new_multi_thread().worker_threads(4).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let rounds = rounds().div_ceil(SEEDED_PER_ROUND_ON_THREADS);
    for seed in seeds().take(usize::try_from(rounds).expect("few")) {
        if let Err(panic) = run(&runtime, &race, Round { dice: Dice::seeded(seed), schedule: None })
        {
            eprintln!(
                "for the same plan, though perhaps another outcome: EPILOGUE_TEST_SEED={seed}"
            );
            resume_unwind(panic);
        }
    }
}

/// Runs one round by its seed, and says what was decided in it.
fn seeded_round<R>(race: &impl Fn(Round) -> R, seed: u64) -> Vec<String>
where
    R: Future<Output = ()> + Send + 'static,
{
    let schedule = Schedule::seeded(seed);
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let round = Round { dice: Dice::seeded(seed), schedule: Some(schedule.clone()) };
    let outcome = run(&runtime, race, round);
    let trace = std::mem::take(&mut *schedule.trace());
    if let Err(panic) = outcome {
        for line in &trace {
            eprintln!("{}", line.chars().take(LINE_MAX).collect::<String>());
        }
        eprintln!("to repeat it: EPILOGUE_TEST_SEED={seed} EPILOGUE_TEST_ROUNDS=1");
        resume_unwind(panic);
    }
    trace
}

/// Runs a round as a task like all others: the runtime has ways of its own with the one it blocks on.
fn run<R>(runtime: &Runtime, race: impl Fn(Round) -> R, round: Round) -> Result<(), Panic>
where
    R: Future<Output = ()> + Send + 'static,
{
    runtime.block_on(runtime.spawn(race(round))).map_err(JoinError::into_panic)
}

fn seeds() -> impl Iterator<Item = u64> {
    let first = given("EPILOGUE_TEST_SEED").unwrap_or(1);
    first..first.saturating_add(rounds())
}

fn rounds() -> u64 {
    given("EPILOGUE_TEST_ROUNDS").unwrap_or(ROUNDS)
}

fn given(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

/// The same in every process.
fn digest(of: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}
