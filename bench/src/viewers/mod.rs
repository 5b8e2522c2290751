//! How many viewers watch avatars at once without a stall, what that costs, and how fast an end reaches
//! them.
//!
//! Every viewer has a session of its own, is told something of its own again and again, and hears and sees
//! it over a WebRTC connection of its own.

mod audience;
mod avatar;
mod bare;
mod metrics;
mod seen;
mod session;
mod viewer;
mod voice;

use tokio::sync::watch;

use self::{
    audience::Audience,
    metrics::Metrics,
    seen::{SOUND_PER_SECOND, Seen},
    session::{BEAT, Ended, House, Phase},
};
use crate::{
    Context, Result,
    agent::Setup,
    load::{Latencies, count},
    report::{Aim, Figure},
    server::{Data, Server},
    time::{self, Duration},
};

/// How many viewers there are to be.
const VIEWERS: f64 = 200.0;
/// How long a viewer may go on seeing what has ended.
const TOLD_WITHIN_MS: f64 = 1_000.0;

/// Measures.
pub async fn run(context: &Context) -> Result<Vec<Figure>> {
    let viewers = context.sessions.unwrap_or(context.size.pick(20, 200, 200));
    let lasts = Duration::from_secs(context.size.pick(10, 60, 600));
    let rests = Duration::from_secs(context.size.pick(5, 15, 30));
    let data = Data::new(context)?;
    let setup = Setup { more: avatar::config(viewers), ..Setup::default() };
    let server = Server::start(context, &data, &setup).await?;
    let before_kib = server.resident_kib()?;

    let audience = Audience::start()?;
    let (phase, in_phase) = watch::channel(Phase::Rest);
    let mut house = House::open(&server, &audience, viewers, &in_phase).await?;
    let rest = Scene::watch(&server, &mut house, rests).await?;
    phase.send_replace(Phase::Told);
    // By then everybody has begun to speak.
    house.go_on(BEAT).await?;
    let told = Scene::watch(&server, &mut house, lasts).await?;
    let during_kib = server.resident_kib()?;
    phase.send_replace(Phase::Over);
    let ended = house.ended().await?;
    let emptied = metrics::until_empty(&server).await?;

    let mut figures = quality(&told, viewers);
    figures.extend(lateness(&Metrics::read(&server).await?)?);
    figures.extend(costs(&rest, "at rest").await?);
    figures.extend(costs(&told, "told something all the time").await?);
    figures.extend(memory(before_kib, during_kib, viewers));
    figures.extend(ends(&ended, emptied));
    Ok(figures)
}

/// What a while of watching came to.
struct Scene {
    seen: Vec<Seen>,
    lasted: Duration,
    /// The server's processor time.
    cpu: f64,
}

impl Scene {
    async fn watch(server: &Server, house: &mut House, lasts: Duration) -> Result<Self> {
        let (begun, cpu) = (time::now(), server.cpu_seconds()?);
        drop(house.look());
        house.go_on(lasts).await?;
        let seen = house.look();
        let (lasted, cpu) = (begun.elapsed(), server.cpu_seconds()? - cpu);
        Ok(Self { seen, lasted, cpu })
    }

    fn viewer_seconds(&self) -> f64 {
        self.lasted.as_secs_f64() * count(self.seen.len())
    }
}

fn quality(told: &Scene, viewers: usize) -> Vec<Figure> {
    let seconds = told.lasted.as_secs_f64();
    let stalled = told.seen.iter().filter(|seen| seen.has_stalled()).count();
    let pauses: Latencies = told.seen.iter().map(|seen| seen.sound.longest_pause).collect();
    let heard: usize = told.seen.iter().map(|seen| seen.sound.frames).sum();
    let missing: usize = told.seen.iter().map(Seen::sound_missing).sum();
    let fewest = told.seen.iter().map(|seen| seen.pictures.frames).min().unwrap_or(0);
    let pictures: usize = told.seen.iter().map(|seen| seen.pictures.frames).sum();
    let still: Latencies = told.seen.iter().map(|seen| seen.pictures.longest_pause).collect();
    let due = SOUND_PER_SECOND * told.viewer_seconds();
    let viewers = Figure::new("viewers at once", count(viewers), "");
    vec![
        viewers.aim(Aim::AtLeast(VIEWERS)),
        Figure::new("watched for", seconds, "s"),
        Figure::new("of these, stalled", count(stalled), "").aim(Aim::AtMost(0.0)),
        Figure::new("longest pause of a viewer's sound, p50", pauses.quantile_ms(50), "ms"),
        Figure::new("longest pause of a viewer's sound, p99", pauses.quantile_ms(99), "ms"),
        Figure::new("longest pause of a viewer's sound, worst", pauses.worst_ms(), "ms"),
        Figure::new("packets of sound, of those that 50 a second are", heard_of(heard, due), "%"),
        Figure::new("packets of sound missing in between", count(missing), ""),
        Figure::new("pictures a second", count(pictures) / told.viewer_seconds(), ""),
        Figure::new("pictures a second, fewest", count(fewest) / seconds, ""),
        Figure::new("longest pause of a viewer's pictures, worst", still.worst_ms(), "ms"),
    ]
}

fn heard_of(heard: usize, due: f64) -> f64 {
    100.0 * count(heard) / due
}

/// What the server itself says it did not do in time, from its start on.
fn lateness(metrics: &Metrics) -> Result<Vec<Figure>> {
    Ok(vec![
        Figure::new("moments of 20 ms that the server left out", metrics.missed()?, "")
            .aim(Aim::AtMost(0.0)),
        Figure::new("datagrams that the system did not take", metrics.unsent()?, "")
            .aim(Aim::AtMost(0.0)),
    ])
}

async fn costs(scene: &Scene, name: &str) -> Result<Vec<Figure>> {
    let sizes: Vec<_> = scene.seen.iter().map(|seen| seen.datagrams.clone()).collect();
    let datagrams: usize = sizes.iter().map(Vec::len).sum();
    let bytes: f64 = sizes.iter().flatten().map(|size| f64::from(*size)).sum();
    let bare = bare::send(&sizes).await?;
    let seconds = scene.viewer_seconds();
    let name = |what: &str| format!("{what}; {name}");
    let cores = scene.cpu / scene.lasted.as_secs_f64();
    Ok(vec![
        Figure::new(
            name("server's processor time for a viewer's second"),
            scene.cpu * 1e3 / seconds,
            "ms",
        )
        .over("bare sending", bare * 1e3 / seconds),
        Figure::new(name("server's cores"), cores, ""),
        Figure::new(name("datagrams a viewer's second"), count(datagrams) / seconds, ""),
        Figure::new(name("bytes a viewer's second"), bytes / 1e3 / seconds, "kB"),
    ])
}

#[expect(clippy::cast_precision_loss, reason = "memory in KiB")]
fn memory(before_kib: u64, during_kib: u64, viewers: usize) -> Vec<Figure> {
    let (before, during) = (before_kib as f64, during_kib as f64);
    vec![
        Figure::new("resident memory with the viewers", during / 1024.0, "MiB")
            .over("without", before / 1024.0),
        Figure::new("of it, for each viewer", (during - before) / count(viewers), "KiB"),
    ]
}

fn ends(ended: &[Ended], emptied: Duration) -> Vec<Figure> {
    let answered: Latencies = ended.iter().map(|ended| ended.answered).collect();
    let told: Latencies = ended.iter().filter_map(|ended| ended.told).collect();
    let never = ended.iter().filter(|ended| ended.told.is_none()).count();
    let mut figures = vec![
        Figure::new("all end at once: answered, p50", answered.quantile_ms(50), "ms"),
        Figure::new("all end at once: answered, p99", answered.quantile_ms(99), "ms"),
        Figure::new("all end at once: its viewer is told, p50", told.quantile_ms(50), "ms"),
        Figure::new("all end at once: its viewer is told, worst", told.worst_ms(), "ms")
            .aim(Aim::AtMost(TOLD_WITHIN_MS)),
        Figure::new("of the viewers, never told", count(never), "").aim(Aim::AtMost(0.0)),
        Figure::new("until the server holds nothing of them", emptied.as_secs_f64() * 1e3, "ms"),
    ];
    let spoken: Vec<_> = ended.iter().filter_map(|ended| ended.spoken).collect();
    if !spoken.is_empty() {
        let on_record = spoken.iter().filter(|is_on_record| **is_on_record).count();
        figures.push(
            Figure::new("words spoken by a program and on record", count(on_record), "")
                .over("said", count(spoken.len()))
                .aim(Aim::PartOfFloor(1.0)),
        );
    }
    figures
}
