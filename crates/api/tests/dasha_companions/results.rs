//! R1 and R2, section 2.8 of the contract.

use epilogue_core::{EndReason, EndRequest, Span};
use http::Method;
use serde_json::{Value, json};

use crate::{
    client::{get, keyed, post, problem},
    house::{document, with},
    support::{CHAT_AGENT, FOREIGN_KEY, Fixture},
};

/// A fixture with three finished conversations, a second apart, and one that goes on.
async fn three() -> (Fixture, String, Vec<String>) {
    let fixture = Fixture::start().await;
    let agent = fixture.make(document()).await;
    let mut chats = Vec::new();
    for (customer, said) in
        [("Ann", "My invoice is wrong"), ("Bob", "Où est ma facture"), ("Ann", "invoice invoice")]
    {
        let data = json!({ "customer": customer, "n": chats.len() });
        let chat = fixture.chat(json!({ "agent_id": agent, "additional_data": data })).await;
        fixture.clock.advance(Span::from_secs(1 + chats.len() as u64));
        fixture.say(&chat, said).await;
        fixture.end(&chat).await;
        fixture.run_until_idle().await;
        fixture.clock.advance(Span::from_secs(60));
        chats.push(chat);
    }
    fixture.talk(&agent, &["still here"]).await;
    fixture.run_until_idle().await;
    (fixture, agent, chats)
}

impl Fixture {
    async fn results(&self, body: Value) -> Value {
        let answer = self.send(post("/callresults/search", &body)).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.json()
    }

    /// The ids of what a search finds, in order.
    async fn found(&self, body: Value) -> Vec<String> {
        let found = self.results(body).await;
        let results = found["results"].as_array().expect("a list").clone();
        assert_eq!(found["totalCount"].as_u64().map(|n| n >= results.len() as u64), Some(true));
        results.iter().map(|one| one["callId"].as_str().expect("an id").to_owned()).collect()
    }
}

#[tokio::test]
async fn r1_a_result_has_every_published_member() {
    let (fixture, _, chats) = three().await;
    let body = json!({ "callIds": [chats[0]], "searchText": "INVOICE" });
    let mut found = fixture.results(body).await;
    assert!(found["results"][0]["score"].take().is_f64());
    insta::assert_json_snapshot!("results", found);
}

#[tokio::test]
async fn r1_each_filter_restricts_by_its_part() {
    let (fixture, agent, chats) = three().await;
    let (one, two, three) = (chats[0].clone(), chats[1].clone(), chats[2].clone());
    let all = [three.clone(), two.clone(), one.clone()];
    assert_eq!(fixture.found(json!({})).await, all, "the latest first, and only what has ended");
    for (filter, expected) in [
        (json!({ "agentIds": [agent] }), &all[..]),
        (json!({ "agentIds": [CHAT_AGENT] }), &[]),
        (json!({ "callStatuses": ["Completed"] }), &all[..]),
        (json!({ "callStatuses": ["Failed", "Running", "Canceled"] }), &[]),
        (json!({ "callIds": [two.clone(), "nonsense"] }), &all[1..2]),
        (json!({ "callIds": ["nonsense"] }), &[]),
        (json!({ "endpoint": "web" }), &all[..]),
        (json!({ "endpoint": "+1" }), &[]),
        (json!({ "additionalDataFilters": { "customer": "Bob" } }), &all[1..2]),
        (
            json!({ "additionalDataFilters": [{ "key": "callAdditionalData.n", "value": 2 }] }),
            &all[..1],
        ),
        (json!({ "additionalDataFilters": { "n": "2" } }), &[]),
        (json!({ "additionalDataFilters": { "a\"b\\": 1 } }), &[]),
        (json!({ "fromDate": "2024-01-15T10:01:30Z" }), &all[..1]),
        (json!({ "toDate": "2024-01-15T10:00:30Z" }), &all[2..]),
        (
            json!({ "fromDate": "2024-01-15T10:00:01Z", "toDate": "2024-01-15T10:00:01Z" }),
            &all[2..],
        ),
    ] {
        assert_eq!(fixture.found(filter.clone()).await, expected, "{filter}");
    }
}

#[tokio::test]
async fn r1_full_text_finds_words_in_any_case_and_accent_and_nothing_in_them_is_an_operator() {
    let (fixture, _, chats) = three().await;
    let found = async |text: &str| fixture.found(json!({ "searchText": text })).await;
    assert_eq!(found("OU FACTURE").await, [chats[1].clone()]);
    assert_eq!(found("wrong invoice").await, [chats[0].clone()], "all of the words");
    assert_eq!(found("Bob").await, [chats[1].clone()], "the client's data is searched too");
    for signs in ["wrong & invoice", "\"!\" wrong , invoice …", "wrong\0invoice\u{7}"] {
        assert_eq!(found(signs).await, [chats[0].clone()], "signs restrict nothing: {signs:?}");
    }
    let member = json!({ "additionalDataFilters": { "a\0b": 1 } });
    assert_eq!(fixture.found(member).await, [""; 0]);
    for nothing in [
        "\"",
        "& …",
        "zebra & invoice",
        "NOT invoice",
        "words : x",
        "org:x",
        "zebra",
        "invo*",
        "( AND",
    ] {
        assert_eq!(found(nothing).await, [""; 0], "{nothing}");
    }
    let best = json!({ "searchText": "invoice", "sortField": "score" });
    assert_eq!(fixture.found(best).await[0], chats[2], "what says it most comes first");
}

#[tokio::test]
async fn r1_sorting_and_paging() {
    let (fixture, _, chats) = three().await;
    for field in ["completedTime", "createdTime", "durationSeconds"] {
        let body = json!({ "sortField": field, "sortDirection": "Ascending" });
        assert_eq!(fixture.found(body).await, chats, "{field}");
    }
    for field in ["endpoint", "agentId", "score"] {
        assert_eq!(fixture.found(json!({ "sortField": field })).await.len(), 3);
    }
    let page = fixture.results(json!({ "page": 1, "size": 2 })).await;
    assert_eq!(page["results"].as_array().map(Vec::len), Some(1));
    let surrounds = ["totalCount", "page", "size", "totalPages"].map(|name| page[name].clone());
    assert_eq!(surrounds, [3, 1, 2, 2]);
    assert!(page["aggregations"].is_null());
    assert_eq!(fixture.found(json!({ "page": 2, "size": 2 })).await, [""; 0]);
}

#[tokio::test]
async fn r1_aggregations_count_everything_that_matches() {
    let (fixture, _, _) = three().await;
    let body = json!({
        "size": 1, "includeAggregations": true,
        "aggregationFields": ["customer", "callAdditionalData.n", "nothing"],
    });
    let found = fixture.results(body).await;
    let mut aggregations = found["aggregations"].clone();
    assert_eq!(aggregations["agentCounts"].as_object().map(serde_json::Map::len), Some(1));
    aggregations["agentCounts"].take();
    insta::assert_json_snapshot!("result_aggregations", aggregations);
}

#[tokio::test]
async fn r1_bad_input_is_named() {
    let fixture = Fixture::start().await;
    for (body, part) in [
        (json!({ "size": 0 }), "size"),
        (json!({ "size": 101 }), "size"),
        (json!({ "page": -1 }), "page"),
        (json!({ "page": 501, "size": 20 }), "page"),
        (json!({ "fromDate": "yesterday" }), "fromDate"),
        (json!({ "callStatuses": ["Done"] }), "callStatuses"),
        (json!({ "sortField": "mood" }), "sortField"),
        (json!({ "sortDirection": "Up" }), "sortDirection"),
        (json!({ "agentIds": "x" }), "agentIds"),
        (json!({ "agentIds": vec!["x"; 101] }), "agentIds"),
        (json!({ "searchText": "x".repeat(1_001) }), "searchText"),
        (json!({ "searchText": "x ".repeat(33) }), "searchText"),
        (json!({ "aggregationFields": vec!["x"; 11] }), "aggregationFields"),
        (json!([]), "$"),
    ] {
        let refused = problem(&fixture.send(post("/callresults/search", &body)).await, 400);
        assert!(refused["errors"][part].is_array(), "{part}: {refused}");
    }
    for good in [
        json!({ "size": 100, "page": 100 }),
        json!({ "page": 500, "size": 20 }),
        json!({ "searchText": "x ".repeat(32) }),
        json!({ "agentIds": vec!["x"; 100] }),
    ] {
        assert_eq!(fixture.send(post("/callresults/search", &good)).await.status, 200, "{good}");
    }
}

#[tokio::test]
async fn r1_and_r2_show_nobody_elses_conversations() {
    let (fixture, _, chats) = three().await;
    for body in [json!({}), json!({ "searchText": "invoice" }), json!({ "callIds": chats })] {
        let request = keyed(FOREIGN_KEY, Method::POST, "/callresults/search", body.to_string());
        assert_eq!(fixture.send(request).await.json()["totalCount"], 0);
    }
    let path = format!("/calls/{}", chats[0]);
    problem(&fixture.send(keyed(FOREIGN_KEY, Method::GET, &path, "")).await, 404);
    problem(&fixture.send(keyed("wrong", Method::GET, &path, "")).await, 401);
}

#[tokio::test]
async fn r2_a_call_in_short_while_it_runs_and_afterwards() {
    let fixture = Fixture::start().await;
    let agent = fixture.make(with("/config/resultWebhook", json!(null))).await;
    let chat = fixture.talk(&agent, &["hello"]).await;
    let path = format!("/calls/{chat}");
    let running = fixture.send(get(&path)).await.json();
    assert_eq!((&running["status"], &running["completedTime"]), (&json!("Running"), &Value::Null));
    fixture.end(&chat).await;
    insta::assert_json_snapshot!("call", fixture.send(get(&path)).await.json());
    for unknown in ["nonsense", "00000000-0000-7000-8000-000000000000"] {
        problem(&fixture.send(get(&format!("/calls/{unknown}"))).await, 404);
    }
    let broken = fixture.talk(&agent, &["hello"]).await;
    let session = fixture.session(&broken).await;
    let failed = EndRequest::asked(EndReason::Failed);
    fixture.engine.end(&session.org, session.id, failed).await.expect("ended");
    fixture.run_until_idle().await;
    let shown = fixture.send(get(&format!("/calls/{broken}"))).await.json();
    assert_eq!(shown["status"], "Failed");
    let failed = fixture.results(json!({ "callStatuses": ["Failed"] })).await;
    assert_eq!(failed["results"][0]["callId"], json!(broken));
    assert!(failed["results"][0]["errorMessage"].is_string());
}

#[tokio::test]
async fn nothing_is_indexed_before_the_end_is_answered() {
    let fixture = Fixture::start().await;
    let agent = fixture.make(document()).await;
    let chat = fixture.talk(&agent, &["hello"]).await;
    assert_eq!(fixture.end(&chat).await.status, 200);
    assert_eq!(fixture.found(json!({})).await, [""; 0], "the index is a step's business");
    fixture.run_until_idle().await;
    assert_eq!(fixture.found(json!({})).await, [chat]);
}
