//! All clients of the relay: their connections and their allocations, and when these are due to end.

use std::{
    collections::{BTreeSet, HashMap},
    net::IpAddr,
    ops::RangeInclusive,
    time::Instant,
};

use epilogue_core::SessionId;

use super::{CONNECTION_PATIENCE, CONNECTION_SILENCE, allocation::Allocation, way::Way};

/// The ports of seats, as many as RFC 8656 has relays use. They are given out in turn, so that one does
/// not soon stand for another client.
const PORTS: RangeInclusive<u16> = 49_152..=65_535;

/// A connection's times.
struct Line {
    /// Since when it has been without an allocation, if it is.
    idle_since: Instant,
    heard: Instant,
}

/// A client.
#[derive(Default)]
struct Client {
    line: Option<Line>,
    allocation: Option<Allocation>,
    /// Under which moment it is listed as due.
    listed: Option<Instant>,
}

impl Client {
    /// When something of it ends, unless something else happens before.
    fn due(&self) -> Option<Instant> {
        let until = self.allocation.as_ref().map(|allocation| allocation.until);
        let silent = self.line.as_ref().map(|line| line.heard + CONNECTION_SILENCE);
        let idle = self.line.as_ref().filter(|_| self.allocation.is_none());
        let idle = idle.map(|line| line.idle_since + CONNECTION_PATIENCE);
        [until, silent, idle].into_iter().flatten().min()
    }
}

/// All clients.
#[derive(Default)]
pub(super) struct Table {
    clients: HashMap<Way, Client>,
    seats: HashMap<u16, Way>,
    sessions: HashMap<SessionId, usize>,
    addresses: HashMap<IpAddr, usize>,
    due: BTreeSet<(Instant, Way)>,
    connections: usize,
    latest_port: Option<u16>,
}

impl Table {
    pub(super) const fn connections(&self) -> usize {
        self.connections
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

    pub(super) fn allocation(&self, way: Way) -> Option<&Allocation> {
        self.clients.get(&way)?.allocation.as_ref()
    }

    pub(super) fn allocation_mut(&mut self, way: Way) -> Option<&mut Allocation> {
        self.clients.get_mut(&way)?.allocation.as_mut()
    }

    /// Whose seat that is.
    pub(super) fn at(&self, port: u16, is_v6: bool) -> Option<(Way, &Allocation)> {
        let way = *self.seats.get(&port)?;
        let allocation = self.allocation(way).filter(|allocation| allocation.is_v6 == is_v6)?;
        Some((way, allocation))
    }

    /// All who have an allocation, and for which session.
    pub(super) fn allocated(&self) -> Vec<(Way, SessionId)> {
        let ways = self.seats.values();
        ways.filter_map(|way| Some((*way, self.allocation(*way)?.session))).collect()
    }

    pub(super) fn connect(&mut self, now: Instant, way: Way) {
        let client = self.clients.entry(way).or_default();
        if client.line.replace(Line { idle_since: now, heard: now }).is_none() {
            self.connections += 1;
            *self.addresses.entry(way.client.ip()).or_default() += 1;
        }
        self.list(way);
    }

    pub(super) fn heard(&mut self, now: Instant, way: Way) {
        if let Some(line) = self.clients.get_mut(&way).and_then(|client| client.line.as_mut()) {
            line.heard = now;
        }
    }

    /// A seat that nobody has. `None`: there is none.
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

    /// Gives a client its allocation. It has none yet.
    pub(super) fn allocate(&mut self, way: Way, allocation: Allocation) {
        self.seats.insert(allocation.port, way);
        *self.sessions.entry(allocation.session).or_default() += 1;
        self.clients.entry(way).or_default().allocation = Some(allocation);
        self.list(way);
    }

    /// Ends a client's allocation.
    pub(super) fn release(&mut self, now: Instant, way: Way) {
        let Some(client) = self.clients.get_mut(&way) else { return };
        if let Some(line) = &mut client.line {
            line.idle_since = now;
        }
        let allocation = client.allocation.take();
        if let Some(allocation) = allocation {
            self.forget(&allocation);
        }
        self.list(way);
    }

    /// Forgets a client and all that it has.
    pub(super) fn remove(&mut self, way: Way) {
        let Some(client) = self.clients.remove(&way) else { return };
        if let Some(at) = client.listed {
            self.due.remove(&(at, way));
        }
        if client.line.is_some() {
            self.connections -= 1;
            count_down(&mut self.addresses, way.client.ip());
        }
        if let Some(allocation) = client.allocation {
            self.forget(&allocation);
        }
    }

    fn forget(&mut self, allocation: &Allocation) {
        self.seats.remove(&allocation.port);
        count_down(&mut self.sessions, allocation.session);
    }

    pub(super) fn wake(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Ends what has run out. Connections among it are `closed`.
    pub(super) fn tick(&mut self, now: Instant, closed: &mut Vec<Way>) {
        // What runs until a moment is still there at that moment.
        while let Some(&(at, way)) = self.due.first().filter(|(at, _)| *at < now) {
            self.due.remove(&(at, way));
            let Some(client) = self.clients.get_mut(&way) else { continue };
            client.listed = None;
            let is_over = |allocation: &Allocation| allocation.until < now;
            if client.allocation.as_ref().is_some_and(is_over) {
                self.release(at, way);
            } else if client.due().is_some_and(|due| due < now) {
                self.remove(way);
                closed.push(way);
            } else {
                // It was renewed or heard since it was listed.
                self.list(way);
            }
        }
    }

    /// Puts a client where it belongs among those that are due, or forgets it if it has nothing.
    /// One that is due later than it is listed is looked at then.
    pub(super) fn list(&mut self, way: Way) {
        let Some(client) = self.clients.get_mut(&way) else { return };
        let Some(due) = client.due() else { return self.remove(way) };
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
    pub(super) fn entries(&self) -> [usize; 5] {
        let Self { clients, seats, sessions, addresses, due, .. } = self;
        [clients.len(), seats.len(), sessions.len(), addresses.len(), due.len()]
    }
}

/// One fewer. Who has none is not in the table.
fn count_down<K: Eq + std::hash::Hash>(counts: &mut HashMap<K, usize>, key: K) {
    if let Some(count) = counts.get_mut(&key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(&key);
        }
    }
}
