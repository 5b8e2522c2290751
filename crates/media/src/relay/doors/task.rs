//! The task: takes what comes from clients, from the hall and from time, and sends what comes of it.

use std::{collections::HashMap, sync::Arc};

use epilogue_core::Timestamp;
use tokio::{
    net::UdpSocket,
    sync::{mpsc, oneshot},
};
use tokio_util::sync::CancellationToken;

use super::{Dropped, Event, tcp, udp};
use crate::{
    clock::{MediaClock, sleep_until_some},
    relay::{Door, Moment, Relay, RelayCounts, RelayOutputs, ToClient, Way, line::RelayEnd},
};

/// How much is taken from one side before the other has its turn.
const BATCH: usize = 64;

type Day = Arc<dyn Fn() -> Timestamp + Send + Sync>;

pub(super) struct Task {
    relay: Relay,
    end: RelayEnd,
    sockets: Vec<Arc<UdpSocket>>,
    lines: HashMap<Way, tcp::Line>,
    clock: Arc<dyn MediaClock>,
    day: Day,
    events: mpsc::Sender<Event>,
    stop: CancellationToken,
    out: RelayOutputs,
}

impl Task {
    pub(super) fn new(
        relay: Relay,
        (end, sockets): (RelayEnd, Vec<Arc<UdpSocket>>),
        (clock, day): (Arc<dyn MediaClock>, Day),
        (events, stop): (mpsc::Sender<Event>, CancellationToken),
    ) -> Self {
        let (lines, out) = (HashMap::new(), RelayOutputs::default());
        Self { relay, end, sockets, lines, clock, day, events, stop, out }
    }

    /// Runs until the hall has nothing to say any more.
    pub(super) async fn run(
        mut self,
        mut happened: mpsc::Receiver<Event>,
        mut asked: mpsc::Receiver<oneshot::Sender<RelayCounts>>,
        dropped: Dropped,
    ) {
        loop {
            let wake = self.relay.wake();
            tokio::select! {
                biased;
                Some(answer) = asked.recv() => {
                    let counts = self.relay.counts();
                    let dropped = counts.dropped + dropped.count();
                    let _ = answer.send(RelayCounts { dropped, ..counts });
                }
                () = self.end.guests.told() => self.see_off(),
                () = sleep_until_some(self.clock.as_ref(), wake) => {
                    self.relay.tick(self.clock.now(), &mut self.out);
                }
                said = self.end.incoming.recv() => match said {
                    Some(said) => self.pass_on(&said),
                    None => break,
                },
                Some(event) = happened.recv() => self.take(event),
            }
            // Whoever is busy must not keep the others waiting.
            self.hear_the_hall(BATCH);
            for _ in 0..BATCH {
                let Ok(event) = happened.try_recv() else { break };
                self.take(event);
            }
            self.send();
        }
        self.stop.cancel();
    }

    fn hear_the_hall(&mut self, most: usize) {
        for _ in 0..most {
            let Ok(said) = self.end.incoming.try_recv() else { return };
            self.pass_on(&said);
        }
    }

    fn pass_on(&mut self, said: &ToClient) {
        self.relay.deliver(self.clock.now(), said.seat, &said.bytes, &mut self.out);
    }

    /// Ends what those have who were parted with. What was said to them before goes first, their goodbye
    /// among it; whoever is parted with while that is heard has their turn the next time.
    fn see_off(&mut self) {
        let parted = self.relay.parted();
        self.hear_the_hall(usize::MAX);
        self.relay.see_off(parted, &mut self.out);
    }

    fn take(&mut self, event: Event) {
        let now = self.clock.now();
        match event {
            Event::Bytes(way, bytes) => {
                let moment = Moment { now, day: (self.day)() };
                self.relay.receive(moment, way, &bytes, &mut self.out);
            }
            Event::Knock(way, stream) => {
                if self.relay.connect(now, way) {
                    // Without it, small frames wait for others.
                    let _ = stream.set_nodelay(true);
                    let (events, clock) = (self.events.clone(), Arc::clone(&self.clock));
                    self.lines.insert(way, tcp::carry(stream, way, events, clock));
                }
            }
            Event::Gone(way) => {
                self.relay.disconnect(way);
                self.lines.remove(&way);
            }
        }
    }

    /// Sends what is to be sent. What is not taken at once is lost, as on any network.
    fn send(&mut self) {
        for (way, bytes) in self.out.outward.drain(..) {
            let is_sent = match way.door {
                Door::Udp(number) => self
                    .sockets
                    .get(usize::from(number))
                    .is_some_and(|socket| udp::send(socket, way.client, &bytes)),
                Door::Tcp(_) => self.lines.get(&way).is_some_and(|line| line.send(bytes)),
            };
            if !is_sent {
                self.relay.note_dropped();
            }
        }
        for said in self.out.inward.drain(..) {
            if self.end.outgoing.try_send(said).is_err() {
                self.relay.note_dropped();
            }
        }
        for way in self.out.closed.drain(..) {
            self.lines.remove(&way);
        }
    }
}
