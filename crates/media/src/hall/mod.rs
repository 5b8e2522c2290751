//! All sessions that have an avatar on this node, and their viewers, without I/O: datagrams and time
//! come in, datagrams go out.
//!
//! One socket serves everybody, so that each datagram must find its viewer: by the name in the first
//! datagrams of a connection (STUN), then by where it comes from. What finds nobody costs a look into a
//! table, and is counted.

mod counts;
mod farewells;
mod stage;

use std::{
    collections::{BTreeSet, HashMap},
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use epilogue_core::SessionId;
use str0m::ice::StunMessage;

use crate::{
    peer::{Gone, Host, OfferError, Outputs, Patience, Peer, PeerEvent, guarded},
    performance::TooMuchToSay,
    picture::Pictures,
    sound::Clip,
};
pub use counts::Counts;
use farewells::Farewells;
pub(crate) use farewells::GOODBYE_LASTS;
use stage::Stage;

/// How many sessions a node shows at once, unless it is told otherwise.
pub const SESSIONS_MAX: usize = 500;
/// From how many addresses a viewer may write: one for each way it has to us.
pub const ADDRESSES_PER_VIEWER_MAX: usize = 8;

/// How long a session that is due at once waits all the same.
const BREATH: Duration = Duration::from_millis(1);

/// Why a session cannot be shown.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BeginError {
    /// See [`Limits::sessions_max`].
    #[error("no more avatars can be shown at once")]
    Full,
    /// It is already there.
    #[error("the session has its avatar already")]
    Begun,
}

/// Why a viewer is not let in.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// There is no such session here.
    #[error("no such session is shown here")]
    NoSession,
    /// One at a time.
    #[error("the session has a viewer already")]
    Watched,
    /// Its offer is of no use.
    #[error(transparent)]
    Offer(#[from] OfferError),
}

/// Why something is not said.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SayError {
    /// There is no such session here.
    #[error("no such session is shown here")]
    NoSession,
    /// More than enough is waiting.
    #[error(transparent)]
    TooMuch(#[from] TooMuchToSay),
}

/// How many and how long.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Sessions that are shown at once.
    pub sessions_max: usize,
    /// How long viewers are waited for.
    pub patience: Patience,
}

impl Default for Limits {
    fn default() -> Self {
        Self { sessions_max: SESSIONS_MAX, patience: Patience::default() }
    }
}

/// What happened to the viewer of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ViewerEvent {
    /// It sees and hears.
    Connected,
    /// It is gone.
    Gone(Gone),
}

/// What comes out.
#[derive(Default)]
pub struct HallOutputs {
    /// To be sent, and what else became of it.
    pub(crate) peer: Outputs,
    /// What happened to viewers.
    pub events: Vec<(SessionId, ViewerEvent)>,
}

impl HallOutputs {
    /// What is to be sent.
    pub fn datagrams(&self) -> &[crate::peer::Datagram] {
        &self.peer.datagrams
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.peer.datagrams.clear();
        self.peer.events.clear();
        self.events.clear();
    }
}

/// All sessions that are shown.
pub struct Hall {
    host: Arc<Host>,
    limits: Limits,
    stages: HashMap<SessionId, Stage>,
    by_address: HashMap<SocketAddr, SessionId>,
    by_name: HashMap<String, SessionId>,
    due: BTreeSet<(Instant, SessionId)>,
    farewells: Farewells,
    counts: Counts,
}

impl Hall {
    /// Nobody is shown yet.
    pub fn new(host: Arc<Host>, limits: Limits) -> Self {
        let (stages, by_address, by_name) = (HashMap::new(), HashMap::new(), HashMap::new());
        let (due, farewells, counts) = (BTreeSet::new(), Farewells::default(), Counts::default());
        Self { host, limits, stages, by_address, by_name, due, farewells, counts }
    }

    /// Shows a session's avatar to whoever comes. `seed` decides when it blinks.
    pub fn begin(
        &mut self,
        session: SessionId,
        pictures: Arc<Pictures>,
        seed: u64,
        now: Instant,
    ) -> Result<(), BeginError> {
        if self.stages.contains_key(&session) {
            return Err(BeginError::Begun);
        }
        if self.stages.len() >= self.limits.sessions_max {
            return Err(BeginError::Full);
        }
        self.stages.insert(session, Stage::new(pictures, seed, now));
        Ok(())
    }

    /// Lets a viewer in. Returns the answer to its offer.
    pub fn open(
        &mut self,
        session: SessionId,
        offer: &str,
        now: Instant,
    ) -> Result<String, OpenError> {
        let stage = self.stages.get_mut(&session).ok_or(OpenError::NoSession)?;
        if stage.is_watched() {
            return Err(OpenError::Watched);
        }
        let patience = self.limits.patience;
        let (peer, answer) = Peer::answer(offer, Pictures::CODECS, &self.host, patience, now)?;
        self.by_name.insert(peer.ufrag().to_owned(), session);
        stage.let_in(peer);
        self.counts.viewers_opened += 1;
        self.settle(session, now);
        Ok(answer)
    }

    /// Sends the viewer of a session away. Whether there was one.
    pub fn dismiss(&mut self, session: SessionId, now: Instant, out: &mut HallOutputs) -> bool {
        let watched = self.stages.get_mut(&session).filter(|stage| stage.is_watched());
        let before = out.peer.datagrams.len();
        let was_watched = watched.map(|stage| stage.close(now, &mut out.peer)).is_some();
        self.farewells.repeat(&out.peer.datagrams[before..], now);
        self.after(session, now, out);
        was_watched
    }

    /// Ends a session's show: its viewer learns at once, and all that it held is free. Whether it was
    /// shown at all.
    pub fn release(&mut self, session: SessionId, now: Instant, out: &mut HallOutputs) -> bool {
        self.dismiss(session, now, out);
        self.unlist(session);
        self.stages.remove(&session).is_some()
    }

    /// Ends all.
    pub fn release_all(&mut self, now: Instant, out: &mut HallOutputs) {
        for session in self.stages.keys().copied().collect::<Vec<_>>() {
            self.release(session, now, out);
        }
    }

    /// Has a session's avatar say something when it has said all that it was given before.
    pub fn say(
        &mut self,
        session: SessionId,
        clip: Arc<Clip>,
        now: Instant,
    ) -> Result<(), SayError> {
        let stage = self.stages.get_mut(&session).ok_or(SayError::NoSession)?;
        Ok(stage.say(clip, now)?)
    }

    /// Has a session's avatar stop speaking. Whether there is one.
    pub fn interrupt(&mut self, session: SessionId) -> bool {
        self.stages.get_mut(&session).map(Stage::interrupt).is_some()
    }

    /// Whether a session's avatar is seen by a viewer.
    pub fn is_watched(&self, session: SessionId) -> bool {
        self.stages.get(&session).is_some_and(Stage::is_seen)
    }

    /// Takes a datagram that came in.
    pub fn receive(&mut self, now: Instant, from: SocketAddr, bytes: &[u8], out: &mut HallOutputs) {
        self.counts.received += 1;
        let Some(session) = self.find(now, from, bytes) else {
            self.counts.received_for_nobody += 1;
            return;
        };
        if let Some(stage) = self.stages.get_mut(&session) {
            stage.receive(now, from, bytes, &mut out.peer);
        }
        self.after(session, now, out);
    }

    /// Takes a datagram that came in for a session by a relay, which knows whose it is.
    pub fn receive_for(
        &mut self,
        session: SessionId,
        now: Instant,
        from: SocketAddr,
        bytes: &[u8],
        out: &mut HallOutputs,
    ) {
        self.counts.received += 1;
        let is_for = |stage: &&mut Stage| {
            stage.is_watched() && (name_in(bytes).is_none() || stage.accepts(now, from, bytes))
        };
        let Some(stage) = self.stages.get_mut(&session).filter(is_for) else {
            self.counts.received_for_nobody += 1;
            return;
        };
        stage.receive(now, from, bytes, &mut out.peer);
        self.after(session, now, out);
    }

    /// All sessions that are shown.
    pub fn sessions(&self) -> impl Iterator<Item = SessionId> {
        self.stages.keys().copied()
    }

    /// Where viewers reach us.
    pub fn addresses(&self) -> &[SocketAddr] {
        self.host.addresses()
    }

    /// When [`Hall::tick`] is due.
    pub fn wake(&self) -> Option<Instant> {
        let due = self.due.first().map(|(at, _)| *at);
        due.into_iter().chain(self.farewells.wake()).min()
    }

    /// Lets time pass.
    pub fn tick(&mut self, now: Instant, out: &mut HallOutputs) {
        self.farewells.tick(now, &mut out.peer.datagrams);
        while let Some(&(at, session)) = self.due.first() {
            if at > now {
                return;
            }
            if let Some(stage) = self.stages.get_mut(&session) {
                stage.tick(now, &mut out.peer, &mut self.counts);
            }
            self.due.remove(&(at, session));
            self.after(session, now, out);
        }
    }

    /// What has happened so far.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts { sessions: self.stages.len(), ..self.counts };
        counts.addresses = self.by_address.len();
        for stage in self.stages.values() {
            counts.watched += usize::from(stage.is_seen());
            counts.viewers += usize::from(stage.is_watched());
            let (clips, ticks) = stage.holds();
            counts.clips += clips;
            counts.clip_ticks += ticks;
        }
        counts
    }

    /// Whose datagram it is.
    fn find(&mut self, now: Instant, from: SocketAddr, bytes: &[u8]) -> Option<SessionId> {
        let known = self.by_address.get(&from).copied();
        let Some(name) = name_in(bytes) else { return known };
        let session = *self.by_name.get(name)?;
        if known == Some(session) {
            return known;
        }
        let stage = self.stages.get_mut(&session)?;
        // Only who knows the password of the connection gets a place in the table.
        if !stage.accepts(now, from, bytes) {
            return None;
        }
        if stage.addresses.len() >= ADDRESSES_PER_VIEWER_MAX {
            let oldest = stage.addresses.remove(0);
            self.by_address.remove(&oldest);
        }
        stage.addresses.push(from);
        if let Some(other) = self.by_address.insert(from, session)
            && let Some(other) = self.stages.get_mut(&other)
        {
            other.addresses.retain(|address| *address != from);
        }
        Some(session)
    }

    /// Takes note of what became of a session's viewer.
    fn after(&mut self, session: SessionId, now: Instant, out: &mut HallOutputs) {
        for event in std::mem::take(&mut out.peer.events) {
            match event {
                PeerEvent::Connected => out.events.push((session, ViewerEvent::Connected)),
                PeerEvent::KeyFrameWanted => {
                    if let Some(stage) = self.stages.get_mut(&session) {
                        stage.start_anew(now);
                    }
                }
                PeerEvent::Gone(why) => {
                    self.unlist(session);
                    if let Some(stage) = self.stages.get_mut(&session) {
                        stage.let_go();
                    }
                    self.counts.note_gone(why);
                    out.events.push((session, ViewerEvent::Gone(why)));
                }
            }
        }
        // Whatever a viewer wants, others come first for a moment.
        self.settle(session, now + BREATH);
    }

    /// Puts a session where it belongs among those that are due.
    fn settle(&mut self, session: SessionId, earliest: Instant) {
        let Some(stage) = self.stages.get_mut(&session) else { return };
        let wake = stage.wake().map(|at| at.max(earliest));
        if wake != stage.listed {
            if let Some(at) = stage.listed {
                self.due.remove(&(at, session));
            }
            stage.listed = wake;
        }
        if let Some(at) = wake {
            self.due.insert((at, session));
        }
    }

    /// Takes a session's viewer out of the tables.
    fn unlist(&mut self, session: SessionId) {
        let Some(stage) = self.stages.get_mut(&session) else { return };
        if let Some(name) = stage.name() {
            self.by_name.remove(name);
        }
        for address in stage.addresses.drain(..) {
            self.by_address.remove(&address);
        }
        if let Some(at) = stage.listed.take() {
            self.due.remove(&(at, session));
        }
    }

    /// How many entries the tables hold.
    #[cfg(test)]
    fn entries(&self) -> [usize; 4] {
        [self.stages.len(), self.by_address.len(), self.by_name.len(), self.due.len()]
    }
}

/// The name by which a datagram that seeks a connection calls it.
fn name_in(bytes: &[u8]) -> Option<&str> {
    // A request, with the mark of the protocol.
    let is_request = matches!(bytes, [0, 1, _, _, 0x21, 0x12, 0xa4, 0x42, ..]);
    let message = is_request.then(|| guarded(|| StunMessage::parse(bytes).ok()).ok()?)??;
    let (username, end) = (message.username()?, message.split_username()?.0.len());
    // As it stands in the datagram, so that it lives as long.
    username.get(..end)
}

#[cfg(test)]
mod fake_house;
#[cfg(test)]
mod hostile_tests;
#[cfg(test)]
mod tests;
