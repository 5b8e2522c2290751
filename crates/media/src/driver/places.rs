//! Under which addresses this machine can be reached.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// Addresses that are reserved for documentation: nothing is sent there, but the way would lead through
/// the interface that the world is reached by.
const ELSEWHERE: [SocketAddr; 2] = [
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 9),
    SocketAddr::new(IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)), 9),
];

/// The addresses under which a socket that listens there is reached: the one it listens on, or, where
/// that means any, the one by which this machine reaches the world, and its own. Where an address is
/// translated on the way here, nobody on this side can know it: it must be configured.
pub fn reachable(listen: SocketAddr) -> Vec<SocketAddr> {
    if !listen.ip().is_unspecified() {
        return vec![listen];
    }
    let outward = ELSEWHERE.iter().filter(|there| listen.is_ipv6() || there.is_ipv4());
    let outward = outward.filter_map(|there| outward_to(*there));
    let own = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let mut found: Vec<IpAddr> = outward.chain([own]).collect();
    found.dedup();
    found.into_iter().map(|ip| SocketAddr::new(ip, listen.port())).collect()
}

fn outward_to(there: SocketAddr) -> Option<IpAddr> {
    let any = if there.is_ipv4() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED)
    } else {
        IpAddr::V6(Ipv6Addr::UNSPECIFIED)
    };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect(there).ok()?;
    let ip = socket.local_addr().ok()?.ip();
    (!ip.is_unspecified()).then_some(ip)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_reached_where_it_listens() {
        let own: SocketAddr = "127.0.0.1:7401".parse().unwrap();
        assert_eq!(reachable(own), [own]);
        let any = reachable("0.0.0.0:7401".parse().unwrap());
        assert!(any.contains(&own) && any.iter().all(SocketAddr::is_ipv4), "{any:?}");
        assert!(any.iter().all(|address| address.port() == 7401 && !address.ip().is_unspecified()));
    }
}
