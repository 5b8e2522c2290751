//! Handing out what is remembered of people, and forgetting them.

use serde_json::{Value, json};

use super::memory::{ANN, fact, known, told};
use crate::native_support::{OPERATE, OPERATOR, READ, SUPPORT, World};

/// Ann has a conversation with an agent whose memory is on. It is scripted: the conversation alone is kept.
async fn conversed(world: &World) -> String {
    let body = json!({ "agent": SUPPORT, "person": "ann@example.com" });
    let opened = world.post("/sessions").json(body).send().await.body;
    let session = opened["session"]["id"].as_str().expect("an id").to_owned();
    world.say(&session, "I like c4n4ries").await;
    session
}

fn count(report: &Value, place: &str) -> u64 {
    let removed = report["removed"].as_array().expect("a list");
    let of = removed.iter().find(|of| of["place"] == place);
    of.map_or(0, |of| of["count"].as_u64().expect("a count"))
}

/// The first erasure that the log says somebody made.
fn erasure(log: &Value, by: &str) -> Value {
    let mut entries = log["items"].as_array().expect("entries").iter();
    let made = |entry: &&Value| entry["kind"] == "memory.forgotten" && entry["by"] == by;
    entries.find(made).unwrap_or_else(|| panic!("an erasure by {by} in {log}")).clone()
}

#[tokio::test]
async fn everything_is_handed_out_as_one_document() {
    let (world, session) = known().await;
    for n in 0..450 {
        let name = format!("friend {n}");
        told(
            &world,
            SUPPORT,
            &format!("User: I know {name}.\n"),
            vec![fact("user", "knows", &name, &name)],
        )
        .await;
    }
    let out = world.get(&format!("{ANN}/export")).key(READ).send().await;
    assert_eq!((out.status, out.header("content-type")), (200, Some("application/json")));
    assert_eq!(out.header("cache-control"), Some("no-store"));
    assert_eq!(out.body["person"], "ann@example.com");
    let items = out.body["items"].as_array().expect("items");
    let of = |kind: &str| items.iter().filter(|item| item["type"] == kind).collect::<Vec<_>>();
    assert_eq!((of("entity").len(), of("fact").len(), of("episode").len()), (453, 453, 452));
    let rex = of("fact").into_iter().find(|fact| fact["object"]["name"] == "Rex").expect("known");
    assert_eq!(rex["sources"][0]["session_id"], json!(session));
    let told = of("episode").into_iter().find(|one| one["session_id"] == json!(session));
    assert_eq!(told.expect("remembered")["text"], "User: I live in Lisbon.\n");
    let nobody = world.get("/memory/nobody/export").send().await.body;
    assert_eq!(nobody["items"], json!([]));
}

#[tokio::test]
async fn a_person_is_forgotten_and_the_report_says_what_was_removed() {
    let (world, _) = known().await;
    let session = conversed(&world).await;
    world.end(&session).await;
    world.finalize().await;
    let ledger = world.get("/ledger").send().await.body;
    world.delete(ANN).key(OPERATE).send().await.is_problem(403, "forbidden");
    let gone = world.delete(&format!("{ANN}?transcripts=true")).send().await;
    assert_eq!(gone.status, 200, "{}", gone.text);
    for (place, expected) in [
        ("store.facts", 3),
        ("store.entities", 3),
        ("store.fact_sources", 3),
        ("store.transcripts", 1),
    ] {
        assert_eq!(count(&gone.body, place), expected, "{place}: {}", gone.text);
    }
    assert_eq!(gone.body["left"], json!([]));
    let shown = world.get(ANN).send().await.body;
    assert_eq!(shown, json!({ "items": [], "entities": [], "next_cursor": null }));
    let messages = world.get(&format!("/sessions/{session}/messages")).send().await;
    assert!(!messages.text.contains("c4n4ries"), "{}", messages.text);
    assert_eq!(world.get("/ledger").send().await.body, ledger, "the books stay");
    let log = world.get("/activity").send().await;
    let entry = erasure(&log.body, "key_live_acme_own");
    assert_eq!(entry["detail"]["report"]["removed"], gone.body["removed"]);
    assert!(!log.text.contains("ann@"), "of whom it tells as a digest: {}", log.text);
}

#[tokio::test]
async fn transcripts_stay_unless_asked_for_and_live_ones_are_left_and_named() {
    let (world, _) = known().await;
    let ended = conversed(&world).await;
    world.end(&ended).await;
    world.finalize().await;
    let kept = world.delete(ANN).send().await.body;
    assert_eq!((count(&kept, "store.transcripts"), &kept["left"]), (0, &json!([])));
    let live = conversed(&world).await;
    let gone = world.delete(&format!("{ANN}?transcripts=true")).send().await.body;
    assert_eq!(count(&gone, "store.transcripts"), 1);
    let left = gone["left"].as_array().expect("a list");
    assert!(left.len() == 1 && left[0].as_str().is_some_and(|why| why.contains(&live)), "{gone}");
    let read = world.get(&format!("/sessions/{live}/messages")).send().await;
    assert!(read.text.contains("c4n4ries"), "it goes on");
    world.end(&live).await;
    world.finalize().await;
    let shown = world.get(&format!("{ANN}/export")).send().await.body;
    assert_eq!(shown["items"], json!([]), "and is not remembered, having begun before");
    let rest = world.delete(&format!("{ANN}?transcripts=true")).send().await.body;
    assert_eq!((count(&rest, "store.transcripts"), &rest["left"]), (1, &json!([])));
}

#[tokio::test]
async fn a_person_in_a_body_is_forgotten_alike() {
    let (world, _) = known().await;
    let erase = |body: Value| world.post("/erasures").json(body);
    for (wrong, field) in [
        (json!({ "person": " " }), "person"),
        (json!({ "person": "é".repeat(2_049) }), "person"),
        (json!({ "person": "ann", "everything": true }), "everything"),
    ] {
        let refused = erase(wrong).send().await;
        refused.is_problem(400, "invalid-request");
        assert_eq!(refused.body["errors"][0]["path"], field);
    }
    let operator = erase(json!({ "person": " ANN@example.com" })).key(OPERATOR);
    let gone = operator.header("epilogue-organization", "org_acme").send().await;
    assert_eq!((gone.status, count(&gone.body, "store.facts")), (200, 3), "{}", gone.text);
    let again = erase(json!({ "person": "ann@example.com", "transcripts": true })).send().await;
    assert_eq!(again.body, json!({ "removed": [], "left": [] }));
    erasure(&world.get("/activity").send().await.body, "operator");
    let unknown = erase(json!({ "person": "nobody" })).send().await;
    assert_eq!((unknown.status, unknown.body), (200, json!({ "removed": [], "left": [] })));
}
