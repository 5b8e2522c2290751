//! A hall for tests, with viewers, and the time and the network between them.

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use super::*;
use crate::{
    avatar::{Artwork, Mouth},
    peer::fake_viewer::{FakeViewer, SERVER, some_moment},
};

pub(super) static PICTURES: LazyLock<Arc<Pictures>> = LazyLock::new(|| {
    Arc::new(Pictures::code(&Artwork::built_in().expect("drawn")).expect("coded"))
});
pub(super) static HOST: LazyLock<Arc<Host>> =
    LazyLock::new(|| Arc::new(Host::new(vec![address(SERVER)]).expect("a host")));

pub(super) const SECOND: Duration = Duration::from_secs(1);

pub(super) fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

pub(super) fn session(number: u128) -> SessionId {
    SessionId(uuid::Uuid::from_u128(number))
}

/// Something to say with the mouth wide open.
pub(super) fn voice(frames: usize) -> Arc<Clip> {
    let frame: Arc<[u8]> = Arc::new([0xf8, 1, 2]);
    let sound = std::iter::repeat_n(frame, frames).collect();
    Arc::new(Clip::of(sound, vec![Mouth::MAX; frames.div_ceil(2)]))
}

/// A hall, its viewers, and the time and the network between them.
pub(super) struct House {
    pub(super) hall: Hall,
    pub(super) viewers: Vec<FakeViewer>,
    pub(super) events: Vec<(SessionId, ViewerEvent)>,
    pub(super) now: Instant,
    /// What was sent, by viewers and to them. Kept where a test wants it.
    pub(super) overheard: Option<Vec<Overheard>>,
    /// What the network makes of what a viewer sends.
    pub(super) network: Option<Network>,
    /// How many datagrams were sent to where there is no viewer.
    pub(super) strays: usize,
}

/// A datagram that went by, and the viewer that it was from or for.
#[derive(Clone, Debug)]
pub(super) struct Overheard {
    pub(super) viewer: usize,
    pub(super) bytes: Vec<u8>,
}

/// What arrives of what a viewer sends.
pub(super) type Network = Box<dyn FnMut(usize, Vec<u8>) -> Vec<Vec<u8>>>;

impl House {
    pub(super) fn new(limits: Limits) -> Self {
        let hall = Hall::new(Arc::clone(&HOST), limits);
        Self {
            hall,
            viewers: Vec::new(),
            events: Vec::new(),
            now: some_moment(),
            overheard: None,
            network: None,
            strays: 0,
        }
    }

    /// A house with so many sessions, numbered from 1 on, each with its viewer, connected.
    pub(super) fn with_viewers(count: u128) -> Self {
        let mut house = Self::new(Limits::default());
        for number in 1..=count {
            house.begin(number).expect("begun");
            house.open(number).expect("opened");
        }
        house.run_until(|house| (1..=count).all(|n| house.hall.is_watched(session(n))));
        house
    }

    pub(super) fn begin(&mut self, number: u128) -> Result<(), BeginError> {
        self.hall.begin(session(number), Arc::clone(&PICTURES), 7, self.now)
    }

    pub(super) fn open(&mut self, number: u128) -> Result<(), OpenError> {
        let port = 5000 + self.viewers.len();
        let (mut viewer, offer) =
            FakeViewer::at(address(&format!("10.0.0.2:{port}")), self.now, |config| config);
        viewer.accept(&self.hall.open(session(number), &offer, self.now)?);
        self.viewers.push(viewer);
        Ok(())
    }

    /// Has the hall do something, and carries over what comes of it.
    pub(super) fn act<T>(
        &mut self,
        act: impl FnOnce(&mut Hall, Instant, &mut HallOutputs) -> T,
    ) -> T {
        let mut out = HallOutputs::default();
        let result = act(&mut self.hall, self.now, &mut out);
        for datagram in out.datagrams() {
            let place = self.viewers.iter().position(|viewer| viewer.address == datagram.to);
            let Some(place) = place else {
                self.strays += 1;
                continue;
            };
            self.overhear(place, &datagram.bytes);
            // What it says to this waits for its turn.
            self.viewers[place].take(self.now, address(SERVER), &datagram.bytes);
        }
        self.events.append(&mut out.events);
        result
    }

    /// Carries what a viewer sends to the hall.
    fn deliver(&mut self, viewer: usize, bytes: Vec<u8>) {
        self.overhear(viewer, &bytes);
        let from = self.viewers[viewer].address;
        let arriving = match &mut self.network {
            Some(network) => network(viewer, bytes),
            None => vec![bytes],
        };
        for bytes in arriving {
            self.act(|hall, now, out| hall.receive(now, from, &bytes, out));
        }
    }

    fn overhear(&mut self, viewer: usize, bytes: &[u8]) {
        if let Some(overheard) = &mut self.overheard {
            overheard.push(Overheard { viewer, bytes: bytes.to_vec() });
        }
    }

    pub(super) fn let_viewers_speak(&mut self) {
        for number in 0..self.viewers.len() {
            let mut sent = Vec::new();
            self.viewers[number].drain(self.now, &mut sent);
            for (_, bytes) in sent {
                self.deliver(number, bytes);
                let mut more = Vec::new();
                self.viewers[number].drain(self.now, &mut more);
                for (_, bytes) in more {
                    self.deliver(number, bytes);
                }
            }
        }
    }

    pub(super) fn step(&mut self) {
        self.let_viewers_speak();
        self.now += Duration::from_millis(5);
        self.act(Hall::tick);
    }

    pub(super) fn run(&mut self, span: Duration) {
        let end = self.now + span;
        while self.now < end {
            self.step();
        }
    }

    pub(super) fn run_until(&mut self, is_so: impl Fn(&Self) -> bool) {
        for _ in 0..4000 {
            if is_so(self) {
                return;
            }
            self.step();
        }
        panic!("it did not come to it");
    }
}
