//! 2.7: the history of a project, as lists and one by one.

use axum::body::Body;
use epilogue_api::dialect::pathors::HISTORY_PAGE_SIZE_MAX;
use epilogue_core::{Span, analysis::Form, profile::Keeps};
use epilogue_engine::records::HISTORY_MAX;
use http::Method;
use serde_json::{Value, json};

use crate::{
    client::*,
    support::{Answer, Fixture},
};

/// The history list's places, of all generations.
const LISTS: [&str; 6] = [
    "/project/{P}/session",
    "/api/project/{P}/session",
    "/v1/projects/{P}/session-history",
    "/api/v1/projects/{P}/session-history",
    "/v1/projects/{P}/sessions",
    "/api/v1/projects/{P}/sessions",
];

/// Names of sessions on a page.
fn names(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.status, 200, "{}", answer.body);
    let data = answer.json()["data"].as_array().expect("a list").clone();
    data.iter().map(|entry| entry["sessionId"].as_str().expect("a name").to_owned()).collect()
}

/// Sessions of these names, opened a second apart.
async fn opened(house: &Fixture, names: &[&str]) {
    for name in names {
        house.created(name, json!({ "provider": "web" })).await;
        house.clock.advance(Span::from_secs(1));
    }
}

/// `GET /v1/projects/{P}/sessions?page=1&pageSize=10`: "Pages count from 1. Newest first".
#[tokio::test]
async fn c2_7_the_list_stands_at_every_path_the_newest_first() {
    let house = house().await;
    opened(&house, &["a", "b", "c"]).await;
    house.says("b", "Hello").await;
    house.clock.advance(Span::from_secs(5));
    house.end("b").await;
    house.created("d", json!({})).await;
    for list in LISTS {
        let path = list.replace("{P}", PROJECT);
        let answer = house.send(keyed(SK, Method::GET, &path, Body::empty())).await;
        assert_eq!(names(&answer), ["d", "c", "b", "a"], "{list}");
        let pagination = json!({ "page": 1, "pageSize": 10, "totalPages": 1, "total": 4 });
        assert_eq!(answer.json()["pagination"], pagination);
    }
}

/// `{"sessionId","startTime","endTime"|null,"provider"|null,"messageCount","marked":bool,"evaluation"}`
#[tokio::test]
async fn c2_7_an_entry_says_when_through_what_and_how_much() {
    let house = house().await;
    house.created("a", json!({ "provider": "web" })).await;
    house.clock.advance(Span::from_millis(1_500));
    house.says("a", "Hello").await;
    if house.session("a").await.ended().is_none() {
        house.end("a").await;
    }
    house.run_until_idle().await;
    house.created("b", json!({})).await;
    let session = house.session("a").await;
    let answer = house.send(get("/session-history")).await.json();
    let at =
        |at: epilogue_core::Timestamp| at.to_jiff().strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string();
    let ended = session.ended().expect("ended").at;
    let expected = json!({
        "sessionId": "a", "startTime": at(session.opened_at), "endTime": at(ended),
        "provider": "web", "messageCount": 2, "marked": false, "evaluation": null,
    });
    assert_eq!(answer["data"][1], expected);
    let live = &answer["data"][0];
    assert_eq!((&live["endTime"], &live["provider"]), (&Value::Null, &Value::Null));
    assert_eq!(live["messageCount"], 0);
}

/// "the answer … appears as `evaluation.result` in history"
#[tokio::test]
async fn c5_the_evaluation_stays_in_the_history() {
    let house = house_with(|setup| {
        let form: Form = serde_json::from_value(json!({
            "name": "evaluation", "labels": [{ "name": "result", "type": "number" }],
        }))
        .expect("a form");
        for agent in &mut setup.organizations[0].agents {
            agent.analysis = vec![form.clone()];
        }
    })
    .await;
    house.created("a", json!({})).await;
    house.says("a", "Hello").await;
    house.end("a").await;
    house.run_until_idle().await;
    let list = house.send(get("/session-history")).await.json();
    let entry = house.send(get("/session-history/a")).await.json();
    let analyses = house.engine.analyses_of(&ORG.into(), house.session("a").await.id).await;
    let made = analyses.expect("read")[0].values["result"].clone();
    assert_eq!(list["data"][0]["evaluation"], json!({ "result": made }));
    assert_eq!(entry["data"]["evaluation"], json!({ "result": made }));
}

/// `?page=1&pageSize=10[&search=text]`
#[tokio::test]
async fn c2_7_pages_and_searches() {
    let house = unlimited().await;
    let many: Vec<_> = (1..=12).map(|n| format!("user-{n:02}")).collect();
    opened(&house, &many.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let list = async |query: &str| house.send(get(&format!("/session-history{query}"))).await;
    assert_eq!(names(&list("").await).len(), 10);
    assert_eq!(names(&list("?page=2").await), ["user-02", "user-01"]);
    let fourth = list("?page=4&pageSize=3").await;
    assert_eq!(names(&fourth), ["user-03", "user-02", "user-01"]);
    let pagination = json!({ "page": 4, "pageSize": 3, "totalPages": 4, "total": 12 });
    assert_eq!(fourth.json()["pagination"], pagination);
    assert!(names(&list("?page=5&pageSize=3").await).is_empty());
    assert_eq!(names(&list("?search=-1").await), ["user-12", "user-11", "user-10"]);
    assert_eq!(names(&list("?search=-1&page=3&pageSize=1").await), ["user-10"]);
    for none in ["?search=USER", "?search=%25", "?search=_", "?search=user*"] {
        assert!(names(&list(none).await).is_empty(), "{none}");
    }
    assert_eq!(names(&list("?search=&page=&pageSize=").await).len(), 10, "nothing is said");
}

#[tokio::test]
async fn c2_7_a_page_is_held_to_its_bounds() {
    let house = house().await;
    opened(&house, &["a"]).await;
    let list = async |query: &str| house.send(get(&format!("/session-history?{query}"))).await;
    let size = |answer: &Answer| answer.json()["pagination"]["pageSize"].clone();
    for asked in [HISTORY_PAGE_SIZE_MAX, HISTORY_PAGE_SIZE_MAX + 1] {
        assert_eq!(size(&list(&format!("pageSize={asked}")).await), HISTORY_PAGE_SIZE_MAX);
    }
    for wrong in ["0", "-1", "1.5", "x", "+1", "99999999999", "%31%20"] {
        for name in ["page", "pageSize"] {
            let answer = list(&format!("{name}={wrong}")).await;
            refused(&answer, 400, &format!("{name} must be a positive integer"));
        }
    }
    for behind in [2, HISTORY_MAX, HISTORY_MAX + 1, u32::MAX] {
        let answer = list(&format!("pageSize=100&page={behind}")).await;
        assert_eq!((answer.status.as_u16(), names(&answer).len()), (200, 0), "{behind}");
        assert_eq!(answer.json()["pagination"]["total"], 1);
    }
}

/// 2.7: 500, for the list, one session and the figures.
#[tokio::test]
async fn c2_7_a_fault_of_ours_500() {
    let house = house().await;
    opened(&house, &["a"]).await;
    let figures = "DROP INDEX sessions_ended_in_project";
    house.database().execute_batch(figures).expect("broken");
    house.breaks();
    for tail in ["", "/a", "/stats"] {
        let answer = house.send(get(&format!("/session-history{tail}"))).await;
        refused(&answer, 500, "Internal server error");
    }
}

/// Detail: `{"data":{ …as above, "events":[{"type","timestamp","data":{"message":{"role","content"}}}] }}`
#[tokio::test]
async fn c2_7_the_events_of_a_live_session_are_what_was_said() {
    let house = house().await;
    house.created("a", json!({})).await;
    house.says("a", "Hello").await;
    let answer = house.send(get("/session-history/a")).await.json();
    let events = answer["data"]["events"].as_array().expect("events").clone();
    let told = |event: &Value| (event["type"].clone(), event["data"]["message"].clone());
    let said: Vec<_> = events.iter().map(told).collect();
    let expected = [
        (json!("message.received"), json!({ "role": "user", "content": "Hello" })),
        (json!("message.sent"), json!({ "role": "assistant", "content": "You said: Hello" })),
    ];
    assert_eq!(said, expected);
    assert!(events.iter().all(|event| event["timestamp"].is_string()));
    assert_eq!(answer["data"]["sessionId"], "a");
}

/// "Whether message events stay is a retention setting; default: keep no message text" (7.6)
#[tokio::test]
async fn c7_6_an_ended_session_has_events_only_where_transcripts_are_kept() {
    for (keeps, events) in [(Keeps::Counters, 0), (Keeps::Messages, 2)] {
        let house = house_with(|setup| {
            let organization = &mut setup.organizations[0].organization;
            organization.keep_transcripts = keeps == Keeps::Messages;
        })
        .await;
        house.created("a", json!({ "variables": { "x": "secret" } })).await;
        house.says("a", "Hello").await;
        house.end("a").await;
        let count = async || {
            let answer = house.send(get("/session-history/a")).await;
            assert!(!answer.body.contains("secret"), "{}", answer.body);
            answer.json()["data"]["events"].as_array().expect("events").len()
        };
        assert_eq!(count().await, events, "before the purge");
        house.run_until_idle().await;
        assert_eq!(count().await, events, "and after it");
        let entry = house.send(get("/session-history/a")).await.json();
        assert_eq!(entry["data"]["messageCount"], 2);
    }
}

/// "a session with such an id is unreachable by GET" (2.0), and its history is not.
#[tokio::test]
async fn c2_0_a_session_called_stats_is_in_the_list() {
    let house = house().await;
    opened(&house, &["stats", "search", "terminate"]).await;
    let listed = names(&house.send(get("/session-history?search=stats")).await);
    assert_eq!(listed, ["stats"]);
    for figures in ["/session-history/stats", "/sessions/stats"] {
        let answer = house.send(get(figures)).await.json();
        assert_eq!(answer["data"]["totalSessions"], 3, "figures, not a session");
    }
    for name in ["search", "terminate"] {
        let entry = house.send(get(&format!("/session-history/{name}"))).await.json();
        assert_eq!(entry["data"]["sessionId"], name);
    }
}

/// "Same id may be created anew": the latest is shown, and the list has both.
#[tokio::test]
async fn c2_7_of_a_name_that_was_used_again_the_latest_is_shown() {
    let house = house().await;
    opened(&house, &["a"]).await;
    house.end("a").await;
    house.run_until_idle().await;
    opened(&house, &["a"]).await;
    let entry = house.send(get("/session-history/a")).await.json();
    assert_eq!(entry["data"]["endTime"], Value::Null);
    assert_eq!(names(&house.send(get("/session-history")).await), ["a", "a"]);
}

#[tokio::test]
async fn c2_7_what_is_not_there_is_404_and_what_is_anothers_401() {
    let house = house().await;
    opened(&house, &["a"]).await;
    for name in ["x", "A", &escaped("é".repeat(256).as_str()), "%20"] {
        let answer = house.send(get(&format!("/session-history/{name}"))).await;
        refused(&answer, 404, "Session not found");
    }
    let elsewhere = format!("/v1/projects/{OTHER_PROJECT}/session-history/a");
    let answer = house.send(keyed(DK, Method::GET, &elsewhere, Body::empty())).await;
    refused(&answer, 404, "Session not found");
    for tail in ["", "/a", "/stats"] {
        let path = current(&format!("/session-history{tail}"));
        unauthorized(&house.send(keyed(OTHER_SK, Method::GET, &path, Body::empty())).await);
        unauthorized(&house.send(keyed("nobody", Method::GET, &path, Body::empty())).await);
        let answer = house.send(keyed(READ_SK, Method::GET, &path, Body::empty())).await;
        assert_eq!(answer.status, 200, "whoever may look may");
    }
}
