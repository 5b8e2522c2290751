//! What a server costs that does nothing: its start, its memory, and its past.

use crate::{
    Context, Result,
    agent::{self, Api, Setup},
    load::{self, Plan, count, median},
    report::{Aim, Figure},
    seed::{self, Due},
    server::{Data, Server},
    time::{self, Duration},
};

/// How long a server is left alone before its memory is looked at.
const REST: Duration = Duration::from_secs(2);
/// Cold starts.
const STARTS: usize = 5;
/// A past that is short.
const SHORT_PAST: usize = 10_000;
/// Connections that ends come over.
const CONNECTIONS: usize = 64;
/// When sessions come due that are only held: after every run.
const DUE_NEVER_MS: i64 = 4_000_000_000_000;

/// Measures.
pub async fn run(context: &Context) -> Result<Vec<Figure>> {
    let setup = Setup::default();
    let mut starts = Vec::new();
    for _ in 0..STARTS {
        let data = Data::new(context)?;
        let server = Server::start(context, &data, &setup).await?;
        starts.push(server.cold_start.as_secs_f64() * 1e3);
    }
    let empty = resting_kib(context, &Data::new(context)?, &setup).await?;
    let mut figures = vec![
        Figure::new("cold start to the first answer", median(starts), "ms").aim(Aim::AtMost(100.0)),
        Figure::new("resident memory, idle", empty / 1024.0, "MiB").aim(Aim::AtMost(40.0)),
    ];
    figures.extend(open_sessions(context, &setup, empty).await?);
    figures.extend(past(context, &setup).await?);
    Ok(figures)
}

#[expect(clippy::cast_precision_loss, reason = "memory in KiB")]
async fn resting_kib(context: &Context, data: &Data, setup: &Setup) -> Result<f64> {
    let server = Server::start(context, data, setup).await?;
    time::sleep(REST).await;
    Ok(server.resident_kib()? as f64)
}

/// What open sessions cost that nobody speaks in.
async fn open_sessions(context: &Context, setup: &Setup, empty: f64) -> Result<Vec<Figure>> {
    let sessions = context.sessions.unwrap_or(context.size.pick(100_000, 300_000, 1_000_000));
    let data = Data::new(context)?;
    let server = Server::start(context, &data, setup).await?;
    let plan = Plan { address: server.address, connections: 1, pace: None };
    load::drive(plan, vec![Api::default().open()?], Api::default().opened()).await?;
    server.stop().await?;
    let due = Due { first_ms: DUE_NEVER_MS, spread_ms: 60_000 };
    seed::copy(&data.database(), sessions, Some(due))?;
    let held = resting_kib(context, &data, setup).await?;
    Ok(vec![
        Figure::new(format!("resident memory, {sessions} sessions open"), held / 1024.0, "MiB")
            .over("idle", empty / 1024.0)
            .aim(Aim::AtMost(200.0)),
        Figure::new(
            "of it, for each session",
            (held - empty).max(0.0) * 1024.0 / count(sessions),
            "bytes",
        )
        .aim(Aim::AtMost(64.0)),
    ])
}

/// What an end costs.
struct Cost {
    per_second: f64,
    alone_ms: f64,
}

/// Whether an end costs more with a long past.
async fn past(context: &Context, setup: &Setup) -> Result<Vec<Figure>> {
    let long = context.size.pick(100_000, 1_000_000, 10_000_000);
    let now = cost(context, setup, SHORT_PAST).await?;
    let later = cost(context, setup, long).await?;
    let name = |what: &str| format!("{what} with {long} ended sessions stored");
    let floor = format!("with {SHORT_PAST}");
    Ok(vec![
        Figure::new(name("durable ends"), later.per_second, "/s").over(&floor, now.per_second),
        // The cost of an end is the inverse of how many there are in a second.
        Figure::new(name("time for each end, 64 connections"), 1e3 / later.per_second, "ms")
            .over(&floor, 1e3 / now.per_second)
            .aim(Aim::TimesFloor(1.2)),
        Figure::new(name("an end alone, p50"), later.alone_ms, "ms")
            .over(&floor, now.alone_ms)
            .aim(Aim::TimesFloor(1.2)),
    ])
}

async fn cost(context: &Context, setup: &Setup, stored: usize) -> Result<Cost> {
    let data = Data::new(context)?;
    let server = Server::start(context, &data, setup).await?;
    end_some(&server, 1, 1).await?;
    server.stop().await?;
    seed::copy(&data.database(), stored, None)?;
    let server = Server::start(context, &data, setup).await?;
    let ends = context.size.pick(4_000, 20_000, 50_000);
    let (mut rates, mut alone) = (Vec::new(), Vec::new());
    for _ in 0..context.repetitions {
        rates.push(end_some(&server, ends, CONNECTIONS).await?.0);
        alone.push(end_some(&server, ends / 10, 1).await?.1);
    }
    Ok(Cost { per_second: median(rates), alone_ms: median(alone) })
}

/// Opens sessions and ends them. Returns ends per second, and the p50 of one in milliseconds.
async fn end_some(server: &Server, count: usize, connections: usize) -> Result<(f64, f64)> {
    let plan = |connections| Plan { address: server.address, connections, pace: None };
    let calls = (0..count).map(|_| Api::default().open()).collect::<Result<_>>()?;
    let opened = load::drive(plan(CONNECTIONS), calls, Api::default().opened()).await?;
    let calls = opened.values.iter().map(agent::Session::end).collect::<Result<_>>()?;
    let ended = load::drive(plan(connections), calls, agent::accepted).await?;
    Ok((ended.rate(), ended.latencies.quantile_ms(50)))
}
