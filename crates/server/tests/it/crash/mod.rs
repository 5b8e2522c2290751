//! Kills the server with `SIGKILL`, again and again, while sessions open, talk and end; then an
//! independent checker looks at everything that was promised.

mod check;
mod check_ledger;
mod check_steps;
mod client;
mod front;
mod log;
mod world;

use std::{
    hash::{BuildHasher as _, RandomState},
    sync::Arc,
    time::Duration,
};

use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

use self::{
    client::Client,
    front::Front,
    log::Told,
    world::{ENDINGS_MS, World},
};
use crate::support::{binary::Binary, client::Http, eventually, native::Native, pause};

/// How often the server is killed, and how often in a long run.
const KILLS: usize = 50;
const KILLS_LONG: usize = 500;
/// How many clients there are at once.
const CLIENTS: u64 = 24;
/// How long the server lives before it is killed, in milliseconds.
const LIFE_MS: std::ops::Range<u64> = 50..400;
/// One kill in this many comes while the server is still starting.
const EARLY_KILL_IN: u32 = 8;
/// How long a server lives that is killed while it starts, in milliseconds.
const EARLY_LIFE_MS: std::ops::Range<u64> = 0..80;
/// How much of what was found wrong is shown.
const PROBLEMS_SHOWN: usize = 25;

fn seed() -> u64 {
    let given = std::env::var("EPILOGUE_TEST_SEED").ok();
    given.map_or_else(
        || RandomState::new().hash_one(0),
        |seed| seed.parse().expect("EPILOGUE_TEST_SEED is a number"),
    )
}

fn kills() -> usize {
    let long = std::env::var("EPILOGUE_TEST_LONG").is_ok_and(|long| long == "1");
    if long { KILLS_LONG } else { KILLS }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_was_acknowledged_is_lost_however_often_the_server_is_killed() {
    let (seed, kills) = (seed(), kills());
    eprintln!("EPILOGUE_TEST_SEED={seed}, {kills} kills");
    let world = World::new(seed).await;
    let (front, http) = (Arc::new(Front::default()), Http::new());
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| Client::new(&front, &http, seed, number))
        .map(|client| tokio::spawn(client.run()))
        .collect();
    let (last, mut logs) = kill_again_and_again(&world, &front, seed, kills).await;
    front.close();
    let mut told = Told::default();
    for client in clients {
        told.take(client.await.expect("a client"));
    }
    settled(&Native::new(&http, world::KEY), &last.url()).await;
    logs.push_str(&last.stop().await);
    let problems = check::everything(&world, &told, &logs);
    let shown = problems.iter().take(PROBLEMS_SHOWN).cloned().collect::<Vec<_>>().join("\n  ");
    eprintln!("{}", told.summary());
    assert!(
        problems.is_empty(),
        "EPILOGUE_TEST_SEED={seed}: {} problems\n  {shown}",
        problems.len()
    );
    told.assert_that_it_was_a_test(kills);
}

/// Returns the server that was left alive, and what the killed ones have logged.
async fn kill_again_and_again(
    world: &World,
    front: &Front,
    seed: u64,
    kills: usize,
) -> (Binary, String) {
    let mut random = StdRng::seed_from_u64(seed);
    let mut logs = String::new();
    for _ in 0..kills {
        if random.random_ratio(1, EARLY_KILL_IN) {
            let starting = world.home.spawn();
            pause(Duration::from_millis(random.random_range(EARLY_LIFE_MS))).await;
            logs.push_str(&starting.kill().await);
            continue;
        }
        let mut server = world.home.start().await;
        front.open_at(server.url());
        pause(Duration::from_millis(random.random_range(LIFE_MS))).await;
        server.strike();
        front.shut();
        logs.push_str(&server.kill().await);
    }
    let server = world.home.start().await;
    front.open_at(server.url());
    // The last one has work left by the dead, and a moment of new work.
    pause(ENDINGS_MS).await;
    (server, logs)
}

/// Waits until no session is open and none owes anything, or until a step is parked, which the
/// checker will say more of.
async fn settled(native: &Native, url: &str) {
    let some = async |list: &str| {
        let page = native.get(url, &format!("{list}&limit=1")).await;
        !page["items"].as_array().expect("items").is_empty()
    };
    eventually("everything to settle", async || {
        let has_work = some("/sessions?state=active").await
            || some("/sessions?state=finalizing").await && !some("/steps?state=parked").await;
        (!has_work).then_some(())
    })
    .await;
}
