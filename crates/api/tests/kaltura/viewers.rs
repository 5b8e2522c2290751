//! 4: how viewers come and go (WHEP).

use http::{Method, Request};

use crate::{client::*, support::Answer};

const HOST: &str = "https://media.example.test";

/// The path under which the session is seen.
async fn place(house: &House, client: &Client) -> String {
    let told = house.ask(client, "init-client").await.json();
    let url = told["whepUrl"].as_str().expect("a text");
    url.strip_prefix(HOST).expect("ours").to_owned()
}

fn offer(path: &str) -> Request<axum::body::Body> {
    post(path).text("application/sdp", "v=0 an offer")
}

async fn leave(house: &House, path: &str) -> Answer {
    house.send(post(path).method(Method::DELETE).empty()).await
}

#[track_caller]
fn location(answer: &Answer) -> String {
    assert_eq!(answer.told(), (201, "v=0 fake answer"));
    assert_eq!(answer.header("content-type"), Some("application/sdp"));
    let location = answer.header("location").expect("a location");
    location.strip_prefix(HOST).expect("absolute").to_owned()
}

/// "201 + `Content-Type: application/sdp` + answer SDP body + `Location`"; "No Authorization header".
#[tokio::test]
async fn s4_201_an_offer_is_answered() {
    let house = House::start().await;
    let client = house.created().await;
    let path = place(&house, &client).await;
    let location = location(&house.send(offer(&path)).await);
    assert!(location.starts_with(&path) && location.len() > path.len() + 30, "{location}");
    assert!(house.stage.show().watched);
}

/// "409: the stream already has a viewer (one at a time)"
#[tokio::test]
async fn s4_409_there_is_one_viewer_at_a_time() {
    let house = House::start().await;
    let client = house.created().await;
    let path = place(&house, &client).await;
    location(&house.send(offer(&path)).await);
    refused(&house.send(offer(&path)).await, 409, "The stream already has a viewer");
}

/// "`DELETE <Location>` on leave"; "the peer may reconnect by a new WHEP POST".
#[tokio::test]
async fn s4_a_viewer_leaves_and_comes_back() {
    let house = House::start().await;
    let client = house.created().await;
    let path = place(&house, &client).await;
    let first = location(&house.send(offer(&path)).await);
    assert_eq!(leave(&house, &first).await.status, 200);
    refused(&leave(&house, &first).await, 404, "Session not found");
    let second = location(&house.send(offer(&path)).await);
    refused(&leave(&house, &first).await, 404, "Session not found");
    assert!(house.stage.show().watched, "a late goodbye of the first is none of the second's");
    assert_eq!(leave(&house, &second).await.status, 200);
    succeeded(&house.ask(&client, "keep-alive").await);
}

/// "415: Content-Type is not application/sdp"
#[tokio::test]
async fn s4_415_what_is_no_sdp_is_refused() {
    let house = House::start().await;
    let client = house.created().await;
    let path = place(&house, &client).await;
    let error = "Content-Type must be application/sdp";
    for kind in ["application/json", "text/plain", "", "application/sdpx"] {
        refused(&house.send(post(&path).text(kind, "v=0")).await, 415, error);
    }
    let untyped = post(&path).body("v=0".into()).expect("a request");
    refused(&house.send(untyped).await, 415, error);
    let typed = post(&path).text("Application/SDP; charset=utf-8", "v=0");
    assert_eq!(house.send(typed).await.status, 201);
}

/// "400: offer not parsable / no usable codec"
#[tokio::test]
async fn s4_400_an_offer_of_no_use_is_refused() {
    let house = House::start().await;
    let client = house.created().await;
    let path = place(&house, &client).await;
    for bad in [&b""[..], b"nonsense", b"v=\xff"] {
        let answer = house.send(post(&path).text("application/sdp", bad.to_vec())).await;
        refused(&answer, 400, "The offer cannot be answered");
    }
    assert!(!house.stage.show().watched);
}

/// An offer at the limit is read, and one past it is not.
#[tokio::test]
async fn s4_an_offer_is_no_longer_than_it_may_be() {
    let house = House::start().await;
    let client = house.created().await;
    let path = place(&house, &client).await;
    let most = 64 * 1024;
    let long = |length: usize| {
        post(&path).text("application/sdp", format!("v=0{}", " ".repeat(length - 3)))
    };
    refused_somehow(&house.send(long(most + 1)).await, 413);
    assert_eq!(house.send(long(most)).await.status, 201);
}

/// "404: no active session (ended, expired, never initialised)"; "On end: … further POST → 404, DELETE →
/// 200 or 404".
#[tokio::test]
async fn s4_404_a_session_that_is_over_is_not_seen() {
    let house = House::start().await;
    let (ended, expired) = (house.created().await, house.created().await);
    let (one, two) = (place(&house, &ended).await, place(&house, &expired).await);
    let viewer = location(&house.send(offer(&one)).await);
    succeeded(&house.ask(&ended, "end").await);
    refused(&house.send(offer(&one)).await, 404, "Session not found");
    refused(&house.send(post(&one).text("text/plain", "")).await, 404, "Session not found");
    refused(&leave(&house, &viewer).await, 404, "Session not found");
    house.clock.advance(epilogue_api::dialect::kaltura::IDLE);
    refused(&house.send(offer(&two)).await, 404, "Session not found");
}

/// There is no trickle, and nothing to get.
#[tokio::test]
async fn s4_other_methods_are_405() {
    let house = House::start().await;
    let client = house.created().await;
    let path = place(&house, &client).await;
    let viewer = location(&house.send(offer(&path)).await);
    for (path, method) in [
        (&path, Method::GET),
        (&path, Method::PATCH),
        (&path, Method::DELETE),
        (&viewer, Method::PATCH),
        (&viewer, Method::POST),
    ] {
        refused(&house.send(post(path).method(method).empty()).await, 405, "Method not allowed");
    }
}
