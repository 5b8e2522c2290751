//! One socket and one task for all viewers of a node. What they do is decided in [`crate::hall`]; this
//! carries datagrams, time and wishes to it.

mod places;
mod task;

use std::{io, net::SocketAddr, sync::Arc};

use epilogue_core::SessionId;
use tokio::{
    net::UdpSocket,
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

use crate::{
    clock::MediaClock,
    hall::{BeginError, Counts, Hall, Limits, OpenError, SayError, ViewerEvent},
    peer::{Host, HostError},
    picture::Pictures,
    relay::HallEnd,
    sound::Clip,
};
pub use places::reachable;

/// How many wishes may wait for the task.
pub const WISHES_MAX: usize = 256;
/// How many tidings of viewers may wait to be read. What is more is not told.
pub const TIDINGS_MAX: usize = 1024;

/// Why the driver cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address cannot be listened on.
    #[error("{0} cannot be listened on")]
    Listen(SocketAddr, #[source] io::Error),
    /// Viewers could not be answered.
    #[error(transparent)]
    Host(#[from] HostError),
}

/// The driver has stopped.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the node shows no avatars any more")]
pub struct Stopped;

/// Where and how much.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where viewers' datagrams come in.
    pub listen: SocketAddr,
    /// Under which addresses viewers reach that, the best first. A port of 0 stands for that of `listen`.
    pub addresses: Vec<SocketAddr>,
    /// How many and how long.
    pub limits: Limits,
}

/// What happened to a session's viewer.
pub type Tiding = (SessionId, ViewerEvent);

/// A way to the task that shows avatars. It goes on until the last of these is dropped.
#[derive(Clone)]
pub struct Driver {
    wishes: mpsc::Sender<Wish>,
    address: SocketAddr,
}

/// What is asked of the task, and where it answers.
enum Wish {
    Begin(SessionId, Arc<Pictures>, u64, oneshot::Sender<Result<(), BeginError>>),
    Open(SessionId, String, oneshot::Sender<Result<String, OpenError>>),
    Dismiss(SessionId, oneshot::Sender<bool>),
    Release(SessionId, oneshot::Sender<bool>),
    ReleaseAll(oneshot::Sender<()>),
    Say(SessionId, Arc<Clip>, oneshot::Sender<Result<(), SayError>>),
    Interrupt(SessionId, oneshot::Sender<bool>),
    IsWatched(SessionId, oneshot::Sender<bool>),
    Counts(oneshot::Sender<Counts>),
    Relay(HallEnd, oneshot::Sender<Vec<SocketAddr>>),
}

impl Driver {
    /// Opens the socket and starts the task. What happens to viewers is told by the receiver.
    pub async fn start(
        settings: &Settings,
        clock: Arc<dyn MediaClock>,
    ) -> Result<(Self, mpsc::Receiver<Tiding>, JoinHandle<()>), StartError> {
        let refused = |error| StartError::Listen(settings.listen, error);
        let socket = UdpSocket::bind(settings.listen).await.map_err(refused)?;
        let address = socket.local_addr().map_err(refused)?;
        let with_port = |known: &SocketAddr| {
            let port = if known.port() == 0 { address.port() } else { known.port() };
            SocketAddr::new(known.ip(), port)
        };
        let host = Host::new(settings.addresses.iter().map(with_port).collect())?;
        let hall = Hall::new(Arc::new(host), settings.limits);
        let (wishes, received) = mpsc::channel(WISHES_MAX);
        let (tidings, told) = mpsc::channel(TIDINGS_MAX);
        let task = tokio::spawn(task::Task::new(hall, socket, clock, tidings).run(received));
        Ok((Self { wishes, address }, told, task))
    }

    /// Where viewers' datagrams come in.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Shows a session's avatar to whoever comes. `seed` decides when it blinks.
    pub async fn begin(
        &self,
        session: SessionId,
        pictures: Arc<Pictures>,
        seed: u64,
    ) -> Result<Result<(), BeginError>, Stopped> {
        self.ask(|answer| Wish::Begin(session, pictures, seed, answer)).await
    }

    /// Lets a viewer in. Returns the answer to its offer.
    pub async fn open(
        &self,
        session: SessionId,
        offer: String,
    ) -> Result<Result<String, OpenError>, Stopped> {
        self.ask(|answer| Wish::Open(session, offer, answer)).await
    }

    /// Sends the viewer of a session away. Whether there was one.
    pub async fn dismiss(&self, session: SessionId) -> Result<bool, Stopped> {
        self.ask(|answer| Wish::Dismiss(session, answer)).await
    }

    /// Ends a session's show: its viewer learns at once, and all that it held is free. Whether it was
    /// shown at all.
    pub async fn release(&self, session: SessionId) -> Result<bool, Stopped> {
        self.ask(|answer| Wish::Release(session, answer)).await
    }

    /// Ends every session's show, as [`Driver::release`] does.
    pub async fn release_all(&self) -> Result<(), Stopped> {
        self.ask(Wish::ReleaseAll).await
    }

    /// Has a session's avatar say something when it has said all that it was given before.
    pub async fn say(
        &self,
        session: SessionId,
        clip: Arc<Clip>,
    ) -> Result<Result<(), SayError>, Stopped> {
        self.ask(|answer| Wish::Say(session, clip, answer)).await
    }

    /// Has a session's avatar stop speaking. Whether there is one.
    pub async fn interrupt(&self, session: SessionId) -> Result<bool, Stopped> {
        self.ask(|answer| Wish::Interrupt(session, answer)).await
    }

    /// Whether a session's avatar is seen by a viewer.
    pub async fn is_watched(&self, session: SessionId) -> Result<bool, Stopped> {
        self.ask(|answer| Wish::IsWatched(session, answer)).await
    }

    /// What has happened so far.
    pub async fn counts(&self) -> Result<Counts, Stopped> {
        self.ask(Wish::Counts).await
    }

    /// Takes viewers from a relay too. Returns the addresses that they write to.
    pub(crate) async fn relay(&self, end: HallEnd) -> Result<Vec<SocketAddr>, Stopped> {
        self.ask(|answer| Wish::Relay(end, answer)).await
    }

    async fn ask<T>(&self, wish: impl FnOnce(oneshot::Sender<T>) -> Wish) -> Result<T, Stopped> {
        let (answer, answered) = oneshot::channel();
        self.wishes.send(wish(answer)).await.map_err(|_| Stopped)?;
        answered.await.map_err(|_| Stopped)
    }
}

#[cfg(test)]
mod tests;
