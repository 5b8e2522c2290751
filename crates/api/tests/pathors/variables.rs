//! 2.9: writing variables, an extension.

use epilogue_core::Span;
use http::{Method, Request};
use serde_json::{Value, json};

use crate::{
    client::*,
    support::{Answer, Fixture},
};

fn patching(name: &str, body: &Value) -> Request<axum::body::Body> {
    let path = current(&format!("/sessions/{}/variables", escaped(name)));
    keyed(DK, Method::PATCH, &path, body.to_string())
}

async fn write(house: &Fixture, name: &str, variables: Value) -> Answer {
    house.send(patching(name, &json!({ "variables": variables }))).await
}

#[tokio::test]
async fn c2_9_variables_are_merged_and_null_takes_away() {
    let house = house().await;
    house.created("a/b", json!({ "variables": { "keep": 1, "over": { "x": 1 }, "go": 2 } })).await;
    house.clock.advance(Span::from_secs(60));
    let change = json!({ "over": { "y": "{{keep}}" }, "go": null, "new": [1] });
    let answer = write(&house, "a/b", change).await;
    let variables = json!({ "keep": 1, "over": { "y": "{{keep}}" }, "new": [1] });
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json(), json!({ "sessionId": "a/b", "variables": variables }));
    let shown = house.queried("a/b").await;
    assert_eq!(shown["state"]["variables"], variables);
    assert_eq!(shown["updatedAt"], "2024-01-15T10:01:00.000Z", "it counts as activity");
    let api = "/api/v1/projects/proj_1/sessions/a%2Fb/variables";
    let answer = house.send(keyed(SK, Method::PATCH, api, r#"{"variables":{}}"#)).await;
    assert_eq!(answer.json()["variables"], variables);
}

#[tokio::test]
async fn c2_9_what_is_not_live_404() {
    let house = house().await;
    house.created("ended", json!({})).await;
    house.end("ended").await;
    house.created("overdue", json!({})).await;
    house.clock.advance(Span::from_secs(1_800));
    for name in ["ended", "overdue", "unknown"] {
        refused(&write(&house, name, json!({ "a": 1 })).await, 404, "Session not found");
    }
    assert!(house.session("ended").await.context.bag.is_empty());
}

#[tokio::test]
async fn c2_9_variables_of_another_form_or_too_many_400() {
    let house = house().await;
    house.created("x", json!({})).await;
    for (body, message) in [
        (json!({}), "variables is required"),
        (json!([]), "variables is required"),
        (json!({ "variables": null }), "variables is required"),
        (json!({ "variables": [1] }), "variables must be an object"),
        (
            json!({ "variables": { "new": "x".repeat(65_536) } }),
            "variables must have at most 65536 bytes of JSON",
        ),
    ] {
        refused(&house.send(patching("x", &body)).await, 400, message);
    }
    let deep = (0..33).fold(json!(1), |inner, _| json!({ "a": inner }));
    refused(&write(&house, "x", deep).await, 400, "variables must have at most 32 levels");
    // Five times what one request may bring is more than a session may have.
    for n in 0..4 {
        let name = format!("n{n}");
        assert_eq!(write(&house, "x", json!({ name: "x".repeat(60_000) })).await.status, 200);
    }
    let most = "variables must have at most 1000 names and 262144 bytes of JSON in all";
    refused(&write(&house, "x", json!({ "n5": "x".repeat(60_000) })).await, 400, most);
    let swapped = json!({ "n0": null, "n5": "x".repeat(60_000) });
    assert_eq!(write(&house, "x", swapped).await.status, 200);
}
