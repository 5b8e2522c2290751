//! Pictures as viewers get them: each is coded once, before the first viewer comes, and sent to whoever
//! watches.

#[cfg(not(any(feature = "h264", feature = "vp8")))]
compile_error!("pictures need a codec: build with the feature `h264`, `vp8`, or both");

#[cfg(feature = "h264")]
pub mod h264;
#[cfg(feature = "vp8")]
pub mod vp8;

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
    #[cfg(feature = "vp8")]
    vp8: vp8::Pictures,
}

impl Pictures {
    /// The codecs there are, the best first.
    pub const CODECS: &[VideoCodec] = &[
        #[cfg(feature = "h264")]
        VideoCodec::H264,
        #[cfg(feature = "vp8")]
        VideoCodec::Vp8,
    ];

    /// Codes all poses of an avatar.
    pub fn code(artwork: &Artwork) -> Result<Self, CodingError> {
        Ok(Self {
            #[cfg(feature = "h264")]
            h264: h264::Pictures::code(artwork)?,
            #[cfg(feature = "vp8")]
            vp8: vp8::Pictures::code(artwork)?,
        })
    }
}

/// What one viewer has been shown, and so what it can be shown next.
pub struct Reel {
    pictures: Arc<Pictures>,
    codec: VideoCodec,
    shown: Option<Pose>,
    /// How many pictures came since the last that stood alone.
    #[cfg(feature = "h264")]
    run: u16,
    /// How many turns the picture has been still.
    still: u32,
    #[cfg(feature = "h264")]
    is_odd: bool,
}

impl Reel {
    /// For a viewer that takes this codec and has seen nothing yet.
    pub fn new(pictures: Arc<Pictures>, codec: VideoCodec) -> Self {
        Self {
            pictures,
            codec,
            shown: None,
            #[cfg(feature = "h264")]
            run: 0,
            still: 0,
            #[cfg(feature = "h264")]
            is_odd: false,
        }
    }

    /// The next picture stands alone: the viewer has lost what others build on.
    pub fn start_anew(&mut self) {
        self.shown = None;
    }

    /// What to send so that the viewer sees `pose`, once in each of 25 turns a second.
    pub fn turn(&mut self, pose: Pose) -> Option<Arc<[u8]>> {
        match self.codec {
            #[cfg(feature = "h264")]
            VideoCodec::H264 => self.turn_h264(pose),
            #[cfg(feature = "vp8")]
            VideoCodec::Vp8 => self.turn_vp8(pose),
            #[allow(unreachable_patterns, reason = "there are builds with fewer codecs")]
            _ => None,
        }
    }

    /// The first picture is the avatar at rest, whatever the pose; the pose follows with the next turn.
    #[cfg(feature = "h264")]
    fn turn_h264(&mut self, pose: Pose) -> Option<Arc<[u8]>> {
        let Some(shown) = self.shown.filter(|_| self.run < h264::RUN_MAX) else {
            (self.shown, self.run, self.still) = (Some(Pose::default()), 0, 0);
            self.is_odd = !self.is_odd;
            return Some(self.pictures.h264.standing(self.is_odd));
        };
        self.still += 1;
        if shown == pose && self.still < STILL_TURNS {
            return None;
        }
        (self.shown, self.still) = (Some(pose), 0);
        self.run += 1;
        Some(self.pictures.h264.pose(pose, self.run))
    }

    /// Every picture stands alone, and is large: fewer of them have to do.
    #[cfg(feature = "vp8")]
    fn turn_vp8(&mut self, pose: Pose) -> Option<Arc<[u8]>> {
        self.still += 1;
        let apart = if self.shown == Some(pose) { vp8::STILL_TURNS } else { vp8::TURNS_APART };
        if self.shown.is_some() && self.still < apart {
            return None;
        }
        (self.shown, self.still) = (Some(pose), 0);
        Some(self.pictures.vp8.pose(pose))
    }
}

#[cfg(all(test, feature = "h264"))]
mod tests;
