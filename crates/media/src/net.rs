//! Addresses on sockets that speak both protocols.

use std::net::SocketAddr;

/// An address as the other side knows it.
pub(crate) fn plain(from: SocketAddr) -> SocketAddr {
    SocketAddr::new(from.ip().to_canonical(), from.port())
}

/// An address as the socket knows it.
pub(crate) fn known(is_v6: bool, to: SocketAddr) -> SocketAddr {
    match to {
        SocketAddr::V4(to) if is_v6 => (to.ip().to_ipv6_mapped(), to.port()).into(),
        _ => to,
    }
}
