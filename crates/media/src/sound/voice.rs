//! Opus: sound as viewers get it.

use std::sync::{Arc, LazyLock};

use opus::{Application, Bitrate, Channels, Encoder};

use super::{FRAME, RATE, SoundError};

/// What a voice needs to sound well, coded as any sound is.
const BITS_PER_SECOND: i32 = 40_000;
/// How hard the encoder tries, of 10. A voice gains little from more, and processors lose much.
const COMPLEXITY: i32 = 5;
/// The largest frame of sound, in bytes.
const FRAME_BYTES_MAX: usize = 1275;
/// A frame of 20 ms of one channel in which nothing sounds: its first bit says so.
const NOTHING: [u8; 3] = [0xf8, 0xff, 0xfe];

static SILENCE: LazyLock<Arc<[u8]>> = LazyLock::new(|| Arc::new(NOTHING));

/// The frame that is sent while nothing is said.
pub fn silence() -> Arc<[u8]> {
    Arc::clone(&SILENCE)
}

/// An encoder at work on one recording.
pub(super) struct Voice {
    encoder: Encoder,
    buffer: Vec<u8>,
}

impl Voice {
    pub(super) fn new() -> Result<Self, SoundError> {
        let ready = || -> Result<Encoder, opus::Error> {
            // Without the model of a voice: a fourth of the work, and no seam between what is said and
            // the silence around it, which is coded in the same way.
            let mut encoder = Encoder::new(RATE, Channels::Mono, Application::LowDelay)?;
            encoder.set_bitrate(Bitrate::Bits(BITS_PER_SECOND))?;
            encoder.set_complexity(COMPLEXITY)?;
            Ok(encoder)
        };
        let encoder = ready().map_err(|_| SoundError::Broken)?;
        Ok(Self { encoder, buffer: vec![0; FRAME_BYTES_MAX] })
    }

    pub(super) fn frame(&mut self, samples: &[f32; FRAME]) -> Result<Arc<[u8]>, SoundError> {
        let coded = self.encoder.encode_float(samples, &mut self.buffer);
        let length = coded.map_err(|_| SoundError::Broken)?;
        Ok(self.buffer[..length].into())
    }
}
