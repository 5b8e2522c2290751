//! The accept loop: HTTP/1 and HTTP/2 in the clear, bounded, and stopped in two stages.

mod connection;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use axum::Router;
use epilogue_api::Seat;
use epilogue_core::Span;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::config::LimitsConfig;

/// Bytes of a request's head.
pub const HEADER_BYTES_MAX: usize = 64 * 1024;
/// Requests at once on one HTTP/2 connection.
pub const STREAMS_PER_CONNECTION_MAX: u32 = 256;
/// Connections being turned away at once. Past it they are closed without a word.
pub const REFUSALS_MAX: usize = 64;
/// How long the accept loop rests when the system has no more file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What one listener may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpLimits {
    /// Connections at once.
    pub connections_max: usize,
    /// Until when a request's head must be there, and how long a connection may be idle.
    pub header_timeout: Span,
}

impl From<&LimitsConfig> for HttpLimits {
    fn from(limits: &LimitsConfig) -> Self {
        Self {
            connections_max: limits.connections_max as usize,
            header_timeout: Span::from_secs(limits.request_header_timeout_s),
        }
    }
}

/// Serves until `stop`; from then on takes no new connections and lets requests in flight finish;
/// from `cut` on drops what is left. Returns when no connection is open any more.
///
/// Handlers find the caller's address as `ConnectInfo<SocketAddr>` in the request's extensions, and the
/// connection's seat as [`Seat`]: a request that becomes a socket keeps it, so that sockets count.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: HttpLimits,
    stop: CancellationToken,
    cut: CancellationToken,
) {
    let connections = TaskTracker::new();
    let seats = Arc::new(Semaphore::new(limits.connections_max.min(Semaphore::MAX_PERMITS)));
    let refusals = Arc::new(Semaphore::new(REFUSALS_MAX));
    let mut is_full = false;
    while let Some((stream, peer)) = accept(&listener, &stop).await {
        // Answers are often small and someone waits for them.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection was gone before it began");
            continue;
        }
        if let Ok(seat) = Arc::clone(&seats).try_acquire_owned() {
            is_full = false;
            let (router, stop, cut) = (router.clone(), stop.clone(), cut.clone());
            let tasks = connections.clone();
            let seat = Seat::new(seat);
            connections.spawn(async move {
                connection::serve(stream, (peer, seat), router, limits, tasks, stop, cut).await;
            });
            continue;
        }
        if !is_full {
            tracing::warn!(limit = limits.connections_max, "limits.connections_max is reached");
            is_full = true;
        }
        if let Ok(refusal) = Arc::clone(&refusals).try_acquire_owned() {
            let cut = cut.clone();
            connections.spawn(async move {
                tokio::select! {
                    () = connection::refuse(stream) => {}
                    () = cut.cancelled() => {}
                }
                drop(refusal);
            });
        }
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}

/// The next connection. `None`: there will be no more.
async fn accept(
    listener: &TcpListener,
    stop: &CancellationToken,
) -> Option<(TcpStream, std::net::SocketAddr)> {
    loop {
        let accepted = stop.run_until_cancelled(listener.accept()).await?;
        match accepted {
            Ok(connection) => return Some(connection),
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                // Out of file descriptors, most often. Trying at once would only burn time.
                if timeout(ACCEPT_PAUSE, stop.cancelled()).await.is_ok() {
                    return None;
                }
            }
        }
    }
}
