//! 2.1: what is announced to go, and what becomes of it.

use axum::body::Body;
use epilogue_core::{Span, Timestamp};
use http::Method;
use serde_json::json;

use crate::{client::*, support::Answer};

const PATH: &str = "Sat, 11 Jul 2026 00:00:00 GMT";
const KEY: &str = "Sun, 10 May 2026 00:00:00 GMT";

#[track_caller]
fn announces(answer: &Answer, sunset: Option<&str>) {
    assert_eq!(answer.header("sunset"), sunset);
    assert_eq!(answer.header("deprecation"), sunset.map(|_| "true"));
}

#[tokio::test]
async fn c2_1_old_paths_and_old_keys_are_announced_the_earlier_first() {
    let house = unlimited().await;
    for family in FAMILIES {
        let old = !family.contains("/v1/");
        let path = family.replace("{P}", PROJECT);
        for (key, sunset) in [
            (DK, old.then_some(PATH)),
            (SECRET, old.then_some(PATH)),
            (SK, Some(KEY)),
            (BUZZ, Some(KEY)),
            ("sk_unknown", Some(KEY)),
            ("nobody", old.then_some(PATH)),
        ] {
            for (method, body) in [
                (Method::POST, json!({ "session_id": "x" }).to_string()),
                (Method::POST, "{".into()),
                (Method::PATCH, String::new()),
            ] {
                announces(&house.send(keyed(key, method, &path, body)).await, sunset);
            }
        }
    }
    announces(&house.send(keyed(DK, Method::GET, "/project/x/y", Body::empty())).await, Some(PATH));
    announces(&house.send(keyed(SK, Method::GET, "/v1/projects", Body::empty())).await, Some(KEY));
}

#[tokio::test]
async fn c2_1_a_sunset_that_is_switched_off_is_not_announced() {
    let house = house_with(|setup| {
        setup.settings.pathors.path_sunset = None;
    })
    .await;
    let path = "/project/proj_1/session";
    announces(&house.send(keyed(DK, Method::POST, path, "{}")).await, None);
    announces(&house.send(keyed(SK, Method::POST, path, "{}")).await, Some(KEY));
}

#[tokio::test]
async fn c8_old_paths_and_keys_work_after_their_sunset_unless_they_are_to_be_refused() {
    let body = r#"{"session_id":"x"}"#;
    for strict in [false, true] {
        let house = house_with(|setup| setup.settings.pathors.refuse_legacy = strict).await;
        let ask = async |key: &str, path: &str| {
            let request = keyed(key, Method::POST, &path.replace("{P}", PROJECT), body);
            house.send(request).await
        };
        let until = |date: &str| {
            let sunset = Timestamp::parse(date).expect("a time");
            house.clock.advance(sunset.since(house.engine.now()));
        };
        until("2026-05-09T23:59:59.999Z");
        assert_eq!(ask(SK, FAMILIES[4]).await.status, 200);
        house.clock.advance(Span::from_millis(1));
        let by_key = ask(SK, FAMILIES[4]).await;
        announces(&by_key, Some(KEY));
        if strict {
            unauthorized(&by_key);
        } else {
            assert_eq!(by_key.status, 200);
        }
        until("2026-07-10T23:59:59.999Z");
        assert_eq!(ask(DK, FAMILIES[0]).await.status, 200);
        house.clock.advance(Span::from_millis(1));
        for family in &FAMILIES[..4] {
            let by_path = ask(DK, family).await;
            announces(&by_path, Some(PATH));
            if strict {
                refused(&by_path, 410, "This path is gone: use the one below /v1/projects/");
            } else {
                assert_eq!(by_path.status, 200);
            }
        }
        assert_eq!(ask(DK, FAMILIES[4]).await.status, 200, "what is current stays");
    }
}
