//! One connection.

use std::{
    net::SocketAddr,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{Router, body::Body, extract::ConnectInfo, response::Response};
use epilogue_api::{CallerGone, Seat};
use http::Request;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt as _;

use super::{HEADER_BYTES_MAX, HttpLimits, STREAMS_PER_CONNECTION_MAX};

/// How often an idle HTTP/2 client is asked whether it is still there, and how long it may take.
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a client that is turned away may take to read why.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(2);
/// How much of what it sends meanwhile is read and thrown away.
const REFUSAL_BYTES_MAX: u64 = 64 * 1024;
const REFUSAL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\n\
    Content-Type: application/problem+json\r\nContent-Length: 83\r\nConnection: close\r\n\r\n\
    {\"title\":\"Too many connections\",\"status\":503,\"detail\":\"Try again in a few seconds\"}";

/// Serves a connection to its end, its last request after `stop`, or `cut`. Requests are handled in
/// tasks of their own, so that a caller that hangs up takes nothing down with it.
pub(super) async fn serve(
    stream: TcpStream,
    (peer, seat): (SocketAddr, Seat),
    router: Router,
    limits: HttpLimits,
    tasks: TaskTracker,
    stop: CancellationToken,
    cut: CancellationToken,
) {
    let has_spoken = Arc::new(AtomicBool::new(false));
    let service = {
        let (has_spoken, cut) = (Arc::clone(&has_spoken), cut.clone());
        service_fn(move |request: Request<Incoming>| {
            has_spoken.store(true, Ordering::Relaxed);
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(ConnectInfo(peer));
            request.extensions_mut().insert(seat.clone());
            handle(request, router.clone(), &tasks, cut.clone())
        })
    };
    let protocol = protocol(limits);
    let mut connection =
        pin!(protocol.serve_connection_with_upgrades(TokioIo::new(stream), service));
    // The protocol's own timeout begins once it knows which one it speaks. Until the first
    // request is there, this one counts.
    let mut silence = pin!(timeout(limits.header_timeout.into(), std::future::pending::<()>()));
    let (mut is_stopping, mut is_silent) = (false, true);
    loop {
        tokio::select! {
            biased;
            () = cut.cancelled() => return,
            result = connection.as_mut() => {
                if let Err(error) = result {
                    tracing::debug!(%peer, error = %error, "a connection broke");
                }
                return;
            }
            () = stop.cancelled(), if !is_stopping => {
                is_stopping = true;
                connection.as_mut().graceful_shutdown();
            }
            _ = silence.as_mut(), if is_silent => {
                is_silent = false;
                if !has_spoken.load(Ordering::Relaxed) {
                    tracing::debug!(%peer, "no request in time");
                    return;
                }
            }
        }
    }
}

/// Handles a request to its end, or `cut`, whether or not anybody waits for the answer. It is begun
/// here and not when the answer is first waited for: with a caller that hangs up at once, that
/// moment never comes.
fn handle(
    mut request: Request<Body>,
    router: Router,
    tasks: &TaskTracker,
    cut: CancellationToken,
) -> impl Future<Output = Result<Response, HandlingFailed>> + use<> {
    let gone = CallerGone::default();
    request.extensions_mut().insert(gone.clone());
    let handling = cut.run_until_cancelled_owned(router.oneshot(request));
    let handling = tasks.spawn(handling);
    let waiting = gone.0.drop_guard();
    async move {
        let handled = handling.await;
        waiting.disarm();
        match handled {
            Ok(Some(Ok(response))) => Ok(response),
            // Cut, or panicked, which the runtime has reported.
            Ok(None) | Err(_) => Err(HandlingFailed),
            Ok(Some(Err(never))) => match never {},
        }
    }
}

/// A request was not handled to its end.
#[derive(Debug, thiserror::Error)]
#[error("the request was not handled to its end")]
struct HandlingFailed;

fn protocol(limits: HttpLimits) -> auto::Builder<TokioExecutor> {
    let mut protocol = auto::Builder::new(TokioExecutor::new());
    protocol
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from(limits.header_timeout))
        .max_buf_size(HEADER_BYTES_MAX);
    protocol
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(HEADER_BYTES_MAX).unwrap_or(u32::MAX))
        .max_concurrent_streams(STREAMS_PER_CONNECTION_MAX)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT);
    protocol
}

/// Says that there is no room. What the client sends is read for a moment: closing on unread bytes
/// would reset the connection, and the client might never see the answer.
pub(super) async fn refuse(mut stream: TcpStream) {
    let answer = async {
        stream.write_all(REFUSAL).await?;
        stream.shutdown().await?;
        tokio::io::copy(&mut stream.take(REFUSAL_BYTES_MAX), &mut tokio::io::sink()).await
    };
    match timeout(REFUSAL_TIMEOUT, answer).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => tracing::debug!(%error, "a client left before it was turned away"),
        Err(_) => tracing::debug!("a client that was turned away did not leave"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_refusal_is_as_long_as_it_says() {
        let text = std::str::from_utf8(REFUSAL).expect("text");
        let (head, body) = text.split_once("\r\n\r\n").expect("a head and a body");
        assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{}", body.len());
        serde_json::from_str::<serde_json::Value>(body).expect("JSON");
    }
}
