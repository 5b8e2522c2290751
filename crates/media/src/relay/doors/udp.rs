//! Datagrams of clients.

use std::{io::ErrorKind, net::SocketAddr, sync::Arc};

use tokio::{net::UdpSocket, sync::mpsc};

use super::{Dropped, Event, REST};
use crate::{
    clock::MediaClock,
    net::plain,
    relay::{Door, FRAME_BYTES_MAX, Way},
};

/// Reads a socket. What fails may be over in a while, as when the system has no memory to give.
pub(super) async fn read(
    socket: Arc<UdpSocket>,
    number: u16,
    (events, dropped): (mpsc::Sender<Event>, Dropped),
    clock: Arc<dyn MediaClock>,
) {
    let mut buffer = vec![0; FRAME_BYTES_MAX];
    loop {
        let (length, from) = match socket.recv_from(&mut buffer).await {
            Ok(received) => received,
            // Elsewhere somebody refused what we sent: that is theirs to know.
            Err(error) if error.kind() == ErrorKind::ConnectionReset => continue,
            Err(error) => {
                tracing::debug!(%error, "clients of the relay are not heard for a while");
                clock.sleep_until(clock.now() + REST).await;
                continue;
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
