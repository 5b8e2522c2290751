//! An HTTP server in the test's own process, which survives whatever happens to the binary.

use std::{net::SocketAddr, pin::Pin, sync::Arc};

use axum::body::Body;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt as _;
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

/// The peer closes the connection instead of answering.
#[derive(Debug)]
pub struct HangsUp;

impl std::fmt::Display for HangsUp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the peer hangs up")
    }
}

impl std::error::Error for HangsUp {}

type Answer = Pin<Box<dyn Future<Output = Result<Response<Body>, HangsUp>> + Send>>;

/// The server. It stops with the test's runtime.
pub struct Peer {
    address: SocketAddr,
}

impl Peer {
    /// Answers every request with what `handler` says.
    pub async fn start<F>(handler: impl Fn(Request<Bytes>) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Response<Body>, HangsUp>> + Send + 'static,
    {
        let handler: Arc<dyn Fn(Request<Bytes>) -> Answer + Send + Sync> =
            Arc::new(move |request| Box::pin(handler(request)));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let handler = handler.clone();
                let service = service_fn(move |request: Request<hyper::body::Incoming>| {
                    let handler = handler.clone();
                    async move {
                        let (head, body) = request.into_parts();
                        // A caller that was killed in the middle of its request is nobody.
                        let body = body.collect().await.map_err(|_| HangsUp)?.to_bytes();
                        handler(Request::from_parts(head, body)).await
                    }
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Self { address }
    }

    /// Where it is.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

/// An answer with this status and body.
pub fn answer(status: u16, body: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(body.into());
    *response.status_mut() = http::StatusCode::from_u16(status).expect("a status");
    response
}
