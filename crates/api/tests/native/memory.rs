//! What is remembered of people: looking at it, asking why, and putting it right.

use epilogue_core::{
    AgentId, MemoryScope, OrgId, Person, SessionId,
    memory::{EntityKind, Extraction, Mention, StatedFact},
};
use epilogue_engine::testing::{
    AbsorbOutcome, AbsorbRequest, Episode, GraphStore as _, MemoryStore as _, RememberRequest,
};
use serde_json::{Value, json};

use crate::native_support::{Call, FREE, OPERATE, OTHER, READ, START, SUPPORT, World};

/// Ann, in one of the many ways to write her.
pub const ANN: &str = "/memory/Ann%40Example.com";

fn ann() -> Person {
    Person::new("ann@example.com").expect("a person")
}

fn mention(name: &str, kind: EntityKind) -> Mention {
    Mention { name: name.into(), kind, hint: None }
}

/// That this follows from what a person says.
pub fn fact(subject: &str, relation: &str, object: &str, sentence: &str) -> StatedFact {
    StatedFact {
        subject: mention(subject, EntityKind::Person),
        relation: relation.into(),
        object: mention(object, EntityKind::Other),
        sentence: sentence.into(),
        from: None,
        until: None,
        exclusive: relation == "lives_in",
    }
}

/// An agent of Acme's has heard Ann say something in a conversation, and knows what follows from it.
pub async fn told(world: &World, agent: &str, text: &str, facts: Vec<StatedFact>) -> SessionId {
    let session = world.engine.new_session_id();
    let (org, now) = (OrgId::from("org_acme"), world.engine.now());
    let scope: MemoryScope = ann().memory_scope(&AgentId::from(agent));
    let episode = Episode { scope: scope.clone(), session, at: now, text: text.into() };
    let request = RememberRequest { episode, person: ann().key(), began_at: now, salt: [3; 16] };
    world.storage.remember(&org, request).await.expect("remembered");
    let request = AbsorbRequest {
        scope,
        session,
        from: 0,
        until: 1,
        told_at: now,
        extraction: Extraction { facts, ended: Vec::new() },
        vectors: None,
    };
    let absorbed = world.storage.absorb(&org, request, now).await.expect("absorbed");
    assert!(matches!(absorbed, AbsorbOutcome::Absorbed { .. }), "{absorbed:?}");
    session
}

/// Ann has told two agents about her life.
pub async fn known() -> (World, SessionId) {
    let world = World::start().await;
    let lives = fact("user", "lives_in", "Lisbon", "The user lives in Lisbon.");
    let rex = fact("user", "has_pet", "Rex", "The user has a dog, Rex.");
    let session = told(&world, SUPPORT, "User: I live in Lisbon.\n", vec![lives, rex]).await;
    world.wait(3_600);
    let plays = fact("user", "plays", "cello", "The user plays the cello.");
    told(&world, FREE, "User: I play the cello.\n", vec![plays]).await;
    world.wait(3_600);
    (world, session)
}

fn items(body: &Value) -> Vec<Value> {
    body["items"].as_array().expect("items").clone()
}

fn sentences(body: &Value) -> Vec<String> {
    let mut found: Vec<_> = items(body)
        .iter()
        .map(|fact| fact["sentence"].as_str().expect("a sentence").to_owned())
        .collect();
    found.sort();
    found
}

/// The id of the fact with this object.
async fn id_of(world: &World, object: &str) -> String {
    let shown = world.get(ANN).send().await.body;
    let found = items(&shown).into_iter().find(|fact| fact["object"]["name"] == object);
    found.expect("known")["id"].as_str().expect("an id").to_owned()
}

#[tokio::test]
async fn a_persons_memory_is_a_graph_across_agents() {
    let (world, session) = known().await;
    let shown = world.get(ANN).key(READ).send().await;
    assert_eq!(shown.status, 200, "{}", shown.text);
    let rex = items(&shown.body).into_iter().find(|fact| fact["object"]["name"] == "Rex");
    let rex = rex.expect("shown");
    assert_eq!((&rex["agent_id"], &rex["relation"]), (&json!(SUPPORT), &json!("has_pet")));
    assert_eq!(rex["sources"], json!([{ "session_id": session, "at": START.to_string() }]));
    assert_eq!((&rex["correction"], &rex["score"]), (&Value::Null, &Value::Null));
    let nodes = shown.body["entities"].as_array().expect("nodes");
    assert_eq!(nodes.len(), 5, "Lisbon, Rex and the cello, and the person once for each agent");
    for end in ["subject", "object"] {
        let node = nodes.iter().find(|node| node["id"] == rex[end]["entity_id"]).expect("a node");
        assert_eq!((&node["name"], &node["agent_id"]), (&rex[end]["name"], &rex["agent_id"]));
    }
    let one = world.get(&format!("{ANN}?agent={FREE}")).send().await.body;
    assert_eq!(sentences(&one), ["The user plays the cello."]);
    let nobody = world.get(&format!("{ANN}?agent=nobody")).send().await.body;
    assert_eq!(nobody, json!({ "items": [], "entities": [], "next_cursor": null }));
}

#[tokio::test]
async fn a_question_is_answered_with_what_fits_and_a_day_with_what_was_true() {
    let (world, _) = known().await;
    let asked = world.get(&format!("{ANN}?query=Where+she+lives&limit=1")).send().await;
    assert_eq!(sentences(&asked.body), ["The user lives in Lisbon."], "{}", asked.text);
    let best = &items(&asked.body)[0];
    assert!(best["score"].as_f64().is_some_and(|score| score > 0.0), "{best}");
    assert_eq!(asked.body["entities"].as_array().expect("nodes").len(), 2, "of this fact alone");
    let before = world.get(&format!("{ANN}?as_of=2026-01-30")).send().await.body;
    assert_eq!(sentences(&before), Vec::<String>::new());
    let then = world.get(&format!("{ANN}?as_of=2026-01-31T12:30:00Z")).send().await.body;
    assert_eq!(sentences(&then).len(), 2, "the cello came later: {then}");
    let asked_then = world.get(&format!("{ANN}?as_of=2026-01-30&query=Lisbon")).send().await.body;
    assert_eq!(sentences(&asked_then), Vec::<String>::new());
}

#[tokio::test]
async fn facts_have_pages_across_agents_without_gaps_or_doubles() {
    let (world, _) = known().await;
    let all = sentences(&world.get(ANN).send().await.body);
    for limit in 1..=3 {
        let (mut seen, mut cursor, mut pages) = (Vec::new(), String::new(), 0);
        loop {
            let page = world.get(&format!("{ANN}?limit={limit}{cursor}")).send().await;
            assert_eq!(page.status, 200, "{}", page.text);
            seen.extend(sentences(&page.body));
            pages += 1;
            assert!(pages < 9, "it ends");
            let Some(next) = page.body["next_cursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        seen.sort();
        assert_eq!(seen, all, "limit {limit}");
    }
}

#[tokio::test]
async fn a_fact_is_believed_because_of_its_conversations() {
    let (world, session) = known().await;
    let id = id_of(&world, "Lisbon").await;
    let why = world.get(&format!("{ANN}/facts/{id}")).key(READ).send().await;
    assert_eq!(why.status, 200, "{}", why.text);
    assert_eq!(why.body["fact"]["id"], json!(id));
    let text = "User: I live in Lisbon.\n";
    let told = json!([{ "session_id": session, "at": START.to_string(), "text": text }]);
    assert_eq!(why.body["episodes"], told);
}

#[tokio::test]
async fn a_corrected_fact_names_who_did_it_and_the_old_one_is_believed_no_more() {
    let (world, _) = known().await;
    let id = id_of(&world, "Lisbon").await;
    let path = format!("{ANN}/facts/{id}");
    let porto = json!({
        "sentence": "The user lives in Porto.", "object": { "name": "Porto", "kind": "place" },
        "valid_from": "2025-12-01",
    });
    let corrected = world.patch(&path).key(OPERATE).json(porto.clone()).send().await;
    assert_eq!(corrected.status, 200, "{}", corrected.text);
    let new = corrected.body["id"].as_str().expect("an id").to_owned();
    assert_eq!(corrected.body["correction"]["supersedes"], json!(id));
    assert_eq!(corrected.body["correction"]["by"], "key_live_acme_operate");
    assert_eq!(corrected.body["valid_from"], "2025-12-01T00:00:00Z");
    let old = world.get(&path).send().await.body["fact"].clone();
    assert_eq!((&old["superseded_by"], &old["valid_until"]), (&json!(new), &old["valid_from"]));
    assert!(old["unlearned_at"].is_string(), "{old}");
    let again = world.patch(&path).json(porto).send().await;
    assert!(again.is_problem(409, "wrong-state").contains(&new), "{}", again.text);
    let why = world.get(&format!("{ANN}/facts/{new}")).send().await.body;
    assert_eq!(why["episodes"], json!([]), "nobody has said so");
    let asked = world.get(&format!("{ANN}?query=lives+in&as_of=2026-01-31T15:00:00Z")).send().await;
    let found = sentences(&asked.body);
    assert!(found.contains(&"The user lives in Porto.".into()), "{found:?}");
    assert!(!found.contains(&"The user lives in Lisbon.".into()), "{found:?}");
    let log = world.get("/activity").send().await;
    let entry = &items(&log.body)[0];
    assert_eq!(entry["kind"], "memory.fact_corrected");
    assert_eq!(entry["detail"], json!({ "fact": new, "supersedes": id }));
    assert!(!log.text.contains("Porto") && !log.text.contains("ann@"), "{}", log.text);
}

#[tokio::test]
async fn a_deleted_fact_is_gone_and_the_log_does_not_say_what_it_was() {
    let (world, _) = known().await;
    let id = id_of(&world, "Rex").await;
    let path = format!("{ANN}/facts/{id}");
    world.delete(&path).key(READ).send().await.is_problem(403, "forbidden");
    let gone = world.delete(&path).key(OPERATE).send().await;
    assert_eq!((gone.status, gone.text.as_str()), (204, ""));
    for method in ["GET", "DELETE", "PATCH"] {
        let call = Call::new(&world, method, &path).key(OPERATE).json(json!({ "sentence": "a" }));
        call.send().await.is_problem(404, "not-found");
    }
    let shown = world.get(ANN).send().await;
    assert!(!shown.text.contains("Rex"), "{}", shown.text);
    let asked = world.get(&format!("{ANN}?query=Rex")).send().await;
    assert!(!asked.text.contains("Rex"), "{}", asked.text);
    let log = world.get("/activity").send().await;
    assert_eq!(items(&log.body)[0]["kind"], "memory.fact_deleted");
    assert!(!log.text.contains("Rex") && log.text.contains(&id), "{}", log.text);
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_named() {
    let (world, _) = known().await;
    let id = id_of(&world, "Lisbon").await;
    for (path, field) in [
        ("/memory/%20%09", "person"),
        ("/memory/%ff", "person"),
        (&*format!("{ANN}?limit=501"), "limit"),
        (&*format!("{ANN}?as_of=yesterday"), "as_of"),
        (&*format!("{ANN}?query="), "query"),
        (&*format!("{ANN}?query={}", "x".repeat(1_001)), "query"),
        (&*format!("{ANN}?cursor=x"), "cursor"),
        (&*format!("{ANN}?facts=1"), "query"),
    ] {
        let refused = world.get(path).send().await;
        refused.is_problem(400, "invalid-request");
        assert_eq!(refused.body["errors"][0]["path"], field, "{path}: {}", refused.text);
    }
    let most = world.get(&format!("{ANN}?query={}", "x".repeat(1_000))).send().await;
    assert_eq!(most.status, 200);
    for (body, field) in [
        (json!({}), "."),
        (json!({ "object": { "name": "Porto" } }), "sentence"),
        (json!({ "sentence": "a", "object": { "name": "User" } }), "object"),
        (json!({ "valid_until": "2026-01-31T12:00:00Z" }), "valid_until"),
        (json!({ "relation": "likes" }), "relation"),
    ] {
        let refused = world.patch(&format!("{ANN}/facts/{id}")).json(body).send().await;
        refused.is_problem(400, "invalid-request");
        assert_eq!(refused.body["errors"][0]["path"], field, "{}", refused.text);
    }
    for unknown in ["x", "x-0", "-", "0", &format!("{id}9"), &"9".repeat(257)] {
        let path = format!("{ANN}/facts/{unknown}");
        world.get(&path).send().await.is_problem(404, "not-found");
    }
}

#[tokio::test]
async fn four_kilobytes_of_unicode_are_a_person_and_a_byte_more_is_none() {
    let world = World::start().await;
    let named = |chars: usize| format!("/memory/{}", "%F0%9F%90%A6".repeat(chars));
    assert_eq!(world.get(&named(Person::BYTES_MAX / 4)).send().await.status, 200);
    let past = world.get(&format!("{}x", named(Person::BYTES_MAX / 4))).send().await;
    past.is_problem(400, "invalid-request");
    let slash = world.get("/memory/a%2Fb").send().await;
    assert_eq!((slash.status, items(&slash.body)), (200, vec![]));
}

#[tokio::test]
async fn anothers_people_are_unknown_here() {
    let (world, _) = known().await;
    let id = id_of(&world, "Lisbon").await;
    let shown = world.get(ANN).key(OTHER).send().await.body;
    assert_eq!(shown, json!({ "items": [], "entities": [], "next_cursor": null }));
    for method in ["GET", "PATCH", "DELETE"] {
        let call = Call::new(&world, method, &format!("{ANN}/facts/{id}")).key(OTHER);
        call.json(json!({ "sentence": "a" })).send().await.is_problem(404, "not-found");
    }
    let bobs = world.get(&format!("/memory/bob/facts/{id}")).send().await;
    bobs.is_problem(404, "not-found");
    let out = world.get(&format!("{ANN}/export")).key(OTHER).send().await;
    assert_eq!(out.body["items"], json!([]));
    let gone = world.delete(ANN).key(OTHER).send().await.body;
    assert_eq!(gone, json!({ "removed": [], "left": [] }));
    assert_eq!(sentences(&world.get(ANN).send().await.body).len(), 3);
}
