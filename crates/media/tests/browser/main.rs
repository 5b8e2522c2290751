//! A real browser watches an avatar.

mod chromium;
mod relayed;

use std::{f32::consts::TAU, net::SocketAddr, sync::Arc, time::Duration};

use chromium::Browser;
use epilogue_core::SessionId;
use epilogue_media::{
    avatar::Artwork,
    clock::{MediaClock as _, SystemMediaClock},
    driver::{Driver, Settings, reachable},
    hall::Limits,
    picture::Pictures,
    sound::Clip,
};
use serde_json::{Value, json};

const WATCH: &str = include_str!("watch.js");
const LOOK: &str = include_str!("look.js");

/// Three seconds of a voice: a tone that swells and fades, as syllables do.
fn voice() -> Clip {
    const RATE: u32 = 24_000;
    let samples = (0..RATE * 3).flat_map(|number| {
        #[expect(clippy::cast_precision_loss, reason = "a small number")]
        let at = number as f32 / RATE as f32;
        let syllable = (TAU * 2.0 * at).sin().max(0.0);
        #[expect(clippy::cast_possible_truncation, reason = "within its range")]
        let sample = (0.6 * syllable * (TAU * 180.0 * at).sin() * 32_767.0) as i16;
        sample.to_le_bytes()
    });
    let data: Vec<u8> = samples.collect();
    let length = u32::try_from(data.len()).expect("short");
    let head: [&[u8]; 12] = [
        b"RIFF",
        &(length + 36).to_le_bytes(),
        b"WAVEfmt ",
        &16_u32.to_le_bytes(),
        &1_u16.to_le_bytes(),
        &1_u16.to_le_bytes(),
        &RATE.to_le_bytes(),
        &(RATE * 2).to_le_bytes(),
        &2_u16.to_le_bytes(),
        &16_u16.to_le_bytes(),
        b"data",
        &length.to_le_bytes(),
    ];
    Clip::from_recording([head.concat(), data].concat()).expect("a voice")
}

/// What the page has seen and heard in a second.
#[derive(Debug)]
struct Glance {
    frames: f64,
    key_frames: f64,
    lost: f64,
    loudest: f64,
    /// How much changed in the part of the picture where the mouth is, and above it.
    mouth: f64,
    brow: f64,
    width: f64,
    transport: String,
}

async fn look(browser: &Browser) -> Glance {
    let seen = browser.run(LOOK, vec![]).await;
    let number = |name: &str| seen[name].as_f64().unwrap_or_else(|| panic!("{name} in {seen}"));
    Glance {
        frames: number("frames"),
        key_frames: number("keyFrames"),
        lost: number("lost"),
        loudest: number("loudest"),
        mouth: number("mouth"),
        brow: number("brow"),
        width: number("width"),
        transport: seen["transport"].as_str().unwrap_or_default().to_owned(),
    }
}

/// Looks until something is so.
async fn look_until(browser: &Browser, what: &str, is_so: impl Fn(&Glance) -> bool) -> Glance {
    let mut last = None;
    for _ in 0..60 {
        let glance = look(browser).await;
        if is_so(&glance) {
            return glance;
        }
        last = Some(glance);
    }
    panic!("the page has not seen {what}: {last:?}");
}

#[cfg(feature = "h264")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_watches_the_avatar_rest_speak_and_leave() {
    let seen = watch("H264").await;
    assert!(seen.key_frames < 4.0, "key frames are for those who join: {seen:?}");
}

#[cfg(feature = "vp8")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_without_h264_watches_as_well() {
    watch("VP8").await;
}

/// Watches a whole performance in one codec. Returns what was seen until the avatar rested again.
async fn watch(codec: &str) -> Glance {
    let listen: SocketAddr = "127.0.0.1:0".parse().expect("an address");
    let settings = Settings { listen, addresses: reachable(listen), limits: Limits::default() };
    let clock = Arc::new(SystemMediaClock);
    let (driver, _tidings, task) =
        Driver::start(&settings, Arc::clone(&clock) as _).await.expect("started");
    let pictures = Pictures::code(&Artwork::built_in().expect("drawn")).expect("coded");
    let session = SessionId(uuid::Uuid::from_u128(7));
    driver.begin(session, Arc::new(pictures), 7).await.expect("running").expect("begun");

    let browser = Browser::start().await;
    let offer = browser.run(WATCH, vec![Value::from(codec), json!({})]).await;
    let offer = offer.as_str().expect("an offer").to_owned();
    let answer = driver.open(session, offer).await.expect("running").expect("answered");
    assert!(answer.contains(&format!("{codec}/90000")), "{answer}");
    let accepted = browser.run(ACCEPT, vec![Value::String(answer)]).await;
    assert_eq!(accepted, Value::Bool(true));

    let first = look_until(&browser, "pictures", |glance| glance.frames > 5.0).await;
    assert!((first.width - 512.0).abs() < 0.5, "{first:?}");
    let rest = look_until(&browser, "more pictures", |g| g.frames > first.frames + 5.0).await;
    assert!(rest.loudest < 0.01 && rest.mouth < 4.0, "it rests: {rest:?}");

    let clip = Arc::new(voice());
    driver.say(session, Arc::clone(&clip)).await.expect("running").expect("said");
    let speaks = |g: &Glance| g.loudest > 0.2 && g.mouth > 10.0;
    let speaking = look_until(&browser, "the avatar speak", speaks).await;
    assert!(speaking.brow < speaking.mouth / 4.0, "only the mouth moves: {speaking:?}");
    let again =
        look_until(&browser, "the avatar rest again", |g| g.loudest < 0.01 && g.mouth < 4.0);
    let again = again.await;
    assert!(again.frames > speaking.frames && again.lost < 1.0, "{again:?}");

    driver.say(session, clip).await.expect("running").expect("said");
    look_until(&browser, "the avatar speak", speaks).await;
    assert_eq!(driver.interrupt(session).await, Ok(true));
    look_until(&browser, "the interruption", |g| g.loudest < 0.01 && g.mouth < 4.0).await;

    assert_eq!(driver.release(session).await, Ok(true));
    let begun = clock.now();
    let gone = look_until(&browser, "the end", |glance| glance.transport == "closed").await;
    println!("the page saw the end within {:?}", clock.now() - begun);
    clock.sleep_until(clock.now() + Duration::from_millis(500)).await;
    let still = look(&browser).await;
    assert!((still.frames - gone.frames).abs() < 3.0, "frames go on: {gone:?} {still:?}");
    let counts = driver.counts().await.expect("running");
    assert_eq!((counts.sessions, counts.watched), (0, 0));
    println!("{again:?} {counts:?}");

    browser.stop().await;
    drop(driver);
    task.await.expect("stopped");
    again
}

const ACCEPT: &str = "const [answer, done] = arguments;
    pc.setRemoteDescription({ type: 'answer', sdp: answer }).then(() => done(true), e => done(String(e)));";
