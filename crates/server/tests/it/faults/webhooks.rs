//! Receivers that do not behave: the step fails with the cause on record, and nobody else waits.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use http::{HeaderValue, header};
use serde_json::{Value, json};

use super::{KEY, config, organization};
use crate::support::{
    binary::Home,
    client::Http,
    native::Native,
    peer::{Peer, answer},
    raw::{self, Manners},
    receiver::{Fate, Receiver},
};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn told_at(id: &str, url: &str) -> Value {
    json!({
        "id": id, "name": id, "model": { "provider": "scripted" },
        "webhook": { "url": url, "secret": SECRET },
    })
}

/// One attempt, and a second for it.
fn one_attempt() -> Value {
    json!({ "notify": { "retry_s": [0], "timeout_s": 1, "jitter_percent": 0 } })
}

/// Why telling the end of a new session with this agent has failed, in the words of the API.
async fn cause(native: &Native, url: &str, agent: &str) -> String {
    let session = native.opened(url, agent).await;
    let ended = native.end(url, &session, &json!({})).await.expect("an answer");
    assert_eq!(ended.status, 200, "{}", ended.body);
    let step = native.step(url, &session, "notify_ended", "parked").await;
    step["reason"].as_str().expect("a cause").to_owned()
}

#[tokio::test]
async fn each_way_to_misbehave_is_on_record_with_its_cause() {
    let followed = Arc::new(AtomicUsize::new(0));
    let count = followed.clone();
    let target = Peer::start(move |_| {
        count.fetch_add(1, Ordering::Relaxed);
        async { Ok(answer(200, "")) }
    })
    .await;
    let elsewhere = target.url("/elsewhere");
    let redirecting = Peer::start(move |_| {
        let mut found = answer(302, "");
        let place = HeaderValue::from_str(&elsewhere).expect("a header");
        found.headers_mut().insert(header::LOCATION, place);
        async { Ok(found) }
    })
    .await;
    let good = Receiver::start(SECRET, |_, _| Fate::Answered(200)).await;
    let closed = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let nobody = format!("http://{}/hook", closed.local_addr().expect("an address"));
    drop(closed);
    let home = Home::new(&config(json!({
        "steps": one_attempt(),
        "organizations": [organization(vec![
            told_at("hangs", &raw::receiver(Manners::Hangs).await),
            told_at("drips", &raw::receiver(Manners::Drips).await),
            told_at("resets", &raw::receiver(Manners::Resets).await),
            told_at("redirects", &redirecting.url("/hook")),
            told_at("nobody", &nobody),
            told_at("good", &good.url()),
        ])],
    })));
    let server = home.start().await;
    let (url, http) = (server.url(), Http::new());
    let native = Native::new(&http, KEY);
    for (agent, word) in [
        ("hangs", "1 s"),
        ("drips", "1 s"),
        ("resets", "connection"),
        ("redirects", "302"),
        ("nobody", "refused"),
    ] {
        let cause = cause(&native, &url, agent).await;
        assert!(cause.to_lowercase().contains(word), "{agent}: {cause}");
    }
    assert_eq!(followed.load(Ordering::Relaxed), 0, "a redirect was followed");
    let session = native.opened(&url, "good").await;
    native.end(&url, &session, &json!({})).await.expect("an answer");
    native.step(&url, &session, "notify_finalized", "done").await;
    let told = good.deliveries();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told.iter().all(|delivery| delivery.forged.is_none()), "{told:?}");
    server.stop().await;
}

#[tokio::test]
async fn private_addresses_are_not_called_unless_the_operator_says_so() {
    let hits = Arc::new(AtomicUsize::new(0));
    let count = hits.clone();
    let private = Peer::start(move |_| {
        count.fetch_add(1, Ordering::Relaxed);
        async { Ok(answer(200, "")) }
    })
    .await;
    let secured = private.url("/hook").replace("http://127.0.0.1", "https://localhost");
    let home = Home::new(&config(json!({
        "security": { "allow_private_webhooks": false },
        "steps": one_attempt(),
        "organizations": [organization(vec![
            told_at("name", &secured),
            told_at("number", "https://10.0.0.1/hook"),
            told_at("metadata", "https://169.254.169.254/latest"),
            told_at("mapped", "https://[::ffff:127.0.0.1]/hook"),
        ])],
    })));
    let server = home.start().await;
    let (url, http) = (server.url(), Http::new());
    let native = Native::new(&http, KEY);
    for agent in ["name", "number", "metadata", "mapped"] {
        let cause = cause(&native, &url, agent).await;
        assert!(cause.contains("private") || cause.contains("not public"), "{agent}: {cause}");
    }
    assert_eq!(hits.load(Ordering::Relaxed), 0, "a private address was called");
    server.stop().await;
}
