//! Forgetting means gone: a person, whose very name is looked for, has conversations with the real server,
//! is remembered, recalled and corrected, and is forgotten; also when the server is killed meanwhile.

use reqwest::Method;
use serde_json::{Value, json};

use super::world::{self, CANARY, KEY, PATHWAY, REMEMBERING, World, holds};
use crate::support::{client::Http, eventually, native::Native, pause};

/// The person: in a path, as in `sessions`.
const PERSON: &str = "Ann%20zqCANARY%40example.com";
/// The same, as sessions are opened.
const NAMED: &str = "ann zqcanary@example.com";

/// A conversation of the person's. Its id.
pub async fn converse(native: &Native, url: &str, agent: &str) -> String {
    let opened = native.open(url, agent, Some(NAMED)).await.expect("an answer");
    let session = opened.body["session"]["id"].as_str().expect("an id").to_owned();
    let said = native.send(url, &session, &format!("I am {CANARY}.")).await.expect("an answer");
    said.expect("a turn").all().await.expect("read");
    session
}

pub async fn finalized(native: &Native, url: &str, session: &str) {
    let ended = native.end(url, session, &json!({})).await.expect("an answer");
    assert_eq!(ended.status, 200, "{}", ended.body);
    eventually("the session to be final", async || {
        let shown = native.session(url, session).await;
        let state = shown["state"].as_str().or(shown["session"]["state"].as_str());
        (state == Some("final")).then_some(())
    })
    .await;
}

async fn memory(native: &Native, url: &str) -> Value {
    native.get(url, &format!("/memory/{PERSON}")).await
}

async fn forget(native: &Native, url: &str) -> Value {
    let path = format!("/memory/{PERSON}?transcripts=true");
    let answer = native.request(Method::DELETE, url, &path, None).await.expect("an answer");
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.body
}

fn count(report: &Value, place: &str) -> u64 {
    let removed = report["removed"].as_array().expect("a list");
    let of = removed.iter().find(|of| of["place"] == place);
    of.and_then(|of| of["count"].as_u64()).unwrap_or(0)
}

/// One fact is corrected, another deleted.
async fn put_right(native: &Native, url: &str) {
    let known = memory(native, url).await;
    let facts = known["items"].as_array().expect("facts");
    let id = |relation: &str| {
        let found = facts.iter().find(|fact| fact["relation"] == relation);
        found.unwrap_or_else(|| panic!("{relation} in {known}"))["id"].as_str().expect("an id")
    };
    let path = |relation: &str| format!("/memory/{PERSON}/facts/{}", id(relation));
    let object = json!({ "name": format!("{CANARY} the second") });
    let body = json!({ "sentence": format!("No, it is {CANARY}."), "object": object });
    let corrected = native.request(Method::PATCH, url, &path("is_called"), Some(&body)).await;
    assert_eq!(corrected.expect("an answer").status, 200);
    let deleted = native.request(Method::DELETE, url, &path("likes"), None).await;
    assert_eq!(deleted.expect("an answer").status, 204);
}

/// Every answer that could tell of the person.
async fn answers(native: &Native, url: &str, sessions: &[String]) -> String {
    let mut seen = memory(native, url).await.to_string();
    let lists = ["/sessions", "/deliveries", "/activity", "/steps", "/ledger"].map(str::to_owned);
    let each = sessions
        .iter()
        .flat_map(|id| ["", "/messages", "/why"].map(|tail| format!("/sessions/{id}{tail}")));
    for path in lists.into_iter().chain(each) {
        seen += &native.get(url, &path).await.to_string();
    }
    let deliveries = native.get(url, "/deliveries").await;
    for delivery in deliveries["items"].as_array().expect("deliveries") {
        let id = delivery["id"].as_str().expect("an id");
        seen += &native.get(url, &format!("/deliveries/{id}")).await.to_string();
    }
    seen
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_a_forgotten_person_is_left_in_files_logs_and_answers() {
    let (world, http) = (World::new().await, Http::new());
    let native = Native::new(&http, KEY);
    let server = world.home.start().await;
    let url = server.url();
    let mut sessions = Vec::new();
    for agent in [PATHWAY, REMEMBERING, PATHWAY] {
        let session = converse(&native, &url, agent).await;
        finalized(&native, &url, &session).await;
        sessions.push(session);
    }
    put_right(&native, &url).await;
    let live = converse(&native, &url, PATHWAY).await;
    assert!(!world.found().is_empty(), "it is there");
    let before = (native.get(&url, "/ledger").await, native.get(&url, "/balance").await);

    let report = forget(&native, &url).await;
    for place in [
        "store.facts",
        "store.entities",
        "store.episodes",
        "store.corrections",
        "store.embeddings",
        "store.transcripts",
        "store.recalled",
    ] {
        assert!(count(&report, place) > 0, "{place}: {report}");
    }
    let left = report["left"].to_string();
    assert!(left.contains(&live), "the one that is open is named: {left}");
    assert!(!holds(report.to_string().as_bytes()), "{report}");
    let after = (native.get(&url, "/ledger").await, native.get(&url, "/balance").await);
    assert_eq!(after, before, "the books stay");
    assert_eq!(memory(&native, &url).await["items"], json!([]));

    finalized(&native, &url, &live).await;
    assert_eq!(memory(&native, &url).await["items"], json!([]), "it began before");
    let books = native.get(&url, "/ledger").await;
    let report = forget(&native, &url).await;
    assert_eq!((count(&report, "store.transcripts"), &report["left"]), (1, &json!([])));
    assert_eq!(native.get(&url, "/ledger").await, books);
    eventually("the last byte to go", async || {
        pause(world::MOMENT).await;
        world.found().is_empty().then_some(())
    })
    .await;
    sessions.push(live);
    let seen = answers(&native, &url, &sessions).await;
    assert!(!holds(seen.as_bytes()), "{seen}");
    let logs = server.stop().await;
    let told = logs.lines().find(|line| holds(line.to_lowercase().as_bytes()));
    assert_eq!(told, None, "nothing of it is in the logs, whatever they tell");
    assert!(logs.contains("TRACE"), "they tell everything");
    assert_eq!(world.found(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_while_it_forgets_has_forgotten_when_asked_again() {
    let (world, http) = (World::new().await, Http::new());
    let native = Native::new(&http, KEY);
    let mut server = world.home.start().await;
    for _ in 0..3 {
        let session = converse(&native, &server.url(), PATHWAY).await;
        finalized(&native, &server.url(), &session).await;
    }
    let (asking, url) = (native.clone(), server.url());
    let path = format!("/memory/{PERSON}?transcripts=true");
    let asked =
        tokio::spawn(async move { asking.request(Method::DELETE, &url, &path, None).await });
    eventually("the first part to be decided", async || {
        memory(&native, &server.url()).await["items"].as_array()?.is_empty().then_some(())
    })
    .await;
    // Whether it has been answered or not: what has been decided stands, and the rest is asked for again.
    server.kill().await;
    drop(asked.await);
    server = world.home.start().await;
    let report = forget(&native, &server.url()).await;
    assert_eq!(report["left"], json!([]));
    let again = forget(&native, &server.url()).await;
    assert_eq!(again, json!({ "removed": [], "left": [] }));
    eventually("the last byte to go", async || {
        pause(world::MOMENT).await;
        world.found().is_empty().then_some(())
    })
    .await;
    server.stop().await;
    assert_eq!(world.found(), Vec::<String>::new());
}
