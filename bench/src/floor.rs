//! What the figures are held against: the least that a disk, a database and an HTTP server need.

use std::{
    fs::File,
    io::Write as _,
    path::Path,
    process::{Child, Command, Stdio},
};

use axum::{Router, routing::get};
use http::Method;
use tokio::net::TcpListener;

use crate::{
    Result, agent,
    http::call,
    load::{self, Latencies, Plan, Run},
    time,
};

/// Syncs in one measurement.
const SYNCS: usize = 200;

/// How long it takes to append 4 KiB to a file and have them on the disk.
pub fn sync(folder: &Path) -> Result<Latencies> {
    let path = folder.join("sync");
    let mut file = File::create(&path)?;
    let mut took = Vec::new();
    for _ in 0..SYNCS {
        let started = time::now();
        file.write_all(&[7; 4096])?;
        file.sync_data()?;
        took.push(started.elapsed());
    }
    std::fs::remove_file(path)?;
    Ok(took.into_iter().collect())
}

/// An HTTP server that does nothing, as a process of its own. Killed when it is dropped.
pub struct EmptyServer {
    child: Child,
    address: std::net::SocketAddr,
}

impl Drop for EmptyServer {
    fn drop(&mut self) {
        // It may be gone already; that is as well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl EmptyServer {
    /// Starts this same program as such a server.
    pub fn start() -> Result<Self> {
        let child = Command::new(std::env::current_exe()?)
            .arg("empty-server")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut server = Self { child, address: ([127, 0, 0, 1], 0).into() };
        let stdout = server.child.stdout.take().ok_or("no output")?;
        let mut line = String::new();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut line)?;
        server.address = line.trim().parse()?;
        Ok(server)
    }

    /// So many requests, over so many connections.
    pub async fn answers(&self, connections: usize, requests: usize) -> Result<Run<()>> {
        let plan = Plan { address: self.address, connections, pace: None };
        let calls = (0..requests).map(|_| call(Method::GET, "/", &[], String::new()));
        load::drive(plan, calls.collect::<Result<_>>()?, agent::accepted).await
    }
}

/// The server that does nothing, on as many threads as the real one has.
#[expect(clippy::print_stdout, reason = "the address is for whoever started this process")]
pub fn serve_nothing() -> Result<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("{}", listener.local_addr()?);
        let router = Router::new().route("/", get(|| async { "{\"success\":true}" }));
        Ok(axum::serve(
            axum::serve::ListenerExt::tap_io(listener, |stream| {
                // As the real server does.
                let _ = stream.set_nodelay(true);
            }),
            router,
        )
        .await?)
    })
}
