//! Datagrams of clients.

use std::{io::ErrorKind, net::SocketAddr, sync::Arc};

use tokio::{net::UdpSocket, sync::mpsc};

use super::{Dropped, Event};
use crate::{
    net::plain,
    relay::{Door, FRAME_BYTES_MAX, Way},
};

/// Reads a socket for as long as it can be read.
pub(super) async fn read(
    socket: Arc<UdpSocket>,
    number: u16,
    events: mpsc::Sender<Event>,
    dropped: Dropped,
) {
    let mut buffer = vec![0; FRAME_BYTES_MAX];
    loop {
        let (length, from) = match socket.recv_from(&mut buffer).await {
            Ok(received) => received,
            // Elsewhere somebody refused what we sent: that is theirs to know.
            Err(error) if error.kind() == ErrorKind::ConnectionReset => continue,
            Err(error) => {
                tracing::error!(%error, "clients of the relay cannot be heard any more");
                return;
            }
        };
        let way = Way { door: Door::Udp(number), client: plain(from) };
        let bytes = buffer.get(..length).unwrap_or_default().to_vec();
        if events.try_send(Event::Bytes(way, bytes)).is_err() {
            dropped.note();
        }
    }
}

/// Sends what the system takes. Whether it did.
pub(super) fn send(socket: &UdpSocket, to: SocketAddr, bytes: &[u8]) -> bool {
    let is_v6 = socket.local_addr().is_ok_and(|address| address.is_ipv6());
    socket.try_send_to(bytes, crate::net::known(is_v6, to)).is_ok()
}
