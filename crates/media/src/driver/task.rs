//! The task: takes wishes, datagrams and time in turn, and sends what comes of them.

use std::{io::ErrorKind, sync::Arc};

use tokio::{net::UdpSocket, sync::mpsc};

use super::{Tiding, Wish};
use crate::{
    clock::{MediaClock, sleep_until_some},
    hall::{GOODBYE_LASTS, Hall, HallOutputs},
    net::{known, plain},
    relay::{HallEnd, Inward, Seat, ToClient},
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
    relay: Option<HallEnd>,
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
        Self { hall, socket, is_v6, clock, tidings, relay: None, out, sent: 0, not_sent: 0 }
    }

    /// Runs until nobody can wish for anything any more.
    pub(super) async fn run(mut self, mut wishes: mpsc::Receiver<Wish>) {
        loop {
            let parting = self.relay.as_ref().and_then(|relay| relay.guests.wake());
            let wake = self.hall.wake().into_iter().chain(parting).min();
            let mut ticked = None;
            tokio::select! {
                biased;
                wish = wishes.recv() => match wish {
                    Some(wish) => self.grant(wish),
                    None => break,
                },
                () = sleep_until_some(self.clock.as_ref(), wake) => {
                    let now = *ticked.insert(self.clock.now());
                    self.hall.tick(now, &mut self.out);
                }
                relayed = relayed(&mut self.relay) => self.receive_relayed(relayed),
                readable = self.socket.readable() => match readable {
                    Ok(()) => self.receive(),
                    Err(error) => {
                        tracing::error!(%error, "viewers cannot be heard any more");
                        break;
                    }
                },
            }
            self.send();
            // Only when their last goodbye, which a tick says, is on the line.
            if let (Some(now), Some(relay)) = (ticked, &self.relay) {
                relay.guests.part(now);
            }
        }
        self.hall.release_all(self.clock.now(), &mut self.out);
        self.send();
    }

    /// An answer that nobody waits for any more is no loss.
    fn grant(&mut self, wish: Wish) {
        let now = self.clock.now();
        match wish {
            Wish::Begin(session, pictures, seed, answer) => {
                let begun = self.hall.begin(session, pictures, seed, now);
                if let (Ok(()), Some(relay)) = (&begun, &self.relay) {
                    relay.guests.enter(session);
                }
                let _ = answer.send(begun);
            }
            Wish::Open(session, offer, answer) => {
                let _ = answer.send(self.hall.open(session, &offer, now));
            }
            Wish::Dismiss(session, answer) => {
                let _ = answer.send(self.hall.dismiss(session, now, &mut self.out));
            }
            Wish::Release(session, answer) => {
                let was_shown = self.hall.release(session, now, &mut self.out);
                if let Some(relay) = &self.relay {
                    relay.guests.leave(session, now + GOODBYE_LASTS);
                }
                let _ = answer.send(was_shown);
            }
            Wish::ReleaseAll(answer) => {
                self.hall.release_all(now, &mut self.out);
                if let Some(relay) = &self.relay {
                    relay.guests.leave_all(now + GOODBYE_LASTS);
                }
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
            Wish::Relay(end, answer) => {
                self.hall.sessions().for_each(|session| end.guests.enter(session));
                self.relay = Some(end);
                let _ = answer.send(self.hall.addresses().to_vec());
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
                // Whoever pretends to sit where relayed viewers seem to is none of them.
                Ok((_, from)) if Seat::of(plain(from)).is_some() => {}
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

    fn receive_relayed(&mut self, first: Inward) {
        let now = self.clock.now();
        let mut next = Some(first);
        for _ in 0..BATCH {
            let Some(Inward { session, from, bytes }) = next else { return };
            self.hall.receive_for(session, now, from, &bytes, &mut self.out);
            next = self.relay.as_mut().and_then(|relay| relay.incoming.try_recv().ok());
        }
    }

    /// Sends what is to be sent. What the system does not take is lost, as on any network.
    fn send(&mut self) {
        for datagram in self.out.datagrams() {
            let is_sent = match (Seat::of(datagram.to), &self.relay) {
                (None, _) => {
                    let to = known(self.is_v6, datagram.to);
                    self.socket.try_send_to(&datagram.bytes, to).is_ok()
                }
                (Some(seat), Some(relay)) => {
                    let bytes = datagram.bytes.to_vec();
                    relay.outgoing.try_send(ToClient { seat, bytes }).is_ok()
                }
                (Some(_), None) => false,
            };
            *(if is_sent { &mut self.sent } else { &mut self.not_sent }) += 1;
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

/// What comes from the relay, where there is one and for as long as it is there.
async fn relayed(relay: &mut Option<HallEnd>) -> Inward {
    let received = match relay {
        Some(relay) => relay.incoming.recv().await,
        None => None,
    };
    match received {
        Some(received) => received,
        None => std::future::pending().await,
    }
}
