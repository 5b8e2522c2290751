use std::{path::Path, sync::Arc};

use epilogue_core::Timestamp;

use super::*;
use crate::{
    clock::{SimClock, SystemClock},
    speech::TEXT_BYTES_MAX,
};

const LIMIT: Span = Span::from_secs(10);

fn voice(command: &[&str]) -> CommandVoice {
    let command: Vec<_> = command.iter().map(|&part| part.to_owned()).collect();
    CommandVoice::new(&command, LIMIT, Arc::new(SystemClock)).expect("a program")
}

async fn said(command: &[&str], text: &str) -> Result<String, SpeechError> {
    let utterance = Utterance { text: text.to_owned(), ..Utterance::default() };
    let sound = voice(command).speak(&utterance).await?;
    Ok(String::from_utf8(sound.0.to_vec()).expect("text"))
}

#[tokio::test]
async fn a_program_is_told_the_text_as_one_argument() {
    let text = "$(touch /tmp/x) \"; rm -rf *' `id` 💥\nsecond line";
    assert_eq!(
        said(&["printf", "%s|", "{text}", "end"], text).await.expect("said"),
        format!("{text}|end|")
    );
    assert_eq!(said(&["printf", "%s|", "a{text}b"], "-n").await.expect("said"), "a-nb|");
}

#[tokio::test]
async fn a_program_without_a_place_for_the_text_reads_it() {
    let long = "x".repeat(TEXT_BYTES_MAX);
    assert_eq!(said(&["cat"], &long).await.expect("said"), long);
    assert_eq!(said(&["echo", "not read"], &long).await.expect("said"), "not read\n");
}

#[tokio::test]
async fn a_text_is_never_an_option() {
    assert_eq!(said(&["printf", "%s", "{text}"], "--help").await.expect("said"), " --help");
    assert_eq!(said(&["echo", "-n", "{text}"], "-e").await.expect("said"), " -e");
    assert_eq!(said(&["printf", "%s", "{text}"], "a\0b").await.expect("said"), "ab");
}

#[tokio::test]
async fn a_program_sees_nothing_of_our_environment_but_what_it_needs() {
    let seen = said(&["env"], "").await.expect("said");
    let names: Vec<_> = seen.lines().filter_map(|line| line.split_once('=')).collect();
    assert!(names.iter().any(|(name, _)| *name == "PATH"));
    assert!(names.iter().all(|(name, _)| KEPT.contains(name)), "{seen}");
}

#[tokio::test]
async fn failures_are_told_without_the_text() {
    let fails =
        async |command: &[&str]| said(command, "secret").await.expect_err("failed").to_string();
    assert_eq!(
        fails(&["sh", "-c", "echo secret >&2; exit 3"]).await,
        "the speech command exited with 3"
    );
    assert_eq!(fails(&["sh", "-c", "kill -9 $$"]).await, "the speech command was killed");
    assert_eq!(fails(&["true"]).await, "there was no sound");
    assert_eq!(fails(&["/no/such/program"]).await, "the voice cannot be reached");
}

#[tokio::test]
async fn text_and_sound_are_bounded() {
    assert!(matches!(
        said(&["cat"], &"x".repeat(TEXT_BYTES_MAX + 1)).await,
        Err(SpeechError::TooMuchText)
    ));
    let zeros =
        async |bytes: usize| said(&["head", "-c", &bytes.to_string(), "/dev/zero"], "").await;
    assert_eq!(zeros(SOUND_BYTES_MAX).await.expect("fits").len(), SOUND_BYTES_MAX);
    assert!(matches!(zeros(SOUND_BYTES_MAX + 1).await, Err(SpeechError::TooMuchSound)));
}

/// Whether a process still runs; one that is dead and not yet waited for does not.
fn runs(pid: &str) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().is_some_and(|rest| rest.starts_with(" Z")))
}

async fn written(file: &Path) -> String {
    loop {
        match std::fs::read_to_string(file) {
            Ok(text) if text.ends_with('\n') => return text.trim().to_owned(),
            _ => tokio::task::yield_now().await,
        }
    }
}

#[tokio::test]
async fn a_program_that_hangs_is_stopped_when_its_time_is_up() {
    let folder = tempfile::tempdir().expect("a folder");
    let pid_file = folder.path().join("pid");
    let script = format!("echo $$ > {}; exec sleep 1000", pid_file.display());
    let clock = SimClock::at(Timestamp::from_millis(0));
    let command = ["sh".to_owned(), "-c".to_owned(), script];
    let voice = CommandVoice::new(&command, LIMIT, Arc::new(clock.clone())).expect("a program");
    let speaking = tokio::spawn(async move { voice.speak(&Utterance::default()).await });
    let pid = written(&pid_file).await;
    assert!(runs(&pid));
    clock.advance(LIMIT);
    let error = speaking.await.expect("not a panic").expect_err("too late");
    assert_eq!(error.to_string(), "there was no sound within 10 s");
    while runs(&pid) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn only_so_many_programs_speak_at_a_time() {
    let voice = voice(&["sleep", "1000"]);
    let utterance = Utterance::default();
    let mut speaking: Vec<_> = (0..=SPEAKING_MAX).map(|_| voice.speak(&utterance)).collect();
    for one in &mut speaking {
        assert!(futures::poll!(one).is_pending());
    }
    assert_eq!(voice.places.available_permits(), 0);
    drop(speaking);
    assert_eq!(voice.places.available_permits(), SPEAKING_MAX);
}

#[test]
fn a_command_names_a_program() {
    assert!(CommandVoice::new(&[], LIMIT, Arc::new(SystemClock)).is_none());
}
