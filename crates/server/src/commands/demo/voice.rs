//! A recording for where no program speaks: a few hummed notes, made here.

use std::f32::consts::TAU;

/// Samples a second.
const RATE: u32 = 24_000;
/// The notes, in Hz: they rise, and come home.
const NOTES: [f32; 6] = [196.0, 220.0, 261.6, 293.7, 261.6, 196.0];
/// How long each is, in seconds.
const NOTE_S: f32 = 0.6;
/// How loud it is at the most.
const LOUD: f32 = 0.5;

/// How long the recording is, in seconds.
#[expect(clippy::cast_precision_loss, reason = "a few notes")]
pub(super) const HUM_S: f32 = NOTES.len() as f32 * NOTE_S;

/// The recording, as a WAV file.
pub(super) fn hum() -> Vec<u8> {
    let sound: Vec<u8> =
        NOTES.iter().flat_map(|note| samples(*note)).flat_map(i16::to_le_bytes).collect();
    let length = u32::try_from(sound.len()).unwrap_or(u32::MAX);
    let head: [&[u8]; 12] = [
        b"RIFF",
        &length.saturating_add(36).to_le_bytes(),
        b"WAVEfmt ",
        &16_u32.to_le_bytes(),
        &1_u16.to_le_bytes(),
        &1_u16.to_le_bytes(),
        &RATE.to_le_bytes(),
        &(RATE * 2).to_le_bytes(),
        &2_u16.to_le_bytes(),
        &16_u16.to_le_bytes(),
        b"data",
        &length.to_le_bytes(),
    ];
    [head.concat(), sound].concat()
}

/// A note with the overtones of an open mouth, that swells and fades.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "samples of a short note, within their range"
)]
fn samples(note: f32) -> impl Iterator<Item = i16> {
    let count = (RATE as f32 * NOTE_S) as u32;
    (0..count).map(move |sample| {
        let at = sample as f32 / RATE as f32;
        let swell = (std::f32::consts::PI * at / NOTE_S).sin();
        let overtone = |number: f32| (TAU * note * number * at).sin() / number;
        let tone = (overtone(1.0) + overtone(2.0) + overtone(3.0)) / 1.9;
        (LOUD * swell * tone * f32::from(i16::MAX)) as i16
    })
}

#[cfg(test)]
mod tests {
    use epilogue_media::sound::Clip;

    use super::*;

    #[test]
    fn the_recording_can_be_played_and_is_as_long_as_it_says() {
        let clip = Clip::from_recording(hum()).expect("it can be played");
        let frames = HUM_S * 50.0;
        #[expect(clippy::cast_precision_loss, reason = "a few seconds")]
        let (found, more) = (clip.frames() as f32, 5.0);
        assert!((frames..frames + more).contains(&found), "{found} frames of {frames}");
    }
}
