//! Lists: pages, filters, and what is refused.

use serde_json::{Value, json};

use crate::native_support::{FREE, SUPPORT, World};

/// Reads a whole list in pages. Returns the members called `name`, in order.
async fn all(world: &World, path: &str, limit: usize, name: &str) -> Vec<String> {
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    let joint = if path.contains('?') { '&' } else { '?' };
    loop {
        let page = world.get(&format!("{path}{joint}limit={limit}{cursor}")).send().await;
        assert_eq!(page.status, 200, "{}", page.text);
        let items = page.body["items"].as_array().expect("items").clone();
        assert!(items.len() <= limit);
        seen.extend(items.iter().map(|item| item[name].to_string()));
        match page.body["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return seen,
        }
    }
}

#[tokio::test]
async fn pages_have_no_gaps_and_no_repeats() {
    let world = World::start().await;
    let mut sessions = Vec::new();
    for number in 0..9 {
        let (session, _) = world.open().await;
        if number % 2 == 0 {
            world.wait(1);
        }
        world.end(&session).await;
        sessions.push(json!(session).to_string());
    }
    world.finalize().await;
    let newest_first: Vec<_> = all(&world, "/sessions", 100, "id").await;
    sessions.sort();
    sessions.reverse();
    assert_eq!(newest_first, sessions);
    for path in ["/sessions", "/steps", "/deliveries", "/activity", "/steps?state=done"] {
        let whole = all(&world, path, 100, "id").await;
        assert!(whole.len() >= 9, "{path}");
        for limit in [1, 4, 9] {
            assert_eq!(all(&world, path, limit, "id").await, whole, "{path} by {limit}");
        }
    }
}

#[tokio::test]
async fn a_transcript_is_paged_with_and_without_tool_traffic() {
    let world = World::start().await;
    let (session, _) = world.open().await;
    for _ in 0..3 {
        world.say(&session, "How is the weather?").await;
    }
    for (query, count) in [("", 13), ("?visible_only=true", 7)] {
        let path = format!("/sessions/{session}/messages{query}");
        let whole = all(&world, &path, 100, "number").await;
        assert_eq!(whole.len(), count, "{whole:?}");
        for limit in [1, 5, count] {
            assert_eq!(all(&world, &path, limit, "number").await, whole);
        }
    }
}

#[tokio::test]
async fn sessions_are_filtered() {
    let world = World::start().await;
    let open = |body: Value| world.post("/sessions").json(body);
    open(json!({ "agent": SUPPORT, "name": "first", "person": "a.nn@gmail.com" })).send().await;
    world.wait(60);
    open(json!({ "agent": FREE, "name": "second" })).send().await;
    world.end("second").await;
    let names = |query: &str| {
        let call = world.get(&format!("/sessions?{query}"));
        async move {
            let found = call.send().await.body;
            let names = found["items"].as_array().expect("items").iter().map(|s| s["name"].clone());
            names.collect::<Value>()
        }
    };
    assert_eq!(names("dialect=native").await, json!(["second", "first"]));
    assert_eq!(names("dialect=talkifai").await, json!([]));
    assert_eq!(names("state=active").await, json!(["first"]));
    assert_eq!(names("state=final").await, json!(["second"]));
    assert_eq!(names("reason=operator").await, json!(["second"]));
    assert_eq!(names("agent=support").await, json!(["first"]));
    assert_eq!(names("person=ann@GMAIL.com").await, json!(["first"]));
    assert_eq!(names("opened_from=2026-01-31T12:01:00Z").await, json!(["second"]));
    assert_eq!(names("opened_before=2026-01-31T12:01:00Z").await, json!(["first"]));
}

#[tokio::test]
async fn a_query_that_is_not_understood_is_refused_and_says_what_would_be() {
    let world = World::start().await;
    for (query, hint) in [
        ("dialect=klingon", "talkifai"),
        ("state=gone", "finalizing"),
        ("reason=because", "max_duration"),
        ("person=%20", "person"),
        ("opened_from=yesterday", "2026-01-31T12:00:00Z"),
        ("colour=red", "opened_before"),
        ("limit=0", "500"),
        ("limit=501", "500"),
        ("limit=many", "limit"),
        ("cursor=broken", "next_cursor"),
        // A cursor of this list's form that no page ever had: its key is no session.
        ("cursor=eyJsaXN0Ijoic2Vzc2lvbnMiLCJhdCI6MCwia2V5IjoiIn0", "next_cursor"),
    ] {
        let refused = world.get(&format!("/sessions?{query}")).send().await;
        let detail = refused.is_problem(400, "invalid-request");
        assert!(detail.contains(hint), "{query}: {detail}");
    }
    for list in ["steps", "deliveries", "inbox", "ledger", "activity"] {
        for query in ["cursor=broken", "limit=0", "colour=red"] {
            let refused = world.get(&format!("/{list}?{query}")).send().await;
            refused.is_problem(400, "invalid-request");
        }
    }
}

#[tokio::test]
async fn a_cursor_is_good_for_its_own_list_alone() {
    let world = World::start().await;
    world.open().await;
    world.open().await;
    let page = world.get("/sessions?limit=1").send().await.body;
    let cursor = page["next_cursor"].as_str().expect("a cursor");
    world.get(&format!("/ledger?cursor={cursor}")).send().await.is_problem(400, "invalid-request");
}
