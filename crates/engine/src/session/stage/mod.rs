//! Sessions that are seen and heard: their stage on this node, what is said on it, and who watches.

mod line;
mod performer;
mod pieces;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use epilogue_core::{Session, SessionId, Staging, Timestamp};
use epilogue_storage::{TakeStage, TakeStageOutcome};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use self::{
    line::{Line, Part, Queued},
    pieces::pieces,
};
use super::turns::Key;
use crate::{
    Engine, Error,
    media::{Clip, SoundFault, StageCensus, StageFault, ViewerFault},
    speech::Sound,
};

pub use self::line::{INTERRUPTED_MAX, PARTS_WAITING_MAX, SOUND_WAITING_MAX, TURN_PATIENCE};

/// The stages of this node.
#[derive(Default)]
pub(crate) struct Stages {
    by_session: Mutex<HashMap<SessionId, Arc<Stage>>>,
}

/// One session's stage.
pub(crate) struct Stage {
    key: Key,
    staging: Staging,
    program: Mutex<Program>,
    /// Something was added to the line.
    more: Notify,
    /// How often it was interrupted.
    interruptions: watch::Sender<u64>,
    /// Held by whoever has the avatar begin or stop to speak, so that nothing begins after it stopped.
    floor: tokio::sync::Mutex<()>,
    /// The viewer that was let in last.
    viewer: Mutex<Option<String>>,
    stop: CancellationToken,
}

/// What is to be said, and until when something is heard.
struct Program {
    line: Line,
    heard_until: Timestamp,
}

/// What is shown and said on a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OnStage {
    /// Sessions that somebody performs.
    pub performed: usize,
    /// Parts of turns that wait to be said in them.
    pub parts: usize,
    /// What the media plane holds.
    pub held: StageCensus,
}

/// Something to be said, as part of a turn.
#[derive(Clone, Debug)]
pub struct Say {
    /// The turn, in the caller's words.
    pub turn: String,
    /// What is said.
    pub what: Spoken,
    /// Whether nothing more comes of this turn.
    pub is_final: bool,
}

/// What is said.
#[derive(Clone, Debug)]
pub enum Spoken {
    /// Words, spoken by the session's voice.
    Words(String),
    /// A recording.
    Recording(Clip),
}

/// Why a session cannot be seen or heard.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// It has ended.
    #[error("the session is over")]
    Over,
    /// There is no room, or nothing to show it on.
    #[error(transparent)]
    Stage(#[from] StageFault),
    /// The viewer is not let in.
    #[error(transparent)]
    Viewer(#[from] ViewerFault),
    /// Nobody is configured to speak.
    #[error("no voice is configured")]
    NoVoice,
    /// As much as may wait is waiting to be said.
    #[error("too much is waiting to be said")]
    TooMuch,
    /// Our fault.
    #[error(transparent)]
    Engine(#[from] Error),
}

impl From<epilogue_storage::Error> for StageError {
    fn from(error: epilogue_storage::Error) -> Self {
        Self::Engine(error.into())
    }
}

/// A viewer that was let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// The answer to its offer.
    pub answer: String,
    /// Its name, which nobody can guess.
    pub viewer: String,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is kept behind these is whole at every moment, whatever panicked meanwhile.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Stages {
    fn find(&self, session: SessionId) -> Option<Arc<Stage>> {
        locked(&self.by_session).get(&session).cloned()
    }

    /// The session's stage, and whether it is a new one.
    fn enter(&self, session: &Session, staging: Staging, now: Timestamp) -> (Arc<Stage>, bool) {
        let mut stages = locked(&self.by_session);
        if let Some(stage) = stages.get(&session.id) {
            return (Arc::clone(stage), false);
        }
        let stage = Arc::new(Stage {
            key: (session.org.clone(), session.id),
            staging,
            program: Mutex::new(Program { line: Line::default(), heard_until: now }),
            more: Notify::new(),
            interruptions: watch::Sender::new(0),
            floor: tokio::sync::Mutex::new(()),
            viewer: Mutex::default(),
            stop: CancellationToken::new(),
        });
        stages.insert(session.id, Arc::clone(&stage));
        (stage, true)
    }

    /// Forgets a session's stage. Whoever performs on it stops.
    fn strike(&self, session: SessionId) {
        if let Some(stage) = locked(&self.by_session).remove(&session) {
            stage.stop.cancel();
        }
    }

    /// Forgets all.
    fn strike_all(&self) {
        for (_, stage) in locked(&self.by_session).drain() {
            stage.stop.cancel();
        }
    }

    /// How many there are, and how many parts wait to be said on them.
    fn load(&self) -> (usize, usize) {
        let stages = locked(&self.by_session);
        (stages.len(), stages.values().map(|stage| locked(&stage.program).line.parts()).sum())
    }
}

impl Engine {
    /// Whether there is an avatar of this name.
    pub fn has_avatar(&self, name: &str) -> bool {
        self.inner.parts.media.has_avatar(name)
    }

    /// How many sessions are performed on this node.
    pub fn stages(&self) -> usize {
        self.inner.stages.load().0
    }

    /// What is shown and said on this node, and what runs here, at this moment.
    pub(crate) async fn on_stage(&self) -> OnStage {
        let (performed, parts) = self.inner.stages.load();
        OnStage { performed, parts, held: self.inner.parts.media.census().await }
    }

    /// Keeps a place for a session that is about to be opened.
    pub async fn reserve_stage(&self, id: SessionId, avatar: &str) -> Result<(), StageError> {
        Ok(self.inner.parts.media.begin(id, avatar).await?)
    }

    /// Gives up what a session has on this node: its viewer is sent away, and nothing more is said.
    pub async fn clear_stage(&self, id: SessionId) -> usize {
        self.inner.stages.strike(id);
        self.inner.parts.media.release(id).await
    }

    /// Gives up everything that is shown on this node, which stops. Its sessions end when the next process
    /// takes over: until then nobody knows that it does not come back.
    pub async fn close_stages(&self) {
        self.inner.stages.strike_all();
        self.inner.parts.media.close().await;
    }

    /// Has a session seen and heard from now on. From then on it goes with this process.
    pub async fn set_stage(&self, session: &Session) -> Result<(), StageError> {
        self.stage(session).await.map(drop)
    }

    /// The record is looked at last: an end that came meanwhile has cleared the stage before it was set
    /// anew, or is seen here.
    async fn stage(&self, session: &Session) -> Result<Arc<Stage>, StageError> {
        if self.is_draining() {
            return Err(Error::Draining.into());
        }
        let staging = session.context.staging.clone().ok_or(StageFault::NoStage)?;
        self.inner.parts.media.begin(session.id, &staging.avatar).await?;
        let (stage, is_new) = self.inner.stages.enter(session, staging, self.now());
        if is_new {
            self.inner.tasks.spawn(self.clone().perform(Arc::clone(&stage)));
        }
        let request = TakeStage {
            org: session.org.clone(),
            session: session.id,
            stage: self.draw_connection(),
            node: self.inner.parts.node.clone(),
        };
        // Where that cannot be told, whoever performs looks again.
        match self.store().take_stage(request, self.now()).await? {
            TakeStageOutcome::Taken(_) => Ok(stage),
            TakeStageOutcome::Over | TakeStageOutcome::NoSession => {
                self.clear_stage(session.id).await;
                Err(StageError::Over)
            }
        }
    }

    /// Has a session's avatar say something when it has said all that came before. Ready when it waits
    /// for its moment, or is passed over because its turn was interrupted.
    pub async fn say(&self, session: &Session, say: Say) -> Result<(), StageError> {
        let parts: Vec<_> = match say.what {
            Spoken::Words(_) if self.inner.parts.voice.is_none() => {
                return Err(StageError::NoVoice);
            }
            Spoken::Words(words) => {
                pieces(&words).map(|piece| Part::Words(piece.to_owned())).collect()
            }
            Spoken::Recording(clip) => vec![Part::Recording(clip)],
        };
        let stage = self.stage(session).await?;
        let now = self.now();
        let queued = locked(&stage.program).line.push(&say.turn, parts, say.is_final, now);
        match queued {
            Queued::Full => Err(StageError::TooMuch),
            Queued::PassedOver => Ok(()),
            Queued::Waiting => {
                stage.more.notify_one();
                Ok(())
            }
        }
    }

    /// Says that nothing more comes of a turn. Whether it was known.
    pub fn close_spoken_turn(&self, id: SessionId, turn: &str) -> bool {
        let Some(stage) = self.inner.stages.find(id) else { return false };
        let known = locked(&stage.program).line.close(turn);
        stage.more.notify_one();
        known
    }

    /// Makes a sound file ready to be said.
    pub async fn prepare_sound(&self, sound: Sound) -> Result<Clip, SoundFault> {
        self.inner.parts.media.prepare(sound).await
    }

    /// Has a session's avatar stop speaking, and forget what was still to be said.
    pub async fn interrupt(&self, id: SessionId) {
        let Some(stage) = self.inner.stages.find(id) else { return };
        let floor = stage.floor.lock().await;
        let interruptions = {
            let (mut program, now) = (locked(&stage.program), self.now());
            let is_heard = now < program.heard_until;
            program.line.interrupt(is_heard);
            program.heard_until = now;
            program.line.interruptions()
        };
        stage.interruptions.send_replace(interruptions);
        self.inner.parts.media.interrupt(id).await;
        drop(floor);
    }

    /// Lets a viewer in.
    pub async fn show(&self, session: &Session, offer: &str) -> Result<Shown, StageError> {
        let stage = self.stage(session).await?;
        let answer = self.inner.parts.media.answer(session.id, offer).await?;
        let viewer = format!("{:032x}", u128::from_be_bytes(self.ids().bytes()));
        *locked(&stage.viewer) = Some(viewer.clone());
        Ok(Shown { answer, viewer })
    }

    /// Sends a viewer away, if it is the one that was let in last.
    pub async fn hide(&self, id: SessionId, viewer: &str) -> bool {
        let Some(stage) = self.inner.stages.find(id) else { return false };
        let is_shown = locked(&stage.viewer).take_if(|shown| shown == viewer).is_some();
        is_shown && self.inner.parts.media.hang_up(id).await
    }
}
