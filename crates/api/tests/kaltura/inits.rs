//! 2.2: init-client, and the credentials for the relay.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use epilogue_core::Span;
use hmac::{Hmac, Mac as _};
use serde_json::Value;
use sha1::Sha1;

use crate::{client::*, support::NOW};

async fn init(house: &House, client: &Client) -> Value {
    let answer = house.ask(client, "init-client").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()
}

/// "`whepUrl`: absolute URL to POST the SDP offer to. `turn.url`: a bare host name. `username`,
/// `credential`: strings; always send both".
#[tokio::test]
async fn s2_2_a_client_is_told_where_the_stream_and_the_relay_are() {
    let house = House::start().await;
    let client = house.created().await;
    let told = init(&house, &client).await;
    assert_eq!(told["success"], true);
    let url = told["whepUrl"].as_str().expect("a text");
    assert!(url.starts_with("https://media.example.test/media/whep/"), "{url}");
    assert_eq!(told["turn"]["url"], "turn.example.test");
    assert_eq!(told["turn"].as_object().map(serde_json::Map::len), Some(3));
}

/// "time-limited HMAC credentials, valid at least the session's life".
#[tokio::test]
async fn s8_the_relays_credentials_are_what_its_secret_makes_and_last_as_long_as_the_session() {
    let house = House::start().await;
    let client = house.created().await;
    let turn = init(&house, &client).await["turn"].clone();
    let username = turn["username"].as_str().expect("a text");
    let (expiry, session) = username.split_once(':').expect("two parts");
    let expiry: i64 = expiry.parse().expect("seconds");
    assert!(expiry >= (NOW + Span::from_secs(86_400)).as_secs(), "{expiry}");
    assert_eq!(session, house.session(&client).await.id.to_string());
    let mut mac =
        <Hmac<Sha1> as hmac::Mac>::new_from_slice(RELAY_SECRET.as_bytes()).expect("a key");
    mac.update(username.as_bytes());
    let credential = BASE64_STANDARD.encode(mac.finalize().into_bytes());
    assert_eq!(turn["credential"], credential);
}

/// "self-hosted: return the same `whepUrl`"; another session's is another.
#[tokio::test]
async fn s2_2_a_second_call_tells_the_same_place() {
    let house = House::start().await;
    let (client, other) = (house.created().await, house.created().await);
    let first = init(&house, &client).await;
    house.clock.advance(Span::from_secs(60));
    assert_eq!(init(&house, &client).await["whepUrl"], first["whepUrl"]);
    assert_ne!(init(&house, &other).await["whepUrl"], first["whepUrl"]);
    assert_eq!(house.stage.count(), 2);
}

/// "unguessable": whatever is changed in the address leads nowhere.
#[tokio::test]
async fn s4_an_address_cannot_be_made_up() {
    let house = House::start().await;
    let (client, other) = (house.created().await, house.created().await);
    let url = init(&house, &client).await["whepUrl"].as_str().expect("a text").to_owned();
    init(&house, &other).await;
    let path = url.strip_prefix("https://media.example.test").expect("ours");
    let offer = |path: &str| post(path).text("application/sdp", "v=0");
    let crossed = path.replace(&client.id, &other.id);
    let (start, mac) = path.rsplit_once('.').expect("parts");
    let swapped: String = mac.chars().rev().collect();
    for made_up in [
        crossed,
        start.to_owned(),
        format!("{start}."),
        format!("{start}.{swapped}"),
        format!("{path}x"),
        format!("{path}.x"),
        "/media/whep/x".to_owned(),
        "/media/whep/%FF".to_owned(),
    ] {
        refused(&house.send(offer(&made_up)).await, 404, "Session not found");
    }
    assert_eq!(house.send(offer(path)).await.status, 201);
}

/// "fresh TURN credentials" are no secret of the session: they are other ones for another session.
#[tokio::test]
async fn s8_each_session_has_credentials_of_its_own() {
    let house = House::start().await;
    let (client, other) = (house.created().await, house.created().await);
    let (one, two) = (init(&house, &client).await, init(&house, &other).await);
    assert_ne!(one["turn"]["username"], two["turn"]["username"]);
    assert_ne!(one["turn"]["credential"], two["turn"]["credential"]);
}
