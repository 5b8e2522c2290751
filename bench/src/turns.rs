//! What the server adds to the first token of a turn, and how many streams it holds at once.

use std::{net::SocketAddr, sync::Arc};

use http_body_util::BodyExt as _;
use tokio::{sync::Barrier, task::JoinSet};

use crate::{
    Context, Result,
    agent::{Api, Session, Setup},
    http::{Call, Connection},
    load::{self, Latencies, Plan, count},
    peers::{self, MODEL_SPEAKS, Peers},
    report::{Aim, Figure},
    server::{Data, Server},
    time::{self, Duration},
};

/// Turns at once while latency is measured.
const AT_ONCE: usize = 4;
/// How one sees that the agent has begun to speak.
const AGENT_SPEAKS: &[u8] = b"event: chunk";
/// Streams that are opened in a second.
const STREAMS_PER_SECOND: f64 = 1_000.0;
/// A stream whose words come further apart than this has stalled. They are sent one a second.
const STALLED: Duration = Duration::from_secs(3);

/// Measures.
pub async fn run(context: &Context) -> Result<Vec<Figure>> {
    let mut figures = first_token(context).await?;
    figures.extend(streams(context).await?);
    Ok(figures)
}

async fn first_token(context: &Context) -> Result<Vec<Figure>> {
    let turns = context.size.pick(800, 4_000, 20_000);
    let peers = Peers::start(0)?;
    let data = Data::new(context)?;
    let setup = Setup { model: Some(peers.prompt_model()), ..Setup::default() };
    let server = Server::start(context, &data, &setup).await?;
    let (mut direct, mut through) = (Vec::new(), Vec::new());
    for _ in 0..context.repetitions {
        let calls = (0..turns).map(|_| peers::ask_model()).collect::<Result<_>>()?;
        direct.push(speak(peers.address(), calls, MODEL_SPEAKS).await?);
        let sessions = open(&server, turns).await?;
        let calls = sessions.iter().map(Session::say).collect::<Result<_>>()?;
        through.push(speak(server.address, calls, AGENT_SPEAKS).await?);
    }
    let of =
        |runs: &[Latencies], percent| load::median(runs.iter().map(|run| run.quantile_ms(percent)));
    let figure = |percent| {
        let (direct, through) = (of(&direct, percent), of(&through, percent));
        let added =
            Figure::new(format!("added to the first token, p{percent}"), through - direct, "ms");
        let whole = Figure::new(format!("first token, p{percent}"), through, "ms");
        (whole.over("model directly", direct), added)
    };
    let ((whole_50, added_50), (whole_99, added_99)) = (figure(50), figure(99));
    Ok(vec![whole_50, whole_99, added_50, added_99.aim(Aim::AtMost(3.0))])
}

async fn open(server: &Server, sessions: usize) -> Result<Vec<Session>> {
    let plan = Plan { address: server.address, connections: 64, pace: None };
    let calls = (0..sessions).map(|_| Api::default().open()).collect::<Result<_>>()?;
    Ok(load::drive(plan, calls, Api::default().opened()).await?.values)
}

/// How long each answer took to its first word, over a few connections.
async fn speak(address: SocketAddr, calls: Vec<Call>, word: &'static [u8]) -> Result<Latencies> {
    let share = calls.len().div_ceil(AT_ONCE).max(1);
    let mut calls = calls.into_iter();
    let mut speakers = JoinSet::new();
    for _ in 0..AT_ONCE {
        let calls: Vec<_> = calls.by_ref().take(share).collect();
        speakers.spawn(async move {
            let mut connection = Connection::open(address).await?;
            let mut took = Vec::new();
            for call in calls {
                took.push(first_word(&mut connection, call, word).await?);
            }
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>(took)
        });
    }
    let mut took = Vec::new();
    while let Some(speaker) = speakers.join_next().await {
        took.extend(speaker??);
    }
    Ok(took.into_iter().collect())
}

async fn first_word(connection: &mut Connection, call: Call, word: &[u8]) -> Result<Duration> {
    let sent = time::now();
    let answer = connection.begin(call).await?;
    if !answer.status().is_success() {
        return Err(format!("answered {}", answer.status()).into());
    }
    let (mut body, mut text, mut first) = (answer.into_body(), Vec::new(), None);
    while let Some(frame) = body.frame().await {
        if let (None, Ok(piece)) = (first, frame?.into_data()) {
            text.extend_from_slice(&piece);
            first = text.windows(word.len()).any(|part| part == word).then(|| sent.elapsed());
        }
    }
    first.ok_or_else(|| "an answer without a word".into())
}

/// What became of one stream.
struct Heard {
    words: usize,
    longest_pause: Duration,
}

async fn streams(context: &Context) -> Result<Vec<Figure>> {
    let wanted = context.sessions.unwrap_or(context.size.pick(2_000, 5_000, 5_000));
    let ramp = count(wanted) / STREAMS_PER_SECOND;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few seconds")]
    let ticks = ramp.ceil() as usize + context.size.pick(8, 20, 60);
    let peers = Peers::start(ticks)?;
    let data = Data::new(context)?;
    let setup = Setup { model: Some(peers.ticking_model()), ..Setup::default() };
    let server = Server::start(context, &data, &setup).await?;
    let before = server.resident_kib()?;
    let sessions = open(&server, wanted).await?;
    // All are open at the moment when the last one has begun to speak.
    let all_open = Arc::new(Barrier::new(wanted + 1));
    let started = time::now();
    let mut streams = JoinSet::new();
    for (number, session) in sessions.iter().enumerate() {
        let begin = started + Duration::from_secs_f64(count(number) / STREAMS_PER_SECOND);
        let (call, all_open) = (session.say()?, all_open.clone());
        streams.spawn(listen(server.address, call, begin, all_open));
    }
    let patience = Duration::from_mins(1);
    tokio::time::timeout(patience, all_open.wait()).await.map_err(|_| "not all streams opened")?;
    let during = server.resident_kib()?;
    let mut heard = Vec::new();
    while let Some(stream) = streams.join_next().await {
        heard.push(stream??);
    }
    let stalled = heard.iter().filter(|h| h.longest_pause > STALLED || h.words < ticks).count();
    let pauses: Latencies = heard.iter().map(|heard| heard.longest_pause).collect();
    #[expect(clippy::cast_precision_loss, reason = "memory in KiB")]
    let (before, during) = (before as f64, during as f64);
    Ok(vec![
        Figure::new("streams held at once", count(wanted), "").aim(Aim::AtLeast(5_000.0)),
        Figure::new("of these, stalled", count(stalled), "").aim(Aim::AtMost(0.0)),
        Figure::new(
            "longest pause of a stream, a word a second, p50",
            pauses.quantile_ms(50),
            "ms",
        ),
        Figure::new(
            "longest pause of a stream, a word a second, p99",
            pauses.quantile_ms(99),
            "ms",
        ),
        Figure::new("resident memory with the streams", during / 1024.0, "MiB"),
        Figure::new("of it, for each stream", (during - before) / count(wanted), "KiB"),
    ])
}

async fn listen(
    address: SocketAddr,
    call: Call,
    begin: time::Instant,
    all_open: Arc<Barrier>,
) -> Result<Heard> {
    time::sleep_until(begin).await;
    let mut connection = Connection::open(address).await?;
    let mut body = connection.begin(call).await?.into_body();
    let waiting = tokio::spawn(async move {
        all_open.wait().await;
    });
    let (mut heard, mut last) = (Heard { words: 0, longest_pause: Duration::ZERO }, time::now());
    while let Some(frame) = body.frame().await {
        let Ok(piece) = frame?.into_data() else { continue };
        let words = piece.windows(AGENT_SPEAKS.len()).filter(|part| *part == AGENT_SPEAKS).count();
        if words > 0 {
            heard.words += words;
            heard.longest_pause = heard.longest_pause.max(last.elapsed());
            last = time::now();
        }
    }
    waiting.await?;
    Ok(heard)
}
