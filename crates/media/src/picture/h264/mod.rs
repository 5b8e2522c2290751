//! An avatar's pictures in H.264, coded once for all viewers.
//!
//! One picture stands alone: the avatar at rest. Every pose is a picture that is predicted from that
//! one, and from nothing else; it holds little more than the mouth and the eyes. See `rework.rs` for
//! what makes any order of them valid, and for any viewer from any moment on.

mod bits;
mod rework;

use std::sync::Arc;

use openh264::{
    OpenH264API,
    encoder::{
        Complexity, Encoder, EncoderConfig, FrameRate, Level, Profile, QpRange, RateControlMode,
        UsageType,
    },
    formats::YUVSource,
};

use super::CodingError;
use crate::avatar::{Artwork, Frame, Pose};
use rework::{Standing, Unit};

/// After how many pictures one that stands alone is due: their numbers must stay below half of what
/// they can say, and count by two.
pub const RUN_MAX: u16 = 8_000;

/// An avatar's pictures.
pub struct Pictures {
    /// The picture that stands alone, under either of its names, with what a decoder must know first.
    standing: [Arc<[u8]>; 2],
    poses: Vec<Unit>,
}

impl Pictures {
    /// Codes all poses.
    pub fn code(artwork: &Artwork) -> Result<Self, CodingError> {
        let rest = artwork.frame(Pose::default());
        let (mut common, mut poses) = (None, Vec::with_capacity(Pose::COUNT));
        for pose in Pose::all() {
            let (standing, unit) = coded_after(&rest, &artwork.frame(pose))?;
            // What a pose is predicted from is what viewers have: the same in every run.
            if common.get_or_insert_with(|| standing.clone()) != &standing {
                return Err(CodingError::Unexpected);
            }
            poses.push(unit);
        }
        let common = common.ok_or(CodingError::Unexpected)?;
        let standing = common.slices.each_ref().map(|slice| {
            let mut stream = Vec::new();
            for unit in [&common.sequence, &common.picture, slice] {
                bits::append(&mut stream, unit.header, &unit.payload);
            }
            stream.into()
        });
        Ok(Self { standing, poses })
    }

    /// The picture that stands alone. Two that follow each other have different names.
    pub(super) fn standing(&self, is_odd: bool) -> Arc<[u8]> {
        Arc::clone(&self.standing[usize::from(is_odd)])
    }

    /// A pose as the `turn`th picture after the last that stood alone, from 1 to [`RUN_MAX`].
    pub(super) fn pose(&self, pose: Pose, turn: u16) -> Arc<[u8]> {
        let unit = &self.poses[pose.index()];
        let mut payload = unit.payload.clone();
        if let Some(at) = unit.order_at {
            bits::put_u16(&mut payload, at, turn * 2);
        }
        let mut stream = Vec::with_capacity(payload.len() + 16);
        bits::append(&mut stream, unit.header, &payload);
        stream.into()
    }
}

/// Codes one picture after another in a stream of its own.
fn coded_after(first: &Frame, second: &Frame) -> Result<(Standing, Unit), CodingError> {
    let mut encoder = Encoder::with_api_config(OpenH264API::from_source(), config())?;
    let first = encoder.encode(first)?.to_vec();
    let standing = rework::standing(&bits::units(&first)).ok_or(CodingError::Unexpected)?;
    let second = encoder.encode(second)?.to_vec();
    let second = rework::predicted(&bits::units(&second), &standing);
    Ok((standing, second.ok_or(CodingError::Unexpected)?))
}

/// The same quality for every picture, and nothing that would depend on what came before.
fn config() -> EncoderConfig {
    EncoderConfig::new()
        .profile(Profile::Baseline)
        .level(Level::Level_3_1)
        .usage_type(UsageType::CameraVideoRealTime)
        .complexity(Complexity::High)
        .max_frame_rate(FrameRate::from_hz(25.0))
        .rate_control_mode(RateControlMode::Off)
        .qp(QpRange::new(20, 26))
        .num_threads(1)
        .skip_frames(false)
        .scene_change_detect(false)
        .adaptive_quantization(false)
        .background_detection(false)
}

impl YUVSource for Frame {
    fn dimensions(&self) -> (usize, usize) {
        (self.width, self.height)
    }

    fn strides(&self) -> (usize, usize, usize) {
        (self.width, self.width / 2, self.width / 2)
    }

    fn y(&self) -> &[u8] {
        &self.planes[0]
    }

    fn u(&self) -> &[u8] {
        &self.planes[1]
    }

    fn v(&self) -> &[u8] {
        &self.planes[2]
    }
}

impl From<openh264::Error> for CodingError {
    fn from(error: openh264::Error) -> Self {
        Self::Encoder(error.to_string())
    }
}
