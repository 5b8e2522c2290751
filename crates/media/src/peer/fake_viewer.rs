//! A viewer for tests, and the network and the time between it and a peer.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use str0m::{
    Candidate, Event, Input, Output, Rtc, RtcConfig,
    change::{SdpAnswer, SdpPendingOffer},
    media::{Direction, KeyframeRequestKind, MediaKind, Mid},
    net::{Protocol, Receive},
    rtp::{RawPacket, rtcp::Rtcp},
};

use super::{Host, Outputs, Patience, Peer, PeerEvent, VideoCodec};

pub(crate) const SERVER: &str = "10.0.0.1:7401";
pub(crate) const VIEWER: &str = "10.0.0.2:5000";

/// What a viewer has seen.
#[derive(Default, Debug)]
pub(crate) struct Seen {
    pub(crate) video: Vec<Vec<u8>>,
    pub(crate) audio: Vec<Vec<u8>>,
    pub(crate) goodbyes: usize,
    pub(crate) closed: bool,
    pub(crate) connected: bool,
}

/// A browser's part of a connection.
pub(crate) struct FakeViewer {
    pub(crate) rtc: Rtc,
    pub(crate) seen: Seen,
    pub(crate) video: Mid,
    pub(crate) wake: Instant,
    /// Whether its connection may break without that being a fault: the network lies to it.
    pub(crate) may_break: bool,
    pending: Option<SdpPendingOffer>,
    /// What the other side calls its connection.
    pub(crate) peer_name: String,
    pub(crate) address: SocketAddr,
}

#[expect(clippy::disallowed_methods, reason = "virtual time begins somewhere")]
pub(crate) fn some_moment() -> Instant {
    Instant::now()
}

impl FakeViewer {
    /// A viewer and its offer.
    pub(crate) fn new(now: Instant, configure: impl Fn(RtcConfig) -> RtcConfig) -> (Self, String) {
        Self::at(VIEWER.parse().expect("an address"), now, configure)
    }

    /// A viewer at some address, and its offer.
    pub(crate) fn at(
        address: SocketAddr,
        now: Instant,
        configure: impl Fn(RtcConfig) -> RtcConfig,
    ) -> (Self, String) {
        let mut rtc = configure(RtcConfig::new().enable_raw_packets(true)).build(now);
        rtc.add_local_candidate(Candidate::host(address, "udp").expect("a candidate"));
        let mut api = rtc.sdp_api();
        let receive = Direction::RecvOnly;
        let video = api.add_media(MediaKind::Video, receive, None, None, None);
        api.add_media(MediaKind::Audio, receive, None, None, None);
        let (offer, pending) = api.apply().expect("an offer");
        // Browsers that do not trickle post an offer without candidates.
        let offer: String = offer
            .to_sdp_string()
            .lines()
            .filter(|line| !line.starts_with("a=candidate"))
            .flat_map(|line| [line, "\r\n"])
            .collect();
        let pending = Some(pending);
        let (seen, may_break, peer_name) = (Seen::default(), false, String::new());
        (Self { rtc, seen, video, wake: now, may_break, pending, peer_name, address }, offer)
    }

    pub(crate) fn accept(&mut self, answer: &str) {
        let name = answer.lines().find_map(|line| line.strip_prefix("a=ice-ufrag:"));
        name.expect("it is told").clone_into(&mut self.peer_name);
        let answer = SdpAnswer::from_sdp_string(answer).expect("an answer");
        let pending = self.pending.take().expect("an offer is out");
        self.rtc.sdp_api().accept_answer(pending, answer).expect("accepted");
    }

    /// Asks for a picture that stands alone.
    pub(crate) fn want_key_frame(&mut self) {
        let mut writer = self.rtc.writer(self.video).expect("connected");
        writer.request_keyframe(None, KeyframeRequestKind::Pli).expect("asked");
    }

    pub(crate) fn take(&mut self, now: Instant, from: SocketAddr, bytes: &[u8]) {
        let receive = Receive::new(Protocol::Udp, from, self.address, bytes).expect("readable");
        let taken = self.rtc.handle_input(Input::Receive(now, receive));
        assert!(self.may_break || taken.is_ok(), "{taken:?}");
    }

    pub(crate) fn drain(&mut self, now: Instant, sent: &mut Vec<(SocketAddr, Vec<u8>)>) {
        loop {
            let polled = self.rtc.poll_output();
            if self.may_break && polled.is_err() {
                return;
            }
            match polled.expect("it goes on") {
                Output::Timeout(at) if at <= now && self.rtc.is_alive() => {
                    let passed = self.rtc.handle_input(Input::Timeout(now));
                    if self.may_break && passed.is_err() {
                        return;
                    }
                    passed.expect("it goes on");
                }
                Output::Timeout(at) => {
                    self.wake = at;
                    return;
                }
                Output::Transmit(t) => sent.push((t.destination, t.contents.to_vec())),
                Output::Event(event) => self.note(event),
            }
        }
    }

    fn note(&mut self, event: Event) {
        match event {
            Event::Connected => self.seen.connected = true,
            Event::Closed => self.seen.closed = true,
            Event::MediaData(data) if data.mid == self.video => {
                self.seen.video.push(data.data.to_vec());
            }
            Event::MediaData(data) => self.seen.audio.push(data.data.to_vec()),
            Event::RawPacket(raw) => {
                if let RawPacket::RtcpRx(Rtcp::Goodbye(_)) = *raw {
                    self.seen.goodbyes += 1;
                }
            }
            _ => {}
        }
    }
}

/// A peer, its viewer, and what is between them.
pub(crate) struct World {
    pub(crate) now: Instant,
    pub(crate) peer: Peer,
    pub(crate) viewer: FakeViewer,
    pub(crate) events: Vec<PeerEvent>,
    /// Nothing gets through.
    pub(crate) is_cut: bool,
    to_peer: VecDeque<Vec<u8>>,
}

/// What is between two looks at the clock at most.
const STEP: Duration = Duration::from_millis(10);

impl World {
    pub(crate) fn new() -> Self {
        Self::with(|config| config, &[VideoCodec::H264, VideoCodec::Vp8])
    }

    pub(crate) fn with(configure: impl Fn(RtcConfig) -> RtcConfig, codecs: &[VideoCodec]) -> Self {
        let now = some_moment();
        let (mut viewer, offer) = FakeViewer::new(now, configure);
        let host = Arc::new(Host::new(vec![SERVER.parse().expect("an address")]).expect("a host"));
        let (peer, answer) =
            Peer::answer(&offer, codecs, &host, Patience::default(), now).expect("answered");
        viewer.accept(&answer);
        let (events, to_peer) = (Vec::new(), VecDeque::new());
        Self { now, peer, viewer, events, is_cut: false, to_peer }
    }

    /// A world in which the viewer is connected.
    pub(crate) fn connected() -> Self {
        let mut world = Self::new();
        world.run_until(Duration::from_secs(5), |w| {
            w.peer.is_connected() && w.viewer.seen.connected
        });
        world
    }

    /// Lets the peer do something, and carries over what comes of it.
    pub(crate) fn act(&mut self, act: impl FnOnce(&mut Peer, Instant, &mut Outputs)) {
        let mut out = Outputs::default();
        act(&mut self.peer, self.now, &mut out);
        self.carry(out);
    }

    fn carry(&mut self, out: Outputs) {
        self.events.extend(out.events);
        if self.is_cut {
            return;
        }
        for datagram in out.datagrams {
            assert_eq!(datagram.to, VIEWER.parse().expect("an address"));
            self.viewer.take(self.now, SERVER.parse().expect("an address"), &datagram.bytes);
            self.let_viewer_speak();
        }
    }

    /// Puts what the viewer has to say on its way.
    pub(crate) fn let_viewer_speak(&mut self) {
        let mut sent = Vec::new();
        self.viewer.drain(self.now, &mut sent);
        if !self.is_cut {
            self.to_peer.extend(sent.into_iter().map(|(_, bytes)| bytes));
        }
    }

    pub(crate) fn step(&mut self) {
        self.let_viewer_speak();
        while let Some(bytes) = self.to_peer.pop_front() {
            let from = VIEWER.parse().expect("an address");
            self.act(|peer, now, out| peer.receive(now, from, &bytes, out));
        }
        self.now = self
            .peer
            .wake()
            .min(self.viewer.wake)
            .clamp(self.now + Duration::from_millis(1), self.now + STEP);
        if self.peer.wake() <= self.now && !self.peer.is_gone() {
            self.act(Peer::tick);
        }
    }

    pub(crate) fn run(&mut self, span: Duration) {
        let end = self.now + span;
        while self.now < end {
            self.step();
        }
    }

    /// How long it took until `is_so`.
    pub(crate) fn run_until(&mut self, limit: Duration, is_so: impl Fn(&Self) -> bool) -> Duration {
        let begun = self.now;
        while !is_so(self) {
            assert!(self.now - begun < limit, "it did not come to it within {limit:?}");
            self.step();
        }
        self.now - begun
    }
}
