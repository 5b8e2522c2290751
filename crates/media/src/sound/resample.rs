//! Brings samples to the rate at which they are sent.

use rubato::{Fft, FixedSync, Indexing, Resampler, audioadapter_buffers::direct::InterleavedSlice};

use super::{RATE, SoundError};

/// How many samples are taken at once.
const CHUNK: usize = 1024;

/// One recording on its way to the common rate.
pub(super) struct Resample {
    fft: Option<Fft<f32>>,
    waiting: Vec<f32>,
    output: Vec<f32>,
    /// What comes out before the recording does.
    lead: usize,
    /// How many samples went in, and how many came out behind the lead.
    taken: u64,
    given: u64,
    rate: u32,
}

impl Resample {
    pub(super) fn from_rate(rate: u32) -> Result<Self, SoundError> {
        let fft = (rate != RATE)
            .then(|| Fft::new(rate as usize, RATE as usize, CHUNK, 1, FixedSync::Input))
            .transpose()
            .map_err(|_| SoundError::Broken)?;
        let lead = fft.as_ref().map_or(0, Resampler::output_delay);
        let output = vec![0.0; fft.as_ref().map_or(0, Resampler::output_frames_max)];
        Ok(Self { fft, waiting: Vec::new(), output, lead, taken: 0, given: 0, rate })
    }

    pub(super) fn push(
        &mut self,
        samples: &[f32],
        give: &mut dyn FnMut(&[f32]) -> Result<(), SoundError>,
    ) -> Result<(), SoundError> {
        self.taken += samples.len() as u64;
        let Some(fft) = &mut self.fft else { return give(samples) };
        self.waiting.extend_from_slice(samples);
        let mut used = 0;
        while self.waiting.len() - used >= fft.input_frames_next() {
            let chunk = &self.waiting[used..];
            let (read, made) = process(fft, chunk, None, &mut self.output)?;
            used += read;
            let fresh = &self.output[self.lead.min(made)..made];
            self.lead -= self.lead.min(made);
            self.given += fresh.len() as u64;
            give(fresh)?;
        }
        self.waiting.drain(..used);
        Ok(())
    }

    /// Gives what is left.
    pub(super) fn finish(
        mut self,
        give: &mut dyn FnMut(&[f32]) -> Result<(), SoundError>,
    ) -> Result<(), SoundError> {
        let Some(fft) = &mut self.fft else { return Ok(()) };
        let whole = self.taken * u64::from(RATE) / u64::from(self.rate);
        let mut rest = Some(self.waiting.len());
        while self.given < whole {
            // Once what is left is in, silence pushes it out.
            self.waiting.resize(fft.input_frames_next(), 0.0);
            let partial = rest.take().unwrap_or(0);
            let (_, made) = process(fft, &self.waiting, Some(partial), &mut self.output)?;
            let fresh = &self.output[self.lead.min(made)..made];
            self.lead -= self.lead.min(made);
            let wanted = usize::try_from(whole - self.given).unwrap_or(usize::MAX);
            let fresh = &fresh[..fresh.len().min(wanted)];
            self.given += fresh.len() as u64;
            give(fresh)?;
            if made == 0 {
                return Err(SoundError::Broken);
            }
        }
        Ok(())
    }
}

/// How many samples were read and made.
fn process(
    fft: &mut Fft<f32>,
    input: &[f32],
    partial_len: Option<usize>,
    output: &mut [f32],
) -> Result<(usize, usize), SoundError> {
    let (length, room) = (input.len(), output.len());
    let input = InterleavedSlice::new(input, 1, length).map_err(|_| SoundError::Broken)?;
    let mut output = InterleavedSlice::new_mut(output, 1, room).map_err(|_| SoundError::Broken)?;
    let indexing = Indexing { partial_len, ..Indexing::default() };
    fft.process_into_buffer(&input, &mut output, Some(&indexing)).map_err(|_| SoundError::Broken)
}
