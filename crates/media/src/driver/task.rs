//! The task: takes wishes, datagrams and time in turn, and sends what comes of them.

use std::{io::ErrorKind, net::SocketAddr, sync::Arc};

use tokio::{net::UdpSocket, sync::mpsc};

use super::{Tiding, Wish};
use crate::{
    clock::MediaClock,
    hall::{Hall, HallOutputs},
};

/// How many datagrams are taken before others have their turn.
const BATCH: usize = 64;
/// The largest datagram.
const DATAGRAM_MAX: usize = 2048;

pub(super) struct Task {
    hall: Hall,
    socket: UdpSocket,
    is_v6: bool,
    clock: Arc<dyn MediaClock>,
    tidings: mpsc::Sender<Tiding>,
    out: HallOutputs,
    sent: u64,
    not_sent: u64,
}

impl Task {
    pub(super) fn new(
        hall: Hall,
        socket: UdpSocket,
        clock: Arc<dyn MediaClock>,
        tidings: mpsc::Sender<Tiding>,
    ) -> Self {
        let out = HallOutputs::default();
        let is_v6 = socket.local_addr().is_ok_and(|address| address.is_ipv6());
        Self { hall, socket, is_v6, clock, tidings, out, sent: 0, not_sent: 0 }
    }

    /// Runs until nobody can wish for anything any more.
    pub(super) async fn run(mut self, mut wishes: mpsc::Receiver<Wish>) {
        loop {
            let wake = self.hall.wake();
            tokio::select! {
                biased;
                wish = wishes.recv() => match wish {
                    Some(wish) => self.grant(wish),
                    None => break,
                },
                () = sleep(self.clock.as_ref(), wake) => {
                    self.hall.tick(self.clock.now(), &mut self.out);
                }
                readable = self.socket.readable() => match readable {
                    Ok(()) => self.receive(),
                    Err(error) => {
                        tracing::error!(%error, "viewers cannot be heard any more");
                        break;
                    }
                },
            }
            self.send();
        }
        self.hall.release_all(self.clock.now(), &mut self.out);
        self.send();
    }

    /// An answer that nobody waits for any more is no loss.
    fn grant(&mut self, wish: Wish) {
        let now = self.clock.now();
        match wish {
            Wish::Begin(session, pictures, seed, answer) => {
                let _ = answer.send(self.hall.begin(session, pictures, seed, now));
            }
            Wish::Open(session, offer, answer) => {
                let _ = answer.send(self.hall.open(session, &offer, now));
            }
            Wish::Dismiss(session, answer) => {
                let _ = answer.send(self.hall.dismiss(session, now, &mut self.out));
            }
            Wish::Release(session, answer) => {
                let _ = answer.send(self.hall.release(session, now, &mut self.out));
            }
            Wish::ReleaseAll(answer) => {
                self.hall.release_all(now, &mut self.out);
                let _ = answer.send(());
            }
            Wish::Say(session, clip, answer) => {
                let _ = answer.send(self.hall.say(session, clip, now));
            }
            Wish::Interrupt(session, answer) => {
                let _ = answer.send(self.hall.interrupt(session));
            }
            Wish::IsWatched(session, answer) => {
                let _ = answer.send(self.hall.is_watched(session));
            }
            Wish::Counts(answer) => {
                let (sent, not_sent) = (self.sent, self.not_sent);
                let counts = crate::hall::Counts { sent, not_sent, ..self.hall.counts() };
                let _ = answer.send(counts);
            }
        }
    }

    fn receive(&mut self) {
        let mut buffer = [0; DATAGRAM_MAX];
        let now = self.clock.now();
        for _ in 0..BATCH {
            match self.socket.try_recv_from(&mut buffer) {
                Ok((length, from)) => {
                    let bytes = buffer.get(..length).unwrap_or_default();
                    self.hall.receive(now, plain(from), bytes, &mut self.out);
                }
                // Elsewhere somebody refused what we sent: that is theirs to know.
                Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
                Err(_) => return,
            }
        }
    }

    /// An address as the socket knows it.
    fn known(&self, to: SocketAddr) -> SocketAddr {
        match to {
            SocketAddr::V4(to) if self.is_v6 => (to.ip().to_ipv6_mapped(), to.port()).into(),
            _ => to,
        }
    }

    /// Sends what is to be sent. What the system does not take is lost, as on any network.
    fn send(&mut self) {
        for datagram in self.out.datagrams() {
            match self.socket.try_send_to(&datagram.bytes, self.known(datagram.to)) {
                Ok(_) => self.sent += 1,
                Err(_) => self.not_sent += 1,
            }
        }
        for tiding in self.out.events.drain(..) {
            tracing::debug!(session = %tiding.0, event = ?tiding.1, "viewer");
            if self.tidings.try_send(tiding).is_err() {
                tracing::debug!("nobody hears what happens to viewers");
            }
        }
        self.out.clear();
    }
}

/// An address as the other side knows it, also where the socket speaks both protocols.
fn plain(from: SocketAddr) -> SocketAddr {
    SocketAddr::new(from.ip().to_canonical(), from.port())
}

async fn sleep(clock: &dyn MediaClock, wake: Option<std::time::Instant>) {
    match wake {
        Some(at) => clock.sleep_until(at).await,
        None => std::future::pending().await,
    }
}
