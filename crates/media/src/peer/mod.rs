//! A viewer's WebRTC connection, without I/O: datagrams, time and frames are its inputs; datagrams,
//! events and the next moment at which it wants to be woken are what comes out.
//!
//! The engine below (`str0m`) wants to be drained after every change, before the next. Each method
//! here is one change with its drain, and hands what came out to the caller's [`Outputs`], so that
//! nothing waits in here.

mod guard;
mod host;
mod offer;

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use str0m::{
    Event, IceConnectionState, Input, Output, Rtc, RtcConfig,
    media::{Frequency, MediaTime},
    net::{DatagramSend, Protocol, Receive},
};

#[cfg(test)]
pub(crate) use guard::FAILURES;
pub(crate) use guard::guarded;
use offer::Track;
pub use {
    host::{ADDRESSES_MAX, Host, HostError},
    offer::{OFFER_BYTES_MAX, OFFER_MEDIA_MAX, OfferError, VideoCodec},
};

/// How many times one change may ask for another look at the clock before it is left for later.
const ROUNDS_MAX: usize = 16;
/// The forms of H.264 that we speak, with our payload types and those of what is sent again:
/// constrained baseline, and baseline as some name it. Both with packets in parts (mode 1).
const H264_PAYLOADS: [(u8, u8, u32); 2] = [(108, 109, 0x42_e01f), (127, 121, 0x42_001f)];
/// How long a connection that we close may take to say so.
const FAREWELL: Duration = Duration::from_millis(500);

/// How long a viewer is waited for.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// From the answer until it is connected.
    pub connect: Duration,
    /// From the loss of its way here until it is given up.
    pub grace: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { connect: Duration::from_secs(15), grace: Duration::from_secs(10) }
    }
}

/// Something to send.
pub struct Datagram {
    /// Whither.
    pub to: SocketAddr,
    /// What.
    pub bytes: DatagramSend,
}

impl Clone for Datagram {
    fn clone(&self) -> Self {
        Self { to: self.to, bytes: self.bytes.to_vec().into() }
    }
}

/// What happened to a viewer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerEvent {
    /// Frames reach it from now on.
    Connected,
    /// It cannot go on without a picture that stands alone.
    KeyFrameWanted,
    /// It is gone. Nothing follows.
    Gone(Gone),
}

/// Why a viewer is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gone {
    /// It said goodbye.
    Closed,
    /// Nothing was heard of it for too long.
    Lost,
    /// It was never connected.
    NeverCame,
    /// Its connection broke in a way that cannot be mended.
    Broken,
    /// We closed it.
    Released,
}

/// What one input led to.
#[derive(Default)]
pub struct Outputs {
    /// To be sent, in this order.
    pub datagrams: Vec<Datagram>,
    /// What happened, in this order.
    pub events: Vec<PeerEvent>,
}

/// Where a connection is in its life.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Stage {
    Connecting { until: Instant },
    Connected,
    Away { until: Instant },
    Closing { until: Instant },
    Gone,
}

/// One viewer's connection.
pub struct Peer {
    rtc: Rtc,
    host: Arc<Host>,
    video: Option<(Track, VideoCodec)>,
    audio: Option<Track>,
    stage: Stage,
    patience: Patience,
    wake: Instant,
    ufrag: String,
    /// Whether the engine below is made to fail, as it might.
    #[cfg(test)]
    pub(crate) fails: bool,
}

impl Peer {
    /// Answers an offer. Pictures come in the first of `codecs` that the viewer takes.
    pub fn answer(
        sdp: &str,
        codecs: &[VideoCodec],
        host: &Arc<Host>,
        patience: Patience,
        now: Instant,
    ) -> Result<(Self, String), OfferError> {
        offer::check(sdp)?;
        let answered = guarded(|| Self::answer_unguarded(sdp, codecs, host, patience, now));
        answered.unwrap_or(Err(OfferError::Harmful))
    }

    fn answer_unguarded(
        sdp: &str,
        codecs: &[VideoCodec],
        host: &Arc<Host>,
        patience: Patience,
        now: Instant,
    ) -> Result<(Self, String), OfferError> {
        let offer = offer::read(sdp)?;
        let mut rtc = configured(codecs, host).build(now);
        let unreadable = |error: str0m::RtcError| OfferError::Unreadable(error.to_string());
        for candidate in host.candidates() {
            rtc.add_local_candidate(candidate);
            settle(&mut rtc).map_err(unreadable)?;
        }
        let answer = rtc.sdp_api().accept_offer(offer).map_err(unreadable)?;
        settle(&mut rtc).map_err(unreadable)?;
        let answer = answer.to_sdp_string();
        let (video, audio) = offer::tracks(&mut rtc, &answer, codecs);
        if video.is_none() && audio.is_none() {
            return Err(OfferError::NoCodec);
        }
        let ufrag = rtc.direct_api().local_ice_credentials().ufrag;
        let stage = Stage::Connecting { until: now + patience.connect };
        let host = Arc::clone(host);
        let peer = Self {
            rtc,
            host,
            video,
            audio,
            stage,
            patience,
            wake: now,
            ufrag,
            #[cfg(test)]
            fails: false,
        };
        Ok((peer, answer))
    }

    /// The name by which the viewer's first datagrams call this connection.
    pub fn ufrag(&self) -> &str {
        &self.ufrag
    }

    /// How pictures are coded. `None`: the viewer only listens.
    pub fn codec(&self) -> Option<VideoCodec> {
        self.video.map(|(_, codec)| codec)
    }

    /// When [`Peer::tick`] is due.
    pub fn wake(&self) -> Instant {
        match self.stage {
            Stage::Connecting { until } | Stage::Away { until } | Stage::Closing { until } => {
                until.min(self.wake)
            }
            Stage::Connected | Stage::Gone => self.wake,
        }
    }

    /// Whether frames reach the viewer.
    pub fn is_connected(&self) -> bool {
        self.stage == Stage::Connected
    }

    /// Whether it is over: nothing more comes out.
    pub fn is_gone(&self) -> bool {
        self.stage == Stage::Gone
    }

    /// Whether a datagram is for this connection.
    pub fn accepts(&self, now: Instant, from: SocketAddr, bytes: &[u8]) -> bool {
        let accepts = || {
            let received = self.received(from, bytes);
            received.is_some_and(|received| self.rtc.accepts(&Input::Receive(now, received)))
        };
        !self.is_gone() && guarded(accepts).unwrap_or(false)
    }

    /// Takes a datagram. What cannot be read is dropped.
    pub fn receive(&mut self, now: Instant, from: SocketAddr, bytes: &[u8], out: &mut Outputs) {
        self.safely(out, |peer, out| {
            let Some(received) = peer.received(from, bytes) else { return };
            // A datagram that makes no sense says nothing about the connection: anybody can send one.
            // If it is really broken, the viewer will not be heard of any more.
            let _ = peer.rtc.handle_input(Input::Receive(now, received));
            peer.drain(now, out);
        });
    }

    /// Lets time pass.
    pub fn tick(&mut self, now: Instant, out: &mut Outputs) {
        self.safely(out, |peer, out| peer.let_pass(now, out));
    }

    fn let_pass(&mut self, now: Instant, out: &mut Outputs) {
        let late = match self.stage {
            Stage::Connecting { until } if until <= now => Some(Gone::NeverCame),
            Stage::Away { until } if until <= now => Some(Gone::Lost),
            Stage::Closing { until } if until <= now => Some(Gone::Released),
            _ => None,
        };
        if let Some(why) = late {
            return self.leave(why, out);
        }
        if self.rtc.handle_input(Input::Timeout(now)).is_err() {
            return self.leave(Gone::Broken, out);
        }
        self.drain(now, out);
    }

    /// Shows a picture from `at` on, which is counted in 1/90,000 s from any beginning.
    pub fn show(&mut self, now: Instant, at: u64, picture: Arc<[u8]>, out: &mut Outputs) {
        if let Some((track, _)) = self.video {
            self.write(now, track, MediaTime::new(at, Frequency::NINETY_KHZ), picture, out);
        }
    }

    /// Plays a frame of sound from `at` on, which is counted in 1/48,000 s from any beginning.
    pub fn play(&mut self, now: Instant, at: u64, frame: Arc<[u8]>, out: &mut Outputs) {
        if let Some(track) = self.audio {
            self.write(now, track, MediaTime::new(at, Frequency::FORTY_EIGHT_KHZ), frame, out);
        }
    }

    /// Says goodbye: the viewer learns at once that nothing more comes.
    pub fn close(&mut self, now: Instant, out: &mut Outputs) {
        self.safely(out, |peer, out| peer.say_goodbye(now, out));
    }

    fn say_goodbye(&mut self, now: Instant, out: &mut Outputs) {
        if matches!(self.stage, Stage::Closing { .. }) {
            return;
        }
        let never_came = matches!(self.stage, Stage::Connecting { .. });
        self.stage = Stage::Closing { until: now + FAREWELL };
        if self.rtc.close().is_err() {
            return self.leave(Gone::Broken, out);
        }
        let begun = out.datagrams.len();
        self.drain(now, out);
        // The end of the streams is told before that of the connection, after which nobody listens.
        out.datagrams[begun..].sort_by_key(|datagram| is_dtls(&datagram.bytes));
        if never_came {
            // There is nobody to hear the rest, and the next viewer need not wait for that.
            self.leave(Gone::Released, out);
        }
    }

    fn write(
        &mut self,
        now: Instant,
        track: Track,
        at: MediaTime,
        data: Arc<[u8]>,
        out: &mut Outputs,
    ) {
        if self.stage != Stage::Connected {
            return;
        }
        self.safely(out, |peer, out| {
            let Some(writer) = peer.rtc.writer(track.mid) else { return };
            if writer.write(track.pt, now, at, data).is_err() {
                return peer.leave(Gone::Broken, out);
            }
            peer.drain(now, out);
        });
    }

    /// Changes something, unless it is over. A change that fails in a way that nobody foresaw ends this
    /// connection, and no other.
    fn safely(&mut self, out: &mut Outputs, change: impl FnOnce(&mut Self, &mut Outputs)) {
        if self.is_gone() {
            return;
        }
        if guarded(|| change(self, out)).is_err() && !self.is_gone() {
            tracing::error!("a viewer's connection failed and is given up");
            // What is left of it is not touched again.
            self.stage = Stage::Gone;
            out.events.push(PeerEvent::Gone(Gone::Broken));
        }
    }

    fn received<'a>(&self, from: SocketAddr, bytes: &'a [u8]) -> Option<Receive<'a>> {
        Receive::new(Protocol::Udp, from, self.host.facing(from), bytes).ok()
    }

    fn drain(&mut self, now: Instant, out: &mut Outputs) {
        #[cfg(test)]
        assert!(!self.fails, "this was wanted");
        for _ in 0..ROUNDS_MAX {
            let Ok(at) = self.drain_once(now, out) else {
                return self.leave(Gone::Broken, out);
            };
            self.wake = at;
            if at > now || !self.rtc.is_alive() {
                break;
            }
            if self.rtc.handle_input(Input::Timeout(now)).is_err() {
                return self.leave(Gone::Broken, out);
            }
        }
        if !self.rtc.is_alive() && self.stage != Stage::Gone {
            let ours = matches!(self.stage, Stage::Closing { .. });
            self.leave(if ours { Gone::Released } else { Gone::Closed }, out);
        }
    }

    fn drain_once(&mut self, now: Instant, out: &mut Outputs) -> Result<Instant, str0m::RtcError> {
        loop {
            match self.rtc.poll_output()? {
                Output::Timeout(at) => return Ok(at),
                Output::Transmit(t) => {
                    out.datagrams.push(Datagram { to: t.destination, bytes: t.contents });
                }
                Output::Event(event) => self.note(&event, now, out),
            }
        }
    }

    fn note(&mut self, event: &Event, now: Instant, out: &mut Outputs) {
        match (event, self.stage) {
            (Event::Connected, Stage::Connecting { .. }) => {
                self.stage = Stage::Connected;
                out.events.push(PeerEvent::Connected);
            }
            (Event::IceConnectionStateChange(ice), _) => self.note_way(*ice, now, out),
            (Event::KeyframeRequest(_), Stage::Connected) => {
                out.events.push(PeerEvent::KeyFrameWanted);
            }
            _ => {}
        }
    }

    /// Takes note of whether there is a way to the viewer.
    fn note_way(&mut self, ice: IceConnectionState, now: Instant, out: &mut Outputs) {
        match (ice, self.stage) {
            (IceConnectionState::Disconnected, Stage::Connected) => {
                self.stage = Stage::Away { until: now + self.patience.grace };
            }
            (IceConnectionState::Connected | IceConnectionState::Completed, Stage::Away { .. }) => {
                self.stage = Stage::Connected;
                // What it missed meanwhile is gone.
                out.events.push(PeerEvent::KeyFrameWanted);
            }
            _ => {}
        }
    }

    fn leave(&mut self, why: Gone, out: &mut Outputs) {
        if self.stage != Stage::Gone {
            self.stage = Stage::Gone;
            self.rtc.disconnect();
            out.events.push(PeerEvent::Gone(why));
        }
    }
}

/// Drains a connection that knows no viewer yet, and so has nothing to say.
fn settle(rtc: &mut Rtc) -> Result<(), str0m::RtcError> {
    while !matches!(rtc.poll_output()?, Output::Timeout(_)) {}
    Ok(())
}

/// Whether a datagram belongs to the securing of the connection (RFC 7983).
fn is_dtls(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(|first| (20..64).contains(first))
}

fn configured(codecs: &[VideoCodec], host: &Host) -> RtcConfig {
    let mut config = RtcConfig::new()
        .set_crypto_provider(Arc::clone(host.crypto()))
        .set_dtls_cert(host.certificate().clone())
        .set_ice_lite(true)
        .clear_codecs()
        .enable_opus(true, false)
        .enable_vp8(codecs.contains(&VideoCodec::Vp8));
    if codecs.contains(&VideoCodec::H264) {
        for (pt, resend, profile) in H264_PAYLOADS {
            config.codec_config().add_h264(pt.into(), Some(resend.into()), true, profile);
        }
    }
    config
}

#[cfg(test)]
pub(crate) mod fake_viewer;
#[cfg(test)]
mod offer_tests;
#[cfg(test)]
mod tests;
