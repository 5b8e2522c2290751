//! 2.7: figures about a project's sessions.

use axum::body::Body;
use epilogue_core::Span;
use http::Method;
use serde_json::{Value, json};

use crate::{client::*, support::Fixture};

/// Every place of the figures.
const PLACES: [&str; 6] = [
    "/project/{P}/session/stats",
    "/api/project/{P}/session/stats",
    "/v1/projects/{P}/session-history/stats",
    "/api/v1/projects/{P}/session-history/stats",
    "/v1/projects/{P}/sessions/stats",
    "/api/v1/projects/{P}/sessions/stats",
];

async fn figures(house: &Fixture, query: &str) -> Value {
    let answer = house.send(get(&format!("/session-history/stats{query}"))).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()["data"].clone()
}

/// `totalSessions`, `activeSessions`, `endedSessions`, `totalMessages`, `averageMessages`,
/// `averageDurationSeconds`
#[tokio::test]
async fn c2_7_figures_count_what_has_been_and_outlive_the_purge() {
    let house = house().await;
    let none = json!({
        "totalSessions": 0, "activeSessions": 0, "endedSessions": 0, "totalMessages": 0,
        "averageMessages": 0.0, "averageDurationSeconds": 0.0,
    });
    assert_eq!(figures(&house, "").await, none);
    for (name, seconds) in [("a", 10), ("b", 5)] {
        house.created(name, json!({})).await;
        house.says(name, "Hello").await;
        house.clock.advance(Span::from_secs(seconds));
        house.end(name).await;
    }
    house.created("c", json!({})).await;
    let expected = json!({
        "totalSessions": 3, "activeSessions": 1, "endedSessions": 2, "totalMessages": 4,
        "averageMessages": 1.33, "averageDurationSeconds": 7.5,
    });
    assert_eq!(figures(&house, "").await, expected);
    house.run_until_idle().await;
    assert_eq!(figures(&house, "").await, expected, "counters stay");
    for place in PLACES {
        let path = place.replace("{P}", PROJECT);
        let answer = house.send(keyed(SK, Method::GET, &path, Body::empty())).await;
        assert_eq!(answer.json(), json!({ "data": expected }), "{place}");
    }
    let elsewhere = format!("/v1/projects/{OTHER_PROJECT}/session-history/stats");
    let answer = house.send(keyed(DK, Method::GET, &elsewhere, Body::empty())).await;
    assert_eq!(answer.json()["data"], none);
}

/// `[?startDate=YYYY-MM-DD][&endDate=YYYY-MM-DD]`: UTC, both days included.
#[tokio::test]
async fn c2_7_figures_are_of_the_days_asked_for() {
    let house = house().await;
    let day = Span::from_secs(86_400);
    let date = |house: &Fixture| {
        use epilogue_engine::clock::Clock as _;
        house.clock.now().to_jiff().strftime("%Y-%m-%d").to_string()
    };
    let mut days = Vec::new();
    for name in ["a", "b", "c"] {
        house.created(name, json!({})).await;
        days.push(date(&house));
        house.clock.advance(day);
        house.run_until_idle().await;
    }
    let count = async |query: String| figures(&house, &query).await["totalSessions"].clone();
    let [first, second, third] = [&days[0], &days[1], &days[2]];
    assert_eq!(count(format!("?startDate={second}")).await, 2);
    assert_eq!(count(format!("?endDate={second}")).await, 2);
    assert_eq!(count(format!("?startDate={second}&endDate={second}")).await, 1);
    assert_eq!(count(format!("?startDate={first}&endDate={third}")).await, 3);
    assert_eq!(count("?startDate=2100-01-01".into()).await, 0);
    assert_eq!(count("?endDate=1999-12-31".into()).await, 0);
    assert_eq!(count("?startDate=&endDate=".into()).await, 3);
}

#[tokio::test]
async fn c2_7_what_is_no_day_is_400() {
    let house = house().await;
    for name in ["startDate", "endDate"] {
        for wrong in ["yesterday", "2024-02-30", "2024-1-1", "2024-01-01T00:00:00Z", "0", "%00"] {
            let path = format!("/session-history/stats?{name}={wrong}");
            let answer = house.send(get(&path)).await;
            refused(&answer, 400, &format!("{name} must be a date of the form YYYY-MM-DD"));
        }
    }
    let path = "/session-history/stats?startDate=2024-01-02&endDate=2024-01-01";
    refused(&house.send(get(path)).await, 400, "endDate must not be before startDate");
}
