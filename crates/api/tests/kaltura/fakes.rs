//! The stage and the voice: fakes, named as such.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use epilogue_core::{SessionId, Span};
use epilogue_engine::{
    media::{Clip, MediaPlane, SayFault, SoundFault, StageFault, ViewerFault},
    speech::{Sound, SpeechError, Utterance, Voice},
};
use tokio::sync::RwLock;

/// How long everything that is said is heard.
pub const HEARD: Span = Span::from_secs(10);

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a fake stage shows of a session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Show {
    pub avatar: String,
    pub said: Vec<String>,
    pub interruptions: u32,
    pub watched: bool,
}

/// A stage that notes what happens on it.
pub struct FakeStage {
    shows: Mutex<BTreeMap<SessionId, Show>>,
    released: Mutex<Vec<Show>>,
    room: Mutex<usize>,
    /// Nobody has begun while somebody holds this alone.
    pub doors: RwLock<()>,
    came: Mutex<usize>,
}

impl Default for FakeStage {
    fn default() -> Self {
        let (shows, released, room) = (Mutex::default(), Mutex::default(), Mutex::new(usize::MAX));
        Self { shows, released, room, doors: RwLock::default(), came: Mutex::default() }
    }
}

impl FakeStage {
    /// What is shown of the one session there is.
    pub fn show(&self) -> Show {
        let shows = locked(&self.shows);
        assert_eq!(shows.len(), 1, "{shows:?}");
        shows.values().next().cloned().expect("one")
    }

    /// How many sessions are shown.
    pub fn count(&self) -> usize {
        locked(&self.shows).len()
    }

    /// How often a session was to begin.
    pub fn came(&self) -> usize {
        *locked(&self.came)
    }

    /// What was shown of sessions that were released.
    pub fn released(&self) -> Vec<Show> {
        locked(&self.released).clone()
    }

    /// Shows no more than so many sessions.
    pub fn room_for(&self, sessions: usize) {
        *locked(&self.room) = sessions;
    }

    /// Whether everybody's viewer is there.
    pub fn watched(&self, watched: bool) {
        locked(&self.shows).values_mut().for_each(|show| show.watched = watched);
    }
}

#[async_trait]
impl MediaPlane for FakeStage {
    fn has_avatar(&self, name: &str) -> bool {
        ["default", "ann"].contains(&name)
    }

    async fn begin(&self, session: SessionId, avatar: &str) -> Result<(), StageFault> {
        {
            let mut shows = locked(&self.shows);
            if !shows.contains_key(&session) && shows.len() >= *locked(&self.room) {
                return Err(StageFault::Full);
            }
            let show = || Show { avatar: avatar.into(), ..Show::default() };
            shows.entry(session).or_insert_with(show);
        }
        *locked(&self.came) += 1;
        let _open = self.doors.read().await;
        Ok(())
    }

    async fn answer(&self, session: SessionId, offer: &str) -> Result<String, ViewerFault> {
        let mut shows = locked(&self.shows);
        let show = shows.get_mut(&session).ok_or(ViewerFault::NotShown)?;
        if !offer.starts_with("v=0") {
            return Err(ViewerFault::BadOffer("it is none".into()));
        }
        if show.watched {
            return Err(ViewerFault::Watched);
        }
        show.watched = true;
        Ok("v=0 fake answer".into())
    }

    async fn hang_up(&self, session: SessionId) -> bool {
        let mut shows = locked(&self.shows);
        shows.get_mut(&session).is_some_and(|show| std::mem::take(&mut show.watched))
    }

    async fn is_watched(&self, session: SessionId) -> bool {
        locked(&self.shows).get(&session).is_some_and(|show| show.watched)
    }

    async fn prepare(&self, sound: Sound) -> Result<Clip, SoundFault> {
        let text = String::from_utf8_lossy(&sound.0).into_owned();
        if text.starts_with("noise") {
            return Err(SoundFault::Unplayable("it is noise".into()));
        }
        Ok(Clip::new(Arc::new(text), HEARD))
    }

    async fn say(&self, session: SessionId, clip: &Clip) -> Result<(), SayFault> {
        let text = clip.made::<String>().expect("made here");
        let mut shows = locked(&self.shows);
        shows.get_mut(&session).ok_or(SayFault::NotShown)?.said.push((*text).clone());
        Ok(())
    }

    async fn interrupt(&self, session: SessionId) {
        if let Some(show) = locked(&self.shows).get_mut(&session) {
            show.interruptions += 1;
        }
    }

    async fn release(&self, session: SessionId) -> usize {
        let released = locked(&self.shows).remove(&session);
        let count = usize::from(released.is_some());
        locked(&self.released).extend(released);
        count
    }
}

/// A voice whose sound is the text, unless that says what is to become of it.
#[derive(Default)]
pub struct FakeVoice {
    asked: Mutex<Vec<Utterance>>,
}

impl FakeVoice {
    pub fn asked(&self) -> Vec<Utterance> {
        locked(&self.asked).clone()
    }
}

#[async_trait]
impl Voice for FakeVoice {
    async fn speak(&self, utterance: &Utterance) -> Result<Sound, SpeechError> {
        locked(&self.asked).push(utterance.clone());
        match utterance.text.as_str() {
            "hang" => std::future::pending().await,
            "fail" => Err(SpeechError::Failed("the voice answered 500".into())),
            "🙂" => Err(SpeechError::Silent),
            text => Ok(Sound(text.to_owned().into())),
        }
    }
}
