//! Live media: a port. What streams, peers and sockets a session holds is known elsewhere.

use std::{any::Any, fmt, sync::Arc};

use async_trait::async_trait;
use epilogue_core::{SessionId, Span};

use crate::speech::Sound;

/// Something that can be said on a stage, ready to be heard. What it is made of, the stage knows.
#[derive(Clone)]
pub struct Clip {
    made: Arc<dyn Any + Send + Sync>,
    lasts: Span,
}

impl Clip {
    /// A clip that the stage has made of a sound.
    pub fn new(made: Arc<dyn Any + Send + Sync>, lasts: Span) -> Self {
        Self { made, lasts }
    }

    /// What the stage has made. `None`: it was another stage's.
    pub fn made<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        Arc::clone(&self.made).downcast().ok()
    }

    /// How long it is heard.
    pub const fn lasts(&self) -> Span {
        self.lasts
    }
}

impl fmt::Debug for Clip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clip").field("lasts", &self.lasts).finish_non_exhaustive()
    }
}

/// Why nothing is shown.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum StageFault {
    /// As many sessions are shown as can be.
    #[error("no more avatars can be shown at once")]
    Full,
    /// There is no stage here.
    #[error("this node shows no avatars")]
    NoStage,
}

/// Why a viewer is not let in.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ViewerFault {
    /// The session is not shown here.
    #[error("no such session is shown here")]
    NotShown,
    /// It has a viewer, one at a time.
    #[error("the session has a viewer already")]
    Watched,
    /// The offer is of no use, for this reason.
    #[error("{0}")]
    BadOffer(String),
}

/// Why a sound cannot be said.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SoundFault {
    /// It is no sound that can be played, for this reason.
    #[error("{0}")]
    Unplayable(String),
    /// It cannot be made ready now.
    #[error("the sound cannot be made ready now")]
    Busy,
}

/// Why a clip is not said.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SayFault {
    /// The session is not shown here.
    #[error("no such session is shown here")]
    NotShown,
    /// More than enough is waiting to be said.
    #[error("too much is waiting to be said")]
    TooMuch,
}

/// What a stage holds now, and what it has had to leave out since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StageCensus {
    /// Sessions that have their avatar.
    pub sessions: u64,
    /// Viewers that were let in, connected or on their way.
    pub viewers: u64,
    /// Addresses that they write from.
    pub addresses: u64,
    /// Clips that are held to be heard.
    pub clips: u64,
    /// How long these are heard.
    pub sound: Span,
    /// Datagrams that the system did not take.
    pub unsent: u64,
    /// Datagrams that came for nobody.
    pub for_nobody: u64,
    /// Moments that were left out because the node was late, each as long as a frame of sound.
    pub missed: u64,
    /// What is relayed.
    pub relay: RelayCensus,
}

/// What a relay holds now, and what it has done since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RelayCensus {
    /// Allocations that there are.
    pub allocations: u64,
    /// Connections that there are.
    pub connections: u64,
    /// Requests that were refused.
    pub refused: u64,
    /// Attempts at reaching others than us.
    pub forbidden: u64,
    /// Datagrams that were handed on, either way.
    pub datagrams: u64,
    /// How large they were together, in bytes.
    pub bytes: u64,
    /// Datagrams that were dropped.
    pub dropped: u64,
}

/// Shows avatars, stops media and frees what it held. One that shows nothing need only release.
#[async_trait]
pub trait MediaPlane: Send + Sync {
    /// Whether there is an avatar of this name.
    fn has_avatar(&self, _name: &str) -> bool {
        false
    }

    /// Shows a session's avatar to whoever comes. Harmless for a session that is shown already.
    async fn begin(&self, _session: SessionId, _avatar: &str) -> Result<(), StageFault> {
        Err(StageFault::NoStage)
    }

    /// Lets a viewer in. Returns the answer to its offer.
    async fn answer(&self, _session: SessionId, _offer: &str) -> Result<String, ViewerFault> {
        Err(ViewerFault::NotShown)
    }

    /// Sends the viewer of a session away. Whether there was one.
    async fn hang_up(&self, _session: SessionId) -> bool {
        false
    }

    /// Whether a session's avatar is seen by a viewer now.
    async fn is_watched(&self, _session: SessionId) -> bool {
        false
    }

    /// Makes a sound file ready to be said.
    async fn prepare(&self, _sound: Sound) -> Result<Clip, SoundFault> {
        Err(SoundFault::Busy)
    }

    /// Has a session's avatar say something when it has said all that it was given before.
    async fn say(&self, _session: SessionId, _clip: &Clip) -> Result<(), SayFault> {
        Err(SayFault::NotShown)
    }

    /// Has a session's avatar stop speaking, and forget what was still to be said.
    async fn interrupt(&self, _session: SessionId) {}

    /// What it holds.
    async fn census(&self) -> StageCensus {
        StageCensus::default()
    }

    /// Releases whatever `session` holds on this node. Returns how many things that were.
    async fn release(&self, session: SessionId) -> usize;

    /// Releases whatever any session holds on this node, which stops: who watches is told.
    async fn close(&self) {}
}
