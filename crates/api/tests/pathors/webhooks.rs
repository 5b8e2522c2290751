//! 2.11: subscriptions to a project's events.

use axum::body::Body;
use epilogue_core::{StepKind, StepState, subscription::SUBSCRIPTIONS_MAX};
use http::Method;
use serde_json::{Value, json};

use crate::client::*;

const URL: &str = "https://n8n.example.com/webhook/1";

fn subscription(url: &str, events: &[&str]) -> Value {
    json!({ "url": url, "events": events })
}

fn delete(id: &str) -> http::Request<Body> {
    keyed(DK, Method::DELETE, &current(&format!("/webhooks/{id}")), Body::empty())
}

/// Errors of this resource have a message and room for details.
#[track_caller]
fn complained(answer: &crate::support::Answer, status: u16, message: &str) {
    assert_eq!(answer.status.as_u16(), status, "{}", answer.body);
    assert_eq!(answer.json()["error"]["message"], message, "{}", answer.body);
}

/// > `POST …/webhooks/check` `{"url"}` → top-level `{"exists":bool,"id"?}`; `POST …/webhooks`
/// > `{"url","events":[…]}` → 2xx; `DELETE …/webhooks/{id}` → 2xx. … Serve both.
#[tokio::test]
async fn c2_11_the_n8n_nodes_calls_work_at_every_prefix() {
    let house = house().await;
    for family in ["/project/{P}", "/api/project/{P}", "/v1/projects/{P}", "/api/v1/projects/{P}"] {
        let root = family.replace("{P}", PROJECT) + "/webhooks";
        let check =
            || keyed(DK, Method::POST, &format!("{root}/check"), json!({ "url": URL }).to_string());
        assert_eq!(house.send(check()).await.told(), (200, r#"{"exists":false}"#));
        let body = subscription(URL, &["session.started", "session.ended", "call.ended"]);
        let made = house.send(keyed(DK, Method::POST, &root, body.to_string())).await;
        assert_eq!(made.status, 201, "{}", made.body);
        let id = made.json()["id"].as_str().expect("an id").to_owned();
        let checked = house.send(check()).await;
        assert_eq!(checked.json(), json!({ "exists": true, "id": id }));
        let again = house.send(keyed(DK, Method::POST, &root, body.to_string())).await;
        assert_eq!((again.status.as_u16(), &again.json()["id"]), (200, &json!(id)));
        let listed = house.send(keyed(DK, Method::GET, &root, Body::empty())).await;
        assert_eq!(listed.json()["data"].as_array().map(Vec::len), Some(1));
        assert_eq!(listed.json()["data"][0]["url"], URL);
        let gone =
            house.send(keyed(DK, Method::DELETE, &format!("{root}/{id}"), Body::empty())).await;
        assert_eq!(gone.told(), (200, r#"{"success":true}"#));
        assert_eq!(house.send(check()).await.told(), (200, r#"{"exists":false}"#));
    }
}

#[tokio::test]
async fn c2_11_what_is_not_there_cannot_be_deleted() {
    let house = house().await;
    for id in ["nonsense", "00000000000000000000000000000001"] {
        complained(&house.send(delete(id)).await, 404, "Webhook not found");
    }
    let body = subscription(URL, &["session.ended"]);
    let made = house.send(post("/webhooks", &body)).await;
    let id = made.json()["id"].as_str().expect("an id").to_owned();
    let path = format!("/v1/projects/{OTHER_PROJECT}/webhooks/{id}");
    let other = house.send(keyed(DK, Method::DELETE, &path, Body::empty())).await;
    complained(&other, 404, "Webhook not found");
    assert_eq!(house.send(delete(&id)).await.status, 200);
    complained(&house.send(delete(&id)).await, 404, "Webhook not found");
}

#[tokio::test]
async fn c2_11_a_url_is_public_and_https_and_an_event_is_known() {
    let house = house().await;
    let long = format!("https://e.example.com/{}", "x".repeat(2_049 - 22));
    for (url, message) in [
        (json!(null), "url is required"),
        (json!(" "), "url is required"),
        (json!(7), "url is required"),
        (json!("nonsense"), "url must be an absolute URL"),
        (json!("http://e.example.com/"), "url must be an https URL"),
        (json!("ftp://e.example.com/"), "url must be an https URL"),
        (json!("https://127.0.0.1/"), "url must be on the public internet"),
        (json!("https://[::1]/"), "url must be on the public internet"),
        (json!("https://localhost/"), "url must be on the public internet"),
        (json!("https://169.254.169.254/latest"), "url must be on the public internet"),
        (json!(long), "url must have at most 2048 bytes"),
    ] {
        let body = json!({ "url": url, "events": ["session.ended"] });
        complained(&house.send(post("/webhooks", &body)).await, 400, message);
    }
    let fits = format!("https://e.example.com/{}", "x".repeat(2_048 - 22));
    let body = subscription(&fits, &["session.ended"]);
    assert_eq!(house.send(post("/webhooks", &body)).await.status, 201);
    for events in
        [json!(null), json!([]), json!("session.ended"), json!(["session.over"]), json!([7])]
    {
        let body = json!({ "url": URL, "events": events });
        let message = "events must name at least one event of this API";
        complained(&house.send(post("/webhooks", &body)).await, 400, message);
    }
    for body in ["", "[]", "{"] {
        let answer = house.send(keyed(DK, Method::POST, &current("/webhooks"), body)).await;
        complained(&answer, 400, "url is required");
    }
}

#[tokio::test]
async fn c2_11_a_url_with_other_events_is_a_conflict_that_names_the_subscription() {
    let house = house().await;
    let made = house.send(post("/webhooks", &subscription(URL, &["session.ended"]))).await;
    let other = house.send(post("/webhooks", &subscription(URL, &["session.started"]))).await;
    assert_eq!(other.status, 409);
    assert_eq!(other.json()["error"]["details"]["id"], made.json()["id"]);
    let twice = subscription(URL, &["session.ended", "session.ended"]);
    assert_eq!(house.send(post("/webhooks", &twice)).await.json(), made.json());
}

#[tokio::test]
async fn c2_11_a_project_has_as_many_as_it_may_and_no_more() {
    let house = house().await;
    for n in 0..SUBSCRIPTIONS_MAX {
        let body = subscription(&format!("https://{n}.example.com/"), &["session.ended"]);
        assert_eq!(house.send(post("/webhooks", &body)).await.status, 201);
    }
    let refused = house.send(post("/webhooks", &subscription(URL, &["session.ended"]))).await;
    complained(&refused, 409, "A project has at most 100 subscriptions");
}

#[tokio::test]
async fn c2_11_only_who_owns_the_project_subscribes() {
    let house = house().await;
    let body = subscription(URL, &["session.ended"]).to_string();
    for key in ["", "nonsense", OTHER_SK, READ_SK] {
        let answer =
            house.send(keyed(key, Method::POST, &current("/webhooks"), body.clone())).await;
        unauthorized(&answer);
    }
    let answer =
        house.send(keyed(READ_SK, Method::GET, &current("/webhooks"), Body::empty())).await;
    assert_eq!(answer.told(), (200, r#"{"data":[]}"#));
}

/// > Independent of the agent's `postSessionWebhook`; both fire.
#[tokio::test]
async fn c2_11_subscribers_and_the_agents_webhook_are_told_beside_each_other() {
    let house = house().await;
    let all = ["session.started", "session.ended", "session.finalized"];
    house.send(post("/webhooks", &subscription(URL, &all))).await;
    house.created("x", json!({})).await;
    house.run_until_idle().await;
    house.says("x", "hello").await;
    house.end("x").await;
    house.run_until_idle().await;
    let heard = house.webhooks.heard();
    let told: Vec<_> = heard
        .iter()
        .map(|request| {
            let body: Value = serde_json::from_str(&request.body).expect("JSON");
            (request.url.host_str().expect("a host").to_owned(), body["event"].clone())
        })
        .collect();
    let n8n = |event: &str| ("n8n.example.com".to_owned(), json!(event));
    assert_eq!(told[0], n8n("session.started"));
    assert!(told[1..3].contains(&n8n("session.ended")), "{told:?}");
    assert!(told[1..3].contains(&("hooks.example.test".to_owned(), json!("session.ended"))));
    assert_eq!(told[3..], [n8n("session.finalized")], "the agent's webhook hears the end alone");
}

/// > create … Existing live id: … no second `session.started`.
#[tokio::test]
async fn c2_2_a_session_that_is_entered_again_starts_once() {
    let house = house().await;
    house.send(post("/webhooks", &subscription(URL, &["session.started"]))).await;
    for _ in 0..3 {
        house.created("x", json!({})).await;
    }
    house.run_until_idle().await;
    assert_eq!(house.webhooks.heard().len(), 1);
    house.end("x").await;
    house.created("x", json!({})).await;
    house.run_until_idle().await;
    let started =
        house.webhooks.heard().iter().filter(|r| r.body.contains("session.started")).count();
    assert_eq!(started, 2, "a fresh session of that name starts anew");
}

#[tokio::test]
async fn c2_11_a_subscription_that_is_gone_is_skipped_and_shown_so() {
    let house = house().await;
    let made = house.send(post("/webhooks", &subscription(URL, &["session.ended"]))).await;
    house.created("x", json!({})).await;
    house.end("x").await;
    let id = made.json()["id"].as_str().expect("an id").to_owned();
    assert_eq!(house.send(delete(&id)).await.status, 200);
    house.run_until_idle().await;
    let session = house.session("x").await;
    let path = format!("/epilogue/v1/sessions/{}", session.id);
    let shown = house.send(keyed(SECRET, Method::GET, &path, Body::empty())).await.json();
    let steps = shown["steps"].as_array().expect("steps");
    let step = steps.iter().find(|step| step["step"]["subscription_id"] == json!(id));
    let step = step.expect("it was owed");
    assert_eq!((&step["kind"], &step["state"]), (&json!("notify_ended"), &json!("skipped")));
    assert_eq!(step["reason"], "the subscription is gone");
}

/// A parked delivery to one subscriber is listed, shown and sent again by itself.
#[tokio::test]
async fn c2_11_each_receiver_has_its_own_delivery_that_can_be_sent_again() {
    let house = house().await;
    let made = house.send(post("/webhooks", &subscription(URL, &["session.started"]))).await;
    house.webhooks.answer(&[410]);
    house.created("x", json!({})).await;
    house.run_until_idle().await;
    let session = house.session("x").await;
    let steps = house.engine.steps_of(&ORG.into(), session.id).await.expect("read");
    let (step, _) = &steps[0];
    assert_eq!((step.kind, steps.len()), (StepKind::NotifyStarted, 1));
    assert!(matches!(step.state, StepState::Parked { .. }));
    let path = format!("/epilogue/v1/deliveries/{}", step.id().event_id());
    let shown = house.send(keyed(SECRET, Method::GET, &path, Body::empty())).await.json();
    assert_eq!((&shown["url"], &shown["subscription_id"]), (&json!(URL), &made.json()["id"]));
    let path = format!("/epilogue/v1/steps/{}/retry", step.id());
    let resumed = house.send(keyed(SECRET, Method::POST, &path, Body::empty())).await;
    assert_eq!((resumed.status.as_u16(), &resumed.json()["state"]), (200, &json!("owed")));
    assert_eq!(resumed.json()["subscription_id"], made.json()["id"]);
    house.run_until_idle().await;
    let heard = house.webhooks.heard();
    assert_eq!((heard.len(), &heard[0].body), (2, &heard[1].body));
    assert_eq!(heard[0].id, heard[1].id);
}

/// One receiver that is down silences no other: what is final is told to those who are there.
#[tokio::test]
async fn c5_what_is_final_waits_for_no_other_receiver() {
    let house = house().await;
    house
        .send(post("/webhooks", &subscription(URL, &["session.ended", "session.finalized"])))
        .await;
    let down = "https://down.example.com/";
    let made = house
        .send(post("/webhooks", &subscription(down, &["session.started", "session.finalized"])))
        .await;
    house.webhooks.refuse(1);
    house.created("x", json!({})).await;
    house.run_until_idle().await;
    house.end("x").await;
    house.run_until_idle().await;
    let told = |house: &crate::support::Fixture, host: &str| {
        let heard = house.webhooks.heard();
        let its = heard.iter().filter(|request| request.url.host_str() == Some(host));
        its.filter(|request| request.body.contains("session.finalized")).count()
    };
    assert_eq!((told(&house, "n8n.example.com"), told(&house, "down.example.com")), (1, 0));
    // The operator's remedy works at once.
    let id = made.json()["id"].as_str().expect("an id").to_owned();
    assert_eq!(house.send(delete(&id)).await.status, 200);
    house.run_until_idle().await;
    let state = format!("{:?}", house.session("x").await.state);
    assert!(state.starts_with("Final"), "{state}");
    assert_eq!(told(&house, "down.example.com"), 0);
}
