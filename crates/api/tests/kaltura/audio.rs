//! 2.4: say-audio.

use epilogue_core::Span;
use http::Request;

use crate::client::*;

const BOUNDARY: &str = "a-boundary";

/// A form with these parts.
pub fn form(parts: &[(&str, &[u8])]) -> Vec<u8> {
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

pub fn request(client: &Client, parts: &[(&str, &[u8])]) -> Request<axum::body::Body> {
    let kind = format!("multipart/form-data; boundary={BOUNDARY}");
    client.post("say-audio").text(&kind, form(parts))
}

pub fn whole<'a>(turn: &'a str, audio: &'a [u8]) -> [(&'a str, &'a [u8]); 3] {
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

/// A part of a form with a name and a type of its own.
fn typed(client: &Client, file: &str, kind: &str, audio: &[u8]) -> Request<axum::body::Body> {
    let mut body = form(&whole("t", b"")[..2]);
    body.truncate(body.len() - format!("--{BOUNDARY}--\r\n").len());
    let head = format!(
        "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"audio\"; filename=\"{file}\"\r\n\
         Content-Type: {kind}\r\n\r\n"
    );
    body.extend(head.as_bytes());
    body.extend(audio);
    body.extend(format!("\r\n--{BOUNDARY}--\r\n").as_bytes());
    client.post("say-audio").text(&format!("multipart/form-data; boundary={BOUNDARY}"), body)
}

/// "file names seen `audio`, `recording.mp3`; types `audio/mpeg` … and `audio/wav`": what it is called
/// decides nothing.
#[tokio::test]
async fn s2_4_a_recording_may_be_called_anything() {
    let house = House::start().await;
    let client = house.created().await;
    for (file, kind) in [
        ("audio", "audio/mpeg"),
        ("recording.mp3", "audio/wav"),
        ("recording.wav", "audio/mpeg"),
        ("x", "application/octet-stream"),
    ] {
        succeeded(&house.send(typed(&client, file, kind, b"ID3")).await);
        let answer = house.send(typed(&client, file, kind, b"noise")).await;
        refused(&answer, 400, "audio could not be decoded");
    }
}

/// "`duration` is believed, not measured: a wrong one desynchronises the mouth and is not an error."
#[tokio::test]
async fn s2_4_a_wrong_duration_is_no_error_and_one_that_is_none_is() {
    let house = House::start().await;
    let client = house.created().await;
    let lasting = |seconds: &'static str| {
        request(&client, &[("turnId", b"t"), ("duration", seconds.as_bytes()), ("audio", b"ID3")])
    };
    for seconds in ["0.001", "9999", " 2.5 ", "1e3"] {
        succeeded(&house.send(lasting(seconds)).await);
    }
    for seconds in ["", "-1", "0", "-0.0", "NaN", "-inf", "2,5", "2.5s"] {
        let answer = house.send(lasting(seconds)).await;
        refused(&answer, 400, "duration must be a number of seconds above 0");
    }
}

/// A name of a turn at the limit is taken; one past it is refused above.
#[tokio::test]
async fn s2_4_a_turn_may_have_a_long_name() {
    let house = House::start().await;
    let client = house.created().await;
    succeeded(&house.send(request(&client, &whole(&"t".repeat(256), b"ID3"))).await);
}

/// "ten minutes of recordings that wait in one session (503 with `Retry-After`)": each lasts ten seconds.
#[tokio::test]
async fn i5_so_much_sound_waits_and_no_more() {
    let house = House::start().await;
    let client = house.created().await;
    let send = |turn: String| house.send(request(&client, &whole(&turn, b"ID3")));
    succeeded(&send("first".into()).await);
    house.heard(1).await;
    // One more is taken from the line and waits for its moment.
    succeeded(&send("next".into()).await);
    settle().await;
    for number in 0..60 {
        succeeded(&send(number.to_string()).await);
    }
    let answer = send("past".into()).await;
    refused(&answer, 503, "Service temporarily unavailable");
    assert_eq!(answer.header("retry-after"), Some("2"));
    succeeded(&house.ask(&client, "end").await);
    until(|| house.stage.count() == 0 && house.engine.stages() == 0).await;
}

/// Begins to send a recording that never comes.
fn stuck(house: &House, client: &Client) -> tokio::task::JoinHandle<Outcome> {
    let kind = format!("multipart/form-data; boundary={BOUNDARY}");
    let never = futures::stream::pending::<Result<bytes::Bytes, std::io::Error>>();
    let request = client.post("say-audio").header("content-type", kind);
    let request = request.body(axum::body::Body::from_stream(never)).expect("a request");
    tokio::spawn(tower::ServiceExt::oneshot(house.router.clone(), request))
}

type Outcome = Result<axum::response::Response, std::convert::Infallible>;

/// "two recordings of one session … at a time (503 … past that)": whoever is slow is so alone.
#[tokio::test]
async fn i5_a_session_that_dribbles_holds_its_own_places_and_nobody_elses() {
    let house = House::start().await;
    let (slow, other) = (house.created().await, house.created().await);
    let held = stuck(&house, &slow);
    settle().await;
    succeeded(&house.send(request(&slow, &whole("a", b"ID3"))).await);
    let crowd: Vec<_> = (0..32).map(|_| stuck(&house, &slow)).collect();
    settle().await;
    let refusals = crowd.iter().filter(|sending| sending.is_finished()).count();
    assert_eq!(refusals, 31, "one is the second that may come in");
    let answer = house.send(request(&slow, &whole("b", b"ID3"))).await;
    refused(&answer, 503, "Service temporarily unavailable");
    assert_eq!(answer.header("retry-after"), Some("2"));
    succeeded(&house.send(request(&other, &whole("a", b"ID3"))).await);
    held.abort();
    assert!(held.await.is_err(), "it has gone");
    succeeded(&house.send(request(&slow, &whole("b", b"ID3"))).await);
    crowd.iter().for_each(tokio::task::JoinHandle::abort);
}

/// "16 at a time of all (others wait for 5 s, then 503 …)": one that does not come holds its place, and no
/// more.
#[tokio::test]
async fn i5_so_many_recordings_are_taken_in_at_once_and_others_wait_but_not_for_long() {
    let house = House::start().await;
    let client = house.created().await;
    let mut held = Vec::new();
    for _ in 0..8 {
        let slow = house.created().await;
        held.extend([stuck(&house, &slow), stuck(&house, &slow)]);
    }
    settle().await;
    let send = |turn: &str| {
        let request = request(&client, &whole(turn, b"ID3"));
        tokio::spawn(tower::ServiceExt::oneshot(house.router.clone(), request))
    };
    let waiting = send("a");
    settle().await;
    house.clock.advance(Span::from_millis(4_999));
    settle().await;
    assert!(!waiting.is_finished(), "it waits for a place");
    succeeded(&house.ask(&client, "keep-alive").await);
    held.pop().expect("one").abort();
    assert_eq!(waiting.await.expect("ran").expect("an answer").status(), 200);

    held.push(stuck(&house, &client));
    settle().await;
    let waiting = send("b");
    settle().await;
    house.clock.advance(Span::from_secs(5));
    let refusal = waiting.await.expect("ran").expect("an answer");
    assert_eq!(refusal.status(), 503);
    assert_eq!(refusal.headers()["retry-after"], "2");
    held.iter().for_each(tokio::task::JoinHandle::abort);
}
