//! A program of the operator's that speaks, such as `espeak-ng --stdout {text}`.
//!
//! The text is one argument, never part of a command line, so that nothing in it is understood as
//! anything but text. The program sees no secret of ours: of our environment it gets what [`KEPT`] names.

use std::process::Stdio;

use async_trait::async_trait;
use bytes::Bytes;
use epilogue_core::Span;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _},
    process::{Child, Command},
    sync::Semaphore,
};

use super::{SOUND_BYTES_MAX, Sound, SpeechError, Utterance, Voice, check};
use crate::clock::{SharedClock, within};

/// What stands for the text among a program's arguments. Without it, the program reads the text from
/// its input.
const TEXT: &str = "{text}";

/// The parts of our environment that a program is given.
const KEPT: [&str; 6] = ["PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR"];

/// How many programs speak at a time. The others wait, within their own time.
pub const SPEAKING_MAX: usize = 4;

/// Runs a program for each utterance.
pub struct CommandVoice {
    program: String,
    arguments: Vec<String>,
    timeout: Span,
    clock: SharedClock,
    places: Semaphore,
}

impl CommandVoice {
    /// A voice that runs `command`: the program, then its arguments. `None` if it names no program.
    pub fn new(command: &[String], timeout: Span, clock: SharedClock) -> Option<Self> {
        let (program, arguments) = command.split_first()?;
        Some(Self {
            program: program.clone(),
            arguments: arguments.to_vec(),
            timeout,
            clock,
            places: Semaphore::new(SPEAKING_MAX),
        })
    }

    async fn run(&self, text: &str) -> Result<Sound, SpeechError> {
        let Ok(_place) = self.places.acquire().await else { return Err(SpeechError::Silent) };
        let mut child = self.start(text)?;
        let input = child.stdin.take();
        let output = child.stdout.take();
        let telling = async {
            if let Some(mut input) = input {
                // A program that does not read it to its end has its reasons.
                let _ = input.write_all(text.as_bytes()).await;
            }
        };
        let (sound, ()) = tokio::join!(read(output), telling);
        let sound = sound?;
        let status = child.wait().await.map_err(|error| self.broken(error))?;
        match status.code() {
            Some(0) if sound.is_empty() => Err(SpeechError::Silent),
            Some(0) => Ok(Sound(sound)),
            Some(code) => {
                Err(SpeechError::Failed(format!("the speech command exited with {code}")))
            }
            None => Err(SpeechError::Failed("the speech command was killed".into())),
        }
    }

    fn start(&self, text: &str) -> Result<Child, SpeechError> {
        let kept = KEPT.into_iter().filter_map(|name| Some((name, std::env::var_os(name)?)));
        let told = self.arguments.iter().any(|argument| argument.contains(TEXT));
        Command::new(&self.program)
            .args(self.arguments.iter().map(|argument| filled_in(argument, text)))
            .env_clear()
            .envs(kept)
            .stdin(if told { Stdio::null() } else { Stdio::piped() })
            .stdout(Stdio::piped())
            // What it complains about may quote the text.
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| self.broken(error))
    }

    fn broken(&self, error: std::io::Error) -> SpeechError {
        tracing::warn!(
            program = self.program,
            error = &error as &dyn std::error::Error,
            "no speech"
        );
        SpeechError::Unreachable(error.into())
    }
}

/// An argument with the text in it. A text that reads as an option is no option: it begins with a space.
fn filled_in(argument: &str, text: &str) -> String {
    let text = text.replace('\0', "");
    let space = if argument.starts_with(TEXT) && text.starts_with('-') { " " } else { "" };
    format!("{space}{}", argument.replace(TEXT, &text))
}

async fn read(output: Option<impl AsyncRead + Unpin>) -> Result<Bytes, SpeechError> {
    let mut sound = Vec::new();
    let Some(output) = output else { return Ok(Bytes::new()) };
    let most = u64::try_from(SOUND_BYTES_MAX).unwrap_or(u64::MAX) + 1;
    let read = output.take(most).read_to_end(&mut sound).await;
    read.map_err(|error| SpeechError::Unreachable(error.into()))?;
    if sound.len() > SOUND_BYTES_MAX { Err(SpeechError::TooMuchSound) } else { Ok(sound.into()) }
}

#[async_trait]
impl Voice for CommandVoice {
    /// Voice and speed are the program's own: its arguments say them.
    async fn speak(&self, utterance: &Utterance) -> Result<Sound, SpeechError> {
        check(utterance)?;
        let spoken = within(&*self.clock, self.timeout, self.run(&utterance.text)).await;
        let seconds = self.timeout.as_millis() / 1000;
        spoken.unwrap_or(Err(SpeechError::Timeout { seconds }))
    }
}

#[cfg(test)]
#[path = "command_tests.rs"]
mod tests;
