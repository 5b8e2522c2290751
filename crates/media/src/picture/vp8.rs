//! An avatar's pictures in VP8, each of which stands alone.
//!
//! A WebP picture is one key frame of VP8 in a wrapper (RFC 9649), so that the encoder of that format
//! makes pictures which any viewer can begin with. There is no well-kept way to an encoder that predicts
//! one picture from another; what that costs is packets, which is why this codec comes second.

use std::sync::Arc;

use webp::{Encoder, WebPConfig};

use super::CodingError;
use crate::avatar::{Artwork, Pose};

/// How many turns pictures are apart at least: 12.5 a second have to do.
pub const TURNS_APART: u32 = 2;
/// For how many turns a picture that has not changed is not sent again: one a second is sent.
pub const STILL_TURNS: u32 = 25;
/// How good pictures are, of 100.
const QUALITY: f32 = 82.0;

/// An avatar's pictures.
pub struct Pictures {
    poses: Vec<Arc<[u8]>>,
}

impl Pictures {
    /// Codes all poses.
    pub fn code(artwork: &Artwork) -> Result<Self, CodingError> {
        let poses = Pose::all().map(|pose| {
            let pixels = artwork.pixels(pose);
            let rgb: Vec<u8> =
                pixels.pixels().iter().flat_map(|p| [p.red(), p.green(), p.blue()]).collect();
            let mut config = WebPConfig::new().map_err(|()| CodingError::Unexpected)?;
            config.quality = QUALITY;
            config.method = 6;
            let picture = Encoder::from_rgb(&rgb, pixels.width(), pixels.height())
                .encode_advanced(&config)
                .map_err(|error| CodingError::Encoder(format!("{error:?}")))?;
            Ok(key_frame(&picture).ok_or(CodingError::Unexpected)?.into())
        });
        Ok(Self { poses: poses.collect::<Result<_, CodingError>>()? })
    }

    /// A pose.
    pub(super) fn pose(&self, pose: Pose) -> Arc<[u8]> {
        Arc::clone(&self.poses[pose.index()])
    }
}

/// The key frame in a WebP file: the chunk that is called so, of the length that it says.
fn key_frame(file: &[u8]) -> Option<&[u8]> {
    let mut chunks = file.strip_prefix(b"RIFF")?.get(4..)?.strip_prefix(b"WEBP")?;
    loop {
        let (name, rest) = chunks.split_first_chunk::<4>()?;
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
        if name == b"VP8 " {
            // A key frame of which the start code and the size follow.
            return rest.get(..length).filter(|frame| {
                frame.first().is_some_and(|tag| tag & 1 == 0)
                    && frame.get(3..6) == Some(&[0x9d, 0x01, 0x2a])
            });
        }
        chunks = rest.get(length.next_multiple_of(2)..)?;
    }
}

#[cfg(test)]
mod tests {
    use webp::Decoder;

    use super::*;
    use crate::{
        avatar::{Eyes, Mouth},
        peer::VideoCodec,
        picture::Reel,
    };

    /// A key frame in its wrapper.
    fn file(frame: &[u8]) -> Vec<u8> {
        let length = u32::try_from(frame.len()).unwrap();
        let padding = vec![0; frame.len() % 2];
        let size = (12 + length + length % 2).to_le_bytes();
        let head: [&[u8]; 5] = [b"RIFF", &size, b"WEBP", b"VP8 ", &length.to_le_bytes()];
        [head.concat(), frame.to_vec(), padding].concat()
    }

    #[test]
    fn every_pose_stands_alone_and_looks_as_it_was_drawn() {
        let artwork = Artwork::built_in().unwrap();
        let pictures = Pictures::code(&artwork).unwrap();
        for pose in Pose::all() {
            let frame = pictures.pose(pose);
            assert!((4_000..24_000).contains(&frame.len()), "{}", frame.len());
            let decoded = Decoder::new(&file(&frame)).decode().expect("decoded");
            let drawn = artwork.pixels(pose);
            assert_eq!((decoded.width(), decoded.height()), (drawn.width(), drawn.height()));
            let drawn = drawn.pixels().iter().flat_map(|p| [p.red(), p.green(), p.blue()]);
            let off: u64 =
                decoded.iter().zip(drawn).map(|(a, b)| u64::from(a.abs_diff(b)).pow(2)).sum();
            assert!(off < 20 * 512 * 512 * 3, "{pose:?} is off by {off}");
        }
    }

    #[test]
    fn pictures_are_sent_when_they_change_and_now_and_then() {
        let pictures = crate::picture::Pictures::code(&Artwork::built_in().unwrap()).unwrap();
        let mut reel = Reel::new(Arc::new(pictures), VideoCodec::Vp8);
        let (rest, wide) = (Pose::default(), Pose { eyes: Eyes::Open, mouth: Mouth::MAX });
        let sent = |reel: &mut Reel, pose, turns: u32| {
            (0..turns).map(|_| u32::from(reel.turn(pose).is_some())).collect::<Vec<_>>()
        };
        assert_eq!(sent(&mut reel, rest, 3), [1, 0, 0]);
        assert_eq!(sent(&mut reel, wide, 1), [1]);
        assert_eq!(sent(&mut reel, rest, 2), [0, 1]);
        assert_eq!(sent(&mut reel, rest, 100).iter().sum::<u32>(), 4);
        reel.start_anew();
        assert_eq!(sent(&mut reel, rest, 2), [1, 0]);
    }

    #[test]
    fn what_is_no_key_frame_is_not_taken_for_one() {
        let frame = [&[0x10, 0, 0, 0x9d, 0x01, 0x2a][..], &[7; 9]].concat();
        assert_eq!(key_frame(&file(&frame)), Some(&frame[..]));
        let predicted = [&[0x11, 0, 0, 0x9d, 0x01, 0x2a][..], &[7; 9]].concat();
        assert_eq!(key_frame(&file(&predicted)), None);
        assert_eq!(key_frame(&file(&frame)[..30]), None);
        assert_eq!(key_frame(b"RIFF\x04\0\0\0WEBP"), None);
        assert_eq!(key_frame(b""), None);
    }
}
