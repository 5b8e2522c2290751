//! The house: every session with whoever keeps it alive and speaks through it, and its viewer.

use tokio::{sync::watch, task::JoinSet};

use super::{
    audience::Audience,
    avatar::{Avatar, WORDS, can_speak},
    seen::Seen,
    viewer::{View, Viewer},
    voice,
};
use crate::{
    Result,
    load::count,
    server::Server,
    time::{self, Duration, Instant},
};

/// How often a session is kept alive, and told something.
pub const BEAT: Duration = Duration::from_secs(10);
/// How long viewers may take to hear of the end.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often we look.
const LOOK: Duration = Duration::from_millis(5);

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Avatars rest.
    Rest,
    /// Avatars are told something in every beat.
    Told,
    /// All sessions end.
    Over,
}

/// A session that has ended.
pub struct Ended {
    /// How long the answer to the end took.
    pub answered: Duration,
    /// How long it took until its viewer was told, from the same moment on. `None`: it never was.
    pub told: Option<Duration>,
    /// Whether the words it was to say are on record. `None`: it was to say none.
    pub spoken: Option<bool>,
}

/// Whoever is done with a session: its place, when the end was asked for and answered, and what was spoken.
type Done = (usize, Instant, Instant, Option<bool>);

/// All sessions.
pub struct House {
    views: Vec<View>,
    clients: JoinSet<Result<Done>>,
}

impl House {
    /// Opens sessions and lets their viewers in, one after the other.
    pub async fn open(
        server: &Server,
        audience: &Audience,
        sessions: usize,
        phase: &watch::Receiver<Phase>,
    ) -> Result<Self> {
        let (mut views, mut clients) = (Vec::new(), JoinSet::new());
        let speaks = can_speak();
        for place in 0..sessions {
            let (mut viewer, offer, connected) = Viewer::new()?;
            let (avatar, answer) = Avatar::open(server, offer).await?;
            viewer.accept(&answer)?;
            views.push(audience.seat(viewer, connected).await?);
            let client = Client { avatar, place, speaks, recording: voice::recording(place) };
            let first = time::now() + BEAT.mul_f64(count(place) / count(sessions));
            clients.spawn(client.attend(first, phase.clone()));
        }
        Ok(Self { views, clients })
    }

    /// Lets time pass. A session that fails meanwhile fails the run.
    pub async fn go_on(&mut self, span: Duration) -> Result<()> {
        let until = time::now() + span;
        tokio::select! {
            () = time::sleep_until(until) => Ok(()),
            Some(done) = self.clients.join_next() => {
                done??;
                Err("a session ended too early".into())
            }
        }
    }

    /// What every viewer has seen since the last look.
    pub fn look(&self) -> Vec<Seen> {
        let now = time::now();
        self.views.iter().map(|view| view.seen().begin(now)).collect()
    }

    /// Waits until all sessions have ended and all viewers know.
    pub async fn ended(mut self) -> Result<Vec<Ended>> {
        let mut ended = Vec::new();
        while let Some(done) = self.clients.join_next().await {
            let (place, asked, answered, spoken) = done??;
            let view = self.views.get(place).ok_or("no such place")?;
            let closed = closed(view, asked).await;
            let told = closed.map(|closed| closed.saturating_duration_since(asked));
            ended.push(Ended { answered: answered - asked, told, spoken });
        }
        Ok(ended)
    }
}

/// When a viewer heard of the end, which was asked for at a moment.
async fn closed(view: &View, asked: Instant) -> Option<Instant> {
    while view.seen().closed.is_none() && asked.elapsed() < PATIENCE {
        time::sleep(LOOK).await;
    }
    view.seen().closed
}

/// Whoever has a session shown.
struct Client {
    avatar: Avatar,
    place: usize,
    /// Whether words can be spoken here.
    speaks: bool,
    recording: Vec<u8>,
}

impl Client {
    /// Keeps it alive and tells it things, until all is over.
    async fn attend(mut self, first: Instant, mut phase: watch::Receiver<Phase>) -> Result<Done> {
        let (mut next, mut told) = (first, 0);
        while *phase.borrow_and_update() != Phase::Over {
            tokio::select! {
                biased;
                changed = phase.changed() => changed?,
                () = time::sleep_until(next) => {
                    next += BEAT;
                    self.avatar.keep_alive().await?;
                    if *phase.borrow() == Phase::Told {
                        if self.speaks && told == 0 {
                            self.avatar.say_words().await?;
                        }
                        told += 1;
                        self.avatar.say_recording(&self.recording).await?;
                    }
                }
            }
        }
        let asked = time::now();
        self.avatar.end().await?;
        let answered = time::now();
        let status = self.avatar.status().await?;
        if status != http::StatusCode::GONE {
            return Err(format!("a session that is over answered {status}").into());
        }
        let said_words = self.speaks && told > 0;
        let spoken = if said_words { Some(self.avatar.has_said(WORDS).await?) } else { None };
        Ok((self.place, asked, answered, spoken))
    }
}
