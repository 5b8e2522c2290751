//! Connections of clients: a task each, which reads frames and writes what waits in its queue.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpListener,
    sync::mpsc,
};
use tokio_util::sync::CancellationToken;

use super::{Event, REST};
use crate::{
    clock::MediaClock,
    net::plain,
    relay::{Door, Frames, Way},
};

/// How many frames may wait for a client that reads slowly. What is more is dropped.
pub const QUEUE_MAX: usize = 64;
/// How long what waits in the queue may take when the connection is to be closed.
pub const FAREWELL: Duration = Duration::from_secs(5);

/// How much is read at a time.
const READ_BYTES: usize = 4096;

/// Numbers of connections, of which none comes twice.
#[derive(Clone, Default)]
pub(super) struct Numbers(Arc<AtomicU64>);

impl Numbers {
    fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }
}

/// Hands over everybody who connects, one after the other: who is not taken yet waits in the system.
pub(super) async fn accept(
    listener: TcpListener,
    events: mpsc::Sender<Event>,
    clock: Arc<dyn MediaClock>,
    numbers: Numbers,
) {
    loop {
        match listener.accept().await {
            Ok((stream, from)) => {
                let way = Way { door: Door::Tcp(numbers.next()), client: plain(from) };
                if events.send(Event::Knock(way, stream)).await.is_err() {
                    return;
                }
            }
            Err(error) => {
                tracing::debug!(%error, "a connection to the relay was not accepted");
                clock.sleep_until(clock.now() + REST).await;
            }
        }
    }
}

/// The task's side of a connection.
pub(super) struct Line {
    queue: mpsc::Sender<Vec<u8>>,
    /// Told when the connection is to be closed at last.
    hang_up: CancellationToken,
}

impl Line {
    /// Whether there was room for it.
    pub(super) fn send(&self, frame: Vec<u8>) -> bool {
        self.queue.try_send(frame).is_ok()
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.hang_up.cancel();
    }
}

/// Carries a connection until either side closes it.
pub(super) fn carry<S>(
    stream: S,
    way: Way,
    events: mpsc::Sender<Event>,
    clock: Arc<dyn MediaClock>,
) -> Line
where
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    let (queue, waiting) = mpsc::channel(QUEUE_MAX);
    let hang_up = CancellationToken::new();
    let told = hang_up.clone();
    tokio::spawn(async move {
        let (from, to) = tokio::io::split(stream);
        let cut = async {
            told.cancelled().await;
            clock.sleep_until(clock.now() + FAREWELL).await;
        };
        tokio::select! {
            () = read(from, way, &events) => {}
            () = write(to, waiting) => {}
            () = cut => {}
        }
        // If nobody takes this any more, nobody needs to know.
        let _ = events.send(Event::Gone(way)).await;
    });
    Line { queue, hang_up }
}

async fn read(mut from: impl AsyncRead + Unpin, way: Way, events: &mpsc::Sender<Event>) {
    let (mut frames, mut buffer) = (Frames::default(), vec![0; READ_BYTES]);
    loop {
        let length = match from.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(length) => length,
        };
        frames.push(buffer.get(..length).unwrap_or_default());
        loop {
            match frames.take() {
                Ok(Some(frame)) => {
                    if events.send(Event::Bytes(way, frame)).await.is_err() {
                        return;
                    }
                }
                Ok(None) => break,
                Err(error) => {
                    tracing::debug!(?way, %error, "a connection to the relay is closed");
                    return;
                }
            }
        }
    }
}

async fn write(mut to: impl AsyncWrite + Unpin, mut waiting: mpsc::Receiver<Vec<u8>>) {
    while let Some(frame) = waiting.recv().await {
        if to.write_all(&frame).await.is_err() {
            return;
        }
    }
    let _ = to.shutdown().await;
}
