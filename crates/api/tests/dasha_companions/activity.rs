//! L1, section 2.8 of the contract.

use epilogue_core::Span;
use http::Method;
use serde_json::{Value, json};

use crate::{
    client::{keyed, post, problem},
    house::document,
    support::{FOREIGN_KEY, Fixture},
};

impl Fixture {
    async fn log(&self, body: Value) -> Value {
        let answer = self.send(post("/activity-logs/search", &body)).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.json()
    }

    async fn types(&self, body: Value) -> Vec<String> {
        let found = self.log(body).await;
        let results = found["results"].as_array().expect("a list").clone();
        results.iter().map(|entry| entry["type"].as_str().expect("a word").to_owned()).collect()
    }
}

/// A fixture in which an agent was made, and a conversation had, ended and told in vain.
async fn busy() -> (Fixture, String, String) {
    let fixture = Fixture::start().await;
    let agent = fixture.make(document()).await;
    fixture.clock.advance(Span::from_secs(10));
    let chat = fixture.talk(&agent, &["hello"]).await;
    fixture.clock.advance(Span::from_secs(10));
    fixture.webhooks.answer(&[404]);
    let note = json!({ "note": "Zürich calling" });
    fixture.ask(Method::POST, &format!("/chats/{chat}/end"), note).await;
    fixture.run_until_idle().await;
    (fixture, agent, chat)
}

#[tokio::test]
async fn l1_every_filter_restricts_by_its_part() {
    let (fixture, agent, chat) = busy().await;
    let all = ["CallCompleted", "CallCreated", "AgentCreated"];
    let ended = |body: Value| async { fixture.types(body).await };
    assert_eq!(ended(json!({})).await.len(), 4);
    for (filter, expected) in [
        (
            json!({ "types": ["CallCompleted", "AgentCreated"] }),
            &["CallCompleted", "AgentCreated"][..],
        ),
        (json!({ "severities": ["Error"] }), &["WebhookFailed"]),
        (json!({ "severities": ["Info"] }), &all),
        (json!({ "severities": ["Warning", "Critical"] }), &[]),
        (json!({ "callers": ["User"] }), &["CallCompleted", "AgentCreated"]),
        (json!({ "callers": ["System"], "severities": ["Info"] }), &["CallCreated"]),
        (json!({ "callers": ["System", "User"], "severities": ["Info"] }), &all),
        (json!({ "callIds": [chat], "severities": ["Info"] }), &all[..2]),
        (json!({ "callIds": ["nonsense"] }), &[]),
        (json!({ "agentIds": [agent], "severities": ["Info"] }), &all),
        (json!({ "agentIds": ["other"] }), &[]),
        (json!({ "userEmail": "ann@example.com" }), &[]),
        (json!({ "toDate": "2024-01-15T10:00:05Z" }), &["AgentCreated"]),
        (json!({ "fromDate": "2024-01-15T10:00:15Z", "severities": ["Info"] }), &["CallCompleted"]),
        (json!({ "searchText": "zürich CALLING" }), &["CallCompleted"]),
        (json!({ "searchText": "ZÜRICH" }), &["CallCompleted"]),
        (json!({ "searchText": "answered 404" }), &["WebhookFailed"]),
        (json!({ "searchText": "USER_END" }), &["CallCompleted"]),
        (json!({ "searchText": "reason" }), &[]),
        (json!({ "searchText": "agent created" }), &["AgentCreated"]),
        (json!({ "searchText": "house bot" }), &["AgentCreated"]),
        (json!({ "searchText": "%" }), &[]),
    ] {
        assert_eq!(fixture.types(filter.clone()).await, expected, "{filter}");
    }
}

#[tokio::test]
async fn l1_order_pages_and_aggregations() {
    let (fixture, _, _) = busy().await;
    let mut latest_last = fixture.types(json!({})).await;
    latest_last.reverse();
    let ascending = json!({ "sortField": "timestamp", "sortDirection": "Ascending" });
    assert_eq!(fixture.types(ascending).await, latest_last);
    let by_type = json!({ "sortField": "type", "sortDirection": "Ascending" });
    assert_eq!(fixture.types(by_type).await[0], "AgentCreated");
    let page = fixture.log(json!({ "page": 1, "size": 3 })).await;
    assert_eq!(page["results"].as_array().map(Vec::len), Some(1));
    let surrounds = ["totalCount", "page", "size", "totalPages"].map(|name| page[name].clone());
    assert_eq!(surrounds, [4, 1, 3, 2]);
    assert_eq!(
        page["aggregations"],
        json!({
            "typeCounts": { "AgentCreated": 1, "CallCreated": 1, "CallCompleted": 1, "WebhookFailed": 1 },
            "severityCounts": { "Info": 3, "Error": 1 },
            "callerCounts": { "User": 2, "System": 2 },
        })
    );
}

#[tokio::test]
async fn l1_bad_input_is_named_and_others_see_nothing() {
    let (fixture, _, _) = busy().await;
    for (body, part) in [
        (json!({ "size": 101 }), "size"),
        (json!({ "size": 0 }), "size"),
        (json!({ "page": -1 }), "page"),
        (json!({ "types": ["Party"] }), "types"),
        (json!({ "severities": ["info"] }), "severities"),
        (json!({ "callers": ["Me"] }), "callers"),
        (json!({ "toDate": "tomorrow" }), "toDate"),
        (json!({ "sortField": "mood" }), "sortField"),
        (json!({ "userEmail": 7 }), "userEmail"),
    ] {
        let refused = problem(&fixture.send(post("/activity-logs/search", &body)).await, 400);
        assert!(refused["errors"][part].is_array(), "{part}: {refused}");
    }
    let foreign = keyed(FOREIGN_KEY, Method::POST, "/activity-logs/search", "{}");
    assert_eq!(fixture.send(foreign).await.json()["totalCount"], 0);
    problem(&fixture.send(keyed("wrong", Method::POST, "/activity-logs/search", "{}")).await, 401);
}

#[tokio::test]
async fn a_timer_and_the_agent_are_the_system() {
    let fixture = Fixture::start().await;
    let agent = fixture.make(document()).await;
    let quiet = fixture.chat(json!({ "agent_id": agent, "ttl_seconds": 60 })).await;
    let finished = fixture.talk(&agent, &["goodbye"]).await;
    fixture.clock.advance(Span::from_secs(61));
    fixture.run_until_idle().await;
    let stored = json!({ "searchText": "idle" });
    assert_eq!(fixture.types(stored).await, [""; 0], "no such word is shown");
    for (chat, reason) in [(quiet, "ttl"), (finished, "agent_finish")] {
        let body = json!({ "callIds": [chat], "types": ["CallCompleted"] });
        let entry = fixture.log(body).await["results"][0].clone();
        assert_eq!((&entry["caller"], &entry["severity"]), (&json!("System"), &json!("Info")));
        assert_eq!(entry["metadata"]["final_reason"], reason);
        assert_eq!(entry["metadata"]["channel"], "web");
        let shown = json!({ "searchText": reason, "callIds": [entry["callId"]] });
        assert_eq!(fixture.types(shown).await, ["CallCompleted"], "{reason}");
    }
}
