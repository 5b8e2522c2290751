//! Over a real socket, with a viewer at the other end.

use std::{
    net::UdpSocket as Socket,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use epilogue_core::SessionId;

use super::*;
use crate::{
    avatar::Artwork,
    clock::SystemMediaClock,
    peer::{
        Gone,
        fake_viewer::{FakeViewer, some_moment},
    },
};

static PICTURES: LazyLock<Arc<Pictures>> = LazyLock::new(|| {
    Arc::new(Pictures::code(&Artwork::built_in().expect("drawn")).expect("coded"))
});

fn session(number: u128) -> SessionId {
    SessionId(uuid::Uuid::from_u128(number))
}

fn settings() -> Settings {
    let listen = "127.0.0.1:0".parse().expect("an address");
    Settings { listen, addresses: vec![listen], limits: Limits::default() }
}

async fn started() -> (Driver, mpsc::Receiver<Tiding>, JoinHandle<()>) {
    Driver::start(&settings(), Arc::new(SystemMediaClock)).await.expect("started")
}

/// A viewer with a socket, carried on by a thread until `is_enough`.
fn watch(
    mut viewer: FakeViewer,
    socket: &Socket,
    server: SocketAddr,
    is_enough: impl Fn(&FakeViewer) -> bool,
) -> FakeViewer {
    let patience = Duration::from_millis(5);
    socket.set_read_timeout(Some(patience)).expect("set");
    for _ in 0..12_000 {
        let mut sent = Vec::new();
        viewer.drain(some_moment(), &mut sent);
        for (to, bytes) in sent {
            socket.send_to(&bytes, to).expect("sent");
        }
        if is_enough(&viewer) {
            return viewer;
        }
        let mut buffer = [0; 2048];
        if let Ok((length, from)) = socket.recv_from(&mut buffer) {
            assert_eq!(from, server);
            viewer.take(some_moment(), from, &buffer[..length]);
        }
    }
    panic!("the viewer waited in vain");
}

#[tokio::test]
async fn a_viewer_is_let_in_watches_and_is_sent_away_over_a_real_socket() {
    Box::pin(watched_and_released(&settings())).await;
}

/// Where the machine has only one protocol there is nothing to see.
#[tokio::test]
async fn a_socket_of_both_protocols_serves_viewers_of_the_older() {
    let listen = "[::]:0".parse().expect("an address");
    if Socket::bind(listen).is_ok() {
        Box::pin(watched_and_released(&Settings { listen, ..settings() })).await;
    }
}

async fn watched_and_released(settings: &Settings) {
    let clock = Arc::new(SystemMediaClock);
    let (driver, mut tidings, task) = Driver::start(settings, clock).await.expect("started");
    assert_eq!(driver.begin(session(1), Arc::clone(&PICTURES), 1).await, Ok(Ok(())));
    let socket = Socket::bind("127.0.0.1:0").expect("bound");
    let here = socket.local_addr().expect("an address");
    let (mut viewer, offer) = FakeViewer::at(here, some_moment(), |config| config);
    viewer.accept(&driver.open(session(1), offer).await.expect("running").expect("answered"));

    let server = SocketAddr::new([127, 0, 0, 1].into(), driver.address().port());
    let (viewer, socket) = tokio::task::spawn_blocking(move || {
        let is_enough = |v: &FakeViewer| v.seen.video.len() > 2 && v.seen.audio.len() > 20;
        (watch(viewer, &socket, server, is_enough), socket)
    })
    .await
    .expect("watched");
    assert_eq!(tidings.recv().await, Some((session(1), ViewerEvent::Connected)));
    assert_eq!(driver.is_watched(session(1)).await, Ok(true));

    assert_eq!(driver.release(session(1)).await, Ok(true));
    let gone = ViewerEvent::Gone(Gone::Released);
    assert_eq!(tidings.recv().await, Some((session(1), gone)));
    tokio::task::spawn_blocking(move || watch(viewer, &socket, server, |v| v.seen.closed))
        .await
        .expect("closed");
    let counts = driver.counts().await.expect("running");
    assert_eq!((counts.sessions, counts.watched, counts.viewers_released), (0, 0, 1));
    assert!(counts.sent > 20 && counts.received > 3, "{counts:?}");

    drop(driver);
    task.await.expect("it ends with the last of its handles");
    assert_eq!(tidings.recv().await, None);
}

#[tokio::test]
async fn wishes_are_answered_with_what_stands_against_them() {
    let (driver, _tidings, _task) = started().await;
    let nobody = session(9);
    assert_eq!(driver.open(nobody, String::new()).await, Ok(Err(OpenError::NoSession)));
    assert_eq!(driver.dismiss(nobody).await, Ok(false));
    assert_eq!(driver.release(nobody).await, Ok(false));
    assert_eq!(driver.interrupt(nobody).await, Ok(false));
    assert_eq!(driver.is_watched(nobody).await, Ok(false));
    assert_eq!(driver.begin(nobody, Arc::clone(&PICTURES), 1).await, Ok(Ok(())));
    assert_eq!(driver.begin(nobody, Arc::clone(&PICTURES), 1).await, Ok(Err(BeginError::Begun)));
}

#[tokio::test]
async fn a_socket_that_cannot_be_had_is_named() {
    let (driver, _tidings, _task) = started().await;
    let taken = Settings { listen: driver.address(), ..settings() };
    let error = Driver::start(&taken, Arc::new(SystemMediaClock)).await.err().expect("taken");
    assert!(error.to_string().contains(&driver.address().to_string()), "{error}");
    let nowhere = Settings { addresses: Vec::new(), ..settings() };
    let error = Driver::start(&nowhere, Arc::new(SystemMediaClock)).await.err().expect("nowhere");
    assert!(matches!(error, StartError::Host(HostError::Addresses)));
}

#[tokio::test]
async fn garbage_from_anywhere_is_counted() {
    let (driver, _tidings, _task) = started().await;
    let socket = Socket::bind("127.0.0.1:0").expect("bound");
    for _ in 0..50 {
        socket.send_to(&[0xaa; 100], driver.address()).expect("sent");
    }
    loop {
        let counts = driver.counts().await.expect("running");
        if counts.received_for_nobody == 50 {
            assert_eq!((counts.received, counts.sent), (50, 0));
            return;
        }
        tokio::task::yield_now().await;
    }
}

/// While anybody may send anything as fast as it likes, a session is begun, opened and ended all the same.
#[tokio::test]
async fn a_flood_keeps_no_session_from_its_end() {
    let (driver, _tidings, _task) = started().await;
    let (stop, to) = (Arc::new(AtomicBool::new(false)), driver.address());
    let floods: Vec<_> = (0..2_u8)
        .map(|kind| {
            let stop = Arc::clone(&stop);
            std::thread::spawn(move || {
                let sockets: Vec<_> =
                    (0..32).map(|_| Socket::bind("127.0.0.1:0").expect("bound")).collect();
                let bytes = [[0, 1, 0, 8, 0x21, 0x12, 0xa4, 0x42], [22, 254, 253, 0, 0, 0, 0, 0]];
                let bytes = [&bytes[usize::from(kind)][..], &[7; 100]].concat();
                while !stop.load(Ordering::Relaxed) {
                    for socket in &sockets {
                        // What the system does not take was too much for it.
                        let _ = socket.send_to(&bytes, to);
                    }
                }
            })
        })
        .collect();
    while driver.counts().await.expect("running").received_for_nobody < 1_000 {
        tokio::task::yield_now().await;
    }
    for number in 1..=20 {
        let here = "127.0.0.1:9999".parse().expect("an address");
        let (_, offer) = FakeViewer::at(here, some_moment(), |config| config);
        assert_eq!(driver.begin(session(number), Arc::clone(&PICTURES), 1).await, Ok(Ok(())));
        driver.open(session(number), offer).await.expect("running").expect("answered");
        assert_eq!(driver.release(session(number)).await, Ok(true));
    }
    stop.store(true, Ordering::Relaxed);
    for flood in floods {
        flood.join().expect("it stops");
    }
    let counts = driver.counts().await.expect("running");
    assert_eq!((counts.sessions, counts.watched, counts.viewers_released), (0, 0, 20));
}
