//! What viewers' datagrams cost at the least: one system call each.

use std::{io::ErrorKind, net::SocketAddr, thread};

use tokio::{net::UdpSocket, runtime, sync::oneshot};

use crate::{
    Result, machine,
    time::{self, Duration},
};

/// Between two rounds, so that receivers keep up.
const BREATH: Duration = Duration::from_millis(1);

/// Sends datagrams of these sizes, one after the other to each viewer, from one socket. Returns the
/// processor time of it, in seconds.
pub async fn send(sizes: &[Vec<u16>]) -> Result<f64> {
    let (viewers, _stop) = receivers(sizes.len())?;
    let socket = std::net::UdpSocket::bind("127.0.0.1:0")?;
    socket.set_nonblocking(true)?;
    let bytes = vec![7; usize::from(u16::MAX)];
    let rounds = sizes.iter().map(Vec::len).max().unwrap_or(0);
    let mut worked = 0.0;
    for round in 0..rounds {
        let before = thread_cpu()?;
        for (viewer, sizes) in viewers.iter().zip(sizes) {
            let Some(size) = sizes.get(round) else { continue };
            let datagram = bytes.get(..usize::from(*size)).unwrap_or_default();
            match socket.send_to(datagram, viewer) {
                Err(error) if error.kind() != ErrorKind::WouldBlock => return Err(error.into()),
                _ => {}
            }
        }
        worked += thread_cpu()? - before;
        time::sleep(BREATH).await;
    }
    Ok(worked)
}

fn thread_cpu() -> Result<f64> {
    Ok(machine::thread_cpu_seconds().ok_or("this system does not count processor time")?)
}

/// So many sockets, each emptied by a task of one thread, as the viewers' are. They are closed when what is
/// returned beside their addresses is dropped.
fn receivers(count: usize) -> Result<(Vec<SocketAddr>, oneshot::Sender<()>)> {
    let (mut addresses, mut sockets) = (Vec::new(), Vec::new());
    for _ in 0..count {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0")?;
        socket.set_nonblocking(true)?;
        addresses.push(socket.local_addr()?);
        sockets.push(socket);
    }
    let (stop, stopped) = oneshot::channel::<()>();
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    thread::Builder::new().name("receivers".into()).spawn(move || {
        runtime.block_on(async move {
            for socket in sockets {
                tokio::spawn(empty(socket));
            }
            // It is over when nobody sends any more.
            let _ = stopped.await;
        });
    })?;
    Ok((addresses, stop))
}

async fn empty(socket: std::net::UdpSocket) {
    let Ok(socket) = UdpSocket::from_std(socket) else { return };
    let mut buffer = [0; 2048];
    while socket.readable().await.is_ok() {
        while socket.try_recv(&mut buffer).is_ok() {}
    }
}
