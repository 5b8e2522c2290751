//! Sound: recordings are read, brought to one rate, coded for viewers, and listened to for how far the
//! mouth is open. All of it is done once per recording, before it is played.
//!
//! It costs processor time and is hostile input for decoders: run it where it may block and may fail.

mod clip;
mod decode;
mod mouth;
mod resample;
mod voice;

pub use clip::Clip;
pub use decode::SOUND_BYTES_MAX;
pub use voice::silence;

/// Samples per second of all sound that is sent.
pub const RATE: u32 = 48_000;
/// Samples in a frame of sound: 20 ms.
pub const FRAME: usize = 960;
/// Frames in a turn of the picture: 40 ms.
pub const FRAMES_PER_TURN: usize = 2;
/// The longest recording, in seconds.
pub const SOUND_SECONDS_MAX: u32 = 300;

/// Why sound cannot be played.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SoundError {
    /// See [`SOUND_BYTES_MAX`].
    #[error("the audio is larger than {SOUND_BYTES_MAX} bytes")]
    TooLarge,
    /// See [`SOUND_SECONDS_MAX`].
    #[error("the audio is longer than {SOUND_SECONDS_MAX} seconds")]
    TooLong,
    /// Whatever it is called, it is neither MP3 nor WAV.
    #[error("the audio is neither MP3 nor WAV")]
    Unknown,
    /// It cannot be decoded.
    #[error("the audio cannot be decoded")]
    Broken,
    /// It ends before the end that it announces.
    #[error("the audio is cut off")]
    CutOff,
    /// There is nothing in it.
    #[error("the audio is empty")]
    Empty,
    /// There is nothing to hear in it.
    #[error("the audio is silent")]
    Silent,
}

#[cfg(test)]
mod tests;
