//! A relay for tests, and clients of it that may say anything, in virtual time.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use epilogue_core::{SessionId, Timestamp};
use turn_types::{
    attribute::{
        ChannelNumber, Data, Lifetime, RequestedTransport, XorPeerAddress, XorRelayedAddress,
    },
    channel::ChannelData,
    message::{ALLOCATE, CHANNEL_BIND, CREATE_PERMISSION, REFRESH, SEND},
    stun::{
        attribute::{AttributeWrite, ErrorCode, Nonce, Realm, Username},
        message::{
            IntegrityAlgorithm, LongTermCredentials, Message, MessageClass,
            MessageIntegrityCredentials, MessageWrite as _, MessageWriteExt as _, MessageWriteVec,
            Method,
        },
    },
};

use super::*;
use crate::peer::fake_viewer::some_moment;

/// Our own addresses, as viewers reach them.
pub(super) const OURS: [&str; 2] = ["203.0.113.5:7401", "127.0.0.1:7401"];
/// Some time in 2023, and when credentials run out by default.
pub(super) const DAY: i64 = 1_700_000_000;
pub(super) const EXPIRY: i64 = DAY + 86_400;

/// How long an allocation lasts at the most, as RFC 8656 has it.
pub(super) const LIFETIME_MAX: Duration = Duration::from_hours(1);

pub(super) fn world() -> World {
    World::new(RelayLimits::default())
}

/// A world with a client that has an allocation.
pub(super) fn allocated() -> (World, FakeClient) {
    let (mut world, mut client) = (world(), FakeClient::new(1, 5000));
    assert_eq!(client.allocate(&mut world), Answer::Granted);
    (world, client)
}

pub(super) fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

pub(super) fn session(number: u128) -> SessionId {
    SessionId(uuid::Uuid::from_u128(number))
}

/// What tests have as the scheme of the shared secret.
fn password(username: &str) -> String {
    format!("password of {username}")
}

/// A relay with two guests, the sessions 1 and 2.
pub(super) struct World {
    pub(super) relay: Relay,
    pub(super) guests: Arc<Guests>,
    pub(super) now: Instant,
    begun: Instant,
    pub(super) out: RelayOutputs,
}

impl World {
    pub(super) fn new(limits: RelayLimits) -> Self {
        let guests = Arc::new(Guests::default());
        guests.enter(session(1));
        guests.enter(session(2));
        let passwords: Passwords = Arc::new(|username| password(username).into());
        let targets = OURS.map(address).to_vec();
        let relay = Relay::new(targets, limits, Arc::clone(&guests), passwords);
        let now = some_moment();
        Self { relay, guests, now, begun: now, out: RelayOutputs::default() }
    }

    pub(super) fn moment(&self) -> Moment {
        let since = i64::try_from((self.now - self.begun).as_millis()).expect("short");
        Moment { now: self.now, day: Timestamp::from_millis(DAY * 1_000 + since) }
    }

    /// Lets time pass, with all that is due on the way.
    pub(super) fn pass(&mut self, by: Duration) {
        let until = self.now + by;
        while let Some(wake) = self.relay.wake().filter(|wake| *wake <= until) {
            self.now = self.now.max(wake);
            self.relay.tick(self.now, &mut self.out);
        }
        self.now = until;
    }

    pub(super) fn counts(&self) -> RelayCounts {
        self.relay.counts()
    }

    /// What the relay answers to some bytes.
    pub(super) fn send(&mut self, way: Way, bytes: &[u8]) -> Option<Vec<u8>> {
        self.out.outward.clear();
        self.relay.receive(self.moment(), way, bytes, &mut self.out);
        let answer = self.out.outward.pop();
        assert!(self.out.outward.is_empty(), "one answer at the most");
        answer.map(|(to, bytes)| {
            assert_eq!(to, way);
            bytes
        })
    }

    /// What comes for us when some bytes are sent.
    pub(super) fn inward(&mut self, way: Way, bytes: &[u8]) -> Vec<Inward> {
        assert_eq!(self.send(way, bytes), None);
        std::mem::take(&mut self.out.inward)
    }

    /// What the client at a seat hears when we say something there.
    pub(super) fn hears(&mut self, seat: Seat, bytes: &[u8]) -> Option<(Way, Vec<u8>)> {
        self.out.outward.clear();
        self.relay.deliver(self.now, seat, bytes, &mut self.out);
        self.out.outward.pop()
    }
}

/// What became of a request: granted, with all that was said, or refused with a number.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Granted,
    Refused(u16),
    Silence,
}

/// A client, who does what it is told.
#[derive(Clone)]
pub(super) struct FakeClient {
    pub(super) way: Way,
    pub(super) username: String,
    pub(super) password: String,
    pub(super) realm: String,
    pub(super) nonce: Option<String>,
    pub(super) relayed: Option<SocketAddr>,
}

impl FakeClient {
    /// A client of a session, by UDP from a port.
    pub(super) fn new(number: u128, port: u16) -> Self {
        Self::at(number, Way { door: Door::Udp(0), client: ([10, 0, 0, 9], port).into() })
    }

    /// A client of a session, by a connection.
    pub(super) fn connected(world: &mut World, number: u128, connection: u64) -> Self {
        let client = ([10, 0, 0, 9], u16::try_from(connection).expect("small")).into();
        let way = Way { door: Door::Tcp(connection), client };
        assert!(world.relay.connect(world.now, way));
        Self::at(number, way)
    }

    fn at(number: u128, way: Way) -> Self {
        let realm = REALM.to_owned();
        let new = Self {
            way,
            username: String::new(),
            password: String::new(),
            realm,
            nonce: None,
            relayed: None,
        };
        new.named(&format!("{EXPIRY}:{}", session(number)))
    }

    /// With another name, and the password that goes with it.
    pub(super) fn named(self, username: &str) -> Self {
        Self { username: username.to_owned(), password: password(username), ..self }
    }

    fn credentials(&self) -> MessageIntegrityCredentials {
        let credentials = LongTermCredentials::new(self.username.clone(), self.password.clone());
        credentials.to_key(self.realm.clone()).into()
    }

    /// A request as this client signs it, or without a word of who it is while it knows no nonce.
    pub(super) fn request(&self, method: Method, attributes: &[&dyn AttributeWrite]) -> Vec<u8> {
        let mut request = Message::builder_request(method, MessageWriteVec::new());
        for attribute in attributes {
            request.add_attribute(*attribute).expect("added");
        }
        self.signed(request)
    }

    fn signed(&self, mut request: MessageWriteVec) -> Vec<u8> {
        if let Some(nonce) = &self.nonce {
            request.add_attribute(&Username::new(&self.username).expect("short")).expect("added");
            request.add_attribute(&Realm::new(&self.realm).expect("short")).expect("added");
            request.add_attribute(&Nonce::new(nonce).expect("short")).expect("added");
            request
                .add_message_integrity(&self.credentials(), IntegrityAlgorithm::Sha1)
                .expect("added");
        }
        request.finish()
    }

    /// Says something, and learns the nonce if it is told one.
    pub(super) fn say(&mut self, world: &mut World, bytes: &[u8]) -> Answer {
        let Some(answer) = world.send(self.way, bytes) else { return Answer::Silence };
        let answer = Message::from_bytes(&answer).expect("a message");
        if let Ok(nonce) = answer.attribute::<Nonce>() {
            self.nonce = Some(nonce.nonce().to_owned());
        }
        if let Ok(relayed) = answer.attribute::<XorRelayedAddress>() {
            self.relayed = Some(relayed.addr(answer.transaction_id()));
        }
        if answer.has_class(MessageClass::Success) {
            answer.validate_integrity(&self.credentials()).expect("signed");
            return Answer::Granted;
        }
        Answer::Refused(answer.attribute::<ErrorCode>().expect("an error").code())
    }

    pub(super) fn asks_to_allocate(&mut self, world: &mut World) -> Answer {
        let request = self.request(ALLOCATE, &[&RequestedTransport::new(RequestedTransport::UDP)]);
        self.say(world, &request)
    }

    /// The usual way: without a nonce, then with it.
    pub(super) fn allocate(&mut self, world: &mut World) -> Answer {
        self.nonce = None;
        assert_eq!(self.asks_to_allocate(world), Answer::Refused(401));
        self.asks_to_allocate(world)
    }

    pub(super) fn refresh(&mut self, world: &mut World, seconds: u32) -> Answer {
        let request = self.request(REFRESH, &[&Lifetime::new(seconds)]);
        self.say(world, &request)
    }

    pub(super) fn permit(&mut self, world: &mut World, peers: &[&str]) -> Answer {
        let mut request = Message::builder_request(CREATE_PERMISSION, MessageWriteVec::new());
        let id = request.transaction_id();
        for peer in peers {
            // More than one of a kind, which is not what the builder is made for.
            request.push_attribute_unchecked(&XorPeerAddress::new(address(peer), id));
        }
        let request = self.signed(request);
        self.say(world, &request)
    }

    pub(super) fn bind(&mut self, world: &mut World, number: u16, peer: &str) -> Answer {
        let mut request = Message::builder_request(CHANNEL_BIND, MessageWriteVec::new());
        let id = request.transaction_id();
        request.add_attribute(&ChannelNumber::new(number)).expect("added");
        request.add_attribute(&XorPeerAddress::new(address(peer), id)).expect("added");
        let request = self.signed(request);
        self.say(world, &request)
    }

    /// What this client says to an address that it names.
    pub(super) fn indication(peer: &str, bytes: &[u8]) -> Vec<u8> {
        let mut said = Message::builder_indication(SEND, MessageWriteVec::new());
        let id = said.transaction_id();
        said.add_attribute(&XorPeerAddress::new(address(peer), id)).expect("added");
        said.add_attribute(&Data::new(bytes)).expect("added");
        said.finish()
    }

    /// What this client says through a channel.
    pub(super) fn channel(number: u16, bytes: &[u8]) -> Vec<u8> {
        let mut frame = vec![0; bytes.len() + 4];
        ChannelData::new(number, bytes).write_into_unchecked(&mut frame);
        frame
    }

    /// Its seat, as the hall sees it who is written to at one of our addresses.
    pub(super) fn seat(&self, target: u8) -> Seat {
        Seat { target, ..Seat::of(self.relayed.expect("allocated")).expect("a seat") }
    }
}
