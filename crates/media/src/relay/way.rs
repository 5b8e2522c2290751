//! By which ways datagrams come and go: those of clients, and those that viewers seem to have.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// What a client came in by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Door {
    /// The socket of this number.
    Udp(u16),
    /// The connection of this number.
    Tcp(u64),
}

/// A client, as TURN knows it: the door, and the address at its other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Way {
    /// What it came in by.
    pub door: Door,
    /// Where it writes from.
    pub client: SocketAddr,
}

impl Way {
    /// Whether it is a connection.
    pub const fn is_connection(&self) -> bool {
        matches!(self.door, Door::Tcp(_))
    }
}

/// Networks that are reserved for documentation: no datagram comes from there.
const NOWHERE_V4: [u8; 3] = [192, 0, 2];
const NOWHERE_V6: [u16; 7] = [0x2001, 0xdb8, 0, 0, 0, 0, 0];

/// Where a relayed viewer seems to be. Nothing is ever sent there: what is meant for such an address
/// is handed to the relay. The port tells the allocation, the last part of the address which of our
/// own addresses the viewer writes to, so that it is answered from the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seat {
    /// Of the allocation.
    pub(crate) port: u16,
    /// The number of our own address.
    pub(crate) target: u8,
    /// Of which protocol.
    pub(crate) is_v6: bool,
}

impl Seat {
    /// The seat that an address stands for. `None`: it is one that a datagram may come from.
    pub(crate) fn of(address: SocketAddr) -> Option<Self> {
        let (is_v6, last) = match address.ip() {
            IpAddr::V4(ip) => {
                let [a, b, c, last] = ip.octets();
                (false, ([a, b, c] == NOWHERE_V4).then_some(last)?)
            }
            IpAddr::V6(ip) => {
                let [head @ .., last] = ip.segments();
                (true, (head == NOWHERE_V6).then(|| u8::try_from(last).ok())??)
            }
        };
        // Addresses that end in zero are those of networks.
        Some(Self { port: address.port(), target: last.checked_sub(1)?, is_v6 })
    }

    /// The address that stands for it.
    pub(crate) fn address(self) -> SocketAddr {
        let last = self.target.saturating_add(1);
        let ip: IpAddr = if self.is_v6 {
            let mut ip = [0; 8];
            ip[..7].copy_from_slice(&NOWHERE_V6);
            ip[7] = u16::from(last);
            Ipv6Addr::from(ip).into()
        } else {
            let [a, b, c] = NOWHERE_V4;
            Ipv4Addr::new(a, b, c, last).into()
        };
        SocketAddr::new(ip, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seat_is_found_again_by_its_address_and_nothing_else_is_one() {
        for is_v6 in [false, true] {
            for target in [0, 7, 200] {
                let seat = Seat { port: 50_000, target, is_v6 };
                assert_eq!(Seat::of(seat.address()), Some(seat));
            }
        }
        for real in ["127.0.0.1:50000", "192.0.3.1:1", "192.0.2.0:1", "[::1]:1", "[2001:db8::]:1"] {
            assert_eq!(Seat::of(real.parse().expect("an address")), None, "{real}");
        }
        assert_eq!(Seat::of("[2001:db8::101:1]:1".parse().expect("an address")), None);
        assert_eq!(Seat::of("[2001:db8::100]:1".parse().expect("an address")), None);
    }
}
