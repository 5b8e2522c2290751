//! The adapter against the official server: `scripts/with-graphiti cargo test -p epilogue-engine --test it
//! graphiti::real -- --nocapture`. Without one these tests say that they are skipped, and pass.

use std::time::Duration;

use epilogue_core::{Person, Span};
use epilogue_engine::memory::{ForgetRequest, Memory as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use url::Url;

use super::{Faults, House, of, scope};
use crate::support::{START, model, org};

/// The server that the environment names. `None`: it names none.
fn server() -> Option<Url> {
    let Ok(url) = std::env::var("EPILOGUE_TEST_GRAPHITI_URL") else {
        println!("skipped: EPILOGUE_TEST_GRAPHITI_URL is not set");
        return None;
    };
    Some(url.parse().expect("EPILOGUE_TEST_GRAPHITI_URL is a URL"))
}

/// A house whose clock goes as fast as the server's.
async fn house(url: &Url) -> House {
    let mut house = House::with(1, Faults::default(), |setup| {
        let graphiti = setup.graphiti.as_mut().expect("set");
        (graphiti.url, graphiti.patience) = (url.clone(), Span::from_secs(120));
    })
    .await;
    house.tick = (Span::from_millis(50), Duration::from_millis(50));
    house.app.model().by_rule(|_| Ok(vec![model::text("Noted."), model::end()]));
    house
}

/// The group of somebody's memory, by the rule that the documentation gives.
fn group(who: &str) -> String {
    let (org, mut digest) = (org(), Sha256::new());
    digest.update(org.as_str().len().to_be_bytes());
    digest.update(org.as_str());
    digest.update(scope(who).0);
    format!("epilogue_{}", hex::encode(digest.finalize()))
}

async fn asked(url: &Url, path: &str, body: Option<Value>) -> Value {
    let client = reqwest::Client::builder().build().expect("a client");
    let url = url.join(path).expect("a URL");
    let request = match body {
        Some(body) => client.post(url).json(&body),
        None => client.get(url),
    };
    request.send().await.expect("an answer").json().await.expect("JSON")
}

async fn episodes(url: &Url, group: &str) -> Vec<Value> {
    let shown = asked(url, &format!("episodes/{group}?last_n=100"), None).await;
    shown.as_array().expect("a list").clone()
}

#[tokio::test]
async fn the_official_server_holds_every_message_once_and_in_order() {
    let Some(url) = server() else { return };
    let house = house(&url).await;
    let who = "ann@example.com";
    let mut expected = Vec::new();
    let mut sessions = Vec::new();
    for said in [
        ["I live in Lisbon.", "I work at Acme."],
        ["I have a dog called Rex.", "I moved to Porto."],
    ] {
        house.app.advance(Span::from_secs(86_400));
        let id = house.talked(who, &said.map(str::to_owned)).await;
        expected.extend(house.expected(id).await.into_iter().map(|(name, _)| name));
        sessions.push(id);
    }
    house.until_remembered(&sessions).await;
    let held = episodes(&url, &group(who)).await;
    for episode in &held {
        println!("{} {} {}", episode["valid_at"], episode["name"], episode["content"]);
    }
    let names: Vec<_> =
        held.iter().map(|episode| episode["name"].as_str().expect("a name")).collect();
    assert_eq!(names, expected, "once each, in order");
    let body =
        json!({ "group_ids": [group(who)], "query": "where does the user live", "max_facts": 10 });
    for fact in asked(&url, "search", Some(body)).await["facts"].as_array().expect("facts") {
        println!("{} from {} until {}", fact["fact"], fact["valid_at"], fact["invalid_at"]);
    }
    recalled_and_forgotten(&house, who).await;
}

async fn recalled_and_forgotten(house: &House, who: &str) {
    // The limit of an open is simulated time, which stands still unless somebody moves it.
    let next = house.app.open_with(|open| of(open, who)).await;
    let recalled = house.app.session(next).await.context.recalled.expect("something");
    println!("{recalled}");
    assert!(recalled.contains("User lives in Porto (since 2025-06-17, said on 2025-06-17)"));
    let past = recalled.lines().find(|line| line.contains("lives in Lisbon"));
    assert!(past.is_none_or(|line| line.contains("until 2025-06-17")), "it is over");
    let person = Person::new(who).expect("a person");
    let request = ForgetRequest { org: org(), person, scopes: vec![scope(who)] };
    let report = house.app.graphiti().forget(&request).await.expect("asked");
    println!("{report:?}");
    assert_eq!(report.left.is_empty(), episodes_left(house, who).await == 0, "it says what is so");
}

async fn episodes_left(_: &House, who: &str) -> usize {
    episodes(&server().expect("there is one"), &group(who)).await.len()
}

/// How long twenty messages take one at a time, and all at once: shown, not judged.
#[tokio::test]
async fn the_official_server_takes_twenty_messages() {
    let Some(url) = server() else { return };
    let house = house(&url).await;
    let said: Vec<_> = (0..10).map(|n| format!("I like Thing{n}.")).collect();
    let id = house.talked("bob", &said).await;
    let began = house.app.now();
    house.until_remembered(&[id]).await;
    println!("21 messages one at a time: {:?}", house.app.now().since(began));
    let messages: Vec<_> = (0..21_i64)
        .map(|n| {
            let at = epilogue_core::Timestamp::from_millis(START.as_millis() + n);
            json!({
                "content": format!("I like Thing{n}."),
                "role_type": "user",
                "role": "User",
                "name": format!("all.{n}"),
                "timestamp": at.to_jiff().to_string(),
            })
        })
        .collect();
    let began = house.app.now();
    asked(&url, "messages", Some(json!({ "group_id": "all_at_once", "messages": messages }))).await;
    house.until("all at once", async |_| episodes(&url, "all_at_once").await.len() == 21).await;
    println!("21 messages all at once: {:?}", house.app.now().since(began));
}
