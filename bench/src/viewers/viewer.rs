//! One viewer: a WebRTC connection as a browser has one, with a socket of its own. Packets are received,
//! authenticated, decrypted and counted; nothing is decoded.

use std::{
    io::ErrorKind,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use str0m::{
    Candidate, Event, Input, Output, Rtc, RtcConfig,
    change::{SdpAnswer, SdpPendingOffer},
    media::{Direction, Frequency, MediaKind},
    net::{Protocol, Receive},
    rtp::RtpPacket,
};
use tokio::{net::UdpSocket, sync::oneshot};

use super::seen::Seen;
use crate::{
    Result,
    time::{self, Instant},
};

/// The largest datagram.
const DATAGRAM_MAX: usize = 2048;

/// What a viewer has seen, for others to look at.
#[derive(Clone, Default)]
pub struct View(Arc<Mutex<Seen>>);

impl View {
    /// What was seen until now.
    pub fn seen(&self) -> MutexGuard<'_, Seen> {
        // Numbers are whole whatever happened to whoever counted.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A viewer that has offered to watch.
pub struct Viewer {
    /// Large, and moved about.
    rtc: Box<Rtc>,
    pending: Option<SdpPendingOffer>,
    socket: std::net::UdpSocket,
    address: SocketAddr,
    view: View,
    /// Told when it is connected.
    connected: Option<oneshot::Sender<()>>,
}

impl Viewer {
    /// A viewer, its offer, and how one hears that it is connected.
    pub fn new() -> Result<(Self, String, oneshot::Receiver<()>)> {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0")?;
        socket.set_nonblocking(true)?;
        let address = socket.local_addr()?;
        let mut rtc = Box::new(RtcConfig::new().set_rtp_mode(true).build(time::now()));
        rtc.add_local_candidate(Candidate::host(address, "udp")?);
        let mut api = rtc.sdp_api();
        for kind in [MediaKind::Video, MediaKind::Audio] {
            api.add_media(kind, Direction::RecvOnly, None, None, None);
        }
        let (offer, pending) = api.apply().ok_or("there is nothing to offer")?;
        let (connected, is_connected) = oneshot::channel();
        let (view, pending, connected) = (View::default(), Some(pending), Some(connected));
        let viewer = Self { rtc, pending, socket, address, view, connected };
        Ok((viewer, offer.to_sdp_string(), is_connected))
    }

    /// Where one sees what it has seen.
    pub fn view(&self) -> View {
        self.view.clone()
    }

    /// Takes the answer to its offer.
    pub fn accept(&mut self, answer: &str) -> Result<()> {
        let pending = self.pending.take().ok_or("it was answered already")?;
        self.rtc.sdp_api().accept_answer(pending, SdpAnswer::from_sdp_string(answer)?)?;
        Ok(())
    }

    /// Watches until the stream is over.
    pub async fn watch(mut self) {
        if let Err(error) = self.receive_all().await {
            self.view.seen().broken = Some(error.to_string());
        }
    }

    async fn receive_all(&mut self) -> Result<()> {
        let socket = UdpSocket::from_std(self.socket.try_clone()?)?;
        let mut buffer = [0; DATAGRAM_MAX];
        let mut wake = self.drain(&socket, time::now())?;
        while self.rtc.is_alive() {
            tokio::select! {
                biased;
                readable = socket.readable() => readable?,
                () = time::sleep_until(wake) => {
                    let now = time::now();
                    self.rtc.handle_input(Input::Timeout(now))?;
                    wake = self.drain(&socket, now)?;
                }
            }
            loop {
                let (length, from) = match socket.try_recv_from(&mut buffer) {
                    Ok(received) => received,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error.into()),
                };
                let (now, bytes) = (time::now(), buffer.get(..length).unwrap_or_default());
                self.view.seen().note_datagram(length);
                let receive = Receive::new(Protocol::Udp, from, self.address, bytes)?;
                self.rtc.handle_input(Input::Receive(now, receive))?;
                wake = self.drain(&socket, now)?;
            }
        }
        Ok(())
    }

    /// Sends and notes what there is. Returns when it wants to be woken.
    fn drain(&mut self, socket: &UdpSocket, now: Instant) -> Result<Instant> {
        loop {
            match self.rtc.poll_output()? {
                Output::Timeout(at) => return Ok(at),
                // What the system does not take at once is lost, as on any network.
                Output::Transmit(t) => drop(socket.try_send_to(&t.contents, t.destination)),
                Output::Event(event) => self.note(&event, now),
            }
        }
    }

    fn note(&mut self, event: &Event, now: Instant) {
        match event {
            Event::Connected => {
                if let Some(connected) = self.connected.take() {
                    // Who does not wait for it need not know.
                    let _ = connected.send(());
                }
            }
            Event::RtpPacket(packet) => self.note_packet(packet, now),
            Event::Closed => self.view.seen().closed = Some(now),
            _ => {}
        }
    }

    fn note_packet(&self, packet: &RtpPacket, now: Instant) {
        let clock = packet.time.numer();
        if packet.time.frequency() == Frequency::FORTY_EIGHT_KHZ {
            self.view.seen().note_sound(now, clock);
        } else if packet.header.marker {
            self.view.seen().note_picture(now, clock);
        }
    }
}
