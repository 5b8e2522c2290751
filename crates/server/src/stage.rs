//! Shows avatars: the media crate behind the engine's port.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use epilogue_core::{SessionId, Span};
use epilogue_engine::{
    clock::SharedClock,
    ids::Ids,
    media::{Clip, MediaPlane, SayFault, SoundFault, StageCensus, StageFault, ViewerFault},
    speech::Sound,
};
use epilogue_media::{
    Connections,
    avatar::{DEFAULT, Gallery, GalleryError},
    clock::SystemMediaClock,
    driver::{self, Driver, reachable},
    hall::{BeginError, Limits, OpenError, SayError},
    picture::{CodingError, Pictures},
    relay::doors::Doors,
    sound,
};
use secrecy::SecretString;
use tokio::{
    sync::{OnceCell, Semaphore},
    task::spawn_blocking,
};

use crate::{config::MediaConfig, relay};

/// How many sounds are made ready at a time: each takes a processor for a while.
const SOUNDS_AT_ONCE: usize = 2;
/// How long a frame of sound is.
const FRAME_MS: u64 = 20;

/// Why avatars cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// Their artwork cannot be used.
    #[error(transparent)]
    Gallery(#[from] GalleryError),
    /// Their pictures cannot be coded.
    #[error("the avatar {DEFAULT} cannot be coded")]
    Coding(#[from] CodingError),
    /// Viewers cannot be reached.
    #[error("viewers cannot be reached by [media] udp_listen")]
    Driver(#[from] driver::StartError),
}

/// The pictures of each avatar: the default is coded at the start, others when they are first shown.
type Coded = HashMap<String, Arc<OnceCell<Arc<Pictures>>>>;

/// Avatars and their viewers.
pub struct Stage {
    driver: Driver,
    relay: Option<Doors>,
    gallery: Arc<Gallery>,
    coded: Mutex<Coded>,
    sounds: Arc<Semaphore>,
    ids: Arc<Ids>,
}

impl Stage {
    /// Opens the sockets that viewers are reached by: one for all, and those of the relay.
    pub async fn start(
        config: &MediaConfig,
        ids: Arc<Ids>,
        clock: SharedClock,
        relay_secret: SecretString,
    ) -> Result<Self, StageError> {
        let gallery = Arc::new(Gallery::load(config.avatars.as_deref())?);
        let coded = Mutex::new(first_coded(&gallery).await?);
        let addresses = if config.public_addresses.is_empty() {
            reachable(config.udp_listen)
        } else {
            config.public_addresses.clone()
        };
        let limits = Limits { sessions_max: config.sessions_max as usize, ..Limits::default() };
        let settings = driver::Settings { listen: config.udp_listen, addresses, limits };
        // What happens to viewers is asked for when it matters.
        let (driver, _, _) = Driver::start(&settings, Arc::new(SystemMediaClock)).await?;
        let sounds = Arc::new(Semaphore::new(SOUNDS_AT_ONCE));
        tracing::info!(address = %driver.address(), "viewers of avatars are waited for");
        let relay = relay::open(config, &driver, clock, relay_secret).await;
        Ok(Self { driver, relay, gallery, coded, sounds, ids })
    }

    async fn pictures(&self, avatar: &str) -> Option<Arc<Pictures>> {
        self.gallery.find(avatar)?;
        let cell = {
            let mut coded = self.coded.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(coded.entry(avatar.to_owned()).or_default())
        };
        let (gallery, name) = (Arc::clone(&self.gallery), avatar.to_owned());
        let coding = async || {
            let code = move || gallery.find(&name).map(Pictures::code);
            spawn_blocking(code)
                .await
                .ok()
                .flatten()
                .and_then(|coded| {
                    let failed = |error| tracing::error!(%error, "an avatar cannot be coded");
                    coded.map_err(failed).ok().map(Arc::new)
                })
                .ok_or(())
        };
        cell.get_or_try_init(coding).await.ok().cloned()
    }
}

/// The default avatar, coded: an encoder that does not work is found out at the start, and not by whoever
/// comes first.
async fn first_coded(gallery: &Arc<Gallery>) -> Result<Coded, CodingError> {
    let of = Arc::clone(gallery);
    let coding = spawn_blocking(move || of.find(DEFAULT).map(Pictures::code).transpose());
    let coded = coding.await.map_err(|error| CodingError::Encoder(error.to_string()))??;
    let place =
        |pictures| (DEFAULT.to_owned(), Arc::new(OnceCell::new_with(Some(Arc::new(pictures)))));
    Ok(coded.map(place).into_iter().collect())
}

#[async_trait]
impl MediaPlane for Stage {
    fn has_avatar(&self, name: &str) -> bool {
        self.gallery.find(name).is_some()
    }

    async fn begin(&self, session: SessionId, avatar: &str) -> Result<(), StageFault> {
        let pictures = self.pictures(avatar).await.ok_or(StageFault::NoStage)?;
        let seed = u64::from_be_bytes(self.ids.bytes());
        match self.driver.begin(session, pictures, seed).await {
            Ok(Ok(()) | Err(BeginError::Begun)) => Ok(()),
            Ok(Err(BeginError::Full)) => Err(StageFault::Full),
            Err(driver::Stopped) => Err(StageFault::NoStage),
        }
    }

    async fn answer(&self, session: SessionId, offer: &str) -> Result<String, ViewerFault> {
        match self.driver.open(session, offer.to_owned()).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(OpenError::Watched)) => Err(ViewerFault::Watched),
            Ok(Err(OpenError::Offer(error))) => Err(ViewerFault::BadOffer(error.to_string())),
            Ok(Err(OpenError::NoSession)) | Err(driver::Stopped) => Err(ViewerFault::NotShown),
        }
    }

    async fn hang_up(&self, session: SessionId) -> bool {
        self.driver.dismiss(session).await.unwrap_or_default()
    }

    async fn is_watched(&self, session: SessionId) -> bool {
        self.driver.is_watched(session).await.unwrap_or_default()
    }

    async fn prepare(&self, sound: Sound) -> Result<Clip, SoundFault> {
        let place = Arc::clone(&self.sounds).acquire_owned().await;
        let place = place.map_err(|_| SoundFault::Busy)?;
        let decoding = spawn_blocking(move || {
            // It takes a processor until it is done, also when whoever asked has gone.
            let _place = place;
            sound::Clip::from_recording(sound.0.into())
        });
        // A decoder that panicked has found what it cannot read.
        let decoded = decoding.await.map_err(|error| SoundFault::Unplayable(error.to_string()))?;
        let clip = decoded.map_err(|error| SoundFault::Unplayable(error.to_string()))?;
        let lasts = Span::from_millis(clip.frames() as u64 * FRAME_MS);
        Ok(Clip::new(Arc::new(clip), lasts))
    }

    async fn say(&self, session: SessionId, clip: &Clip) -> Result<(), SayFault> {
        let made = clip.made::<sound::Clip>().ok_or(SayFault::NotShown)?;
        match self.driver.say(session, made).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(SayError::TooMuch(_))) => Err(SayFault::TooMuch),
            Ok(Err(SayError::NoSession)) | Err(driver::Stopped) => Err(SayFault::NotShown),
        }
    }

    async fn interrupt(&self, session: SessionId) {
        let was_there = self.driver.interrupt(session).await;
        tracing::debug!(%session, ?was_there, "interrupted");
    }

    async fn census(&self) -> StageCensus {
        let counts = self.driver.counts().await.unwrap_or_default();
        StageCensus {
            sessions: counts.sessions as u64,
            viewers: counts.viewers as u64,
            addresses: counts.addresses as u64,
            clips: counts.clips as u64,
            sound: Span::from_millis(counts.clip_ticks * FRAME_MS),
            unsent: counts.not_sent,
            for_nobody: counts.received_for_nobody,
            missed: counts.ticks_missed,
            relay: relay::census(self.relay.as_ref()).await,
        }
    }

    async fn release(&self, session: SessionId) -> usize {
        usize::from(self.driver.release(session).await.unwrap_or_default())
    }

    async fn close(&self) {
        // One that has stopped shows nobody.
        let _ = self.driver.release_all().await;
    }
}

/// A server without avatars: what it holds of a session is told to stop, and that is all.
pub struct NoStage(pub Connections);

#[async_trait]
impl MediaPlane for NoStage {
    async fn release(&self, session: SessionId) -> usize {
        self.0.release(session)
    }
}

#[cfg(test)]
#[path = "stage_tests.rs"]
mod tests;
