//! 2.4: say-audio.

use http::Request;

use crate::client::*;

const BOUNDARY: &str = "a-boundary";

/// A form with these parts.
fn form(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, value) in parts {
        let file = if *name == "audio" { "; filename=\"recording.mp3\"" } else { "" };
        let head = format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n"
        );
        body.extend(head.as_bytes());
        body.extend(*value);
        body.extend(b"\r\n");
    }
    body.extend(format!("--{BOUNDARY}--\r\n").as_bytes());
    body
}

fn request(client: &Client, parts: &[(&str, &[u8])]) -> Request<axum::body::Body> {
    let kind = format!("multipart/form-data; boundary={BOUNDARY}");
    client.post("say-audio").text(&kind, form(parts))
}

fn whole<'a>(turn: &'a str, audio: &'a [u8]) -> [(&'a str, &'a [u8]); 3] {
    [("turnId", turn.as_bytes()), ("duration", b"2.5"), ("audio", audio)]
}

/// "200: accepted and queued, playback follows; calls while one plays queue in order."
#[tokio::test]
async fn s2_4_recordings_are_heard_in_order() {
    let house = House::start().await;
    let client = house.created().await;
    for (turn, audio) in [("a", "ID3 one"), ("b", "ID3 two")] {
        succeeded(&house.send(request(&client, &whole(turn, audio.as_bytes()))).await);
    }
    assert_eq!(house.heard(1).await, ["ID3 one"]);
    house.clock.advance(crate::fakes::HEARD);
    assert_eq!(house.heard(2).await, ["ID3 one", "ID3 two"]);
    assert!(house.voice.asked().is_empty(), "nobody speaks them");
    assert!(house.transcript(&client).await.is_empty(), "nobody knows their words");
}

/// Recordings need no voice.
#[tokio::test]
async fn s2_4_recordings_are_heard_without_a_voice() {
    let house = House::with(|setup| setup.stage.1 = None).await;
    let client = house.created().await;
    succeeded(&house.send(request(&client, &whole("a", b"ID3"))).await);
    assert_eq!(house.heard(1).await, ["ID3"]);
}

/// The parts of a form: their names and what is in them.
type Parts<'a> = &'a [(&'a str, &'a [u8])];

/// "Absent, non-numeric or ≤ 0 → 400."; "Missing `audio` or `turnId` → 400"
#[tokio::test]
async fn s2_4_missing_and_wrong_parts_are_400() {
    let house = House::start().await;
    let client = house.created().await;
    let long = "t".repeat(257);
    let duration = "duration must be a number of seconds above 0";
    let cases: [(Parts<'_>, &str); 9] = [
        (&[("duration", b"1"), ("audio", b"x")], "turnId is required"),
        (&[("turnId", b" "), ("duration", b"1"), ("audio", b"x")], "turnId is required"),
        (
            &[("turnId", long.as_bytes()), ("duration", b"1"), ("audio", b"x")],
            "turnId is too long (at most 256 characters)",
        ),
        (&[("turnId", b"t"), ("audio", b"x")], duration),
        (&[("turnId", b"t"), ("duration", b"soon"), ("audio", b"x")], duration),
        (&[("turnId", b"t"), ("duration", b"0"), ("audio", b"x")], duration),
        (&[("turnId", b"t"), ("duration", b"inf"), ("audio", b"x")], duration),
        (&[("turnId", b"t"), ("duration", b"1")], "audio is required"),
        (&[("turnId", b"t"), ("duration", b"1"), ("audio", b"")], "audio is required"),
    ];
    for (parts, error) in cases {
        refused(&house.send(request(&client, parts)).await, 400, error);
    }
}

/// "undecodable audio → 400"
#[tokio::test]
async fn s2_4_what_is_no_sound_is_400() {
    let house = House::start().await;
    let client = house.created().await;
    let answer = house.send(request(&client, &whole("a", b"noise"))).await;
    refused(&answer, 400, "audio could not be decoded");
    assert!(house.stage.show().said.is_empty());
}

/// What is no form is 400.
#[tokio::test]
async fn s2_4_what_is_no_form_is_400() {
    let house = House::start().await;
    let client = house.created().await;
    let kind = format!("multipart/form-data; boundary={BOUNDARY}");
    let mut cut = form(&whole("a", b"ID3"));
    cut.truncate(cut.len() - 20);
    for (kind, body) in [
        ("application/json", b"{}".to_vec()),
        ("multipart/form-data", form(&whole("a", b"ID3"))),
        (&*kind, b"nonsense".to_vec()),
        (&*kind, cut),
    ] {
        let answer = house.send(client.post("say-audio").text(kind, body)).await;
        refused(&answer, 400, "Request body must be multipart/form-data");
    }
}

/// "size cap 10 MiB → 413"
#[tokio::test]
async fn s2_4_a_recording_at_the_limit_is_taken_and_one_past_it_is_413() {
    let house = House::start().await;
    let client = house.created().await;
    let most = 10 * 1024 * 1024;
    let mut recording = vec![b'x'; most];
    succeeded(&house.send(request(&client, &whole("a", &recording))).await);
    recording.push(b'x');
    let answer = house.send(request(&client, &whole("a", &recording))).await;
    refused(&answer, 413, "Request body too large (at most 10485760 bytes)");
    recording.resize(most + 100_000, b'x');
    let answer = house.send(request(&client, &whole("a", &recording))).await;
    refused(&answer, 413, "Request body too large (at most 10485760 bytes)");
}
