//! Avatars: folders of vector artwork, drawn once into the pictures of every pose.
//!
//! A folder holds layers of one size that are laid over each other: `base.svg`, then one of
//! `eyes-open.svg`, `eyes-half.svg`, `eyes-closed.svg`, then one of `mouth-0.svg` (closed) to
//! `mouth-4.svg` (wide open).

mod artwork;
mod gallery;
mod yuv;

pub use artwork::{Artwork, ArtworkError, LAYER_BYTES_MAX};
pub use gallery::{AVATARS_MAX, DEFAULT, Gallery, GalleryError};
pub use yuv::Frame;

/// How wide and high a picture is.
pub const SIDE: u32 = 512;

/// How far the eyes are open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Eyes {
    /// As usual.
    #[default]
    Open,
    /// On the way.
    Half,
    /// As in a blink.
    Closed,
}

/// How far the mouth is open: 0 is closed, [`Mouth::MAX`] is wide open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mouth(u8);

impl Mouth {
    /// Closed.
    pub const CLOSED: Self = Self(0);
    /// Wide open.
    pub const MAX: Self = Self(4);

    /// The mouth that is open by `steps`, or wide open if there are not as many.
    pub fn new(steps: u8) -> Self {
        Self(steps.min(Self::MAX.0))
    }

    /// How far it is open.
    pub fn steps(self) -> u8 {
        self.0
    }
}

/// What an avatar looks like at a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pose {
    /// Its eyes.
    pub eyes: Eyes,
    /// Its mouth.
    pub mouth: Mouth,
}

impl Pose {
    /// How many there are.
    pub const COUNT: usize = 15;

    /// All of them, the resting one first.
    pub fn all() -> impl Iterator<Item = Self> {
        [Eyes::Open, Eyes::Half, Eyes::Closed].into_iter().flat_map(|eyes| {
            (0..=Mouth::MAX.0).map(move |steps| Self { eyes, mouth: Mouth(steps) })
        })
    }

    /// Its place among [`Pose::all`].
    pub fn index(self) -> usize {
        self.eyes as usize * (usize::from(Mouth::MAX.0) + 1) + usize::from(self.mouth.0)
    }
}

#[cfg(test)]
mod tests;
