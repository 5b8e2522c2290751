//! The desk at which one client is served: the protocol of TURN, by `turn-server-proto`, for one client
//! alone. Whoever must go is forgotten with their desk, and nobody waits in line behind another.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::{Duration, Instant},
};

use secrecy::ExposeSecret as _;
use turn_server_proto::{
    api::{SocketAllocateError, Transmit, TurnServerApi as _, TurnServerPollRet},
    server::TurnServer,
};
use turn_types::{
    AddressFamily, TransportType,
    stun::message::{Message, MessageClass},
    transmit::TransmitBuild,
};

use crate::peer::guarded;

use super::{
    credentials::{REALM, Visitor},
    way::Seat,
};

/// How long a nonce may be used. RFC 8656 asks for an hour at most.
pub const NONCE_LASTS: Duration = Duration::from_hours(1);

/// Where the desk believes it is. Clients are told apart before they come here.
const DESK: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 3478);
/// How often a desk is asked what else there is to do before it is left for later.
const ROUNDS_MAX: usize = 16;

/// What a desk wants.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// To tell its client something.
    Tell(Vec<u8>),
    /// To pass on what its client says to an address.
    Pass(SocketAddr, Vec<u8>),
}

/// One client's desk.
pub(super) struct Desk {
    server: TurnServer,
    client: SocketAddr,
    begun: Instant,
    /// Who the client said that they are. It does not change.
    visitor: Option<Visitor>,
    seat: Option<Seat>,
    wake: Instant,
    /// Whether the protocol has failed in a way that it does not tell.
    is_broken: bool,
}

impl Desk {
    pub(super) fn new(client: SocketAddr, now: Instant) -> Self {
        let mut server = TurnServer::new(TransportType::Udp, DESK, REALM.to_owned());
        server.set_nonce_expiry_duration(NONCE_LASTS);
        let (visitor, seat) = (None, None);
        Self { server, client, begun: now, visitor, seat, wake: now, is_broken: false }
    }

    /// Whether nothing more is to be expected here.
    pub(super) const fn is_broken(&self) -> bool {
        self.is_broken
    }

    /// The client's seat, if it has one.
    pub(super) const fn seat(&self) -> Option<Seat> {
        self.seat
    }

    /// When it wants to be looked at.
    pub(super) const fn wake(&self) -> Instant {
        self.wake
    }

    /// Has it know a visitor. Whether it does: it knows one.
    pub(super) fn know(&mut self, visitor: &Visitor) -> bool {
        let known = self.visitor.get_or_insert_with(|| {
            let (name, password) = (visitor.username.clone(), visitor.password.expose_secret());
            self.server.add_user(name, password.to_owned());
            visitor.clone()
        });
        known.username == visitor.username
    }

    /// Whom it knows.
    pub(super) const fn visitor(&self) -> Option<&Visitor> {
        self.visitor.as_ref()
    }

    /// Takes a message or the data of a channel. `free` is the seat that the client gets if it is to
    /// have one.
    pub(super) fn hear(
        &mut self,
        now: Instant,
        bytes: &[u8],
        free: Option<Seat>,
        wanted: &mut Vec<Wanted>,
    ) {
        self.guarded(|desk| {
            let heard = Transmit::new(bytes, TransportType::Udp, desk.client, DESK);
            let said = desk.server.recv(heard, desk.time(now)).map(TransmitBuild::build);
            wanted.extend(said.map(|said| desk.sorted(said.from, said.to, said.data)));
            desk.carry_on(now, free, wanted);
        });
    }

    /// Wraps what `from`, an address of ours, says to its client. `None`: it may not, or not any more.
    pub(super) fn wrap(&mut self, now: Instant, from: SocketAddr, bytes: &[u8]) -> Option<Vec<u8>> {
        let seat = self.seat?.address();
        self.guarded(|desk| {
            let said = Transmit::new(bytes, TransportType::Udp, from, seat);
            desk.server.recv(said, desk.time(now)).map(|wrapped| wrapped.build().data)
        })?
    }

    /// Lets time pass.
    pub(super) fn tick(&mut self, now: Instant, wanted: &mut Vec<Wanted>) {
        self.guarded(|desk| desk.carry_on(now, None, wanted));
    }

    /// Does something that may fail. A desk that has failed has no seat and does nothing any more.
    fn guarded<T>(&mut self, act: impl FnOnce(&mut Self) -> T) -> Option<T> {
        if self.is_broken {
            return None;
        }
        let done = guarded(|| act(self)).ok();
        if done.is_none() {
            (self.is_broken, self.seat) = (true, None);
            tracing::error!("a client of the relay is given up: its protocol has failed");
        }
        done
    }

    /// Does what the protocol asks for.
    fn carry_on(&mut self, now: Instant, free: Option<Seat>, wanted: &mut Vec<Wanted>) {
        let time = self.time(now);
        for _ in 0..ROUNDS_MAX {
            match self.server.poll(time) {
                TurnServerPollRet::WaitUntil(until) => {
                    // Past that moment, by the smallest step: until then everything lasts.
                    let waits = until.saturating_duration_since(time);
                    self.wake = now + waits + Duration::from_millis(1);
                    break;
                }
                TurnServerPollRet::AllocateSocket {
                    transport,
                    listen_addr,
                    client_addr,
                    allocation_transport,
                    family,
                } => {
                    let seat = self.allocate(free, family);
                    self.server.allocated_socket(
                        transport,
                        listen_addr,
                        client_addr,
                        allocation_transport,
                        family,
                        seat,
                        time,
                    );
                }
                TurnServerPollRet::SocketClose { .. } => self.seat = None,
                // Connections to others are neither made nor taken.
                TurnServerPollRet::TcpConnect { .. } | TurnServerPollRet::TcpClose { .. } => {}
            }
        }
        while let Some(said) = self.server.poll_transmit(time) {
            wanted.push(self.sorted(said.from, said.to, said.data));
        }
    }

    /// One seat, of the protocol that we have.
    fn allocate(
        &mut self,
        free: Option<Seat>,
        family: AddressFamily,
    ) -> Result<SocketAddr, SocketAllocateError> {
        let free = free.ok_or(SocketAllocateError::InsufficientCapacity)?;
        if free.is_v6 != (family == AddressFamily::IPV6) {
            return Err(SocketAllocateError::AddressFamilyNotSupported);
        }
        self.seat = Some(free);
        Ok(free.address())
    }

    fn sorted(&self, from: SocketAddr, to: SocketAddr, bytes: Vec<u8>) -> Wanted {
        let is_from_seat = self.seat.is_some_and(|seat| seat.address() == from);
        if is_from_seat { Wanted::Pass(to, bytes) } else { Wanted::Tell(bytes) }
    }

    fn time(&self, now: Instant) -> turn_types::Instant {
        let since = now.saturating_duration_since(self.begun).as_nanos();
        turn_types::Instant::from_nanos(i64::try_from(since).unwrap_or(i64::MAX))
    }
}

/// Whether bytes are a message that a desk should see.
pub(super) fn message(bytes: &[u8]) -> Option<Message<'_>> {
    let head = turn_types::stun::message::MessageHeader::from_bytes(bytes).ok()?;
    let length = usize::from(head.data_length()) + 20;
    let message = (length == bytes.len()).then(|| Message::from_bytes(bytes).ok())??;
    let is_asked = matches!(message.class(), MessageClass::Request | MessageClass::Indication);
    is_asked.then_some(message)
}
