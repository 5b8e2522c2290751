//! 2.7: the end, in its three request forms.

use epilogue_core::EndReason;
use futures::future::join_all;
use http::Request;
use serde_json::json;

use crate::client::*;

fn beacon(client: &Client) -> String {
    json!({ "headers": { "Authorization": format!("Bearer {}", client.token) } }).to_string()
}

/// "`POST /v1/avatar-session/{S}/end` → 200 `{"success": true}`"; "Second end → 410, not 200."
#[tokio::test]
async fn seed_an_end_is_200_once_and_410_from_then_on() {
    let house = House::start().await;
    let client = house.created().await;
    let answer = house.ask(&client, "end").await;
    assert_eq!(answer.json(), json!({ "success": true }));
    succeeded(&answer);
    for _ in 0..3 {
        refused(&house.ask(&client, "end").await, 410, "Session ended");
    }
    let session = house.session(&client).await;
    assert_eq!(session.ended().map(|ended| ended.reason), Some(EndReason::UserEnd));
}

/// The seed's "Complete Example", call by call: `create(ks, avatarId)`, then `end()`, twice.
#[tokio::test]
async fn seed_the_complete_example_runs() {
    let house = House::start().await;
    let create = post(BASE).header("authorization", format!("KS {STATIC_KS}"));
    let body = json!({ "visualConfig": { "avatarId": "avatar-123" } });
    let data = house.send(create.with(&body)).await.json();
    let (id, token) = (data["sessionId"].as_str(), data["token"].as_str());
    let client = Client { id: id.expect("an id").into(), token: token.expect("a token").into() };
    succeeded(&house.send(client.post("end").empty()).await);
    // "Session may have already ended or timed out": the sample clears its state on any failure.
    refused(&house.send(client.post("end").empty()).await, 410, "Session ended");
}

/// "Error Responses: 400, 401, 404, 410, 500": each can be had of an end.
#[tokio::test]
async fn seed_an_end_is_refused_in_each_of_its_five_ways() {
    let house = House::start().await;
    let client = house.created().await;
    refused_somehow(&house.send(client.post("end").text("application/json", "{")).await, 400);
    refused(&house.send(post(&client.path("end")).empty()).await, 401, "Invalid or expired token");
    let unknown = Client { id: "session-123".into(), ..client.clone() };
    refused(&house.ask(&unknown, "end").await, 404, "Session not found");
    succeeded(&house.ask(&client, "end").await);
    refused(&house.ask(&client, "end").await, 410, "Session ended");
    let live = house.created().await;
    house.database().execute_batch("ALTER TABLE sessions RENAME TO lost").expect("broken");
    refused(&house.ask(&live, "end").await, 500, "Internal server error");
}

/// (a) "server timer cancelled": neither the idle timer nor the longest duration ends it again.
#[tokio::test]
async fn seed_an_end_stops_the_timers() {
    let house = House::start().await;
    let client = house.created().await;
    succeeded(&house.ask(&client, "end").await);
    house.run_until_idle().await;
    let first = house.session(&client).await;
    for _ in 0..3 {
        house.clock.advance(epilogue_core::Span::from_secs(40_000));
        house.run_until_idle().await;
    }
    assert_eq!(house.session(&client).await.ended(), first.ended());
    let ends = house.activity(&client).await;
    assert_eq!(ends.iter().filter(|entry| entry.kind == "session.ended").count(), 1);
}

/// (a) "no further keep-alive succeeds", (c) "backend resources are released", (d) "the token is
/// invalidated — it authorises nothing any more".
#[tokio::test]
async fn seed_an_end_stops_keep_alive_and_releases_and_invalidates() {
    let house = House::start().await;
    let client = house.created().await;
    assert_eq!(house.ask(&client, "init-client").await.status, 200);
    house.said(&client, json!({ "text": "One.", "turnId": "t", "isFinal": false })).await;
    house.heard(1).await;
    house.stage.watched(true);
    succeeded(&house.ask(&client, "end").await);
    for name in ["init-client", "say-text", "say-audio", "interrupt", "keep-alive", "end"] {
        refused(&house.ask(&client, name).await, 410, "Session ended");
    }
    until(|| house.stage.count() == 0).await;
    assert_eq!(house.engine.stages(), 0, "nobody performs any more");
    house.run_until_idle().await;
    assert_eq!(house.stage.released().len(), 1);
    assert_eq!(house.stage.released()[0].said, ["One."]);
}

/// "beacon: no header, `text/plain;charset=UTF-8`, `{"headers":{"Authorization":"Bearer …"}}`"
#[tokio::test]
async fn s2_7_a_beacon_ends_the_session() {
    let house = House::start().await;
    for kind in ["text/plain;charset=UTF-8", "application/json", "x/y"] {
        let client = house.created().await;
        let request = || post(&client.path("end")).text(kind, beacon(&client));
        succeeded(&house.send(request()).await);
        refused(&house.send(request()).await, 410, "Session ended");
    }
    let client = house.created().await;
    let untyped = post(&client.path("end")).header("cookie", "session=7");
    let untyped = untyped.body(beacon(&client).into()).expect("a request");
    succeeded(&house.send(untyped).await);
}

/// "only on `/end`"
#[tokio::test]
async fn s2_7_a_beacon_does_nothing_elsewhere() {
    let house = House::start().await;
    let client = house.created().await;
    for name in ["init-client", "say-text", "say-audio", "interrupt", "keep-alive"] {
        let request = post(&client.path(name)).text("text/plain", beacon(&client));
        refused(&house.send(request).await, 401, "Invalid or expired token");
    }
}

/// "used only when the header is absent (header wins)"
#[tokio::test]
async fn s2_7_a_header_wins_over_a_beacon() {
    let house = House::start().await;
    let (mine, other) = (house.created().await, house.created().await);
    for header in ["Bearer x".to_owned(), String::new(), format!("KS {STATIC_KS}")] {
        let request = post(&mine.path("end")).header("authorization", header);
        let answer = house.send(request.text("text/plain", beacon(&mine))).await;
        refused(&answer, 401, "Invalid or expired token");
    }
    let answer = house.send(mine.post("end").text("text/plain", beacon(&other))).await;
    succeeded(&answer);
    succeeded(&house.ask(&other, "keep-alive").await);
}

/// "body cap 64 KiB; anything unusable → 401"
#[tokio::test]
async fn s2_7_a_beacon_up_to_the_limit_is_read_and_one_past_it_is_401() {
    let house = House::start().await;
    let client = house.created().await;
    let padded = |length: usize| {
        let beacon = beacon(&client);
        let pad = " ".repeat(length - beacon.len());
        post(&client.path("end")).text("text/plain", beacon + &pad)
    };
    refused(&house.send(padded(64 * 1024 + 1)).await, 401, "Invalid or expired token");
    for unusable in ["", "{}", "Bearer x", "[1]", "{\"headers\":{\"Authorization\":\"x\"}}"] {
        let request = post(&client.path("end")).text("text/plain", unusable);
        refused(&house.send(request).await, 401, "Invalid or expired token");
    }
    succeeded(&house.send(padded(64 * 1024)).await);
}

/// The order of checks holds for beacons, too.
#[tokio::test]
async fn s2_7_a_beacon_is_checked_in_the_same_order() {
    let house = House::start().await;
    let (mine, other) = (house.created().await, house.created().await);
    let at = |path: &str, client: &Client| post(path).text("text/plain", beacon(client));
    let unknown = house.send(at(&format!("{BASE}/unknown/end"), &mine)).await;
    refused(&unknown, 404, "Session not found");
    let crossed = house.send(at(&other.path("end"), &mine)).await;
    refused(&crossed, 401, "Invalid or expired token");
}

/// "keepalive fetch": the header, no body, no type.
#[tokio::test]
async fn s2_7_a_keepalive_fetch_ends_the_session() {
    let house = House::start().await;
    let client = house.created().await;
    let request = client.post("end").header("origin", "https://shop.example.com").empty();
    let answer = house.send(request).await;
    succeeded(&answer);
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
}

/// "Simultaneous ends: exactly one 200, others 410."
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn s2_7_of_many_ends_at_once_one_succeeds() {
    let house = House::start().await;
    for _ in 0..20 {
        let client = house.created().await;
        let form = |number: usize| -> Request<axum::body::Body> {
            match number % 3 {
                0 => client.post("end").empty(),
                1 => client.post("end").with(&json!({})),
                _ => post(&client.path("end")).text("text/plain", beacon(&client)),
            }
        };
        let ends = (0..12).map(|number| {
            let (router, request) = (house.router.clone(), form(number));
            tokio::spawn(async move {
                tower::ServiceExt::oneshot(router, request).await.expect("an answer").status()
            })
        });
        let mut told: Vec<_> =
            join_all(ends).await.into_iter().map(|end| end.expect("ran").as_u16()).collect();
        told.sort_unstable();
        assert_eq!(told, [[200].as_slice(), &[410; 11]].concat());
        let kinds: Vec<_> =
            house.activity(&client).await.into_iter().map(|entry| entry.kind).collect();
        assert_eq!(kinds, ["session.ended"], "one end is on record");
    }
}

/// "The credential in the body must be kept out of access logs", and what is said as well.
#[tokio::test]
async fn s2_7_nothing_secret_is_logged() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    let guard = tracing::subscriber::set_default(subscriber);
    let house = House::start().await;
    let client = house.created().await;
    house.said(&client, json!({ "text": "Nobody may read this." })).await;
    house.said(&client, json!({ "text": "fail" })).await;
    house.heard(1).await;
    let request = post(&client.path("end")).text("text/plain", beacon(&client));
    succeeded(&house.send(request).await);
    house.run_until_idle().await;
    settle().await;
    drop(guard);
    let told = log.text();
    assert!(told.contains("ended") && told.contains("was not spoken"), "{told}");
    let signature = client.token.rsplit('.').next().expect("a part");
    for secret in
        [&client.token, signature, "Nobody may read", STATIC_KS, ADMIN_SECRET, RELAY_SECRET]
    {
        assert!(!told.contains(secret), "{secret} is in the log:\n{told}");
    }
}

/// What was logged.
#[derive(Clone, Default)]
struct Log(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().expect("not poisoned")).into_owned()
    }
}

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("not poisoned").extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
