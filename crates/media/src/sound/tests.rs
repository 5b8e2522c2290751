#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "samples are made here from small numbers"
)]

use std::f32::consts::TAU;

use opus::{Channels, Decoder};
use proptest::{arbitrary::any, collection::vec, proptest};

use super::*;
use crate::avatar::Mouth;

const MP3: &[u8] = include_bytes!("../../tests/fixtures/tone.mp3");

/// What a WAV file announces and what it holds.
struct Wav {
    rate: u32,
    channels: u16,
    bits: u16,
    data: Vec<u8>,
    announced: u32,
}

impl Wav {
    /// A tone of 220 Hz, heard in every other tenth of a second, with a pause at both ends.
    fn of(rate: u32, seconds: f32) -> Self {
        let count = (rate as f32 * seconds) as usize;
        let data: Vec<u8> = (0..count)
            .flat_map(|n| {
                let at = n as f32 / rate as f32;
                let is_heard = (at * 10.0) as u32 % 2 == 1;
                let sample = if is_heard { 0.5 * (TAU * 220.0 * at).sin() } else { 0.0 };
                ((sample * 32767.0) as i16).to_le_bytes()
            })
            .collect();
        let announced = data.len() as u32;
        Self { rate, channels: 1, bits: 16, data, announced }
    }

    fn bytes(&self) -> Vec<u8> {
        let align = self.channels * self.bits / 8;
        let head: [&[u8]; 12] = [
            b"RIFF",
            &self.announced.saturating_add(36).to_le_bytes(),
            b"WAVEfmt ",
            &16_u32.to_le_bytes(),
            &1_u16.to_le_bytes(),
            &self.channels.to_le_bytes(),
            &self.rate.to_le_bytes(),
            &(self.rate.wrapping_mul(u32::from(align))).to_le_bytes(),
            &align.to_le_bytes(),
            &self.bits.to_le_bytes(),
            b"data",
            &self.announced.to_le_bytes(),
        ];
        [head.concat(), self.data.clone()].concat()
    }

    fn clip(&self) -> Result<Clip, SoundError> {
        Clip::from_recording(self.bytes())
    }
}

fn error(recording: Vec<u8>) -> SoundError {
    Clip::from_recording(recording).err().expect("refused")
}

/// How loud each frame is to a viewer.
fn heard(clip: &Clip) -> Vec<f32> {
    let mut decoder = Decoder::new(RATE, Channels::Mono).unwrap();
    let mut samples = [0.0; FRAME];
    (0..clip.frames())
        .map(|number| {
            let count = decoder.decode_float(clip.frame(number).unwrap(), &mut samples, false);
            assert_eq!(count.ok(), Some(FRAME));
            samples.iter().fold(0.0, |peak, sample| sample.abs().max(peak))
        })
        .collect()
}

#[test]
fn a_recording_of_any_usual_rate_becomes_frames_of_sound() {
    for rate in [8_000, 11_025, 16_000, 22_050, 24_000, 44_100, 48_000, 96_000, 192_000] {
        let clip = Wav::of(rate, 1.0).clip().unwrap();
        assert_eq!(clip.frames(), 52, "one second, and a turn for what the encoder holds ({rate})");
        let heard = heard(&clip);
        for (frame, peak) in heard.iter().enumerate() {
            // The tone is heard in the frames 5 to 9, 15 to 19 and so on; the edges blur.
            match frame % 10 {
                1..=3 => assert!(*peak < 0.05, "{rate}: frame {frame} is at {peak}"),
                7..=8 => assert!((0.4..0.7).contains(peak), "{rate}: frame {frame} is at {peak}"),
                _ => {}
            }
        }
    }
}

/// What a recording costs, for `docs/media.md`.
#[test]
#[ignore = "it prints figures"]
fn figures_of_sound() {
    let seconds = 20.0;
    let recording = Wav::of(22_050, seconds).bytes();
    let begun = crate::figures::worked();
    let clip = Clip::from_recording(recording).unwrap();
    let worked = crate::figures::worked().saturating_sub(begun).as_secs_f32();
    println!("a second of a recording: {:.1} ms of work", worked * 1000.0 / seconds);
    assert!(clip.frames() > 900);
}

#[test]
fn the_mouth_moves_with_the_sound() {
    let clip = Wav::of(22_050, 1.0).clip().unwrap();
    let open: Vec<_> = (0..clip.frames()).map(|frame| clip.mouth(frame).steps()).collect();
    assert_eq!(
        open[..20],
        [0, 0, 0, 0, 3, 3, 4, 4, 4, 4, 2, 2, 0, 0, 3, 3, 4, 4, 4, 4],
        "{open:?}"
    );
    assert_eq!(clip.mouth(clip.frames() - 1), Mouth::CLOSED);
    assert_eq!(clip.mouth(10_000), Mouth::CLOSED);
}

#[test]
fn mp3_is_heard_whatever_it_is_called() {
    let clip = Clip::from_recording(MP3.to_vec()).unwrap();
    assert!((74..=82).contains(&clip.frames()), "{}", clip.frames());
    let heard = heard(&clip);
    assert!(heard[0] < 0.05 && heard.iter().any(|peak| *peak > 0.4), "{heard:?}");
}

#[test]
fn stereo_and_other_widths_are_mixed_down() {
    let mut wav = Wav::of(16_000, 0.5);
    wav.data = wav.data.chunks_exact(2).flat_map(|s| [s[0], s[1], s[0], s[1]]).collect();
    (wav.channels, wav.announced) = (2, wav.data.len() as u32);
    let stereo = heard(&wav.clip().unwrap());
    assert!((0.4..0.7).contains(&stereo[7]), "{stereo:?}");
    let mut wav = Wav::of(16_000, 0.5);
    wav.data = wav.data.chunks_exact(2).map(|s| s[1].wrapping_add(128)).collect();
    (wav.bits, wav.announced) = (8, wav.data.len() as u32);
    let narrow = heard(&wav.clip().unwrap());
    assert!((0.4..0.7).contains(&narrow[7]), "{narrow:?}");
}

#[test]
fn silent_and_empty_recordings_are_refused() {
    let mut wav = Wav::of(16_000, 0.5);
    wav.data.fill(0);
    assert_eq!(error(wav.bytes()), SoundError::Silent);
    assert_eq!(error(Vec::new()), SoundError::Empty);
    (wav.data, wav.announced) = (Vec::new(), 0);
    assert!(matches!(error(wav.bytes()), SoundError::Empty | SoundError::Broken));
}

#[test]
fn what_is_no_recording_is_refused() {
    assert_eq!(error(b"not a recording".to_vec()), SoundError::Unknown);
    assert_eq!(error(b"OggS\0\x02abcdefgh".to_vec()), SoundError::Unknown);
    assert_eq!(error(b"\x89PNG\r\n\x1a\n".to_vec()), SoundError::Unknown);
    assert_eq!(error(b"RIFF\0\0\0\0AVI ".to_vec()), SoundError::Unknown);
    assert_eq!(error(vec![0xff; 5000]), SoundError::Unknown);
    assert_eq!(error(b"ID3".to_vec()), SoundError::Broken);
    assert_eq!(error(b"RIFF\x24\0\0\0WAVE".to_vec()), SoundError::Broken);
}

#[test]
fn a_recording_that_is_cut_off_is_refused() {
    let mut wav = Wav::of(16_000, 1.0);
    wav.data.truncate(wav.data.len() / 2);
    assert_eq!(error(wav.bytes()), SoundError::CutOff);
    assert_eq!(error(MP3[..MP3.len() / 2].to_vec()), SoundError::CutOff);
    assert_eq!(error(MP3[..60].to_vec()), SoundError::Broken);
}

#[test]
fn a_length_that_nobody_knew_is_not_believed() {
    for announced in [u32::MAX, 0x7fff_f000] {
        let mut wav = Wav::of(16_000, 0.5);
        wav.announced = announced;
        assert!(wav.clip().is_ok(), "{announced:x}");
    }
}

#[test]
fn recordings_are_so_large_so_long_and_no_more() {
    assert_eq!(error(vec![0; SOUND_BYTES_MAX + 1]), SoundError::TooLarge);
    assert_eq!(error(vec![0; SOUND_BYTES_MAX]), SoundError::Unknown);
    let seconds = |count: u32| {
        let mut wav = Wav::of(8_000, 1.0);
        wav.data = wav.data.repeat(count as usize);
        wav.announced = wav.data.len() as u32;
        wav
    };
    assert_eq!(error(seconds(SOUND_SECONDS_MAX + 1).bytes()), SoundError::TooLong);
    assert!(seconds(SOUND_SECONDS_MAX).clip().is_ok());
}

#[test]
fn rates_that_nobody_uses_are_refused() {
    for (rate, is_good) in [(7_999, false), (8_000, true), (192_000, true), (192_001, false)] {
        assert_eq!(Wav::of(rate, 0.3).clip().is_ok(), is_good, "{rate}");
    }
    let mut wav = Wav::of(8_000, 0.3);
    wav.rate = u32::MAX;
    assert_eq!(error(wav.bytes()), SoundError::Broken);
}

#[test]
fn silence_is_small_and_is_heard_as_nothing() {
    assert!(silence().len() < 12, "{}", silence().len());
    let mut decoder = Decoder::new(RATE, Channels::Mono).unwrap();
    let mut samples = [1.0; FRAME];
    for _ in 0..10 {
        decoder.decode_float(&silence(), &mut samples, false).unwrap();
        assert!(samples.iter().all(|sample| sample.abs() < 0.001));
    }
}

proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(48))]

    #[test]
    fn spoilt_recordings_are_played_or_refused(
        is_mp3 in any::<bool>(),
        changes in vec(any::<(u16, u8)>(), 1..40),
        keep in 0.2..1.0_f64,
    ) {
        let mut bytes = if is_mp3 { MP3.to_vec() } else { Wav::of(16_000, 0.2).bytes() };
        for (place, byte) in changes {
            let place = usize::from(place) % bytes.len();
            bytes[place] = byte;
        }
        bytes.truncate((bytes.len() as f64 * keep) as usize);
        let _ = Clip::from_recording(bytes);
    }
}
