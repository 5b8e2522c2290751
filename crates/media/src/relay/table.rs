//! All clients of the relay: their connections, their desks and seats, and when these are due to end.

use std::{
    collections::{BTreeSet, HashMap, hash_map::Entry},
    hash::Hash,
    net::IpAddr,
    ops::RangeInclusive,
    time::Instant,
};

use epilogue_core::SessionId;

use super::{
    PATIENCE, SILENCE,
    desk::{Desk, Wanted},
    way::{Seat, Way},
};

/// The ports of seats, as many as RFC 8656 has relays use. They are given out in turn, so that one does
/// not soon stand for another client.
const PORTS: RangeInclusive<u16> = 49_152..=65_535;

/// A client.
struct Client {
    desk: Option<Desk>,
    /// For which session it has a seat, and when its credentials for that run out.
    seated: Option<(Seat, SessionId, Instant)>,
    /// Since when it has been without a seat, if it is.
    idle_since: Instant,
    heard: Instant,
    /// Under which moment it is listed as due.
    listed: Option<Instant>,
}

impl Client {
    const fn new(now: Instant) -> Self {
        Self { desk: None, seated: None, idle_since: now, heard: now, listed: None }
    }

    /// When it is given up, unless something else happens before.
    fn given_up(&self, way: Way) -> Instant {
        let bound = match self.seated {
            Some((.., until)) => until,
            None => self.idle_since + PATIENCE,
        };
        if way.is_connection() { bound.min(self.heard + SILENCE) } else { bound }
    }

    /// When it is to be looked at.
    fn due(&self, way: Way) -> Instant {
        let wake = self.desk.as_ref().filter(|_| self.seated.is_some()).map(Desk::wake);
        let given_up = self.given_up(way);
        wake.map_or(given_up, |wake| wake.min(given_up))
    }
}

/// All clients.
pub(super) struct Table {
    strangers_max: usize,
    clients: HashMap<Way, Client>,
    seats: HashMap<u16, Way>,
    sessions: HashMap<SessionId, usize>,
    addresses: HashMap<IpAddr, usize>,
    /// Those without a connection and without a seat, the longest first.
    strangers: BTreeSet<(Instant, Way)>,
    due: BTreeSet<(Instant, Way)>,
    latest_port: Option<u16>,
}

impl Table {
    /// A table at which so many wait without a seat. The one who has been there longest makes room.
    pub(super) fn new(strangers_max: usize) -> Self {
        Self {
            strangers_max,
            clients: HashMap::new(),
            seats: HashMap::new(),
            sessions: HashMap::new(),
            addresses: HashMap::new(),
            strangers: BTreeSet::new(),
            due: BTreeSet::new(),
            latest_port: None,
        }
    }

    pub(super) fn connections(&self) -> usize {
        self.addresses.values().sum()
    }

    pub(super) fn connections_from(&self, ip: IpAddr) -> usize {
        self.addresses.get(&ip).copied().unwrap_or_default()
    }

    pub(super) fn allocations(&self) -> usize {
        self.seats.len()
    }

    pub(super) fn allocations_of(&self, session: SessionId) -> usize {
        self.sessions.get(&session).copied().unwrap_or_default()
    }

    /// All who have a seat, and for which session.
    pub(super) fn seated(&self) -> Vec<(Way, SessionId)> {
        let ways = self.seats.values();
        ways.filter_map(|way| Some((*way, self.clients.get(way)?.seated?.1))).collect()
    }

    /// Whose seat that is.
    pub(super) fn at(&self, port: u16) -> Option<Way> {
        self.seats.get(&port).copied()
    }

    /// For which session a client has a seat.
    pub(super) fn session(&self, way: Way) -> Option<SessionId> {
        self.clients.get(&way)?.seated.map(|(_, session, _)| session)
    }

    /// A client's desk, if it has one.
    pub(super) fn desk(&mut self, way: Way) -> Option<&mut Desk> {
        self.clients.get_mut(&way)?.desk.as_mut()
    }

    /// A client's desk, now at the latest.
    pub(super) fn welcome(&mut self, now: Instant, way: Way) -> &mut Desk {
        if let Entry::Vacant(place) = self.clients.entry(way) {
            place.insert(Client::new(now));
            self.wait(now, way);
            self.list(way);
        }
        let client = self.clients.entry(way).or_insert_with(|| Client::new(now));
        client.desk = client.desk.take().filter(|desk| !desk.is_broken());
        client.desk.get_or_insert_with(|| Desk::new(way.client, now))
    }

    /// Has a client without a connection wait among those who have no seat.
    fn wait(&mut self, now: Instant, way: Way) {
        if way.is_connection() {
            return;
        }
        while self.strangers.len() >= self.strangers_max {
            let Some(&(_, longest)) = self.strangers.first() else { break };
            self.remove(longest);
        }
        self.strangers.insert((now, way));
    }

    pub(super) fn connect(&mut self, now: Instant, way: Way) {
        if self.clients.insert(way, Client::new(now)).is_none() {
            *self.addresses.entry(way.client.ip()).or_default() += 1;
        }
        self.list(way);
    }

    /// A client was heard. Whether it is known.
    pub(super) fn heard(&mut self, now: Instant, way: Way) -> bool {
        self.clients.get_mut(&way).map(|client| client.heard = now).is_some()
    }

    /// A port that is nobody's seat. `None`: there is none.
    pub(super) fn free_port(&mut self) -> Option<u16> {
        let next = |port: u16| if port < *PORTS.end() { port + 1 } else { *PORTS.start() };
        let mut port = next(self.latest_port.unwrap_or(*PORTS.end()));
        for _ in PORTS {
            if !self.seats.contains_key(&port) {
                self.latest_port = Some(port);
                return Some(port);
            }
            port = next(port);
        }
        None
    }

    /// Takes note of what became of a client's seat at its desk. Whether it got one just now.
    pub(super) fn settle(
        &mut self,
        now: Instant,
        way: Way,
        whose: Option<(SessionId, Instant)>,
    ) -> bool {
        let Some(client) = self.clients.get_mut(&way) else { return false };
        let seat = client.desk.as_ref().and_then(Desk::seat);
        let was = client.seated;
        client.seated = seat.and_then(|seat| match was {
            Some((_, session, until)) => Some((seat, session, until)),
            None => whose.map(|(session, until)| (seat, session, until)),
        });
        match (was, client.seated) {
            (None, Some((seat, session, _))) => {
                self.strangers.remove(&(client.idle_since, way));
                self.seats.insert(seat.port, way);
                *self.sessions.entry(session).or_default() += 1;
            }
            (Some((seat, session, _)), None) => {
                client.idle_since = now;
                self.leave(seat, session);
                self.wait(now, way);
            }
            _ => {}
        }
        self.list(way);
        was.is_none() && seat.is_some()
    }

    /// Has a client begin anew, with nothing.
    pub(super) fn forget_desk(&mut self, now: Instant, way: Way) {
        if let Some(client) = self.clients.get_mut(&way) {
            client.desk = None;
        }
        self.settle(now, way, None);
    }

    /// Forgets a client and all that it has.
    pub(super) fn remove(&mut self, way: Way) {
        let Some(client) = self.clients.remove(&way) else { return };
        if let Some(at) = client.listed {
            self.due.remove(&(at, way));
        }
        self.strangers.remove(&(client.idle_since, way));
        if way.is_connection() {
            count_down(&mut self.addresses, &way.client.ip());
        }
        if let Some((seat, session, _)) = client.seated {
            self.leave(seat, session);
        }
    }

    fn leave(&mut self, seat: Seat, session: SessionId) {
        self.seats.remove(&seat.port);
        count_down(&mut self.sessions, &session);
    }

    pub(super) fn wake(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Has desks do what is due, and gives up clients whose time is over. Connections among these are
    /// `closed`.
    pub(super) fn tick(&mut self, now: Instant, closed: &mut Vec<Way>) -> Vec<(Way, Wanted)> {
        let mut said = Vec::new();
        // What lasts until a moment is still there at that moment.
        while let Some(&(at, way)) = self.due.first().filter(|(at, _)| *at < now) {
            self.due.remove(&(at, way));
            let Some(client) = self.clients.get_mut(&way) else { continue };
            client.listed = None;
            if client.given_up(way) < now {
                self.remove(way);
                if way.is_connection() {
                    closed.push(way);
                }
                continue;
            }
            let mut wanted = Vec::new();
            if let Some(desk) = &mut client.desk {
                desk.tick(now, &mut wanted);
            }
            said.extend(wanted.into_iter().map(|wanted| (way, wanted)));
            self.settle(now, way, None);
        }
        said
    }

    /// Puts a client where it belongs among those that are due. One that is due later than it is listed
    /// is looked at then.
    fn list(&mut self, way: Way) {
        let Some(client) = self.clients.get_mut(&way) else { return };
        let due = client.due(way);
        if client.listed.is_some_and(|listed| listed <= due) {
            return;
        }
        if let Some(listed) = client.listed.replace(due) {
            self.due.remove(&(listed, way));
        }
        self.due.insert((due, way));
    }

    /// How many entries the tables hold.
    #[cfg(test)]
    pub(super) fn entries(&self) -> [usize; 6] {
        let Self { clients, seats, sessions, addresses, strangers, due, .. } = self;
        [clients.len(), seats.len(), sessions.len(), addresses.len(), strangers.len(), due.len()]
    }
}

/// One fewer. Who has none is not in the table.
fn count_down<K: Eq + Hash>(counts: &mut HashMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}
