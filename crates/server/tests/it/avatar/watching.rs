//! The whole way: created, shown, heard, ended.

use std::process::Command;

use bytes::Bytes;
use epilogue_browser::{Browser, Glance};
use serde_json::{Value, json};

use super::{House, figures::is};
use crate::support::{eventually, in_time};

const TEXT: &str = "Good morning! Your parcel has been sent, and it should be with you on Monday.";
const MP3: &[u8] = include_bytes!("../../../../media/tests/fixtures/tone.mp3");

/// Ends a session as a page does, and tells what the page saw of it, with its own time.
const END: &str = "const [url, token, done] = arguments;
    (async () => {
        const asked = performance.now();
        const headers = { Authorization: 'Bearer ' + token };
        const answer = await fetch(url, { method: 'POST', headers });
        note('answer', answer.status);
        const transport = pc.getReceivers()[0].transport;
        while (transport.state !== 'closed') await new Promise(r => transport.addEventListener('statechange', r));
        done({ asked, connection: pc.connectionState });
    })().catch(error => done({ error: String(error) }));";

/// A recording of a voice, as a WAV file.
fn recorded(text: &str) -> Bytes {
    let spoken = Command::new("espeak-ng").args(["--stdout", text]).output();
    let spoken = spoken.expect("espeak-ng, which `scripts/test` installs");
    assert!(spoken.status.success() && spoken.stdout.starts_with(b"RIFF"));
    spoken.stdout.into()
}

/// Everything that the issue asks of a session, seen from the page that watches it.
#[tokio::test]
async fn a_browser_sees_and_hears_an_avatar_until_its_session_ends_and_no_longer() {
    let house = House::start().await;
    let (before, nobody) = (house.server.sockets(), house.held().await);
    assert!(nobody.values().all(|figure| is(*figure, 0)), "{nobody:?}");
    let browser = Browser::start().await;
    let client = house.watched(&browser).await;
    assert!(client.whep.starts_with(&format!("http://{}/media/whep/", house.address)));
    let first = browser.look().await;
    let rest = browser.look_until("more pictures", |g| g.frames > first.frames + 5.0).await;
    assert!(rest.rests(), "it rests: {rest:?}");
    let held = house.held().await;
    let seen = is(held["stage_sessions"], 1) && is(held["stage_viewers"], 1);
    assert!(seen && is(held["stage_clips"], 0), "{held:?}");

    hears(&house, &browser, &client).await;

    client.said(&TEXT.repeat(6)).await;
    let speaking = browser.look_until("the avatar speak", Glance::speaks).await;
    let held = house.held().await;
    assert!(held["stage_clips"] > 0.0 && held["stage_sound_seconds"] > 1.0, "{held:?}");
    sees_the_end(&browser, &client, &speaking).await;

    client.is_over().await;
    assert_eq!(browser.play(&client.whep, json!({})).await.status, 404);
    assert_eq!(house.session(&client).await["ended"]["reason"], "user_end");
    in_time("the browser to be gone", browser.stop()).await;
    house.holds_nothing().await;
    house.is_left_as(&before).await;
    house.server.stop().await;
}

/// Speech of a program, and recordings of both kinds, each until it is over.
async fn hears(house: &House, browser: &Browser, client: &super::Client) {
    client.said(TEXT).await;
    let speaking = browser.look_until("the avatar speak", Glance::speaks).await;
    assert!(speaking.brow < speaking.mouth / 4.0, "only the mouth moves: {speaking:?}");
    browser.look_until("the avatar rest again", Glance::rests).await;
    for (name, recording) in [("voice.wav", recorded(TEXT)), ("tone.mp3", Bytes::from_static(MP3))]
    {
        let played = client.play(name, &recording).await;
        assert_eq!((played.status, played.body), (200, json!({ "success": true })), "{name}");
        browser.look_until(name, |glance| glance.loudest > 0.1).await;
        browser.look_until("the avatar rest again", Glance::rests).await;
    }
    // What was said in words is on record; what a recording says, nobody knows.
    let path = format!("/sessions/{}/messages", client.session);
    let transcript = house.native.get(&house.server.url(), &path).await;
    let said: Vec<_> = transcript["items"].as_array().expect("messages").iter().collect();
    assert_eq!(said.iter().map(|message| &message["content"]).collect::<Vec<_>>(), [TEXT]);

    client.said(&TEXT.repeat(6)).await;
    browser.look_until("the avatar speak", Glance::speaks).await;
    assert_eq!(client.post("interrupt").await.status, 200);
    browser.look_until("the interruption", Glance::rests).await;
}

/// The page ends the session itself, and is told so by the server: its own timers would take seconds.
async fn sees_the_end(browser: &Browser, client: &super::Client, speaking: &Glance) {
    let arguments = vec![client.url("end").into(), client.token.clone().into()];
    let seen = browser.run(END, arguments).await;
    assert_eq!(seen["error"], Value::Null, "{seen}");
    assert_eq!(seen["connection"], "connected", "the transport was closed by the server");
    let events = browser.events().await;
    let at = |what: &str, value: Value| {
        let found = events.iter().find(|event| event.what == what && event.value == value);
        found.unwrap_or_else(|| panic!("no {what} {value} in {events:?}")).at
    };
    let (asked, closed) =
        (seen["asked"].as_f64().expect("a time"), at("transport", json!("closed")));
    let answered = at("answer", json!(200));
    println!(
        "the page saw its transport closed {:.0} ms after it asked for the end, {:.0} ms after the answer",
        closed - asked,
        closed - answered
    );
    let gone = browser.look().await;
    assert!(gone.frames >= speaking.frames && gone.transport == "closed", "{gone:?}");
    // Its own timers: only when they have run out does the connection count as lost.
    let lost = eventually("the connection to be lost", async || {
        let connections = browser.events().await.into_iter().filter(|e| e.what == "connection");
        let mut since = connections.skip_while(|event| event.value != "connected");
        since.find(|event| event.value != "connected")
    });
    let lost = lost.await;
    assert!(lost.at > closed, "{events:?} {lost:?}");
    println!("its own timers told it {:.0} ms after it asked", lost.at - asked);
    let still = browser.look().await;
    assert!((still.frames - gone.frames).abs() < 3.0, "frames go on: {gone:?} {still:?}");
    assert!(still.loudest < 0.01, "it is heard after its end: {still:?}");
}
