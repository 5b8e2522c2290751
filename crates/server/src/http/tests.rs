//! The accept loop over real sockets. Time is paused: it jumps ahead when all sides wait.

use std::{net::SocketAddr, time::Duration};

use axum::{extract::ConnectInfo, routing::get};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::mpsc,
    task::JoinHandle,
};

use super::*;

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const CLOSE: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
const LIMITS: HttpLimits =
    HttpLimits { connections_max: 10, header_timeout: Span::from_millis(500) };

/// With these only a stop closes an idle connection.
const PATIENT: HttpLimits = HttpLimits { header_timeout: Span::from_secs(3600), ..LIMITS };
/// So that a test that would wait for ever fails instead.
const PATIENCE: Duration = Duration::from_mins(1);

struct Server {
    address: SocketAddr,
    stop: CancellationToken,
    cut: CancellationToken,
    serving: JoinHandle<()>,
}

async fn start(router: Router, limits: HttpLimits) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let (stop, cut) = (CancellationToken::new(), CancellationToken::new());
    let serving = tokio::spawn(serve(listener, router, limits, stop.clone(), cut.clone()));
    Server { address, stop, cut, serving }
}

fn hello() -> Router {
    Router::new().route("/", get(|| async { "hello" }))
}

/// A handler that says when it has begun and ends when it is told to.
fn slow() -> (Router, mpsc::Receiver<()>, CancellationToken) {
    let (begun, wait) = mpsc::channel(8);
    let finish = CancellationToken::new();
    let told = finish.clone();
    let handler = move || {
        let (begun, told) = (begun.clone(), told.clone());
        async move {
            begun.send(()).await.expect("the test listens");
            told.cancelled().await;
            "finished"
        }
    };
    (Router::new().route("/", get(handler)), wait, finish)
}

/// Lets the server's tasks do what they can, all on this thread.
async fn let_the_server_run() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

async fn connect(server: &Server) -> TcpStream {
    TcpStream::connect(server.address).await.expect("connected")
}

/// Everything the server sends until it closes. A reset counts as a close.
async fn rest(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let closed = timeout(PATIENCE, stream.read_to_end(&mut bytes)).await;
    assert!(closed.is_ok(), "the server keeps the connection open");
    String::from_utf8(bytes).expect("text")
}

async fn ask(stream: &mut TcpStream, request: &[u8]) -> String {
    // A server that refuses may close before it has read everything.
    let _ = stream.write_all(request).await;
    rest(stream).await
}

/// One answer on a connection that stays open.
async fn ask_and_stay(stream: &mut TcpStream) -> String {
    stream.write_all(GET).await.expect("sent");
    let mut bytes = [0; 1024];
    let length = stream.read(&mut bytes).await.expect("an answer");
    String::from_utf8_lossy(&bytes[..length]).into_owned()
}

#[tokio::test]
async fn a_handler_learns_the_callers_address() {
    let handler = |ConnectInfo(peer): ConnectInfo<SocketAddr>| async move { peer.to_string() };
    let server = start(Router::new().route("/", get(handler)), LIMITS).await;
    let mut client = connect(&server).await;
    let own = client.local_addr().expect("connected").to_string();
    assert!(ask(&mut client, CLOSE).await.ends_with(&own));
}

#[tokio::test]
async fn http_2_is_spoken_in_the_clear() {
    let server = start(hello(), LIMITS).await;
    let stream = hyper_util::rt::TokioIo::new(connect(&server).await);
    let executor = hyper_util::rt::TokioExecutor::new();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(executor, stream).await.expect("HTTP/2");
    tokio::spawn(connection);
    let uri = format!("http://{}/", server.address);
    let request = http::Request::get(uri).body(axum::body::Body::empty()).expect("a request");
    let response = sender.send_request(request).await.expect("an answer");
    assert_eq!(response.version(), http::Version::HTTP_2);
    assert_eq!(response.status(), 200);
}

#[tokio::test(start_paused = true)]
async fn a_head_that_never_ends_is_cut() {
    let server = start(hello(), LIMITS).await;
    for start in [&b""[..], b"P", b"PRI * HTTP/2.0\r\n", b"GET / HTTP/1.1\r\nHost: a\r\nX: "] {
        let mut client = connect(&server).await;
        let answer = ask(&mut client, start).await;
        assert!(!answer.contains("200"), "{answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_closed() {
    let server = start(hello(), LIMITS).await;
    let mut client = connect(&server).await;
    assert!(ask_and_stay(&mut client).await.ends_with("hello"));
    assert_eq!(rest(&mut client).await, "");
}

#[tokio::test(start_paused = true)]
async fn an_answer_may_take_longer_than_a_head() {
    let (router, mut begun, finish) = slow();
    let server = start(router, LIMITS).await;
    let mut client = connect(&server).await;
    client.write_all(CLOSE).await.expect("sent");
    begun.recv().await.expect("begun");
    // Nothing happens for ten times the head's limit.
    let nothing = timeout(Duration::from_secs(5), std::future::pending::<()>()).await;
    assert!(nothing.is_err());
    finish.cancel();
    assert!(rest(&mut client).await.ends_with("finished"));
}

#[tokio::test]
async fn a_head_at_the_limit_is_read_and_one_past_it_is_refused() {
    let server = start(hello(), LIMITS).await;
    let request = |length: usize| {
        let frame = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX: \r\n\r\n".len();
        let filling = "x".repeat(length - frame);
        format!("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX: {filling}\r\n\r\n")
    };
    let fits = ask(&mut connect(&server).await, request(HEADER_BYTES_MAX).as_bytes()).await;
    assert!(fits.starts_with("HTTP/1.1 200"), "{fits}");
    let mut client = connect(&server).await;
    let refused = ask(&mut client, request(HEADER_BYTES_MAX + 1).as_bytes()).await;
    assert!(refused.starts_with("HTTP/1.1 431"), "{refused}");
}

#[tokio::test]
async fn the_last_seat_is_served_and_one_past_it_is_told_so() {
    let server = start(hello(), HttpLimits { connections_max: 2, ..LIMITS }).await;
    let (mut first, mut second) = (connect(&server).await, connect(&server).await);
    assert!(ask_and_stay(&mut first).await.ends_with("hello"));
    assert!(ask_and_stay(&mut second).await.ends_with("hello"));
    let refused = ask(&mut connect(&server).await, GET).await;
    assert!(refused.starts_with("HTTP/1.1 503"), "{refused}");
    assert!(refused.contains("Retry-After: 1"), "{refused}");
    // A seat that is given back is taken again.
    assert!(ask(&mut first, CLOSE).await.ends_with("hello"));
    while !ask(&mut connect(&server).await, CLOSE).await.ends_with("hello") {}
}

#[tokio::test]
async fn a_stop_lets_an_answer_finish_and_takes_nothing_new() {
    let (router, mut begun, finish) = slow();
    let server = start(router, PATIENT).await;
    let mut client = connect(&server).await;
    client.write_all(GET).await.expect("sent");
    begun.recv().await.expect("begun");
    server.stop.cancel();
    let_the_server_run().await;
    assert!(TcpStream::connect(server.address).await.is_err(), "it still listens");
    assert!(!server.serving.is_finished());
    finish.cancel();
    assert!(rest(&mut client).await.ends_with("finished"));
    server.serving.await.expect("ended");
}

#[tokio::test]
async fn a_stop_closes_idle_connections_at_once() {
    let server = start(hello(), PATIENT).await;
    let mut idle = connect(&server).await;
    assert!(ask_and_stay(&mut idle).await.ends_with("hello"));
    let mut silent = connect(&server).await;
    server.stop.cancel();
    assert_eq!(rest(&mut idle).await, "");
    assert_eq!(rest(&mut silent).await, "");
    server.serving.await.expect("ended");
}

#[tokio::test]
async fn a_cut_ends_an_answer_that_hangs() {
    let (router, mut begun, _finish) = slow();
    let server = start(router, LIMITS).await;
    let mut client = connect(&server).await;
    client.write_all(GET).await.expect("sent");
    begun.recv().await.expect("begun");
    server.stop.cancel();
    let_the_server_run().await;
    assert!(!server.serving.is_finished());
    server.cut.cancel();
    assert_eq!(rest(&mut client).await, "");
    server.serving.await.expect("ended");
}
