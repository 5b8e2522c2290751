//! 2.6: searching the live sessions of a project.

use epilogue_core::Span;
use http::Method;
use serde_json::{Value, json};

use crate::{
    client::*,
    support::{Answer, Fixture},
};

async fn search(house: &Fixture, body: Value) -> Answer {
    house.send(post("/sessions/search", &body)).await
}

async fn found(house: &Fixture, text: &str) -> Vec<String> {
    let answer = search(house, json!({ "search_string": text })).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let body = answer.json();
    let results = body["results"].as_array().expect("results").clone();
    assert_eq!(body["pagination"]["total"], results.len());
    results.iter().map(|one| one["sessionId"].as_str().expect("a name").to_owned()).collect()
}

#[tokio::test]
async fn c2_6_a_session_is_found_by_every_path_as_the_page_shows_it() {
    let house = unlimited().await;
    house.created("x", json!({ "variables": { "city": "Ulm" } })).await;
    house.created("y", json!({})).await;
    house.says("x", "hi").await;
    for family in FAMILIES {
        let path = format!("{}/search", family.replace("{P}", PROJECT));
        let body = json!({ "search_string": "Ulm" }).to_string();
        let answer = house.send(keyed(READ_SK, Method::POST, &path, body)).await;
        let data = json!({
            "variables": { "city": "Ulm" },
            "messages": [
                { "role": "user", "content": "hi" },
                { "role": "assistant", "content": "You said: hi" },
            ],
        });
        let at = "2024-01-15T10:00:00.000Z";
        let result = json!({ "sessionId": "x", "data": data, "createdAt": at, "updatedAt": at });
        let expected = json!({
            "results": [result],
            "pagination": { "limit": 50, "offset": 0, "total": 1 },
        });
        assert_eq!((answer.status.as_u16(), answer.json()), (200, expected), "{path}");
    }
}

#[tokio::test]
async fn c2_6_the_text_is_looked_for_as_it_is_in_the_whole_of_the_data() {
    let house = unlimited().await;
    house.created("a", json!({ "variables": { "name": "Ann", "n": [1, 2], "q": "\"" } })).await;
    house.created("b", json!({ "variables": { "名字": "小明", "x": "100%_a.b*" } })).await;
    house.says("b", "back\\slash").await;
    let none: [&str; 0] = [];
    for (text, expected) in [
        ("Ann", vec!["a"]),
        ("ann", vec![]),
        (r#""n":[1,2]"#, vec!["a"]),
        (r#""n": [1, 2]"#, vec![]),
        (r#"\""#, vec!["a"]),
        ("小明", vec!["b"]),
        ("\\u5c0f", vec![]),
        ("名字", vec!["b"]),
        ("100%_a.b*", vec!["b"]),
        ("100._a.b", vec![]),
        (".*", vec![]),
        ("%", vec!["b"]),
        ("\\\\slash", vec!["b"]),
        (r#"{"role":"user","content""#, vec!["b"]),
        (r#"{"variables":{"#, vec!["a", "b"]),
        (r#""messages":[]}"#, vec!["a"]),
        ("{{name}}", vec![]),
        ("' OR 1=1 --", vec![]),
        (" ", vec!["b"]),
        ("  ", vec![]),
    ] {
        let mut names = found(&house, text).await;
        names.sort();
        assert_eq!(names, if expected.is_empty() { none.to_vec() } else { expected }, "{text}");
    }
}

#[tokio::test]
async fn c2_6_the_latest_active_come_first_and_pages_are_parts_of_that() {
    let house = unlimited().await;
    for name in ["c", "a", "b"] {
        house.created(name, json!({ "variables": { "k": "v" } })).await;
    }
    house.clock.advance(Span::from_secs(1));
    house.created("d", json!({ "variables": { "k": "v" } })).await;
    house.says("b", "hi").await;
    assert_eq!(found(&house, "\"k\":\"v\"").await, ["b", "d", "a", "c"]);
    for (limit, offset, names) in [
        (json!(2), json!(0), vec!["b", "d"]),
        (json!(2), json!(2), vec!["a", "c"]),
        (json!(2.0), json!(3), vec!["c"]),
        (json!(2), json!(4), vec![]),
        (json!(0), json!(0), vec![]),
        (json!(null), json!(null), vec!["b", "d", "a", "c"]),
        (json!(101), json!(1), vec!["d", "a", "c"]),
        (json!(1e300), json!(1), vec!["d", "a", "c"]),
    ] {
        let body = json!({ "search_string": "v", "limit": limit, "offset": offset });
        let answer = search(&house, body).await.json();
        let shown = answer["results"].as_array().expect("results").iter();
        let shown: Vec<_> = shown.map(|one| one["sessionId"].as_str().expect("a name")).collect();
        assert_eq!(shown, names, "{limit} {offset}");
        let used = limit.as_f64().map_or(50.0, |limit| limit.min(100.0));
        let page = &answer["pagination"];
        assert_eq!((page["limit"].as_f64(), &page["total"]), (Some(used), &json!(4)));
        assert_eq!(page["offset"].as_u64(), Some(offset.as_u64().unwrap_or(0)));
    }
}

#[tokio::test]
async fn c2_6_without_a_text_and_with_numbers_that_are_none_400() {
    let house = house().await;
    for body in
        [json!({}), json!({ "search_string": "" }), json!({ "search_string": 7 }), json!([])]
    {
        refused(&search(&house, body).await, 400, "search_string is required");
    }
    for name in ["limit", "offset"] {
        for number in [json!(-1), json!(1.5), json!("5"), json!(true), json!([])] {
            let answer = search(&house, json!({ "search_string": "x", name: number })).await;
            refused(&answer, 400, &format!("{name} must be a whole number, and not negative"));
        }
    }
    let deep = |offset: u32| json!({ "search_string": "x", "offset": offset });
    assert_eq!(search(&house, deep(10_000)).await.status, 200);
    refused(&search(&house, deep(10_001)).await, 400, "offset must be at most 10000");
}

#[tokio::test]
async fn c2_6_only_what_is_live_and_of_the_project_is_found() {
    let house = house().await;
    for name in ["live", "ended", "overdue"] {
        house.created(name, json!({ "variables": { "canary": 1 } })).await;
        house.clock.advance(Span::from_secs(500));
    }
    house.end("ended").await;
    let path = format!("/v1/projects/{OTHER_PROJECT}/sessions");
    let body = json!({ "session_id": "theirs", "variables": { "canary": 1 } }).to_string();
    assert_eq!(house.send(keyed(DK, Method::POST, &path, body)).await.status, 200);
    assert_eq!(found(&house, "canary").await, ["overdue", "live"]);
    house.says("overdue", "hi").await;
    house.clock.advance(Span::from_secs(300));
    assert_eq!(found(&house, "canary").await, ["overdue"]);
    house.clock.advance(Span::from_secs(1_500));
    assert_eq!(found(&house, "canary").await, [""; 0]);
}

#[tokio::test]
async fn c2_6_a_fault_of_ours_500() {
    let house = house().await;
    house.created("x", json!({})).await;
    house.breaks();
    let answer = search(&house, json!({ "search_string": "x" })).await;
    refused(&answer, 500, "Internal server error");
}

#[tokio::test]
async fn c2_6_every_match_counts_however_many_there_are() {
    let house = unlimited().await;
    for n in 0..150 {
        house.created(&format!("s{n:03}"), json!({ "variables": { "n": n } })).await;
    }
    let body = json!({ "search_string": "\"n\":1", "limit": 100, "offset": 55 });
    let answer = search(&house, body).await.json();
    // 1, 10 to 19, and 100 to 149.
    assert_eq!(answer["pagination"], json!({ "limit": 100, "offset": 55, "total": 61 }));
    assert_eq!(answer["results"].as_array().map(Vec::len), Some(6));
}
