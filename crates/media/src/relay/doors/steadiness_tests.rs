//! Goodbyes that are said until the end, and doors that stay open.

use std::{
    net::{TcpListener, TcpStream},
    os::fd::OwnedFd,
};

use super::{
    tests::{PICTURES, driver},
    *,
};
use crate::{
    clock::{Sleep, SystemMediaClock},
    peer::fake_viewer::{FakeViewer, some_moment},
    relay::{Inward, Seat, fake_client::session},
};

const A_WHILE: Duration = Duration::from_millis(5);
const ROUNDS_MAX: usize = 6_000;

async fn rest() {
    let clock = SystemMediaClock;
    clock.sleep_until(clock.now() + A_WHILE).await;
}

/// The relay's end of the line is in the test's hands, with a viewer that sees and hears by it.
async fn watched(driver: &Driver) -> line::RelayEnd {
    let (hall_end, mut end) = line::line();
    let ours = driver.relay(hall_end).await.expect("running");
    driver.begin(session(1), Arc::clone(&PICTURES), 1).await.expect("running").expect("begun");
    let from = Seat { port: 50_000, target: 0, is_v6: false }.address();
    let (mut viewer, offer) = FakeViewer::at(from, some_moment(), |config| config);
    viewer.accept(&driver.open(session(1), offer).await.expect("running").expect("answered"));
    for _ in 0..ROUNDS_MAX {
        let mut sent = Vec::new();
        viewer.drain(some_moment(), &mut sent);
        for (_, bytes) in sent {
            let said = Inward { session: session(1), from, bytes };
            assert!(end.outgoing.send(said).await.is_ok(), "the hall hears");
        }
        if viewer.seen.audio.len() > 5 {
            return end;
        }
        rest().await;
        while let Ok(heard) = end.incoming.try_recv() {
            viewer.take(some_moment(), ours[0], &heard.bytes);
        }
    }
    panic!("the viewer waited in vain");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_parted_with_before_their_goodbye_is_said_for_the_last_time() {
    let driver = driver().await;
    let mut end = Box::pin(watched(&driver)).await;
    assert_eq!(driver.release(session(1)).await, Ok(true));
    assert!(!end.guests.has(session(1)), "its credentials are worth nothing");
    let mut heard = Vec::new();
    for _ in 0..ROUNDS_MAX {
        // What is said until then is on the line by then.
        let is_kept = end.guests.keeps(session(1));
        while let Ok(said) = end.incoming.try_recv() {
            heard.push(said.bytes);
        }
        if !is_kept {
            break;
        }
        rest().await;
    }
    let last = heard.last().expect("a goodbye");
    assert!((20..64).contains(&last[0]), "the end of the connection (DTLS)");
    assert_eq!(heard.iter().filter(|said| *said == last).count(), 3);
    end.guests.told().await;
    assert!(!end.guests.keeps(session(1)));
}

/// For whom every moment has come, and who tells of it.
struct Impatient(mpsc::Sender<()>);

impl MediaClock for Impatient {
    fn now(&self) -> std::time::Instant {
        some_moment()
    }

    fn sleep_until(&self, _: std::time::Instant) -> Sleep {
        let told = self.0.clone();
        Box::pin(async move { told.send(()).await.unwrap_or_default() })
    }
}

#[tokio::test]
async fn a_door_that_cannot_be_read_for_a_while_is_read_again() {
    // Of what is there to be read, a datagram is never one: each attempt fails.
    let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
    listener.set_nonblocking(true).expect("set");
    let _waiting = TcpStream::connect(listener.local_addr().expect("bound")).expect("connected");
    let broken = std::net::UdpSocket::from(OwnedFd::from(listener));
    let broken = Arc::new(UdpSocket::from_std(broken).expect("a socket"));
    let ((rested, mut rests), (events, _happened)) = (mpsc::channel(1), mpsc::channel(1));
    let reading = udp::read(broken, 0, (events, Dropped::default()), Arc::new(Impatient(rested)));
    let three_rests = async {
        for _ in 0..3 {
            rests.recv().await.expect("it rests");
        }
    };
    tokio::select! {
        () = reading => panic!("the door is shut"),
        () = three_rests => {}
    }
}
