//! A relay (TURN, RFC 8656) for viewers whose browsers insist on one, without I/O: datagrams, frames
//! and time come in, and the same go out.
//!
//! It relays to nobody but us. An allocation is made for a session that is shown, may write to the
//! addresses that viewers reach us at and to no others, and what it writes is handed to the hall in
//! this process, to its own session alone: there is no socket through which anything else could be
//! reached, and no port to keep open for it. To the hall, such a viewer seems to sit at an address that
//! does not exist (`Seat`); what is sent there comes back here.
//!
//! The protocol is `turn-server-proto`'s, for each client at a desk of its own; who gets to a desk, and
//! what comes of what is said there, is decided here.

mod counts;
mod credentials;
mod desk;
pub mod doors;
mod frames;
mod guard;
mod guests;
mod limits;
mod line;
mod table;
mod traffic;
mod way;

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use epilogue_core::SessionId;
use turn_types::{
    message::{ALLOCATE, CHANNEL_BIND, CREATE_PERMISSION, REFRESH, SEND},
    stun::{
        attribute::{AttributeStaticType as _, Username},
        message::{BINDING, Message, MessageClass, Method},
    },
};

use crate::peer::ADDRESSES_MAX;
use credentials::Visitor;
use desk::{Desk, Wanted};
use table::Table;
pub use {
    counts::RelayCounts,
    credentials::{Passwords, REALM},
    desk::NONCE_LASTS,
    frames::{FRAME_BYTES_MAX, Frames, Unreadable},
    guests::Guests,
    limits::{
        ALLOCATIONS_MAX, ALLOCATIONS_PER_SESSION_MAX, CONNECTIONS_MAX, CONNECTIONS_PER_ADDRESS_MAX,
        PATIENCE, RelayLimits, SILENCE, STRANGERS_MAX,
    },
    traffic::{Inward, Moment, RelayOutputs},
    way::{Door, Way},
};
pub(crate) use {
    line::{HallEnd, ToClient},
    way::Seat,
};

/// How long after its moment something is over.
const BREATH: Duration = Duration::from_millis(1);
/// What needs credentials.
const REQUESTS: [Method; 4] = [ALLOCATE, REFRESH, CREATE_PERMISSION, CHANNEL_BIND];

/// The relay of a node.
pub struct Relay {
    /// Our own addresses, which are all that can be reached.
    targets: Vec<SocketAddr>,
    limits: RelayLimits,
    guests: Arc<Guests>,
    passwords: Passwords,
    table: Table,
    counts: RelayCounts,
}

impl Relay {
    /// A relay to `targets`, of which only the first [`ADDRESSES_MAX`] count, for `guests`.
    pub fn new(
        mut targets: Vec<SocketAddr>,
        limits: RelayLimits,
        guests: Arc<Guests>,
        passwords: Passwords,
    ) -> Self {
        targets.truncate(ADDRESSES_MAX);
        let (table, counts) = (Table::new(limits.strangers), RelayCounts::default());
        Self { targets, limits, guests, passwords, table, counts }
    }

    /// Somebody connects. Whether they may.
    pub fn connect(&mut self, now: Instant, way: Way) -> bool {
        let ip = way.client.ip();
        let may = self.table.connections() < self.limits.connections
            && self.table.connections_from(ip) < self.limits.connections_per_address;
        if may {
            self.table.connect(now, way);
        } else {
            self.counts.connections_refused += 1;
        }
        may
    }

    /// A connection is gone.
    pub fn disconnect(&mut self, way: Way) {
        self.table.remove(way);
    }

    /// Takes a datagram, or a frame of a connection.
    pub fn receive(&mut self, moment: Moment, way: Way, bytes: &[u8], out: &mut RelayOutputs) {
        self.counts.received += 1;
        let is_known = self.table.heard(moment.now, way);
        let was_of_use = match bytes.first() {
            // What is still under way of a connection that was closed.
            _ if way.is_connection() && !is_known => None,
            Some(0x40..=0x7f) => self.pass_on(moment.now, way, bytes, out),
            Some(0..=3) => desk::message(bytes).and_then(|message| {
                match (message.class(), message.method()) {
                    (MessageClass::Request, BINDING) => {
                        // Anybody may ask where they write from, and nothing is kept of them.
                        let (mut desk, mut wanted) = (Desk::new(way.client, moment.now), vec![]);
                        desk.hear(moment.now, bytes, None, &mut wanted);
                        self.put_out(way, wanted, out);
                        Some(())
                    }
                    (MessageClass::Request, method) if REQUESTS.contains(&method) => {
                        self.serve(moment, way, &message, out);
                        Some(())
                    }
                    (MessageClass::Indication, SEND) => self.pass_on(moment.now, way, bytes, out),
                    _ => None,
                }
            }),
            _ => None,
        };
        if was_of_use.is_none() {
            self.counts.meaningless += 1;
        }
    }

    /// Has a client's desk answer a request, unless it asks for what is not ours.
    fn serve(&mut self, moment: Moment, way: Way, request: &Message<'_>, out: &mut RelayOutputs) {
        let now = moment.now;
        let visitor = Visitor::named_in(request, moment, &self.guests, &self.passwords);
        // Only by whom the desk knows: what a request claims may be anybody's, by a forged address.
        let known = self.table.welcome(now, way).visitor();
        if known.is_some_and(|known| !known.is_welcome(moment, &self.guests)) {
            if self.table.session(way).is_some_and(|session| self.guests.keeps(session)) {
                // It hears its goodbye, and nothing else any more.
                return;
            }
            self.table.forget_desk(now, way);
        }
        if let Some(visitor) = &visitor
            && !self.table.welcome(now, way).know(visitor)
            && let Some(refusal) = guard::mistake(request, visitor)
        {
            // Somebody else by the same way, who proves it.
            if self.table.session(way).is_some() {
                return self.put_out(way, vec![Wanted::Tell(refusal)], out);
            }
            self.table.forget_desk(now, way);
        }
        let desk = self.table.welcome(now, way);
        match &visitor {
            Some(visitor) if desk.know(visitor) => {
                let is_seated = desk.seat().is_some();
                if is_seated && let Some(answer) = guard::forbid(request, visitor, &self.targets) {
                    self.counts.forbidden += 1;
                    return self.put_out(way, vec![Wanted::Tell(answer)], out);
                }
            }
            // A stranger, or somebody at another's desk, which will say so.
            Some(_) | None => {}
        }
        let whose = visitor.map(|visitor| {
            let left = visitor.until.since(moment.day).as_millis();
            (visitor.session, now + Duration::from_millis(left))
        });
        let free = whose.and_then(|(session, _)| self.free_seat(session));
        let mut wanted = Vec::new();
        let desk = self.table.welcome(now, way);
        desk.hear(now, request.as_bytes(), free, &mut wanted);
        if self.table.settle(now, way, whose) {
            self.counts.allocated += 1;
            tracing::debug!(session = ?whose.map(|(session, _)| session), ?way, "relayed");
        }
        if wanted.iter().any(|wanted| matches!(wanted, Wanted::Tell(said) if guard::denies(said))) {
            self.counts.bad_credentials += u64::from(request_names_somebody(request));
        }
        self.put_out(way, wanted, out);
    }

    /// A seat for one more of a session's clients. `None`: it has enough, or all have.
    fn free_seat(&mut self, session: SessionId) -> Option<Seat> {
        let may = self.table.allocations() < self.limits.allocations
            && self.table.allocations_of(session) < self.limits.allocations_per_session;
        // As nothing leaves this machine, one protocol will do for clients of either.
        let is_v6 = !self.targets.iter().any(SocketAddr::is_ipv4);
        let port = self.table.free_port().filter(|_| may)?;
        Some(Seat { port, target: 0, is_v6 })
    }

    /// What a client says to an address, if it may.
    fn pass_on(
        &mut self,
        now: Instant,
        way: Way,
        bytes: &[u8],
        out: &mut RelayOutputs,
    ) -> Option<()> {
        self.table.session(way)?;
        let (desk, mut wanted) = (self.table.desk(way)?, Vec::new());
        desk.hear(now, bytes, None, &mut wanted);
        self.table.settle(now, way, None);
        let was_of_use = !wanted.is_empty();
        self.put_out(way, wanted, out);
        was_of_use.then_some(())
    }

    /// Puts out what a desk wants, and nothing that is for others than us.
    fn put_out(&mut self, way: Way, wanted: Vec<Wanted>, out: &mut RelayOutputs) {
        for wanted in wanted {
            match wanted {
                Wanted::Tell(bytes) => {
                    self.counts.refused += u64::from(guard::refuses(&bytes));
                    out.outward.push((way, bytes));
                }
                Wanted::Pass(to, bytes) => match self.seat_towards(way, to) {
                    Some((session, seat)) => {
                        self.counts.inward += 1;
                        self.counts.inward_bytes += bytes.len() as u64;
                        out.inward.push(Inward { session, from: seat.address(), bytes });
                    }
                    None => self.counts.forbidden += 1,
                },
            }
        }
    }

    /// Where a client seems to sit for the one of our addresses that it writes to.
    fn seat_towards(&mut self, way: Way, to: SocketAddr) -> Option<(SessionId, Seat)> {
        let target = self.targets.iter().position(|target| *target == to)?;
        let seat = self.table.desk(way)?.seat()?;
        let target = u8::try_from(target).ok()?;
        Some((self.table.session(way)?, Seat { target, ..seat }))
    }

    /// Takes what we send to a seat.
    pub(crate) fn deliver(
        &mut self,
        now: Instant,
        seat: Seat,
        bytes: &[u8],
        out: &mut RelayOutputs,
    ) {
        let Some((way, mut frame)) = self.wrapped(now, seat, bytes) else {
            self.counts.dropped += 1;
            return;
        };
        if way.is_connection() {
            frame.resize(frame.len().next_multiple_of(4), 0);
        }
        out.outward.push((way, frame));
        self.counts.outward += 1;
        self.counts.outward_bytes += bytes.len() as u64;
    }

    fn wrapped(&mut self, now: Instant, seat: Seat, bytes: &[u8]) -> Option<(Way, Vec<u8>)> {
        let way = self.table.at(seat.port)?;
        let from = *self.targets.get(usize::from(seat.target))?;
        let desk = self.table.desk(way)?;
        let is_theirs = desk.seat().is_some_and(|known| known.is_v6 == seat.is_v6);
        let frame = desk.wrap(now, from, bytes).filter(|_| is_theirs)?;
        Some((way, frame))
    }

    /// Something that was put out for a client could not be sent.
    pub fn note_dropped(&mut self) {
        self.counts.dropped += 1;
    }

    /// All whose allocations are to end: their sessions are not shown any more, and have said goodbye.
    pub fn parted(&self) -> Vec<Way> {
        let seated = self.table.seated().into_iter();
        seated.filter(|(_, session)| !self.guests.keeps(*session)).map(|(way, _)| way).collect()
    }

    /// Ends the allocations of these.
    pub fn see_off(&mut self, parted: Vec<Way>, out: &mut RelayOutputs) {
        for way in parted {
            self.table.remove(way);
            if way.is_connection() {
                out.closed.push(way);
            }
        }
    }

    /// When [`Relay::tick`] is due.
    pub fn wake(&self) -> Option<Instant> {
        self.table.wake().map(|at| at + BREATH)
    }

    /// Lets time pass.
    pub fn tick(&mut self, now: Instant, out: &mut RelayOutputs) {
        for (way, wanted) in self.table.tick(now, &mut out.closed) {
            self.put_out(way, vec![wanted], out);
        }
    }

    /// What has happened so far.
    pub fn counts(&self) -> RelayCounts {
        let (allocations, connections) = (self.table.allocations(), self.table.connections());
        RelayCounts { allocations, connections, ..self.counts }
    }
}

/// Whether a request claims to be from somebody.
fn request_names_somebody(request: &Message<'_>) -> bool {
    request.has_attribute(Username::TYPE)
}

#[cfg(test)]
mod fake_client;
#[cfg(test)]
mod limit_tests;
#[cfg(test)]
mod tests;
