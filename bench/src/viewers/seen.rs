//! What a viewer has seen and heard, and whether that was without a stall.

use crate::time::{Duration, Instant};

/// Sound packets in a second.
pub const SOUND_PER_SECOND: f64 = 50.0;
/// Sound comes every 20 ms. A viewer that hears nothing for longer than this has stalled.
pub const STALLED: Duration = Duration::from_millis(500);
/// What a sound packet advances the clock of the sound by.
const SOUND_TICKS: u64 = 960;

/// What came of one kind since a measurement began.
#[derive(Clone, Debug, Default)]
pub struct Stream {
    /// Frames of sound, or pictures.
    pub frames: usize,
    /// The longest time in which there was nothing.
    pub longest_pause: Duration,
    last: Option<Instant>,
    /// The stream's own clock, at its first and its latest frame.
    clock: Option<(u64, u64)>,
}

impl Stream {
    fn note(&mut self, at: Instant, clock: u64) {
        self.frames += 1;
        if let Some(last) = self.last {
            self.longest_pause = self.longest_pause.max(at.saturating_duration_since(last));
        }
        self.last = Some(at);
        let (first, latest) = self.clock.unwrap_or((clock, clock));
        self.clock = Some((first.min(clock), latest.max(clock)));
    }

    /// A measurement begins: what was before counts no more, but a pause goes on.
    fn begin(&mut self, now: Instant) -> Self {
        let next = Self { last: self.last, ..Self::default() };
        let mut done = std::mem::replace(self, next);
        if let Some(last) = done.last {
            done.longest_pause = done.longest_pause.max(now.saturating_duration_since(last));
        }
        done
    }
}

/// What a viewer has seen and heard since a measurement began.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// The sound.
    pub sound: Stream,
    /// The pictures.
    pub pictures: Stream,
    /// How large each datagram was, of whatever kind.
    pub datagrams: Vec<u16>,
    /// When it was told that the stream is over.
    pub closed: Option<Instant>,
    /// Why it could not go on.
    pub broken: Option<String>,
}

impl Seen {
    /// A datagram came.
    pub fn note_datagram(&mut self, bytes: usize) {
        self.datagrams.push(u16::try_from(bytes).unwrap_or(u16::MAX));
    }

    /// A frame of sound came.
    pub fn note_sound(&mut self, at: Instant, clock: u64) {
        self.sound.note(at, clock);
    }

    /// The last part of a picture came.
    pub fn note_picture(&mut self, at: Instant, clock: u64) {
        self.pictures.note(at, clock);
    }

    /// What was seen until now. From here on all is counted anew.
    pub fn begin(&mut self, now: Instant) -> Self {
        Self {
            sound: self.sound.begin(now),
            pictures: self.pictures.begin(now),
            datagrams: std::mem::take(&mut self.datagrams),
            closed: self.closed,
            broken: self.broken.clone(),
        }
    }

    /// How many frames of sound are missing between the first and the last, lost or left out.
    pub fn sound_missing(&self) -> usize {
        let Some((first, latest)) = self.sound.clock else { return 0 };
        let due = usize::try_from((latest - first) / SOUND_TICKS + 1).unwrap_or(usize::MAX);
        due.saturating_sub(self.sound.frames)
    }

    /// Whether it waited in vain.
    pub fn has_stalled(&self) -> bool {
        self.sound.frames == 0 || self.sound.longest_pause > STALLED || self.broken.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: Duration = Duration::from_millis(20);

    /// Hears so many frames, one every 20 ms, from a moment on.
    fn hear(seen: &mut Seen, from: Instant, frames: std::ops::Range<u32>) {
        for frame in frames {
            seen.note_sound(from + TICK * frame, u64::from(frame) * SOUND_TICKS);
        }
    }

    #[test]
    fn a_viewer_that_hears_all_of_it_has_not_stalled() {
        let (mut seen, start) = (Seen::default(), crate::time::now());
        hear(&mut seen, start, 0..100);
        let seen = seen.begin(start + TICK * 100);
        assert_eq!((seen.sound.frames, seen.sound_missing()), (100, 0));
        assert_eq!((seen.sound.longest_pause, seen.has_stalled()), (TICK, false));
    }

    #[test]
    fn a_pause_is_a_stall_when_it_is_longer_than_the_limit() {
        let start = crate::time::now();
        for (pause, is_stall) in [(STALLED, false), (STALLED + Duration::from_millis(1), true)] {
            let mut seen = Seen::default();
            seen.note_sound(start, 0);
            seen.note_sound(start + pause, SOUND_TICKS);
            assert_eq!(seen.begin(start + pause).has_stalled(), is_stall, "{pause:?}");
        }
    }

    #[test]
    fn a_pause_counts_that_has_no_end_and_one_that_began_before() {
        let (mut seen, start) = (Seen::default(), crate::time::now());
        hear(&mut seen, start, 0..10);
        let later = start + TICK * 9 + STALLED * 2;
        assert!(seen.begin(later).has_stalled(), "nothing came any more");
        seen.note_sound(later + TICK, 100 * SOUND_TICKS);
        assert!(seen.begin(later + TICK).sound.longest_pause > STALLED, "it began before");
        assert!(Seen::default().has_stalled(), "nothing came at all");
    }

    #[test]
    fn what_was_lost_and_what_was_left_out_is_missing() {
        let (mut seen, start) = (Seen::default(), crate::time::now());
        hear(&mut seen, start, 0..10);
        hear(&mut seen, start, 14..20);
        assert_eq!(seen.begin(start + TICK * 20).sound_missing(), 4);
    }
}
