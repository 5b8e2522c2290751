//! How late sessions are ended that nobody ends, and how fast a server catches up that was away.

use epilogue_core::Span;
use epilogue_engine::clock::{Clock as _, SystemClock};

use crate::{
    Context, Result,
    agent::{self, Api, Setup},
    bare::{self, Owes},
    ends::open_copies,
    load::{self, Plan, count},
    look,
    peers::{self, Peers},
    report::{Aim, Figure},
    seed::{self, Due},
    server::{Data, Server},
    time::{self, Duration},
};

/// Copies that are made in a second, at the least: by this the first deadline is set.
const COPIES_PER_SECOND: usize = 15_000;
/// Over how many seconds deadlines are spread.
const SPREAD_S: usize = 60;
/// As many as the server sends to one receiver at once.
const LANE: usize = 16;
/// Decisions in one of the server's commits when it catches up.
const BATCH: usize = 512;
/// How long catching up may take.
const PATIENCE: Duration = Duration::from_mins(10);

/// Measures.
pub async fn run(context: &Context) -> Result<Vec<Figure>> {
    let mut figures = lateness(context).await?;
    figures.extend(overdue(context).await?);
    Ok(figures)
}

/// A database with one open session, made by the server itself.
async fn one_open(context: &Context, setup: &Setup) -> Result<Data> {
    let data = Data::new(context)?;
    let server = Server::start(context, &data, setup).await?;
    let plan = Plan { address: server.address, connections: 1, pace: None };
    load::drive(plan, vec![Api::default().open()?], Api::default().opened()).await?;
    server.stop().await?;
    Ok(data)
}

async fn lateness(context: &Context) -> Result<Vec<Figure>> {
    let sessions = context.sessions.unwrap_or(context.size.pick(100_000, 100_000, 1_000_000));
    let spread_s = context.size.pick(20, SPREAD_S, SPREAD_S);
    let setup = Setup::default();
    let data = one_open(context, &setup).await?;
    let seeding = Span::from_secs((sessions / COPIES_PER_SECOND) as u64 + 5);
    let first = SystemClock.now() + seeding;
    let due = Due { first_ms: first.as_millis(), spread_ms: i64::try_from(spread_s * 1000)? };
    seed::copy(&data.database(), sessions, Some(due))?;
    if SystemClock.now() >= first {
        return Err("the sessions were due before they were all made".into());
    }
    let server = Server::start(context, &data, &setup).await?;
    let left = first.since(SystemClock.now()).as_secs_f64();
    time::sleep(Duration::from_secs_f64(left + count(spread_s))).await;
    let behind = look::until_all_ended(&data.database(), PATIENCE).await?;
    let memory = server.resident_kib()?;
    drop(server);
    let late = look::lateness(&data.database())?;
    let rate = count(sessions) / count(spread_s);
    let name = |what: &str| format!("{what}; {sessions} open, {rate:.0} due a second");
    #[expect(clippy::cast_precision_loss, reason = "memory in KiB")]
    Ok(vec![
        Figure::new(name("expiry lateness, p50"), late.quantile_ms(50), "ms"),
        Figure::new(name("expiry lateness, p99"), late.quantile_ms(99), "ms")
            .aim(Aim::AtMost(1_000.0)),
        Figure::new(name("expiry lateness, worst"), late.worst_ms(), "ms"),
        Figure::new(name("behind at the end"), behind.as_secs_f64(), "s"),
        Figure::new(name("resident memory afterwards"), memory as f64 / 1024.0, "MiB"),
    ])
}

async fn overdue(context: &Context) -> Result<Vec<Figure>> {
    let sessions = context.size.pick(20_000, 100_000, 100_000);
    let peers = Peers::start(0)?;
    let setup = Setup { webhook: Some(peers.prompt_webhook()), ..Setup::default() };
    let floor = {
        let data = Data::new(context)?;
        let copies = open_copies(context, &data, &setup, sessions).await?;
        bare::ends_per_second(&data.database(), &copies, BATCH, Owes::Step)?
    };
    let plan = Plan { address: peers.address(), connections: LANE, pace: None };
    let told = (0..sessions).map(|_| peers::tell_webhook()).collect::<Result<_>>()?;
    let receiver = load::drive(plan, told, agent::accepted).await?.rate();
    let heard_before = peers.received();

    let data = one_open(context, &setup).await?;
    let hour_ago = SystemClock.now() - Span::from_secs(3_600);
    let due = Due { first_ms: hour_ago.as_millis(), spread_ms: 60_000 };
    seed::copy(&data.database(), sessions, Some(due))?;
    let started = time::now();
    let server = Server::start(context, &data, &setup).await?;
    look::until_all_ended(&data.database(), PATIENCE).await?;
    let ended = started.elapsed().as_secs_f64();
    look::until_all_settled(&data.database(), PATIENCE).await?;
    let settled = started.elapsed().as_secs_f64();
    drop(server);
    let heard = peers.received() - heard_before;
    if heard <= sessions {
        return Err(format!("{heard} of {} webhooks arrived", sessions + 1).into());
    }
    let name = |what: &str| format!("{sessions} overdue at start: {what}");
    Ok(vec![
        Figure::new(name("all ended after"), ended, "s")
            .over("bare loop", count(sessions) / floor)
            .aim(Aim::AtMost(15.0)),
        Figure::new(name("all webhooks delivered after"), settled, "s")
            .over("the receiver alone", count(sessions) / receiver),
        Figure::new(name("deliveries"), count(sessions) / settled, "/s"),
    ])
}
