//! Sessions that end by themselves let everything go as well.

use epilogue_browser::{Browser, Glance};
use serde_json::{Value, json};

use super::{Client, House, figures::is};
use crate::support::{eventually, in_time, pause};

/// How long a session may be idle at the least, and a moment more, in looks of a second.
const IDLE_LOOKS: usize = 60;

async fn ended(house: &House, client: &Client) -> Value {
    // Whoever waits may have to wait for longer than tests do otherwise.
    for _ in 0..IDLE_LOOKS {
        let shown = house.session(client).await;
        if shown["ended"] != Value::Null {
            return shown["ended"].clone();
        }
        pause(std::time::Duration::from_secs(1)).await;
    }
    panic!("it never ends");
}

/// As long as somebody watches it lives, without a single keep-alive; then it is missed.
#[tokio::test]
async fn a_session_that_nobody_keeps_alive_ends_when_nobody_watches_it_any_more() {
    let house = House::with(&json!({ "idle_timeout_s": 30 }), &json!({})).await;
    let browser = Browser::start().await;
    let client = house.watched(&browser).await;
    browser.run("pc.close(); arguments[0](true)", vec![]).await;
    eventually("the viewer to be missed", async || {
        let held = house.held().await;
        (is(held["stage_viewers"], 0) && is(held["stage_sessions"], 1)).then_some(())
    })
    .await;
    let ended = ended(&house, &client).await;
    assert_eq!((&ended["reason"], &ended["deadline"]["kind"]), (&json!("idle"), &json!("idle")));
    house.holds_nothing().await;
    client.is_over().await;
    in_time("the browser to be gone", browser.stop()).await;
    house.server.stop().await;
}

#[tokio::test]
async fn a_session_that_lasts_too_long_ends_in_the_middle_of_a_word() {
    let house = House::with(&json!({ "max_duration_s": 12 }), &json!({})).await;
    let browser = Browser::start().await;
    let client = house.watched(&browser).await;
    client.said(&"All work and no play makes Jack a dull boy. ".repeat(10)).await;
    browser.look_until("the avatar speak", Glance::speaks).await;
    let gone = browser.look_until("the end", |glance| glance.transport == "closed").await;
    assert!(gone.frames > 5.0, "{gone:?}");
    let ended = ended(&house, &client).await;
    assert_eq!(ended["reason"], "max_duration");
    house.holds_nothing().await;
    client.is_over().await;
    in_time("the browser to be gone", browser.stop()).await;
    house.server.stop().await;
}
