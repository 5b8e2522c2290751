//! One session's avatar, and its viewer if it has one.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use super::Counts;
use crate::{
    peer::{Outputs, Peer},
    performance::{Performance, TooMuchToSay},
    picture::{Pictures, Reel},
    sound::{Clip, FRAME, FRAMES_PER_TURN},
};

/// How long a tick of a performance is, in milliseconds.
const TICK_MS: u64 = 20;
/// How many ticks may be made up for when the node was late. More are left out.
const LATE_TICKS_MAX: u64 = 10;
/// How far apart pictures that stand alone are at least, however often they are asked for.
const KEY_FRAMES_APART: Duration = Duration::from_millis(500);
/// A tick on the clock that pictures are stamped by, of 90 kHz.
const PICTURE_TICK: u64 = 1_800;

/// One session's avatar.
pub(super) struct Stage {
    pictures: Arc<Pictures>,
    performance: Performance,
    begun: Instant,
    viewer: Option<Viewer>,
    /// Where its viewer writes from.
    pub(super) addresses: Vec<SocketAddr>,
    /// Under which moment it is listed as due.
    pub(super) listed: Option<Instant>,
}

struct Viewer {
    peer: Peer,
    /// `None`: it only listens.
    reel: Option<Reel>,
    /// The tick that it is to be sent next.
    tick: u64,
    was_connected: bool,
    may_start_anew: Instant,
}

impl Stage {
    pub(super) fn new(pictures: Arc<Pictures>, seed: u64, begun: Instant) -> Self {
        let performance = Performance::new(seed);
        Self { pictures, performance, begun, viewer: None, addresses: Vec::new(), listed: None }
    }

    pub(super) fn is_watched(&self) -> bool {
        self.viewer.is_some()
    }

    pub(super) fn is_seen(&self) -> bool {
        self.viewer.as_ref().is_some_and(|viewer| viewer.peer.is_connected())
    }

    pub(super) fn name(&self) -> Option<&str> {
        self.viewer.as_ref().map(|viewer| viewer.peer.ufrag())
    }

    pub(super) fn let_in(&mut self, peer: Peer) {
        let reel = peer.codec().map(|codec| Reel::new(Arc::clone(&self.pictures), codec));
        let may_start_anew = self.begun;
        self.viewer = Some(Viewer { peer, reel, tick: 0, was_connected: false, may_start_anew });
    }

    pub(super) fn let_go(&mut self) {
        self.viewer = None;
    }

    pub(super) fn close(&mut self, now: Instant, out: &mut Outputs) {
        if let Some(viewer) = &mut self.viewer {
            viewer.peer.close(now, out);
        }
    }

    pub(super) fn say(&mut self, clip: Arc<Clip>, now: Instant) -> Result<(), TooMuchToSay> {
        // This tick has been played already, and what is said begins with a turn of the picture.
        let tick = (self.tick_at(now) + 1).next_multiple_of(FRAMES_PER_TURN as u64);
        self.performance.say(tick, clip)
    }

    /// See [`Performance::holds`].
    pub(super) fn holds(&self) -> (usize, u64) {
        self.performance.holds()
    }

    pub(super) fn interrupt(&mut self) {
        self.performance.interrupt();
    }

    /// The viewer has lost what later pictures build on.
    pub(super) fn start_anew(&mut self, now: Instant) {
        if let Some(viewer) = self.viewer.as_mut().filter(|viewer| viewer.may_start_anew <= now) {
            viewer.may_start_anew = now + KEY_FRAMES_APART;
            if let Some(reel) = &mut viewer.reel {
                reel.start_anew();
            }
        }
    }

    pub(super) fn accepts(&self, now: Instant, from: SocketAddr, bytes: &[u8]) -> bool {
        self.viewer.as_ref().is_some_and(|viewer| viewer.peer.accepts(now, from, bytes))
    }

    pub(super) fn receive(
        &mut self,
        now: Instant,
        from: SocketAddr,
        bytes: &[u8],
        out: &mut Outputs,
    ) {
        let tick = self.tick_at(now);
        if let Some(viewer) = &mut self.viewer {
            viewer.peer.receive(now, from, bytes, out);
            viewer.note(tick);
        }
    }

    pub(super) fn wake(&self) -> Option<Instant> {
        let viewer = self.viewer.as_ref()?;
        let is_shown = viewer.was_connected && viewer.peer.is_connected();
        let tick = is_shown.then(|| self.time_of(viewer.tick));
        Some(tick.map_or(viewer.peer.wake(), |tick| tick.min(viewer.peer.wake())))
    }

    pub(super) fn tick(&mut self, now: Instant, out: &mut Outputs, counts: &mut Counts) {
        let current = self.tick_at(now);
        let Some(viewer) = &mut self.viewer else { return };
        if viewer.peer.wake() <= now {
            viewer.peer.tick(now, out);
        }
        viewer.note(current);
        if !viewer.peer.is_connected() {
            // What is sent to nobody needs no making up for.
            viewer.tick = current;
            return;
        }
        let late = current.saturating_sub(viewer.tick + LATE_TICKS_MAX);
        counts.ticks_missed += late;
        viewer.tick += late;
        while viewer.tick <= current && viewer.peer.is_connected() {
            let tick = viewer.tick;
            viewer.tick += 1;
            let moment = self.performance.moment(tick);
            viewer.peer.play(now, tick * FRAME as u64, moment.sound, out);
            counts.frames += 1;
            if tick.is_multiple_of(FRAMES_PER_TURN as u64)
                && let Some(picture) = viewer.reel.as_mut().and_then(|r| r.turn(moment.pose))
            {
                viewer.peer.show(now, tick * PICTURE_TICK, picture, out);
                counts.pictures += 1;
            }
        }
    }

    /// Has its viewer's connection fail at whatever comes next.
    #[cfg(test)]
    pub(super) fn break_down(&mut self) {
        self.viewer.as_mut().expect("a viewer").peer.fails = true;
    }

    /// Which tick it is.
    fn tick_at(&self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.begun).as_millis();
        u64::try_from(since).unwrap_or(u64::MAX) / TICK_MS
    }

    fn time_of(&self, tick: u64) -> Instant {
        self.begun + Duration::from_millis(tick.saturating_mul(TICK_MS))
    }
}

impl Viewer {
    /// Begins with the tick at which it was connected.
    fn note(&mut self, tick: u64) {
        if !self.was_connected && self.peer.is_connected() {
            (self.was_connected, self.tick) = (true, tick);
        }
    }
}
