//! A real browser watches an avatar.

mod relayed;

use std::{f32::consts::TAU, net::SocketAddr, sync::Arc, time::Duration};

use epilogue_browser::{Browser, Glance};
use epilogue_core::SessionId;
use epilogue_media::{
    avatar::Artwork,
    clock::{MediaClock as _, SystemMediaClock},
    driver::{Driver, Settings, reachable},
    hall::Limits,
    picture::Pictures,
    sound::Clip,
};

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
    let offer = browser.offer(codec).await;
    let answer = driver.open(session, offer).await.expect("running").expect("answered");
    assert!(answer.contains(&format!("{codec}/90000")), "{answer}");
    browser.accept(answer).await;

    let first = browser.look_until("pictures", |glance| glance.frames > 5.0).await;
    assert!((first.width - 512.0).abs() < 0.5, "{first:?}");
    let rest = browser.look_until("more pictures", |g| g.frames > first.frames + 5.0).await;
    assert!(rest.rests(), "it rests: {rest:?}");

    let clip = Arc::new(voice());
    driver.say(session, Arc::clone(&clip)).await.expect("running").expect("said");
    let speaking = browser.look_until("the avatar speak", Glance::speaks).await;
    assert!(speaking.brow < speaking.mouth / 4.0, "only the mouth moves: {speaking:?}");
    let again = browser.look_until("the avatar rest again", Glance::rests);
    let again = again.await;
    assert!(again.frames > speaking.frames && again.lost < 1.0, "{again:?}");

    driver.say(session, clip).await.expect("running").expect("said");
    browser.look_until("the avatar speak", Glance::speaks).await;
    assert_eq!(driver.interrupt(session).await, Ok(true));
    browser.look_until("the interruption", Glance::rests).await;

    assert_eq!(driver.release(session).await, Ok(true));
    let begun = clock.now();
    let gone = browser.look_until("the end", |glance| glance.transport == "closed").await;
    println!("the page saw the end within {:?}", clock.now() - begun);
    clock.sleep_until(clock.now() + Duration::from_millis(500)).await;
    let still = browser.look().await;
    assert!((still.frames - gone.frames).abs() < 3.0, "frames go on: {gone:?} {still:?}");
    let counts = driver.counts().await.expect("running");
    assert_eq!((counts.sessions, counts.watched), (0, 0));
    println!("{again:?} {counts:?}");

    browser.stop().await;
    drop(driver);
    task.await.expect("stopped");
    again
}
