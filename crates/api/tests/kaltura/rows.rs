//! 2: the tables of endpoints and of common errors, row by row.

use http::{Method, Request};
use serde_json::json;

use crate::{
    audio::{request, whole},
    client::*,
};

const CALLS: [&str; 6] = ["init-client", "say-text", "say-audio", "interrupt", "keep-alive", "end"];

/// Rows 1 to 7: path, credential, body and the body of a 200.
#[tokio::test]
async fn s2_rows_1_to_7_are_answered_200_as_the_table_says() {
    let house = House::start().await;
    let body = json!({ "visualConfig": { "avatarId": "ann" } });
    let names = |answer: &crate::support::Answer| -> Vec<String> {
        let body = answer.json();
        let mut names: Vec<_> = body.as_object().expect("an object").keys().cloned().collect();
        names.sort();
        names
    };
    for path in [BASE.to_owned(), format!("{BASE}/create")] {
        let request = post(&path).header("authorization", format!("KS {STATIC_KS}")).with(&body);
        let answer = house.send(request).await;
        Client::of(&answer);
        assert_eq!(names(&answer), ["sessionId", "success", "token"], "row 1");
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
    let client = house.created().await;
    let answer = house.ask(&client, "init-client").await;
    assert_eq!(
        (answer.status.as_u16(), names(&answer)),
        (200, ["success", "turn", "whepUrl"].map(String::from).into())
    );
    succeeded(
        &house.say(&client, json!({ "text": "Hello!", "turnId": "t", "isFinal": true })).await,
    );
    succeeded(&house.send(request(&client, &whole("u", b"ID3"))).await);
    for name in ["interrupt", "keep-alive", "end"] {
        succeeded(&house.ask(&client, name).await);
    }
}

/// "Unknown JSON fields are ignored."
#[tokio::test]
async fn s2_unknown_fields_are_ignored_everywhere() {
    let house = House::start().await;
    let more = json!({ "more": { "of": [1, null, "this"] }, "success": false });
    let mut body =
        json!({ "visualConfig": { "id": "ann", "scale": 2 }, "voiceConfig": { "tone": 1 } });
    body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    let client = Client::of(&house.create(body).await);
    house.said(&client, json!({ "text": "x", "priority": 7, "emotion": null })).await;
    let parts = [&whole("t", b"ID3")[..], &[("mood", b"glad")]].concat();
    succeeded(&house.send(request(&client, &parts)).await);
    for name in ["init-client", "interrupt", "keep-alive", "end"] {
        assert_eq!(house.send(client.post(name).with(&more)).await.status, 200, "{name}");
    }
}

/// "401 `Invalid or expired token`: missing, malformed, foreign or expired Bearer", "404 `Session not
/// found`: unknown id" and "410 `Session ended`": on every row that they can occur on.
#[tokio::test]
async fn s2_errors_401_404_410_are_the_same_on_every_row() {
    let house = House::start().await;
    let client = house.created().await;
    let other = house.created().await;
    succeeded(&house.ask(&other, "end").await);
    let nobody = Client { id: "x".into(), ..client.clone() };
    let nothing = Client { token: "x".into(), ..client.clone() };
    for name in CALLS {
        refused(&house.ask(&nothing, name).await, 401, "Invalid or expired token");
        refused(&house.ask(&nobody, name).await, 404, "Session not found");
        refused(&house.ask(&other, name).await, 410, "Session ended");
    }
}

/// "500 `Internal server error`": wherever it can occur, and nothing of its cause.
#[tokio::test]
async fn s2_errors_500_is_the_same_on_every_row() {
    let house = House::start().await;
    let client = house.created().await;
    house.database().execute_batch("ALTER TABLE sessions RENAME TO lost").expect("broken");
    for name in CALLS {
        refused(&house.ask(&client, name).await, 500, "Internal server error");
    }
    refused(&house.create_by(STATIC_KS).await, 500, "Internal server error");
    assert_eq!(house.stage.count(), 1, "the place of what was not opened is free again");
}

/// "Not idempotent: each call opens a new session."
#[tokio::test]
async fn s2_1_each_create_opens_a_session_of_its_own() {
    let house = House::start().await;
    let (one, two) = (house.created().await, house.created().await);
    assert!(one.id != two.id && one.token != two.token);
    succeeded(&house.ask(&one, "end").await);
    succeeded(&house.ask(&two, "keep-alive").await);
}

/// "HEAD/GET on `/{S}`: 404"; the catalog is another service's.
#[tokio::test]
async fn s8_a_session_itself_is_no_page_and_there_is_no_catalog() {
    let house = House::start().await;
    let client = house.created().await;
    let ask = |method: Method, path: &str| -> Request<axum::body::Body> {
        post(path)
            .method(method)
            .header("authorization", format!("Bearer {}", client.token))
            .empty()
    };
    let itself = format!("{BASE}/{}", client.id);
    for method in [Method::GET, Method::POST, Method::DELETE] {
        refused(&house.send(ask(method, &itself)).await, 404, "Not found");
    }
    assert_eq!(house.send(ask(Method::HEAD, &itself)).await.status, 404);
    assert_eq!(house.send(ask(Method::POST, "/v1/catalog-item/list")).await.status, 404);
}

/// "Session id syntax: … reject ids over 128 chars or with characters outside `A–Z a–z 0–9 _ -` with 404",
/// and ours are UUIDs of version 4.
#[tokio::test]
async fn s8_a_session_id_is_a_uuid_and_what_cannot_be_one_is_404() {
    let house = House::start().await;
    let client = house.created().await;
    let id = uuid::Uuid::parse_str(&client.id).expect("a UUID");
    assert_eq!((id.get_version_num(), client.id.len()), (4, 36));
    let upper = client.id.to_ascii_uppercase();
    for id in ["a".repeat(128), "a".repeat(129), "a.b".into(), "a~b".into(), "%C3%A9".into(), upper]
    {
        let stranger = Client { id, ..client.clone() };
        refused(&house.ask(&stranger, "keep-alive").await, 404, "Session not found");
    }
}

/// "When end answers 400: … unparsable non-empty JSON sent as application/json"
#[tokio::test]
async fn s8_an_end_with_a_broken_body_is_400_and_ends_nothing() {
    let house = House::start().await;
    let client = house.created().await;
    for body in ["{", "nonsense", "[1]", "7", "{} {}"] {
        let answer = house.send(client.post("end").text("application/json", body)).await;
        refused(&answer, 400, "Request body must be a JSON object");
    }
    succeeded(&house.ask(&client, "keep-alive").await);
    succeeded(&house.send(client.post("end").text("text/plain", "{")).await);
}
