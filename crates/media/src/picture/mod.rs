//! Pictures as viewers get them: each is coded once, when the program starts, and sent to whoever
//! watches.

#[cfg(feature = "h264")]
pub mod h264;

use std::sync::Arc;

use crate::{
    avatar::{Artwork, Pose},
    peer::VideoCodec,
};

/// For how many turns a picture that has not changed is not sent again: at 25 turns a second, a viewer
/// sees five pictures a second when nothing moves, and does not take the stream for dead.
pub const STILL_TURNS: u32 = 5;

/// Why pictures cannot be coded.
#[derive(Debug, thiserror::Error)]
pub enum CodingError {
    /// The encoder failed.
    #[error("the encoder failed: {0}")]
    Encoder(String),
    /// The encoder wrote something that we do not know how to share.
    #[error("the encoder wrote a stream of a form that cannot be shared")]
    Unexpected,
}

/// An avatar's pictures in every codec there is.
pub struct Pictures {
    #[cfg(feature = "h264")]
    h264: h264::Pictures,
}

impl Pictures {
    /// The codecs there are, the best first.
    pub const CODECS: &[VideoCodec] = &[
        #[cfg(feature = "h264")]
        VideoCodec::H264,
    ];

    /// Codes all poses of an avatar.
    pub fn code(artwork: &Artwork) -> Result<Self, CodingError> {
        #[cfg(not(feature = "h264"))]
        let _ = artwork;
        Ok(Self {
            #[cfg(feature = "h264")]
            h264: h264::Pictures::code(artwork)?,
        })
    }
}

/// What one viewer has been shown, and so what it can be shown next.
pub struct Reel {
    pictures: Arc<Pictures>,
    shown: Option<Pose>,
    /// How many pictures came since the last that stood alone.
    run: u16,
    /// How many turns the picture has been still.
    still: u32,
    is_odd: bool,
}

impl Reel {
    /// For a viewer that has seen nothing yet.
    pub fn new(pictures: Arc<Pictures>) -> Self {
        Self { pictures, shown: None, run: 0, still: 0, is_odd: false }
    }

    /// The next picture stands alone: the viewer has lost what others build on.
    pub fn start_anew(&mut self) {
        self.shown = None;
    }

    /// What to send so that the viewer sees `pose`, once in each of 25 turns a second. The first picture
    /// is the avatar at rest, whatever the pose; the pose follows with the next turn.
    pub fn turn(&mut self, pose: Pose) -> Option<Arc<[u8]>> {
        let Some(shown) = self.shown.filter(|_| self.run < RUN_MAX) else {
            (self.shown, self.run, self.still) = (Some(Pose::default()), 0, 0);
            self.is_odd = !self.is_odd;
            return self.pictures.standing(self.is_odd);
        };
        self.still += 1;
        if shown == pose && self.still < STILL_TURNS {
            return None;
        }
        (self.shown, self.still) = (Some(pose), 0);
        self.run += 1;
        self.pictures.pose(pose, self.run)
    }
}

#[cfg(feature = "h264")]
use h264::RUN_MAX;
#[cfg(not(feature = "h264"))]
const RUN_MAX: u16 = u16::MAX;

#[cfg(feature = "h264")]
#[expect(clippy::unnecessary_wraps, reason = "a build without codecs has no pictures")]
impl Pictures {
    fn standing(&self, is_odd: bool) -> Option<Arc<[u8]>> {
        Some(self.h264.standing(is_odd))
    }

    fn pose(&self, pose: Pose, turn: u16) -> Option<Arc<[u8]>> {
        Some(self.h264.pose(pose, turn))
    }
}

#[cfg(not(feature = "h264"))]
#[expect(clippy::unused_self, reason = "as where there is a codec")]
impl Pictures {
    fn standing(&self, _is_odd: bool) -> Option<Arc<[u8]>> {
        None
    }

    fn pose(&self, _pose: Pose, _turn: u16) -> Option<Arc<[u8]>> {
        None
    }
}

#[cfg(all(test, feature = "h264"))]
mod tests;
