//! How many durable ends a second, and how long one takes.

use uuid::Uuid;

use crate::{
    Context, Result,
    agent::{self, Session, Setup},
    bare::{self, Owes},
    floor::{self, EmptyServer},
    load::{self, Latencies, Plan, Run, count, median},
    look, machine,
    peers::Peers,
    report::{Aim, Figure},
    seed,
    server::{Data, Server},
    time::Duration,
};

/// Connections that ends come over.
const CONNECTIONS: usize = 64;
/// One session in so many has had a turn.
const ONE_TURN_IN: usize = 10;
/// How long deliveries may take to catch up.
const PATIENCE: Duration = Duration::from_mins(5);

/// What happens after an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum After {
    /// A webhook is owed, and its receiver does not answer: the steps are written and stay owed.
    Owed,
    /// A webhook is owed, and delivered while further sessions end.
    Delivered,
    /// Nothing.
    Nothing,
}

impl After {
    const fn says(self) -> &'static str {
        match self {
            Self::Owed => "a webhook owed, its receiver stuck",
            Self::Delivered => "a webhook owed and delivered meanwhile",
            Self::Nothing => "nothing owed",
        }
    }

    fn setup(self, peers: &Peers) -> Setup {
        let webhook = match self {
            Self::Owed => Some(peers.stuck_webhook()),
            Self::Delivered => Some(peers.prompt_webhook()),
            Self::Nothing => None,
        };
        Setup { webhook, ..Setup::default() }
    }

    const fn owes(self) -> Owes {
        match self {
            Self::Owed | Self::Delivered => Owes::Step,
            Self::Nothing => Owes::Nothing,
        }
    }
}

/// Measures.
pub async fn run(context: &Context) -> Result<Vec<Figure>> {
    let ends = context.sessions.unwrap_or(context.size.pick(4_000, 20_000, 50_000));
    let sync = floor::sync(&context.folder)?;
    let empty = EmptyServer::start()?;
    let mut answers = Vec::new();
    for _ in 0..context.repetitions {
        answers.push(empty.answers(CONNECTIONS, ends).await?);
    }
    drop(empty);
    let empty_rate = median(answers.iter().map(Run::rate));
    let mut figures = vec![
        Figure::new("one disk sync, 4 KiB appended, p50", sync.quantile_ms(50), "ms"),
        Figure::new(
            "empty handler, p50",
            median(answers.iter().map(|run| run.latencies.quantile_ms(50))),
            "ms",
        ),
        Figure::new("empty handler", empty_rate, "/s"),
    ];
    for after in [After::Owed, After::Delivered, After::Nothing] {
        figures.extend(measure(context, after, ends, (&sync, empty_rate)).await?);
    }
    Ok(figures)
}

async fn measure(
    context: &Context,
    after: After,
    ends: usize,
    (sync, empty_rate): (&Latencies, f64),
) -> Result<Vec<Figure>> {
    let peers = Peers::start(0)?;
    let setup = after.setup(&peers);
    let (bare_rate, bare_cpu) = bare_rate(context, &setup, ends, after).await?;
    let data = Data::new(context)?;
    let server = Server::start(context, &data, &setup).await?;
    let (mut full, mut half, mut opens, mut cpu) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..context.repetitions {
        let (sessions, rate) = open(context, &server, ends).await?;
        opens.push(rate);
        let before = server.cpu_seconds()?;
        full.push(end_all(&server, &sessions, None).await?);
        settled(after, &data).await?;
        cpu.push((server.cpu_seconds()? - before) * 1e6 / count(ends));
    }
    let rate = median(full.iter().map(Run::rate));
    for _ in 0..context.repetitions {
        let (sessions, _) = open(context, &server, ends / 2).await?;
        half.push(end_all(&server, &sessions, Some(rate / 2.0)).await?);
        settled(after, &data).await?;
    }
    let floor = if bare_rate < empty_rate {
        ("bare loop", bare_rate)
    } else {
        ("empty handler", empty_rate)
    };
    let quantile = |runs: &[Run<()>], percent| {
        median(runs.iter().map(|run| run.latencies.quantile_ms(percent)))
    };
    let name = |what: &str| format!("{what}; {}", after.says());
    let sync = sync.quantile_ms(50);
    Ok(vec![
        Figure::new(name("opens"), median(opens), "/s"),
        Figure::new(name("bare loop"), bare_rate, "/s"),
        Figure::new(name("durable ends"), rate, "/s")
            .over(floor.0, floor.1)
            .aim(Aim::PartOfFloor(0.5)),
        Figure::new(
            name("server's processor time for each, with all that follows"),
            median(cpu),
            "µs",
        )
        .over("bare loop", bare_cpu),
        Figure::new(name("end, p50, full load"), quantile(&full, 50), "ms"),
        Figure::new(name("end, p99, full load"), quantile(&full, 99), "ms"),
        Figure::new(name("end, p50, half load"), quantile(&half, 50), "ms")
            .over("one sync", sync)
            .aim(Aim::AtMost(2.0 * sync + 1.0)),
        Figure::new(name("end, p99, half load"), quantile(&half, 99), "ms")
            .over("one sync", sync)
            .aim(Aim::TimesFloor(10.0)),
    ])
}

/// Opens sessions, some of which have a turn. Returns how many were opened a second.
async fn open(context: &Context, server: &Server, sessions: usize) -> Result<(Vec<Session>, f64)> {
    let plan = Plan { address: server.address, connections: CONNECTIONS, pace: None };
    let calls = (0..sessions).map(|_| context.api.open()).collect::<Result<_>>()?;
    let opened = load::drive(plan, calls, context.api.opened()).await?;
    let rate = opened.rate();
    let turns = opened.values.iter().step_by(ONE_TURN_IN).map(Session::say);
    load::drive(plan, turns.collect::<Result<_>>()?, agent::accepted).await?;
    Ok((opened.values, rate))
}

async fn end_all(server: &Server, sessions: &[Session], pace: Option<f64>) -> Result<Run<()>> {
    let plan = Plan { address: server.address, connections: CONNECTIONS, pace };
    let calls = sessions.iter().map(Session::end).collect::<Result<_>>()?;
    load::drive(plan, calls, agent::accepted).await
}

/// Waits until deliveries have caught up, so that the next run does not pay for this one.
async fn settled(after: After, data: &Data) -> Result<()> {
    if after == After::Delivered {
        look::until_all_settled(&data.database(), PATIENCE).await?;
    }
    Ok(())
}

/// The same ends by the bare loop, as many to a commit as there are connections: how many a second,
/// and the processor time for each in microseconds.
async fn bare_rate(
    context: &Context,
    setup: &Setup,
    ends: usize,
    after: After,
) -> Result<(f64, f64)> {
    let data = Data::new(context)?;
    let sessions = open_copies(context, &data, setup, ends * context.repetitions).await?;
    let cpu = || machine::cpu_seconds(std::process::id()).ok_or("no such process");
    let before = cpu()?;
    let runs = sessions.chunks(ends).map(|sessions| {
        bare::ends_per_second(&data.database(), sessions, CONNECTIONS, after.owes())
    });
    let rate = median(runs.collect::<Result<Vec<_>>>()?);
    Ok((rate, (cpu()? - before) * 1e6 / count(sessions.len())))
}

/// Open sessions in a database without a server.
pub async fn open_copies(
    context: &Context,
    data: &Data,
    setup: &Setup,
    sessions: usize,
) -> Result<Vec<Uuid>> {
    let server = Server::start(context, data, setup).await?;
    let plan = Plan { address: server.address, connections: 1, pace: None };
    load::drive(plan, vec![context.api.open()?], context.api.opened()).await?;
    server.stop().await?;
    seed::copy(&data.database(), sessions, None)
}
