//! A recording, ready to be played to viewers.

use std::sync::Arc;

use super::{
    FRAME, FRAMES_PER_TURN, SoundError, decode::decode, mouth::Loudness, resample::Resample,
    voice::Voice,
};
use crate::avatar::Mouth;

/// Something to say: frames of sound, and what the mouth does meanwhile.
pub struct Clip {
    frames: Vec<Arc<[u8]>>,
    mouths: Vec<Mouth>,
}

impl Clip {
    /// Reads an MP3 or WAV file.
    pub fn from_recording(recording: Vec<u8>) -> Result<Self, SoundError> {
        let mut making = Making::new()?;
        let mut resample: Option<Resample> = None;
        decode(recording, &mut |rate, samples| {
            if resample.is_none() {
                resample = Some(Resample::from_rate(rate)?);
            }
            let Some(resample) = &mut resample else { return Ok(()) };
            resample.push(samples, &mut |samples| making.hear(samples))
        })?;
        if let Some(resample) = resample {
            resample.finish(&mut |samples| making.hear(samples))?;
        }
        making.finish()
    }

    /// A clip of these frames, with the mouth in each turn.
    #[cfg(test)]
    pub(crate) fn of(frames: Vec<Arc<[u8]>>, mouths: Vec<Mouth>) -> Self {
        Self { frames, mouths }
    }

    /// How many frames of sound there are.
    pub fn frames(&self) -> usize {
        self.frames.len()
    }

    /// A frame of its sound, of 20 ms.
    pub fn frame(&self, number: usize) -> Option<&Arc<[u8]>> {
        self.frames.get(number)
    }

    /// What the mouth does during a frame.
    pub fn mouth(&self, frame: usize) -> Mouth {
        self.mouths.get(frame / FRAMES_PER_TURN).copied().unwrap_or_default()
    }
}

/// A clip in the making.
struct Making {
    voice: Voice,
    loudness: Loudness,
    waiting: Vec<f32>,
    frames: Vec<Arc<[u8]>>,
}

/// Samples in a turn.
const TURN: usize = FRAME * FRAMES_PER_TURN;

impl Making {
    fn new() -> Result<Self, SoundError> {
        let voice = Voice::new()?;
        Ok(Self { voice, loudness: Loudness::default(), waiting: Vec::new(), frames: Vec::new() })
    }

    fn hear(&mut self, samples: &[f32]) -> Result<(), SoundError> {
        self.waiting.extend_from_slice(samples);
        let waiting = std::mem::take(&mut self.waiting);
        let mut turns = waiting.chunks_exact(TURN);
        for turn in &mut turns {
            self.turn(turn)?;
        }
        self.waiting = turns.remainder().to_vec();
        Ok(())
    }

    fn turn(&mut self, turn: &[f32]) -> Result<(), SoundError> {
        self.loudness.hear(turn);
        for frame in turn.as_chunks::<FRAME>().0 {
            self.frames.push(self.voice.frame(frame)?);
        }
        Ok(())
    }

    /// Fills up the last turn, and lets the encoder say what it still holds in one more.
    fn finish(mut self) -> Result<Clip, SoundError> {
        let rest = self.waiting.len().next_multiple_of(TURN) + TURN;
        self.waiting.resize(rest, 0.0);
        self.hear(&[])?;
        let mouths = self.loudness.mouths()?;
        Ok(Clip { frames: self.frames, mouths })
    }
}
