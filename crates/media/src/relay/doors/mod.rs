//! The sockets of the relay and the task around it: UDP and TCP on each address that it listens on.
//! What is granted to whom is decided in [`Relay`]; this carries bytes and time to it.

mod task;
mod tcp;
mod udp;

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use epilogue_core::Timestamp;
use tokio::{
    net::{TcpListener, TcpStream, UdpSocket},
    sync::{mpsc, oneshot},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use super::{Passwords, Relay, RelayCounts, RelayLimits, Way, line};
use crate::{
    clock::MediaClock,
    driver::{Driver, Stopped},
};

pub use tcp::{FAREWELL, QUEUE_MAX};

/// How many datagrams, frames and connections may wait for the task. Datagrams beyond are dropped,
/// connections wait.
pub const EVENTS_MAX: usize = 1024;

/// How long a door rests when the system has no more to give.
const REST: Duration = Duration::from_millis(100);

/// A door that could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("{address} ({protocol}) cannot be listened on: {source}")]
pub struct Shut {
    /// Where.
    pub address: SocketAddr,
    /// "UDP" or "TCP".
    pub protocol: &'static str,
    /// Why.
    pub source: io::Error,
}

/// Where, for whom and how much.
pub struct Settings {
    /// Where clients are waited for, by UDP and by TCP.
    pub listen: Vec<SocketAddr>,
    /// What goes with which username.
    pub passwords: Passwords,
    /// The time of day, by which credentials run out.
    pub day: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    /// How many.
    pub limits: RelayLimits,
}

/// A way to the relay's task. The task goes on until the driver that it relays to stops.
#[derive(Clone)]
pub struct Doors {
    wishes: mpsc::Sender<oneshot::Sender<RelayCounts>>,
    open: Arc<[(&'static str, SocketAddr)]>,
}

/// What reaches the task.
enum Event {
    /// A datagram, or a frame of a connection.
    Bytes(Way, Vec<u8>),
    /// Somebody connects.
    Knock(Way, TcpStream),
    /// A connection is gone.
    Gone(Way),
}

/// Datagrams that were dropped because the task has too much to do.
#[derive(Clone, Default)]
struct Dropped(Arc<AtomicU64>);

impl Dropped {
    fn note(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Doors {
    /// Opens all doors that can be opened, and relays what comes in to `driver`. Those that cannot are
    /// told of: a relay with fewer doors is better than none.
    pub async fn open(
        settings: Settings,
        driver: &Driver,
        clock: Arc<dyn MediaClock>,
    ) -> Result<(Self, Vec<Shut>, JoinHandle<()>), Stopped> {
        let (hall_end, end) = line::line();
        let targets = driver.relay(hall_end).await?;
        let (events, happened) = mpsc::channel(EVENTS_MAX);
        let (stop, dropped) = (CancellationToken::new(), Dropped::default());
        let (mut sockets, mut open, mut shut) = (Vec::new(), Vec::new(), Vec::new());
        let numbers = tcp::Numbers::default();
        for address in settings.listen {
            let refused = |protocol| move |source| Shut { address, protocol, source };
            match bind_udp(address).await.map_err(refused("UDP")) {
                Ok((socket, address)) => {
                    let number = u16::try_from(sockets.len()).unwrap_or(u16::MAX);
                    let to = (events.clone(), dropped.clone());
                    let reading = udp::read(Arc::clone(&socket), number, to, Arc::clone(&clock));
                    tokio::spawn(stop.clone().run_until_cancelled_owned(reading));
                    sockets.push(socket);
                    open.push(("UDP", address));
                }
                Err(error) => shut.push(error),
            }
            match bind_tcp(address).await.map_err(refused("TCP")) {
                Ok((listener, address)) => {
                    let accepting =
                        tcp::accept(listener, events.clone(), Arc::clone(&clock), numbers.clone());
                    tokio::spawn(stop.clone().run_until_cancelled_owned(accepting));
                    open.push(("TCP", address));
                }
                Err(error) => shut.push(error),
            }
        }
        let guests = Arc::clone(&end.guests);
        let relay = Relay::new(targets, settings.limits, guests, settings.passwords);
        let (wishes, asked) = mpsc::channel(1);
        let task = task::Task::new(relay, (end, sockets), (clock, settings.day), (events, stop));
        let task = tokio::spawn(task.run(happened, asked, dropped));
        Ok((Self { wishes, open: open.into() }, shut, task))
    }

    /// What was opened: a protocol and an address each.
    pub fn addresses(&self) -> &[(&'static str, SocketAddr)] {
        &self.open
    }

    /// What has happened so far.
    pub async fn counts(&self) -> Result<RelayCounts, Stopped> {
        let (answer, answered) = oneshot::channel();
        self.wishes.send(answer).await.map_err(|_| Stopped)?;
        answered.await.map_err(|_| Stopped)
    }
}

async fn bind_udp(address: SocketAddr) -> io::Result<(Arc<UdpSocket>, SocketAddr)> {
    let socket = UdpSocket::bind(address).await?;
    let address = socket.local_addr()?;
    Ok((Arc::new(socket), address))
}

async fn bind_tcp(address: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

#[cfg(test)]
mod steadiness_tests;
#[cfg(test)]
mod tests;
