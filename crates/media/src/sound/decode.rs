//! MP3 and WAV to samples of one channel.

use std::io::{Cursor, ErrorKind};

use symphonia::core::{
    codecs::audio::{AudioDecoder, AudioDecoderOptions},
    errors::Error,
    formats::{FormatOptions, FormatReader, TrackType, probe::Hint},
    io::{MediaSourceStream, MediaSourceStreamOptions},
    meta::MetadataOptions,
};

use super::{SOUND_SECONDS_MAX, SoundError};

/// The largest recording, in bytes.
pub const SOUND_BYTES_MAX: usize = 10 * 1024 * 1024;
/// Rates that recordings come in.
const RATES: std::ops::RangeInclusive<u32> = 8_000..=192_000;
/// The most channels.
const CHANNELS_MAX: usize = 8;
/// A length of more seconds than this is what programs write that do not know it.
const SECONDS_BELIEVED: u64 = 6 * 3600;

/// Takes the rate and the samples of each piece.
type Hear<'a> = dyn FnMut(u32, &[f32]) -> Result<(), SoundError> + 'a;

/// Decodes a recording piece by piece.
pub(super) fn decode(recording: Vec<u8>, hear: &mut Hear<'_>) -> Result<(), SoundError> {
    if recording.len() > SOUND_BYTES_MAX {
        return Err(SoundError::TooLarge);
    }
    if recording.is_empty() {
        return Err(SoundError::Empty);
    }
    if !is_known(&recording) {
        return Err(SoundError::Unknown);
    }
    let options = MediaSourceStreamOptions::default();
    let source = MediaSourceStream::new(Box::new(Cursor::new(recording)), options);
    let (formats, meta) = (FormatOptions::default(), MetadataOptions::default());
    let probe = symphonia::default::get_probe();
    let mut reader = probe.probe(&Hint::new(), source, formats, meta).map_err(broken)?;
    let track = reader.default_track(TrackType::Audio).ok_or(SoundError::Broken)?;
    let parameters = track.codec_params.as_ref().and_then(|p| p.audio());
    let parameters = parameters.ok_or(SoundError::Broken)?;
    let (announced, id) = (track.num_frames, track.id);
    let decoders = symphonia::default::get_codecs();
    let mut decoder =
        decoders.make_audio_decoder(parameters, &AudioDecoderOptions::default()).map_err(broken)?;
    let heard = decode_all(&mut *reader, &mut *decoder, id, hear)?;
    heard.check(announced)
}

/// What was found in a recording.
#[derive(Default)]
struct Heard {
    rate: u32,
    samples: u64,
}

impl Heard {
    /// Whether a recording was whole.
    fn check(&self, announced: Option<u64>) -> Result<(), SoundError> {
        if self.samples == 0 {
            return Err(SoundError::Empty);
        }
        let believed = announced.filter(|count| *count < SECONDS_BELIEVED * u64::from(self.rate));
        // Encoders differ in what they count at the edges.
        let slack = u64::from(self.rate) / 10;
        match believed {
            Some(count) if self.samples + slack + count / 50 < count => Err(SoundError::CutOff),
            _ => Ok(()),
        }
    }
}

fn decode_all(
    reader: &mut dyn FormatReader,
    decoder: &mut dyn AudioDecoder,
    track: u32,
    hear: &mut Hear<'_>,
) -> Result<Heard, SoundError> {
    let (mut heard, mut interleaved, mut mono) = (Heard::default(), Vec::new(), Vec::new());
    loop {
        let packet = match reader.next_packet() {
            Ok(Some(packet)) if packet.track_id == track => packet,
            Ok(Some(_)) => continue,
            Ok(None) => return Ok(heard),
            Err(Error::IoError(error)) if error.kind() == ErrorKind::UnexpectedEof => {
                return Ok(heard);
            }
            Err(error) => return Err(broken(error)),
        };
        let sound = match decoder.decode(&packet) {
            Ok(sound) => sound,
            // One bad frame among good ones is left out.
            Err(Error::DecodeError(_)) => continue,
            Err(error) => return Err(broken(error)),
        };
        let (rate, channels) = (sound.spec().rate(), sound.num_planes());
        let is_sane = RATES.contains(&rate) && (1..=CHANNELS_MAX).contains(&channels);
        if !is_sane || (heard.samples > 0 && rate != heard.rate) {
            return Err(SoundError::Broken);
        }
        interleaved.clear();
        sound.copy_to_vec_interleaved::<f32>(&mut interleaved);
        mono.clear();
        mono.extend(interleaved.chunks_exact(channels).map(mean));
        heard.rate = rate;
        heard.samples += mono.len() as u64;
        if heard.samples > u64::from(SOUND_SECONDS_MAX) * u64::from(rate) {
            return Err(SoundError::TooLong);
        }
        hear(rate, &mono)?;
    }
}

/// What the channels have in common. What is no number is silence.
#[expect(clippy::cast_precision_loss, reason = "a handful of channels")]
fn mean(channels: &[f32]) -> f32 {
    let mean = channels.iter().sum::<f32>() / channels.len() as f32;
    if mean.is_finite() { mean.clamp(-1.0, 1.0) } else { 0.0 }
}

fn broken(_: Error) -> SoundError {
    SoundError::Broken
}

/// Whether it begins like a WAV or an MP3 file. Without this, anything would be searched for a frame.
fn is_known(recording: &[u8]) -> bool {
    match recording {
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'A', b'V', b'E', ..]
        | [b'I', b'D', b'3', ..] => true,
        // The layer must be the third, the rate one that there is.
        [0xff, second, third, ..] => second & 0xe6 == 0xe2 && third & 0x0c != 0x0c,
        _ => false,
    }
}
