//! A relay (TURN, RFC 8656) for viewers whose browsers insist on one, without I/O: datagrams, frames
//! and time come in, and the same go out.
//!
//! It relays to nobody but us. An allocation is made for a session that is shown, may write to the
//! addresses that viewers reach us at and to no others, and what it writes is handed to the hall in
//! this process, to its own session alone: there is no socket through which anything else could be
//! reached, and no port to keep open for it. To the hall, such a viewer seems to sit at an address that
//! does not exist (`Seat`); what is sent there comes back here.
//!
//! The words of the protocol are `turn-types`'; what is granted to whom is decided here.

mod allocation;
mod answer;
mod counts;
pub mod doors;
mod frames;
mod guests;
mod line;
mod nonce;
mod requests;
mod table;
mod visitor;
mod way;

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

use epilogue_core::{SessionId, Timestamp};
use turn_types::{
    attribute::{Data, XorPeerAddress},
    channel::ChannelData,
    message::SEND,
    stun::message::{BINDING, Message, MessageClass, MessageHeader},
};

use crate::peer::ADDRESSES_MAX;
use allocation::Wrapping;
use nonce::Nonces;
use table::Table;
pub use {
    allocation::{CHANNEL_LASTS, LIFETIME, LIFETIME_MAX, PERMISSION_LASTS},
    answer::REALM,
    counts::RelayCounts,
    frames::{FRAME_BYTES_MAX, Frames, Unreadable},
    guests::Guests,
    nonce::NONCE_LASTS,
    visitor::Passwords,
    way::{Door, Way},
};
pub(crate) use {
    line::{HallEnd, ToClient},
    way::Seat,
};

/// How many allocations there are at once. Browsers make one for each way that they know.
pub const ALLOCATIONS_MAX: usize = 4_096;
/// How many allocations a session has at once.
pub const ALLOCATIONS_PER_SESSION_MAX: usize = 32;
/// How many connections there are at once.
pub const CONNECTIONS_MAX: usize = 1_024;
/// How many connections there are from one address at once.
pub const CONNECTIONS_PER_ADDRESS_MAX: usize = 64;
/// How long a connection may be without an allocation.
pub const CONNECTION_PATIENCE: Duration = Duration::from_secs(30);
/// How long a connection may be silent. Viewers write every few seconds.
pub const CONNECTION_SILENCE: Duration = Duration::from_secs(120);

/// A moment by both clocks: the one that paces, and the time of day, which credentials run out by.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// By the clock that only goes forward.
    pub now: Instant,
    /// The time of day.
    pub day: Timestamp,
}

/// How many.
#[derive(Clone, Copy, Debug)]
pub struct RelayLimits {
    /// See [`ALLOCATIONS_MAX`].
    pub allocations: usize,
    /// See [`ALLOCATIONS_PER_SESSION_MAX`].
    pub allocations_per_session: usize,
    /// See [`CONNECTIONS_MAX`].
    pub connections: usize,
    /// See [`CONNECTIONS_PER_ADDRESS_MAX`].
    pub connections_per_address: usize,
}

impl Default for RelayLimits {
    fn default() -> Self {
        Self {
            allocations: ALLOCATIONS_MAX,
            allocations_per_session: ALLOCATIONS_PER_SESSION_MAX,
            connections: CONNECTIONS_MAX,
            connections_per_address: CONNECTIONS_PER_ADDRESS_MAX,
        }
    }
}

/// What came from a client for us.
#[derive(Debug, PartialEq, Eq)]
pub struct Inward {
    /// Whose avatar it sees.
    pub session: SessionId,
    /// Where it seems to come from.
    pub from: SocketAddr,
    /// What it is.
    pub bytes: Vec<u8>,
}

/// What comes out.
#[derive(Debug, Default)]
pub struct RelayOutputs {
    /// For clients: a datagram or a frame each.
    pub outward: Vec<(Way, Vec<u8>)>,
    /// For us.
    pub inward: Vec<Inward>,
    /// Connections that are to be closed, once what was sent before is under way.
    pub closed: Vec<Way>,
}

/// The relay of a node.
pub struct Relay {
    /// Our own addresses, which are all that can be reached.
    targets: Vec<SocketAddr>,
    limits: RelayLimits,
    nonces: Nonces,
    guests: Arc<Guests>,
    passwords: Passwords,
    table: Table,
    counts: RelayCounts,
}

impl Relay {
    /// A relay to `targets`, of which only the first [`ADDRESSES_MAX`] count, for `guests`.
    /// `secret` is what nonces are made with.
    pub fn new(
        mut targets: Vec<SocketAddr>,
        limits: RelayLimits,
        guests: Arc<Guests>,
        passwords: Passwords,
        (secret, begun): ([u8; 32], Instant),
    ) -> Self {
        targets.truncate(ADDRESSES_MAX);
        let (nonces, table) = (Nonces::new(secret, begun), Table::default());
        let counts = RelayCounts::default();
        Self { targets, limits, nonces, guests, passwords, table, counts }
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
        self.table.heard(moment.now, way);
        let was_of_use = match bytes.first() {
            Some(0x40..=0x7f) => self.forward(moment.now, way, bytes, out),
            Some(0..=3) => self.hear(moment, way, bytes, out),
            _ => None,
        };
        if was_of_use.is_none() {
            self.counts.meaningless += 1;
        }
    }

    fn hear(
        &mut self,
        moment: Moment,
        way: Way,
        bytes: &[u8],
        out: &mut RelayOutputs,
    ) -> Option<()> {
        let head = MessageHeader::from_bytes(bytes).ok()?;
        // What is not as long as it says is none of ours, and not worth a line in anybody's log.
        if usize::from(head.data_length()) + MessageHeader::LENGTH != bytes.len() {
            return None;
        }
        let message = Message::from_bytes(bytes).ok()?;
        match (message.class(), message.method()) {
            (MessageClass::Request, BINDING) => {
                out.outward.push((way, answer::mirror(&message, way.client).ok()?));
                Some(())
            }
            (MessageClass::Request, method) if requests::is_known(method) => {
                out.outward.push((way, self.ask(moment, way, &message)?));
                Some(())
            }
            (MessageClass::Indication, SEND) => self.send(moment.now, way, &message, out),
            _ => None,
        }
    }

    /// What a client says through a channel.
    fn forward(
        &mut self,
        now: Instant,
        way: Way,
        bytes: &[u8],
        out: &mut RelayOutputs,
    ) -> Option<()> {
        let data = ChannelData::parse(bytes).ok()?;
        let target = self.table.allocation(way)?.target(data.id(), now)?;
        self.hand_in((now, way), target, data.data(), out)
    }

    /// What a client says to an address that it names.
    fn send(
        &mut self,
        now: Instant,
        way: Way,
        message: &Message<'_>,
        out: &mut RelayOutputs,
    ) -> Option<()> {
        let peer = message.attribute::<XorPeerAddress>().ok()?;
        let data = message.attribute::<Data<'_>>().ok()?;
        let target = self.target(peer.addr(message.transaction_id()))?;
        self.hand_in((now, way), target, data.data(), out)
    }

    fn hand_in(
        &mut self,
        (now, way): (Instant, Way),
        target: u8,
        bytes: &[u8],
        out: &mut RelayOutputs,
    ) -> Option<()> {
        let allocation = self.table.allocation(way)?;
        let address = self.targets.get(usize::from(target))?;
        if now > allocation.until || !allocation.is_permitted(address.ip(), now) {
            return None;
        }
        let seat = Seat { port: allocation.port, target, is_v6: allocation.is_v6 };
        let (session, from) = (allocation.session, seat.address());
        out.inward.push(Inward { session, from, bytes: bytes.to_vec() });
        self.counts.inward += 1;
        self.counts.inward_bytes += bytes.len() as u64;
        Some(())
    }

    /// Takes what we send to a seat.
    pub(crate) fn deliver(
        &mut self,
        now: Instant,
        seat: Seat,
        bytes: &[u8],
        out: &mut RelayOutputs,
    ) {
        match self.wrapped(now, seat, bytes) {
            Some(wrapped) => {
                out.outward.push(wrapped);
                self.counts.outward += 1;
                self.counts.outward_bytes += bytes.len() as u64;
            }
            None => self.counts.dropped += 1,
        }
    }

    fn wrapped(&self, now: Instant, seat: Seat, bytes: &[u8]) -> Option<(Way, Vec<u8>)> {
        let (way, allocation) = self.table.at(seat.port, seat.is_v6)?;
        let from = *self.targets.get(usize::from(seat.target))?;
        if now > allocation.until {
            return None;
        }
        let frame = match allocation.wrapping((seat.target, from.ip()), now)? {
            Wrapping::Indication => answer::indicate(from, bytes).ok()?,
            Wrapping::Channel(number) => {
                let length = u16::try_from(bytes.len()).ok()?;
                let mut frame = [&number.to_be_bytes(), &length.to_be_bytes()[..], bytes].concat();
                if way.is_connection() {
                    frame.resize(frame.len().next_multiple_of(4), 0);
                }
                frame
            }
        };
        Some((way, frame))
    }

    /// Something that was put out for a client could not be sent.
    pub fn note_dropped(&mut self) {
        self.counts.dropped += 1;
    }

    /// Ends the allocations of all who are not shown any more.
    pub fn sweep(&mut self, out: &mut RelayOutputs) {
        for (way, session) in self.table.allocated() {
            if !self.guests.has(session) {
                self.table.remove(way);
                if way.is_connection() {
                    out.closed.push(way);
                }
            }
        }
    }

    /// When [`Relay::tick`] is due.
    pub fn wake(&self) -> Option<Instant> {
        self.table.wake()
    }

    /// Lets time pass.
    pub fn tick(&mut self, now: Instant, out: &mut RelayOutputs) {
        self.table.tick(now, &mut out.closed);
    }

    /// What has happened so far.
    pub fn counts(&self) -> RelayCounts {
        let (allocations, connections) = (self.table.allocations(), self.table.connections());
        RelayCounts { allocations, connections, ..self.counts }
    }

    /// Which of our addresses that is.
    fn target(&self, address: SocketAddr) -> Option<u8> {
        let place = self.targets.iter().position(|target| *target == address)?;
        u8::try_from(place).ok()
    }

    /// Whether any of our addresses is at that.
    fn is_ours(&self, ip: IpAddr) -> bool {
        self.targets.iter().any(|target| target.ip() == ip)
    }

    /// Whether we have an address of that protocol.
    fn speaks(&self, is_v6: bool) -> bool {
        self.targets.iter().any(|target| target.is_ipv6() == is_v6)
    }
}

#[cfg(test)]
mod fake_client;
#[cfg(test)]
mod tests;
