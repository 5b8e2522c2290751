//! Errors that are nobody's request in particular.

use axum::response::IntoResponse as _;
use epilogue_api::native::problem::{Kind, Problem};
use epilogue_engine::Error;

use crate::native_support::{Answer, World};

#[tokio::test]
async fn a_fault_of_ours_says_nothing_of_its_cause() {
    let cause = "/var/lib/epilogue/secret.db is full";
    let full = Error::Store(epilogue_engine::testing::Error::Full(cause.into()));
    let answer = Answer::read(Problem::from(full).into_response()).await;
    answer.is_problem(500, "internal");
    insta::assert_json_snapshot!("internal", answer.body);
}

#[tokio::test]
async fn a_store_with_more_work_than_it_takes_says_when_to_try_again() {
    let overloaded = Error::Store(epilogue_engine::testing::Error::Overloaded);
    let answer = Answer::read(Problem::from(overloaded).into_response()).await;
    answer.is_problem(503, "unavailable");
    assert_eq!(answer.header("retry-after"), Some("1"));
}

#[test]
fn every_kind_has_its_own_word_and_the_page_names_it() {
    let page = include_str!("../../../../docs/API.md");
    let mut words: Vec<_> = Kind::ALL.iter().map(|kind| kind.slug()).collect();
    for (kind, word) in Kind::ALL.iter().zip(&words) {
        let row = format!("| {} | `{word}` |", kind.status().as_u16());
        assert!(page.contains(&row), "docs/API.md has no row {row}");
    }
    words.sort_unstable();
    words.dedup();
    assert_eq!(words.len(), Kind::ALL.len());
}

#[tokio::test]
async fn paths_and_methods_that_do_not_exist_are_problems_too() {
    let world = World::start().await;
    for path in ["/nothing", "//epilogue/nothing", "/sessions/a/b/c"] {
        world.get(path).anonymous().send().await.is_problem(404, "not-found");
    }
    for path in ["/sessions", "/balance", "//health/live"] {
        let refused = world.delete(path).send().await;
        refused.is_problem(405, "method-not-allowed");
        assert!(refused.header("allow").is_some_and(|allow| allow.contains("GET")), "{path}");
    }
}

#[tokio::test]
async fn a_name_in_a_path_has_a_longest_length_and_must_be_text() {
    let world = World::start().await;
    for name in ["x".repeat(256), "x".repeat(257), "%FF".into()] {
        let refused = world.get(&format!("/sessions/{name}")).send().await;
        refused.is_problem(404, "not-found");
    }
}
