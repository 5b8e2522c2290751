//! Over real sockets.

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream, UdpSocket},
    sync::{Arc, LazyLock},
    time::{Duration, Instant},
};

use tokio::io::AsyncReadExt as _;

use turn_types::{
    attribute::RequestedTransport,
    message::ALLOCATE,
    stun::{
        attribute::{ErrorCode, Nonce},
        message::{BINDING, Message, MessageClass},
    },
};

use super::{super::fake_client::*, *};
use crate::{
    avatar::Artwork,
    clock::{Sleep, SystemMediaClock},
    driver,
    hall::Limits,
    peer::fake_viewer::some_moment,
    picture::Pictures,
    relay::FRAME_BYTES_MAX,
};

pub(super) static PICTURES: LazyLock<Arc<Pictures>> = LazyLock::new(|| {
    Arc::new(Pictures::code(&Artwork::built_in().expect("drawn")).expect("coded"))
});

fn settings(listen: &[SocketAddr]) -> Settings {
    Settings {
        listen: listen.to_vec(),
        passwords: Arc::new(|username| format!("password of {username}").into()),
        day: Arc::new(|| Timestamp::from_millis(DAY * 1_000)),
        limits: RelayLimits { connections_per_address: 3, ..RelayLimits::default() },
    }
}

pub(super) async fn driver() -> Driver {
    let listen = address("127.0.0.1:0");
    let settings = driver::Settings { listen, addresses: vec![listen], limits: Limits::default() };
    Driver::start(&settings, Arc::new(SystemMediaClock)).await.expect("started").0
}

async fn open(driver: &Driver) -> (Doors, SocketAddr, SocketAddr) {
    let settings = settings(&[address("127.0.0.1:0")]);
    let opened = Doors::open(settings, driver, Arc::new(SystemMediaClock)).await;
    let (doors, shut, _) = opened.expect("running");
    assert!(shut.is_empty());
    let &[("UDP", udp), ("TCP", tcp)] = doors.addresses() else { panic!("two doors") };
    (doors, udp, tcp)
}

/// Waits until the relay's numbers are as wanted.
async fn until(doors: &Doors, what: &str, is_so: impl Fn(&RelayCounts) -> bool) -> RelayCounts {
    let mut counts = RelayCounts::default();
    for _ in 0..3_000 {
        counts = doors.counts().await.expect("running");
        if is_so(&counts) {
            return counts;
        }
        let clock = SystemMediaClock;
        clock.sleep_until(clock.now() + Duration::from_millis(10)).await;
    }
    panic!("waited in vain for {what}: {counts:?}");
}

/// A connection that does not wait for ever.
fn connected(to: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(to).expect("connected");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("set");
    stream
}

/// Sends a request, and reads the answer.
fn asked(stream: &mut TcpStream, request: &[u8]) -> Vec<u8> {
    stream.write_all(request).expect("sent");
    let mut answer = vec![0; 20];
    stream.read_exact(&mut answer).expect("an answer");
    let length = usize::from(u16::from_be_bytes([answer[2], answer[3]]));
    answer.resize(20 + length, 0);
    stream.read_exact(&mut answer[20..]).expect("all of it");
    answer
}

/// Allocates by a connection, as the fake client says it.
fn allocate(stream: &mut TcpStream, client: &mut FakeClient) -> u16 {
    loop {
        let wanted = RequestedTransport::new(RequestedTransport::UDP);
        let answer = asked(stream, &client.request(ALLOCATE, &[&wanted]));
        let answer = Message::from_bytes(&answer).expect("a message");
        if answer.has_class(MessageClass::Success) {
            return 0;
        }
        let code = answer.attribute::<ErrorCode>().expect("an error").code();
        if client.nonce.is_some() {
            return code;
        }
        client.nonce = Some(answer.attribute::<Nonce>().expect("a nonce").nonce().to_owned());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_door_that_cannot_be_opened_is_told_of_and_the_others_are_open() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken_at = taken.local_addr().expect("an address");
    let driver = driver().await;
    let settings = settings(&[taken_at, address("192.0.2.7:3478"), address("127.0.0.1:0")]);
    let opened = Doors::open(settings, &driver, Arc::new(SystemMediaClock)).await;
    let (doors, shut, _) = opened.expect("running");
    let told: Vec<_> = shut.iter().map(|shut| (shut.protocol, shut.address)).collect();
    let nowhere = address("192.0.2.7:3478");
    assert_eq!(told, [("TCP", taken_at), ("UDP", nowhere), ("TCP", nowhere)]);
    assert!(shut[0].to_string().contains(&taken_at.to_string()), "{}", shut[0]);
    assert_eq!(doors.addresses().len(), 3, "UDP beside the port that is taken, and both others");
    for (protocol, open) in doors.addresses() {
        if *protocol == "UDP" {
            let socket = UdpSocket::bind("127.0.0.1:0").expect("bound");
            socket.set_read_timeout(Some(Duration::from_secs(30))).expect("set");
            let request = FakeClient::new(1, 1).request(BINDING, &[]);
            socket.send_to(&request, open).expect("sent");
            let mut buffer = [0; 200];
            let length = socket.recv(&mut buffer).expect("an answer");
            let answer = Message::from_bytes(&buffer[..length]).expect("a message");
            assert!(answer.has_class(MessageClass::Success));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_takes_allocations_and_connections_and_the_credentials_are_worth_nothing() {
    let driver = driver().await;
    let (doors, _, tcp) = open(&driver).await;
    let mut client = FakeClient::new(1, 1);
    let mut stream = connected(tcp);
    assert_eq!(allocate(&mut stream, &mut client), 401, "it is not shown yet");
    client.nonce = None;
    driver.begin(session(1), Arc::clone(&PICTURES), 1).await.expect("running").expect("begun");
    assert_eq!(allocate(&mut stream, &mut client), 0);
    let counts = doors.counts().await.expect("running");
    assert_eq!((counts.allocations, counts.connections), (1, 1));

    assert_eq!(driver.release(session(1)).await, Ok(true));
    let mut other = connected(tcp);
    client.nonce = None;
    assert_eq!(allocate(&mut other, &mut client), 401, "at once");
    until(&doors, "the end", |c| c.allocations == 0 && c.connections == 1).await;
    assert_eq!(stream.read(&mut [0; 1]).expect("closed, not cut"), 0);
    drop(other);
    until(&doors, "the other to be gone", |counts| counts.connections == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_makes_no_sense_is_closed_and_there_are_so_many() {
    let driver = driver().await;
    let (doors, _, tcp) = open(&driver).await;
    let tls = [&[0x16, 3, 1, 2, 0][..], &[1; 200]].concat();
    let too_large = u16::try_from(FRAME_BYTES_MAX).expect("small").to_be_bytes();
    let too_large = [&[0, 3][..], &too_large, &[0; 16]].concat();
    for nonsense in [&tls[..], &too_large] {
        let mut stream = connected(tcp);
        stream.write_all(nonsense).expect("sent");
        // The rest of it may have been on its way: then the close is a reset.
        assert!(matches!(stream.read(&mut [0; 1]), Ok(0) | Err(_)), "closed");
        until(&doors, "it to be gone", |counts| counts.connections == 0).await;
    }
    let held: Vec<_> = (0..3).map(|_| connected(tcp)).collect();
    until(&doors, "three", |counts| counts.connections == 3).await;
    let mut fourth = connected(tcp);
    assert!(matches!(fourth.read(&mut [0; 1]), Ok(0) | Err(_)), "it is turned away");
    assert_eq!(until(&doors, "it", |c| c.connections_refused == 1).await.connections, 3);
    drop(held);
    until(&doors, "all to be gone", |counts| counts.connections == 0).await;
}

#[tokio::test]
async fn a_client_that_reads_slowly_loses_frames_and_costs_no_memory() {
    // Nobody reads the other end, which takes a few bytes and no more.
    let (near, far) = tokio::io::duplex(1_000);
    let (events, mut happened) = mpsc::channel(8);
    let way = FakeClient::new(1, 1).way;
    let line = tcp::carry(near, way, events, Arc::new(SystemMediaClock));
    let frames = (0..QUEUE_MAX * 10).map(|_| line.send(vec![0; 1_000]));
    let taken = frames.filter(|taken| *taken).count();
    // One is in the writer's hands.
    assert!((QUEUE_MAX..=QUEUE_MAX + 2).contains(&taken), "{taken}");
    tokio::task::yield_now().await;
    drop(far);
    assert!(matches!(happened.recv().await, Some(Event::Gone(gone)) if gone == way));
}

/// For whom every moment has come.
struct Impatient;

impl MediaClock for Impatient {
    fn now(&self) -> Instant {
        some_moment()
    }

    fn sleep_until(&self, _: Instant) -> Sleep {
        Box::pin(std::future::ready(()))
    }
}

#[tokio::test]
async fn a_connection_that_is_to_be_closed_may_take_what_waits_and_no_longer_than_a_while() {
    let (near, mut far) = tokio::io::duplex(100);
    let (events, mut happened) = mpsc::channel(8);
    let way = FakeClient::new(1, 1).way;
    let line = tcp::carry(near, way, events.clone(), Arc::new(SystemMediaClock));
    assert!(line.send(b"goodbye".to_vec()));
    drop(line);
    let mut said = Vec::new();
    far.read_to_end(&mut said).await.expect("read");
    assert_eq!(said, b"goodbye");
    assert!(happened.recv().await.is_some());

    let (near, _far) = tokio::io::duplex(100);
    let line = tcp::carry(near, way, events, Arc::new(Impatient));
    assert!(line.send(vec![0; 1_000]));
    drop(line);
    assert!(happened.recv().await.is_some(), "it is cut, whoever reads or not");
}
