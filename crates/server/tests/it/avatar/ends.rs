//! The forms in which a page ends its session: each is a page that goes, or stays, in its own way.

use epilogue_browser::Browser;
use serde_json::{Value, json};

use super::{Client, House};
use crate::support::{eventually, in_time};

/// The published samples: the first two as a page is left, the third as its tab is closed.
const BODY: &str = "const [url, token, done] = arguments;
    const headers = { Authorization: 'Bearer ' + token, 'Content-Type': 'application/json' };
    fetch(url, { method: 'POST', headers, body: '{}' })
        .then(async answer => done([answer.status, await answer.json()]), e => done(String(e)));";
const KEEPALIVE: &str = "const [url, token, done] = arguments;
    addEventListener('beforeunload', () => {
        fetch(url, { method: 'POST', headers: { Authorization: 'Bearer ' + token }, keepalive: true });
    });
    done(true);";
const BEACON: &str = "const [url, token, done] = arguments;
    addEventListener('pagehide', () => {
        navigator.sendBeacon(url, JSON.stringify({ headers: { Authorization: 'Bearer ' + token } }));
    });
    done(true);";

async fn has_ended(house: &House, client: &Client) {
    eventually("the session to end", async || {
        let shown = house.session(client).await;
        (shown["ended"]["reason"] == "user_end").then_some(())
    })
    .await;
    house.holds_nothing().await;
    client.is_over().await;
}

fn arguments(client: &Client) -> Vec<Value> {
    vec![client.url("end").into(), client.token.clone().into()]
}

#[tokio::test]
async fn a_page_ends_its_session_by_a_body_by_its_last_request_and_by_a_beacon_of_its_tab() {
    let house = House::start().await;
    let browser = Browser::start().await;
    let mut tokens = Vec::new();

    let client = house.watched(&browser).await;
    let ended = browser.run(BODY, arguments(&client)).await;
    assert_eq!(ended, json!([200, { "success": true }]));
    has_ended(&house, &client).await;
    tokens.push(client.token);

    let client = house.watched(&browser).await;
    browser.run(KEEPALIVE, arguments(&client)).await;
    browser.show("about:blank").await;
    has_ended(&house, &client).await;
    tokens.push(client.token);

    let driver = browser.client();
    let stays = driver.window().await.expect("a window");
    let tab = driver.new_window(true).await.expect("a tab");
    driver.switch_to_window(tab.handle).await.expect("there");
    let client = house.watched(&browser).await;
    browser.run(BEACON, arguments(&client)).await;
    driver.close_window().await.expect("closed");
    driver.switch_to_window(stays).await.expect("there");
    has_ended(&house, &client).await;
    tokens.push(client.token);

    in_time("the browser to be gone", browser.stop()).await;
    let logs = house.server.stop().await;
    assert!(tokens.iter().all(|token| !logs.contains(token)), "a token is in the log");
}
