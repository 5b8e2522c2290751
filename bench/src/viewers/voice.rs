//! Something to say: each session its own, so that nothing of it is shared.

use std::f32::consts::TAU;

/// How long a recording is, in seconds.
pub const RECORDING_S: f32 = 9.5;

/// Samples a second, as voices of programs have them.
const RATE: u32 = 22_050;
/// How loud it is at the most.
const LOUD: f32 = 0.6;
/// Syllables in a second.
const SYLLABLES: f32 = 4.0;

/// A WAV file with a voice: a few overtones that swell and fade as syllables do. `number` decides how high
/// it is.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "samples of a few seconds, within their range"
)]
pub fn recording(number: usize) -> Vec<u8> {
    let pitch = 90.0 + (number % 100) as f32;
    let samples = (RECORDING_S * RATE as f32) as u32;
    let sound = (0..samples).flat_map(|sample| {
        let at = sample as f32 / RATE as f32;
        let syllable = (TAU * SYLLABLES / 2.0 * at).sin().abs();
        let overtones = (1..=3_u8).map(|n| (TAU * pitch * f32::from(n) * at).sin() / f32::from(n));
        let value = LOUD * syllable * overtones.sum::<f32>() / 1.9;
        ((value * f32::from(i16::MAX)) as i16).to_le_bytes()
    });
    wav(&sound.collect::<Vec<u8>>())
}

/// A WAV file of samples of 16 bits, one channel.
fn wav(sound: &[u8]) -> Vec<u8> {
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
    [&head.concat(), sound].concat()
}
