//! A browser that insists on a relay, as clients of the Kaltura API do, watches through ours.

use std::{net::SocketAddr, sync::Arc};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use epilogue_browser::Browser;
use epilogue_core::{SessionId, Timestamp};
use epilogue_media::{
    avatar::Artwork,
    clock::SystemMediaClock,
    driver::{self, Driver, reachable},
    hall::Limits,
    picture::Pictures,
    relay::{
        RelayLimits,
        doors::{Doors, Settings},
    },
};
use hmac::{Hmac, Mac as _};
use secrecy::SecretString;
use serde_json::json;
use sha1::Sha1;

/// Some time in 2023, and a day later.
const DAY: i64 = 1_700_000_000;
const EXPIRY: i64 = DAY + 86_400;

fn password(username: &str) -> String {
    let mac = <Hmac<Sha1> as hmac::Mac>::new_from_slice(b"north");
    let mut mac = mac.expect("a key of any length will do");
    mac.update(username.as_bytes());
    BASE64_STANDARD.encode(mac.finalize().into_bytes())
}

async fn relay(driver: &Driver) -> Doors {
    let settings = Settings {
        listen: vec!["127.0.0.1:0".parse().expect("an address")],
        passwords: Arc::new(|username| SecretString::from(password(username))),
        day: Arc::new(|| Timestamp::from_millis(DAY * 1_000)),
        limits: RelayLimits::default(),
    };
    let opened = Doors::open(settings, driver, Arc::new(SystemMediaClock)).await;
    let (doors, shut, _task) = opened.expect("running");
    assert!(shut.is_empty(), "{shut:?}");
    doors
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_that_takes_nothing_but_a_relay_watches_over_udp() {
    watch_relayed("udp").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_that_takes_nothing_but_a_relay_watches_over_tcp() {
    watch_relayed("tcp").await;
}

/// Watches through the relay by one protocol, until the session is released.
async fn watch_relayed(protocol: &str) {
    // As the server does by default: on all addresses, of which the browser may choose.
    let listen: SocketAddr = "0.0.0.0:0".parse().expect("an address");
    let settings =
        driver::Settings { listen, addresses: reachable(listen), limits: Limits::default() };
    let clock = Arc::new(SystemMediaClock);
    let (driver, _tidings, task) = Driver::start(&settings, clock).await.expect("started");
    let doors = relay(&driver).await;
    let pictures = Pictures::code(&Artwork::built_in().expect("drawn")).expect("coded");
    let session = SessionId(uuid::Uuid::from_u128(7));
    driver.begin(session, Arc::new(pictures), 7).await.expect("running").expect("begun");

    let is_it = |(name, _): &&(&str, SocketAddr)| name.eq_ignore_ascii_case(protocol);
    let port = doors.addresses().iter().find(is_it).expect("open").1.port();
    let username = format!("{EXPIRY}:{session}");
    let credential = password(&username);
    let urls = format!("turn:localhost:{port}?transport={protocol}");
    let way = json!({
        "iceTransportPolicy": "relay",
        "iceServers": [{ "urls": urls, "username": username, "credential": credential }],
    });
    let browser = Browser::start().await;
    let codec = if cfg!(feature = "h264") { "H264" } else { "VP8" };
    let offer = browser.offer_with(codec, way).await;
    let answer = driver.open(session, offer).await.expect("running").expect("answered");
    browser.accept(answer).await;

    let first = browser.look_until("pictures", |glance| glance.frames > 5.0).await;
    let more = browser.look_until("more pictures", |g| g.frames > first.frames + 10.0).await;
    assert!(more.lost < 1.0, "{more:?}");
    let path = browser.path().await.expect("a way");
    assert_eq!((&*path.kind, path.protocol.as_deref()), ("relay", Some(protocol)));
    let counts = doors.counts().await.expect("running");
    assert!(counts.allocations >= 1 && counts.outward > 20 && counts.inward > 3, "{counts:?}");
    println!("{path:?} {counts:?}");

    assert_eq!(driver.release(session).await, Ok(true));
    browser.look_until("the end", |glance| glance.transport == "closed").await;
    let counts = doors.counts().await.expect("running");
    assert_eq!((counts.allocations, counts.forbidden), (0, 0), "{counts:?}");

    browser.stop().await;
    drop(driver);
    task.await.expect("stopped");
}
