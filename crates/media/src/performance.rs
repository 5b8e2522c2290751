//! What an avatar does from moment to moment: it rests and blinks, and it speaks what it is given.
//!
//! Time is counted in ticks of 20 ms, one frame of sound each. What happens at a tick depends on what
//! was said before, and on nothing else.

use std::{collections::VecDeque, sync::Arc};

use crate::{
    avatar::{Eyes, Mouth, Pose},
    sound::{Clip, FRAMES_PER_TURN, silence},
};

/// How many clips may wait their turn.
pub const CLIPS_MAX: usize = 64;
/// How many ticks of sound may wait: ten minutes.
pub const WAITING_TICKS_MAX: u64 = 10 * 60 * 50;

/// Ticks from one blink to the next: this many, and up to as many more as follow.
const BLINKS_APART: u64 = 120;
const BLINKS_VARY: u64 = 180;
/// The eyes in the turns of a blink.
const BLINK: [Eyes; 4] = [Eyes::Half, Eyes::Closed, Eyes::Closed, Eyes::Half];

/// What is heard and seen at a tick.
pub struct Moment {
    /// What it looks like.
    pub pose: Pose,
    /// What is heard.
    pub sound: Arc<[u8]>,
}

/// More is waiting to be said than fits: see [`CLIPS_MAX`] and [`WAITING_TICKS_MAX`].
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("too much is waiting to be said")]
pub struct TooMuchToSay;

/// An avatar's performance.
pub struct Performance {
    /// What is to be said, each with the tick at which it begins.
    clips: VecDeque<(u64, Arc<Clip>)>,
    /// The tick at which the eyes close next.
    blink: u64,
    chance: u64,
}

impl Performance {
    /// An avatar at rest. It blinks at moments that the seed decides.
    pub fn new(seed: u64) -> Self {
        let mut performance = Self { clips: VecDeque::new(), blink: 0, chance: seed };
        performance.blink = performance.until_the_next_blink();
        performance
    }

    /// Says a clip when what was given before has been said, at once if that is nothing.
    pub fn say(&mut self, now: u64, clip: Arc<Clip>) -> Result<(), TooMuchToSay> {
        self.forget(now);
        let begin = self.clips.back().map_or(now, |(begin, last)| end(*begin, last));
        let end = end(begin, &clip);
        if self.clips.len() >= CLIPS_MAX || end - now > WAITING_TICKS_MAX {
            return Err(TooMuchToSay);
        }
        self.clips.push_back((begin, clip));
        Ok(())
    }

    /// Stops speaking, and forgets what was still to be said.
    pub fn interrupt(&mut self) {
        self.clips.clear();
    }

    /// What is held to be heard: how many clips, and how many ticks these are.
    pub fn holds(&self) -> (usize, u64) {
        (self.clips.len(), self.clips.iter().map(|(_, clip)| clip.frames() as u64).sum())
    }

    /// When everything has been said. `None`: nothing is being said.
    pub fn speaks_until(&self, now: u64) -> Option<u64> {
        let until = self.clips.back().map(|(begin, clip)| end(*begin, clip));
        until.filter(|until| *until > now)
    }

    /// What is heard and seen at a tick. Ticks must not go back; they may be left out.
    pub fn moment(&mut self, now: u64) -> Moment {
        self.forget(now);
        let eyes = self.eyes(now);
        let spoken = self.clips.front().and_then(|(begin, clip)| {
            let frame = usize::try_from(now.checked_sub(*begin)?).ok()?;
            Some((clip.mouth(frame), Arc::clone(clip.frame(frame)?)))
        });
        let (mouth, sound) = spoken.unwrap_or_else(|| (Mouth::CLOSED, silence()));
        Moment { pose: Pose { eyes, mouth }, sound }
    }

    fn forget(&mut self, now: u64) {
        while self.clips.front().is_some_and(|(begin, clip)| end(*begin, clip) <= now) {
            self.clips.pop_front();
        }
    }

    fn eyes(&mut self, now: u64) -> Eyes {
        let length = (BLINK.len() * FRAMES_PER_TURN) as u64;
        if now >= self.blink + length {
            self.blink = now + self.until_the_next_blink();
        }
        let turn = now.checked_sub(self.blink).map(|ticks| ticks / FRAMES_PER_TURN as u64);
        let turn = turn.and_then(|turn| usize::try_from(turn).ok());
        turn.and_then(|turn| BLINK.get(turn)).copied().unwrap_or_default()
    }

    /// Drawn from the seed (by the generator of Steele and others that is known as `SplitMix`).
    fn until_the_next_blink(&mut self) -> u64 {
        self.chance = self.chance.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut drawn = self.chance;
        drawn = (drawn ^ drawn >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        drawn = (drawn ^ drawn >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        BLINKS_APART + (drawn ^ drawn >> 31) % BLINKS_VARY
    }
}

fn end(begin: u64, clip: &Clip) -> u64 {
    begin + clip.frames() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A clip of so many frames, each of which is told by its number, with the mouth wide open.
    fn clip(frames: u8) -> Arc<Clip> {
        let sound = (0..frames).map(|number| Arc::from([frames, number])).collect();
        Arc::new(Clip::of(sound, vec![Mouth::MAX; usize::from(frames).div_ceil(FRAMES_PER_TURN)]))
    }

    fn sounds(performance: &mut Performance, ticks: std::ops::Range<u64>) -> Vec<Vec<u8>> {
        ticks.map(|tick| performance.moment(tick).sound.to_vec()).collect()
    }

    #[test]
    fn an_avatar_at_rest_is_silent_and_blinks_now_and_then() {
        let mut performance = Performance::new(7);
        let mut blinks = Vec::new();
        let mut last = Eyes::Open;
        for tick in 0..30 * 50 {
            let moment = performance.moment(tick);
            assert_eq!((moment.pose.mouth, moment.sound), (Mouth::CLOSED, silence()));
            if last == Eyes::Open && moment.pose.eyes == Eyes::Half {
                blinks.push(tick);
            }
            last = moment.pose.eyes;
        }
        assert!((5..=12).contains(&blinks.len()), "{blinks:?}");
        let apart: Vec<_> = blinks.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let range = BLINKS_APART..BLINKS_APART + BLINKS_VARY + 10;
        assert!(apart.iter().all(|ticks| range.contains(ticks)), "{apart:?}");
        assert!(apart.windows(2).any(|pair| pair[0] != pair[1]), "{apart:?}");
    }

    #[test]
    fn a_blink_closes_the_eyes_and_opens_them_again() {
        let mut performance = Performance::new(1);
        let begin = performance.blink;
        let eyes: Vec<_> =
            (begin - 1..begin + 9).map(|tick| performance.moment(tick).pose.eyes).collect();
        let expected = [
            [Eyes::Open, Eyes::Half],
            [Eyes::Half, Eyes::Closed],
            [Eyes::Closed, Eyes::Closed],
            [Eyes::Closed, Eyes::Half],
            [Eyes::Half, Eyes::Open],
        ];
        assert_eq!(eyes, expected.concat());
    }

    #[test]
    fn clips_are_said_one_after_the_other_without_a_gap() {
        let mut performance = Performance::new(1);
        performance.say(10, clip(3)).unwrap();
        performance.say(11, clip(2)).unwrap();
        assert_eq!((performance.speaks_until(11), performance.holds()), (Some(15), (2, 5)));
        let heard = sounds(&mut performance, 10..16);
        let silence = silence().to_vec();
        assert_eq!(heard, [vec![3, 0], vec![3, 1], vec![3, 2], vec![2, 0], vec![2, 1], silence]);
        assert_eq!((performance.speaks_until(15), performance.holds()), (None, (0, 0)));
        performance.say(40, clip(1)).unwrap();
        assert_eq!(sounds(&mut performance, 40..41), [[1, 0]]);
    }

    #[test]
    fn the_mouth_moves_only_while_something_is_said() {
        let mut performance = Performance::new(1);
        performance.say(4, clip(4)).unwrap();
        let mouths: Vec<_> =
            (0..10).map(|tick| performance.moment(tick).pose.mouth.steps()).collect();
        assert_eq!(mouths, [0, 0, 0, 0, 4, 4, 4, 4, 0, 0]);
    }

    #[test]
    fn moments_that_nobody_saw_are_left_out() {
        let mut performance = Performance::new(1);
        performance.say(0, clip(100)).unwrap();
        performance.say(0, clip(100)).unwrap();
        assert_eq!(sounds(&mut performance, 60..61), [[100, 60]]);
        assert_eq!(sounds(&mut performance, 150..151), [[100, 50]]);
        assert_eq!(performance.moment(1_000_000).sound, silence());
    }

    #[test]
    fn an_interruption_ends_it_all_at_once() {
        let mut performance = Performance::new(1);
        performance.say(0, clip(100)).unwrap();
        performance.say(0, clip(100)).unwrap();
        performance.moment(5);
        performance.interrupt();
        let moment = performance.moment(6);
        assert_eq!((moment.pose.mouth, moment.sound), (Mouth::CLOSED, silence()));
        assert_eq!(performance.speaks_until(6), None);
        performance.say(7, clip(1)).unwrap();
        assert_eq!(sounds(&mut performance, 7..8), [[1, 0]]);
    }

    #[test]
    fn so_many_clips_wait_and_no_more() {
        let mut performance = Performance::new(1);
        for _ in 0..CLIPS_MAX {
            performance.say(0, clip(1)).unwrap();
        }
        assert_eq!(performance.say(0, clip(1)), Err(TooMuchToSay));
        performance.say(1, clip(1)).unwrap();
    }

    #[test]
    fn so_much_sound_waits_and_no_more() {
        let ticks = |count: u64| {
            let frames = usize::try_from(count).unwrap();
            Arc::new(Clip::of(vec![silence(); frames], Vec::new()))
        };
        let mut performance = Performance::new(1);
        performance.say(0, ticks(WAITING_TICKS_MAX)).unwrap();
        assert_eq!(performance.say(0, ticks(1)), Err(TooMuchToSay));
        performance.say(1, ticks(1)).unwrap();
    }
}
