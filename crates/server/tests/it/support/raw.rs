//! TCP without manners: clients that send slowly or leave, and receivers that hang, drip and reset.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::{in_time, pause};

/// How long a dripping receiver waits between two bytes.
const DRIP: Duration = Duration::from_millis(100);

/// How a receiver misbehaves.
#[derive(Clone, Copy, Debug)]
pub enum Manners {
    /// Takes the connection and says nothing.
    Hangs,
    /// Answers a byte at a time, and never ends.
    Drips,
    /// Resets the connection.
    Resets,
}

/// A receiver that misbehaves, until the test's runtime stops. Returns its URL.
pub async fn receiver(manners: Manners) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(misbehave(stream, manners));
        }
    });
    format!("http://{address}/hook")
}

async fn misbehave(mut stream: TcpStream, manners: Manners) {
    match manners {
        Manners::Hangs => std::future::pending().await,
        Manners::Drips => {
            let head = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n";
            let mut sent = stream.write_all(head).await;
            while sent.is_ok() {
                pause(DRIP).await;
                sent = stream.write_all(b".").await;
            }
        }
        Manners::Resets => {
            // Closing on bytes that were not read resets the connection.
            let _ = stream.read_u8().await;
        }
    }
}

/// A connection to the server at `url`.
pub async fn connect(url: &str) -> TcpStream {
    let address = url.strip_prefix("http://").expect("an http URL");
    TcpStream::connect(address).await.expect("a connection")
}

/// What the server says until it closes the connection.
pub async fn until_closed(stream: &mut TcpStream) -> String {
    let mut said = Vec::new();
    // A reset closes it too.
    let _ = in_time("the server to close", stream.read_to_end(&mut said)).await;
    String::from_utf8_lossy(&said).into_owned()
}

/// Sends a whole request, and hangs up without waiting for the answer.
pub async fn send_and_leave(
    url: &str,
    path: &str,
    headers: &[(&str, &str)],
) -> std::io::Result<()> {
    let address = url.strip_prefix("http://").expect("an http URL");
    let mut head = format!("POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-length: 0\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(head.as_bytes()).await?;
    stream.shutdown().await
}
