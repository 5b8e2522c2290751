//! How far a mouth is open while it makes a sound.

use super::SoundError;
use crate::avatar::Mouth;

/// Below this loudness (-60 dB of the loudest there can be) nobody hears anything.
const AUDIBLE: f32 = 0.001;
/// From which part of the loudness of the recording on the mouth is open by another step.
const STEPS: [f32; 4] = [0.10, 0.26, 0.50, 0.80];
/// How many steps the mouth closes in one turn at most. It opens as fast as it likes.
const CLOSING: u8 = 2;

/// How loud each turn of a recording is: the root of the mean square.
#[derive(Default)]
pub(super) struct Loudness {
    turns: Vec<f32>,
}

impl Loudness {
    #[expect(clippy::cast_precision_loss, reason = "a few thousand samples")]
    pub(super) fn hear(&mut self, turn: &[f32]) {
        let squares: f32 = turn.iter().map(|sample| sample * sample).sum();
        self.turns.push((squares / turn.len().max(1) as f32).sqrt());
    }

    /// The mouth in each turn. It opens by the loudness of this voice, however loud it was recorded,
    /// and is closed at the end.
    pub(super) fn mouths(&self) -> Result<Vec<Mouth>, SoundError> {
        let mut audible: Vec<_> = self.turns.iter().copied().filter(|l| *l > AUDIBLE).collect();
        audible.sort_by(f32::total_cmp);
        // The loudest moments are exceptions.
        let Some(&loud) = audible.get(audible.len() * 9 / 10) else {
            return Err(SoundError::Silent);
        };
        let mut shown = 0;
        let mut mouths: Vec<_> = self
            .turns
            .iter()
            .map(|loudness| {
                let wanted = opening(*loudness, loud);
                shown = wanted.max(u8::saturating_sub(shown, CLOSING));
                Mouth::new(shown)
            })
            .collect();
        if let Some(last) = mouths.last_mut() {
            *last = Mouth::CLOSED;
        }
        Ok(mouths)
    }
}

fn opening(loudness: f32, loud: f32) -> u8 {
    let is_passed = |step: &&f32| loudness > AUDIBLE && loudness >= **step * loud;
    u8::try_from(STEPS.iter().filter(is_passed).count()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mouths(turns: &[f32]) -> Result<Vec<u8>, SoundError> {
        let loudness = Loudness { turns: turns.to_vec() };
        Ok(loudness.mouths()?.into_iter().map(Mouth::steps).collect())
    }

    #[test]
    fn a_mouth_opens_at_once_and_closes_in_steps() {
        let turns = [0.0, 0.3, 0.3, 0.0, 0.0, 0.0, 0.05, 0.1, 0.16, 0.3, 0.3, 0.3];
        assert_eq!(mouths(&turns).unwrap(), [0, 4, 4, 2, 0, 0, 1, 2, 3, 4, 4, 0]);
    }

    #[test]
    fn a_quiet_recording_moves_the_mouth_as_a_loud_one_does() {
        let turns = [0.0, 0.4, 0.1, 0.3, 0.0, 0.4, 0.4];
        let quiet = turns.map(|loudness| loudness / 50.0);
        assert_eq!(mouths(&turns), mouths(&quiet));
    }

    #[test]
    fn nothing_to_hear_is_silent() {
        assert_eq!(mouths(&[AUDIBLE; 9]), Err(SoundError::Silent));
        assert_eq!(mouths(&[]), Err(SoundError::Silent));
        assert!(mouths(&[AUDIBLE * 1.1; 9]).is_ok());
    }
}
