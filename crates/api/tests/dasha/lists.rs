//! C2: `GET /api/v1/chats`, section 2.3, and C3, section 2.4.

use epilogue_core::Span;
use http::Method;
use serde_json::{Value, json};

use crate::{client::*, support::*};

impl Fixture {
    async fn list(&self, query: &str) -> Value {
        let answer = self.send(get(&format!("/chats{query}"))).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.json()
    }

    async fn listed(&self, query: &str) -> Vec<String> {
        let listed = self.list(query).await;
        let items = listed["items"].as_array().expect("items");
        items.iter().map(|item| item["id"].as_str().expect("an id").to_owned()).collect()
    }

    fn wait(&self, seconds: u64) {
        self.clock.advance(Span::from_secs(seconds));
    }
}

#[tokio::test]
async fn c2_items_are_whole_sessions_the_latest_active_first() {
    let fixture = Fixture::start().await;
    let first = fixture.chat(json!({})).await;
    fixture.wait(1);
    let second = fixture.chat(json!({})).await;
    assert_eq!(fixture.listed("").await, [&*second, &*first]);
    fixture.wait(1);
    fixture.say(&first, "hi").await;
    let listed = fixture.list("").await;
    assert_eq!(fixture.listed("").await, [&*first, &*second]);
    assert_eq!(listed["items"][0], fixture.show(&first).await);
    assert_eq!(listed["items"][0]["messages"].as_array().map(Vec::len), Some(2));
    insta::assert_json_snapshot!("list", listed);
}

#[tokio::test]
async fn c2_ties_sort_by_id() {
    let fixture = Fixture::start().await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(fixture.chat(json!({})).await);
    }
    ids.sort();
    assert_eq!(fixture.listed("").await, ids);
}

#[tokio::test]
async fn c2_state_is_active_unless_it_is_final_or_all() {
    let fixture = Fixture::start().await;
    let (open, over) = (fixture.chat(json!({})).await, fixture.chat(json!({})).await);
    fixture.wait(1);
    fixture.end(&over).await;
    assert_eq!(fixture.listed("").await, [&*open]);
    assert_eq!(fixture.listed("?state=active").await, [&*open]);
    assert_eq!(fixture.listed("?state=final").await, [&*over]);
    assert_eq!(fixture.listed("?state=all").await.len(), 2);
    fixture.run_until_idle().await;
    assert_eq!(fixture.listed("?state=final").await, [&*over], "when all is settled, too");
}

#[tokio::test]
async fn c2_filters_by_agent_channel_and_later_activity() {
    let fixture = Fixture::start().await;
    let quiet = fixture.chat(json!({ "agent_id": QUIET_AGENT })).await;
    let sms = fixture.chat(json!({ "channel": "twilio_sms" })).await;
    fixture.wait(60);
    let late = fixture.chat(json!({})).await;
    assert_eq!(fixture.listed(&format!("?agent_id={QUIET_AGENT}")).await, [&*quiet]);
    assert_eq!(fixture.listed("?channel=twilio_sms").await, [&*sms]);
    let after = |at: epilogue_core::Timestamp| format!("?updated_after={at}");
    assert_eq!(fixture.listed(&after(NOW)).await, [&*late], "later, not then");
    let before = NOW - Span::from_millis(1);
    assert_eq!(fixture.listed(&after(before)).await.len(), 3);
    let together = format!("?channel=web&agent_id={CHAT_AGENT}&take=5");
    assert_eq!(fixture.listed(&together).await, [&*late]);
}

#[tokio::test]
async fn c2_pages_by_skip_and_take_with_the_total_and_an_echo() {
    let fixture = Fixture::start().await;
    let mut ids = Vec::new();
    for _ in 0..25 {
        ids.insert(0, fixture.chat(json!({})).await);
        fixture.wait(1);
    }
    let page = fixture.list("").await;
    assert_eq!(
        (&page["skip"], &page["take"], &page["total_count"]),
        (&json!(0), &json!(20), &json!(25))
    );
    assert_eq!(fixture.listed("").await, ids[..20]);
    assert_eq!(fixture.listed("?skip=20").await, ids[20..]);
    let page = fixture.list("?skip=24&take=201").await;
    assert_eq!(page["take"], 200, "held to the most, and said so");
    assert_eq!(page["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(fixture.listed("?skip=10000").await, [""; 0], "as deep as a page may begin");
    let past = fixture.list("?skip=25").await;
    assert_eq!((&past["items"], &past["total_count"]), (&json!([]), &json!(25)));
}

#[tokio::test]
async fn c2_400_unknown_state_negative_skip_and_bad_date() {
    let fixture = Fixture::start().await;
    for (query, part) in [
        ("state=open", "state"),
        ("skip=-1", "skip"),
        ("skip=10001", "skip"),
        ("take=-1", "take"),
        ("take=0", "take"),
        ("take=many", "take"),
        ("updated_after=yesterday", "updated_after"),
    ] {
        wrong(&fixture.send(get(&format!("/chats?{query}"))).await, 400, part);
    }
}

#[tokio::test]
async fn c2_shows_no_other_organizations_sessions() {
    let fixture = Fixture::start().await;
    fixture.chat(json!({})).await;
    let answer = fixture.send(keyed(FOREIGN_KEY, Method::GET, "/chats?state=all", "")).await;
    assert_eq!(answer.json(), json!({ "items": [], "total_count": 0, "skip": 0, "take": 20 }));
}

#[tokio::test]
async fn c3_shows_active_and_final_sessions_and_looking_is_no_activity() {
    let fixture = Fixture::start().await;
    let id =
        fixture.chat(json!({ "external_id": { "from": "+1" }, "additional_data": { "a": 1 } }));
    let id = id.await;
    fixture.say(&id, "hi").await;
    let active = fixture.show(&id).await;
    fixture.wait(5);
    fixture.listed("").await;
    assert_eq!(fixture.show(&id).await, active);
    fixture.end(&id).await;
    insta::assert_json_snapshot!("shown", fixture.show(&id).await);
}
