//! Speech: a port, and its adapters. Text goes in, a sound file comes out; who decodes and plays it is
//! known elsewhere.

mod command;
mod endpoint;

use async_trait::async_trait;
use bytes::Bytes;

pub use self::{
    command::{CommandVoice, SPEAKING_MAX},
    endpoint::{Endpoint, EndpointVoice},
};

/// The longest text that is spoken in one go, in bytes. Whoever has more to say says it in parts.
pub const TEXT_BYTES_MAX: usize = 32 * 1024;

/// The longest sound file that is taken, in bytes: six minutes of 16-bit sound at 22 kHz.
pub const SOUND_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Something to be said.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Utterance {
    /// The text.
    pub text: String,
    /// Whose voice, in the words of whoever speaks. `None`: as configured.
    pub voice: Option<String>,
    /// How fast; 1 is the voice's own pace. `None`: as configured.
    pub speed: Option<f64>,
}

/// A sound file: WAV or MP3, which its own first bytes tell.
#[derive(Clone, PartialEq, Eq)]
pub struct Sound(pub Bytes);

impl std::fmt::Debug for Sound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sound({} bytes)", self.0.len())
    }
}

/// Why nothing was said. Never the text itself.
#[derive(Debug, thiserror::Error)]
pub enum SpeechError {
    /// The text is longer than [`TEXT_BYTES_MAX`].
    #[error("the text is longer than {TEXT_BYTES_MAX} bytes")]
    TooMuchText,
    /// The sound is longer than [`SOUND_BYTES_MAX`].
    #[error("the sound is longer than {SOUND_BYTES_MAX} bytes")]
    TooMuchSound,
    /// It took too long.
    #[error("there was no sound within {seconds} s")]
    Timeout {
        /// The limit.
        seconds: u64,
    },
    /// Whoever speaks said nothing.
    #[error("there was no sound")]
    Silent,
    /// Whoever speaks refused, or failed.
    #[error("{0}")]
    Failed(String),
    /// Whoever speaks cannot be reached.
    #[error("the voice cannot be reached")]
    Unreachable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Turns text into speech.
#[async_trait]
pub trait Voice: Send + Sync {
    /// Speaks. Dropped when nobody waits for the sound any more; whatever was begun is stopped then.
    async fn speak(&self, utterance: &Utterance) -> Result<Sound, SpeechError>;
}

/// Whether a text is short enough.
fn check(utterance: &Utterance) -> Result<(), SpeechError> {
    if utterance.text.len() > TEXT_BYTES_MAX { Err(SpeechError::TooMuchText) } else { Ok(()) }
}
