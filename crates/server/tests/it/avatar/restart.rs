//! A server that goes while somebody watches, and the next one on the same data.

use std::time::Duration;

use epilogue_browser::{Browser, Glance};
use serde_json::{Value, json};

use super::{House, SECRET, client::Client};
use crate::support::{
    eventually, in_time, pause,
    receiver::{Fate, Receiver},
};

/// How long there is no server. Long enough to tell apart whether it is billed.
const DOWN: Duration = Duration::from_secs(4);
const TEXT: &str = "This is a long story, and it will not be told to its end. ";

/// A server whose webhooks are received, and a session that is watched while it speaks.
async fn in_the_middle() -> (House, Receiver, Client, Browser) {
    let receiver = Receiver::start(SECRET, |_, _| Fate::Answered(200)).await;
    let webhook = json!({ "url": receiver.url(), "secret": format!("literal:{SECRET}") });
    let house = House::with(&json!({ "webhook": webhook }), &json!({})).await;
    let browser = Browser::start().await;
    let client = house.watched(&browser).await;
    client.said(&TEXT.repeat(20)).await;
    browser.look_until("the avatar speak", Glance::speaks).await;
    assert_eq!(client.post("keep-alive").await.status, 200);
    (house, receiver, client, browser)
}

/// What has become of a session whose server went.
async fn is_finished(house: &House, receiver: &Receiver, client: &Client) -> Value {
    let shown = eventually("the session to be final", async || {
        let shown = house.session(client).await;
        (shown["state"] == "final").then_some(shown)
    })
    .await;
    assert_eq!(shown["ended"]["reason"], "disconnected", "{shown}");
    let why = house.why(client).await;
    assert!(why.to_string().contains("the server that showed it was gone"), "{why}");
    let steps = shown["steps"].as_array().expect("steps");
    let owed: Vec<_> = steps.iter().filter(|step| step["state"] != "not_owed").collect();
    assert!(owed.len() >= 3 && owed.iter().all(|step| step["state"] == "done"), "{owed:?}");
    let mut told: Vec<_> = receiver.deliveries();
    assert!(told.iter().all(|delivery| delivery.forged.is_none()), "{told:?}");
    told.sort_by_key(|delivery| delivery.json["type"].to_string());
    let told: Vec<_> = told.iter().map(|delivery| &delivery.json["type"]).collect();
    assert_eq!(told, ["session.ended", "session.finalized"], "each once");
    client.is_over().await;
    house.holds_nothing().await;
    shown
}

fn millis(shown: &Value) -> i64 {
    let text = shown.as_str().unwrap_or_else(|| panic!("no time: {shown}"));
    epilogue_core::Timestamp::parse(text).expect("a time").as_millis()
}

#[tokio::test]
async fn a_session_whose_server_is_killed_ends_at_the_next_start_and_is_not_billed_for_its_absence()
{
    let (mut house, receiver, client, browser) = in_the_middle().await;
    house.server.strike();
    house.server.gone().await;
    pause(DOWN).await;
    house.server = house.home.start_at(&house.address).await;
    let shown = is_finished(&house, &receiver, &client).await;

    let [opened, last, ended] =
        [&shown["opened_at"], &shown["ended"]["deadline"]["at"], &shown["ended"]["at"]].map(millis);
    assert!(ended - last >= i64::try_from(DOWN.as_millis()).expect("short"), "{shown}");
    // Sixty credits a minute, to the second.
    let seconds = (last - opened) / 1_000;
    assert_eq!(shown["cost_micro_credits"], seconds * 1_000_000, "{shown}");
    let ledger = house.native.get(&house.server.url(), "/ledger").await;
    let rows = ledger["items"].as_array().expect("rows").iter();
    let paid: Vec<_> = rows.filter(|row| row["account"] == "revenue").collect();
    assert_eq!(paid.len(), 1, "settled once: {ledger}");
    assert_eq!(paid[0]["amount_micro_credits"], shown["cost_micro_credits"]);

    // The page is not told by a server that is dead; the next session is shown to it all the same.
    let next = house.watched(&browser).await;
    assert_eq!(next.post("end").await.status, 200);
    in_time("the browser to be gone", browser.stop()).await;
    house.server.stop().await;
}

#[tokio::test]
async fn a_server_that_stops_tells_its_viewers_and_the_next_one_ends_their_sessions() {
    let (mut house, receiver, client, browser) = in_the_middle().await;
    // Somebody else's turn, which the server waits for.
    let (url, native) = (house.server.url(), house.native.clone());
    let slow = native.opened(&url, "slow").await;
    let mut turn = native.send(&url, &slow, "go on").await.expect("an answer").expect("begun");
    turn.next().await.expect("an event");
    house.server.terminate();
    let gone = browser.look_until("the end", |glance| glance.transport == "closed").await;
    assert!(gone.frames > 5.0, "{gone:?}");
    let connection = browser.run("arguments[0](pc.connectionState)", vec![]).await;
    assert_eq!(connection, "connected", "the page was told before its own timers");
    assert!(house.server.sockets().len() > 1, "it has not waited for its own end");
    house.server.terminate();
    let status = house.server.gone().await;
    assert!(status.success(), "{}", house.server.logs());
    house.server = house.home.start_at(&house.address).await;
    is_finished(&house, &receiver, &client).await;
    in_time("the browser to be gone", browser.stop()).await;
    house.server.stop().await;
}
