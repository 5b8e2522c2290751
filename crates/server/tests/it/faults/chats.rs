//! Turns that are asked for again under their key while the server is killed around them.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::{KEY, config};
use crate::support::{
    binary::Home,
    client::{Http, Lost},
    eventually,
    native::Native,
    pause,
};

/// How long after the message the server is killed, in milliseconds: before the turn begins, in the
/// middle of it, and about its end. Then once more, when it has been answered.
const KILLED_AFTER_MS: [u64; 11] = [0, 1, 3, 8, 20, 40, 60, 70, 80, 90, 120];

/// What a message costs, in millionths of a credit.
const MESSAGE_MICRO: i64 = 1_000;

fn patient() -> Value {
    let rule =
        json!({ "when": "", "reply": "One two three four. {{message}}", "word_delay_ms": 20 });
    let agent = json!({
        "id": "agent", "name": "Agent", "price": { "per_message": "0.001" },
        "model": { "provider": "scripted", "script": [rule] },
    });
    let organization = json!({
        "id": "org_faults", "name": "Faults", "credits": "100", "api_keys": [KEY], "agents": [agent],
    });
    config(&json!({ "organizations": [organization] }))
}

/// Asks the chats API something, and reads the exact bytes of the answer.
async fn ask(http: &Http, url: &str, path: &str, body: &Value) -> Result<(u16, String), Lost> {
    let request = http.request(Method::POST, format!("{url}/api/v1{path}"));
    let response = request.bearer_auth(KEY).json(body).send().await?;
    Ok((response.status().as_u16(), response.text().await?))
}

#[tokio::test]
async fn a_turn_retried_with_its_key_across_a_kill_is_charged_once_and_answers_the_same_bytes() {
    let home = Home::new(&patient());
    let http = Http::new();
    let (mut answered, mut cut) = (0, 0);
    for wait in KILLED_AFTER_MS.map(Some).into_iter().chain([None]) {
        let server = home.start().await;
        let (status, opened) = ask(&http, &server.url(), "/chats", &json!({ "agent_id": "agent" }))
            .await
            .expect("sent");
        assert_eq!(status, 201, "{opened}");
        let opened: Value = serde_json::from_str(&opened).expect("JSON");
        let id = opened["id"].as_str().expect("an id").to_owned();
        let path = format!("/chats/{id}/messages");
        let message = json!({ "content": "Where is it?", "idempotency_key": "SM1" });
        let first = {
            let (http, url) = (http.clone(), server.url());
            let (path, message) = (path.clone(), message.clone());
            tokio::spawn(async move { ask(&http, &url, &path, &message).await })
        };
        if let Some(wait) = wait {
            pause(Duration::from_millis(wait)).await;
        } else {
            eventually("the answer", async || first.is_finished().then_some(())).await;
        }
        server.kill().await;
        let first = first.await.expect("no panic").ok();
        let server = home.start().await;
        let url = server.url();
        let (status, again) = ask(&http, &url, &path, &message).await.expect("an answer");
        assert_eq!(status, 200, "{again}");
        match first {
            Some(first) => {
                answered += 1;
                assert_eq!(first, (200, again.clone()), "killed after {wait:?} ms");
            }
            None => cut += 1,
        }
        server.kill().await;
        let server = home.start().await;
        let url = server.url();
        let third = ask(&http, &url, &path, &message).await.expect("an answer");
        assert_eq!(third, (200, again), "after another kill");
        let (status, ended) =
            ask(&http, &url, &format!("/chats/{id}/end"), &json!({})).await.expect("an answer");
        assert_eq!(status, 200, "{ended}");
        let ended: Value = serde_json::from_str(&ended).expect("JSON");
        assert_eq!(ended["messages"].as_array().map(Vec::len), Some(2), "{ended}");
        let session = Native::new(&http, KEY).session(&url, &id).await;
        let cost = session["cost_micro_credits"].as_i64();
        assert_eq!(cost, Some(2 * MESSAGE_MICRO), "killed after {wait:?} ms: {session}");
        server.stop().await;
    }
    assert!(answered > 0 && cut > 0, "{answered} answered before the kill, {cut} cut by it");
}
