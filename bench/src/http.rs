//! One keep-alive connection: as thin a client as there is, so that what is measured is the server.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, task::JoinHandle};

use crate::Result;

/// A request as the server gets it.
pub type Call = Request<Full<Bytes>>;

/// An answer, whole.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The body.
    pub body: Bytes,
}

impl Answer {
    /// The answer, if the server was content.
    pub fn ok(self) -> Result<Self> {
        if self.status.is_success() {
            return Ok(self);
        }
        Err(format!("answered {}: {}", self.status, String::from_utf8_lossy(&self.body)).into())
    }
}

/// A request with a JSON body, or with none if `body` is empty.
pub fn call(method: Method, path: &str, headers: &[(&str, &str)], body: String) -> Result<Call> {
    let mut request = Request::builder().method(method).uri(path).header(header::HOST, "bench");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    if !body.is_empty() {
        request = request.header(header::CONTENT_TYPE, "application/json");
    }
    Ok(request.body(Full::new(Bytes::from(body)))?)
}

/// A connection. Dropping it closes it.
pub struct Connection {
    sender: http1::SendRequest<Full<Bytes>>,
    io: JoinHandle<()>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.io.abort();
    }
}

impl Connection {
    /// Connects.
    pub async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (sender, io) = http1::handshake(TokioIo::new(stream)).await?;
        let io = tokio::spawn(async move {
            // What broke is seen by whoever waits for an answer.
            let _ = io.await;
        });
        Ok(Self { sender, io })
    }

    /// Sends a request and waits for the head of the answer.
    pub async fn begin(&mut self, call: Call) -> Result<http::Response<Incoming>> {
        self.sender.ready().await?;
        Ok(self.sender.send_request(call).await?)
    }

    /// Sends a request and waits for the whole answer.
    pub async fn send(&mut self, call: Call) -> Result<Answer> {
        let (head, body) = self.begin(call).await?.into_parts();
        Ok(Answer { status: head.status, body: body.collect().await?.to_bytes() })
    }
}
