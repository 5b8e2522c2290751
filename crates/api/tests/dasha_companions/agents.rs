//! A1 to A7, section 2.8 of the contract.

use epilogue_core::Span;
use http::Method;
use serde_json::{Value, json};

use crate::{
    client::{get, keyed, post, problem},
    house::{document, send, with},
    support::{CHAT_AGENT, FOREIGN_KEY, Fixture, KEY, READ_KEY},
};

#[tokio::test]
async fn a1_the_list_is_a_bare_array_of_configured_and_made_agents_alike() {
    let fixture = Fixture::start().await;
    let made = fixture.make(document()).await;
    let all = fixture.send(get("/agents")).await.json();
    let ids = |list: &Value| -> Vec<String> {
        let list = list.as_array().expect("a bare array");
        list.iter().map(|agent| agent["agentId"].as_str().expect("an id").to_owned()).collect()
    };
    let all = ids(&all);
    assert!(all.contains(&made) && all.contains(&CHAT_AGENT.to_owned()), "{all:?}");
    let page = fixture.send(get("/agents?skip=1&take=2")).await.json();
    assert_eq!(ids(&page), all[1..3]);
    assert_eq!(ids(&fixture.send(get("/agents?take=0")).await.json()), [""; 0]);
    for wrong in ["skip=-1", "take=x", "take=2147483648"] {
        problem(&fixture.send(get(&format!("/agents?{wrong}"))).await, 400);
    }
    let foreign = fixture.send(keyed(FOREIGN_KEY, Method::GET, "/agents", "")).await.json();
    assert!(!ids(&foreign).contains(&made));
}

#[tokio::test]
async fn a2_a_made_agent_is_shown_with_its_document_and_without_its_secrets() {
    let fixture = Fixture::start().await;
    let answer = fixture.send(post("/agents", &document())).await;
    assert_eq!(answer.status, 201);
    let id = answer.json()["agentId"].as_str().expect("an id").to_owned();
    assert_eq!(answer.header("location"), Some(&*format!("/api/v1/agents/{id}")));
    insta::assert_json_snapshot!("agent", answer.json());
    for secret in ["env:PATH", "Bearer receiver", "/etc/passwd", "sip-secret"] {
        assert!(!answer.body.contains(secret), "{secret}");
    }
    assert_eq!(fixture.send(get(&format!("/agents/{id}"))).await.body, answer.body);
}

#[tokio::test]
async fn a3_an_agent_that_is_not_ones_own_is_not_found() {
    let fixture = Fixture::start().await;
    let id = fixture.make(document()).await;
    problem(&fixture.send(get("/agents/unknown")).await, 404);
    let path = format!("/agents/{id}");
    problem(&fixture.send(keyed(FOREIGN_KEY, Method::GET, &path, "")).await, 404);
    for (method, path) in [
        (Method::PUT, path.clone()),
        (Method::DELETE, path.clone()),
        (Method::POST, format!("{path}/clone")),
    ] {
        let body = r#"{"name":"Mine"}"#;
        problem(&fixture.send(keyed(FOREIGN_KEY, method.clone(), &path, body)).await, 404);
        problem(&fixture.send(keyed(READ_KEY, method.clone(), &path, body)).await, 403);
        problem(&fixture.send(keyed("wrong", method, &path, body)).await, 401);
    }
    assert_eq!(fixture.send(keyed(READ_KEY, Method::GET, &path, "")).await.status, 200);
}

#[tokio::test]
async fn a4_a_partial_body_changes_what_it_names_and_nothing_else() {
    let fixture = Fixture::start().await;
    let id = fixture.make(document()).await;
    let before = fixture.send(get(&format!("/agents/{id}"))).await.json();
    fixture.clock.advance(Span::from_secs(5));
    let path = format!("/agents/{id}");
    let answer = fixture.ask(Method::PUT, &path, json!({ "isEnabled": false })).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let mut expected = before.clone();
    expected["isEnabled"] = json!(false);
    expected["lastUpdateTime"] = json!("2024-01-15T10:00:05.000Z");
    assert_eq!(answer.json(), expected);
    let unchanged = fixture.ask(Method::PUT, &path, json!({ "isEnabled": false })).await;
    assert_eq!(unchanged.json(), expected, "what changes nothing makes no version");
}

#[tokio::test]
async fn a4_members_nobody_acts_on_survive_and_masks_stand_for_what_is_stored() {
    let fixture = Fixture::start().await;
    let id = fixture.make(document()).await;
    let path = format!("/agents/{id}");
    let mut shown = fixture.send(get(&path)).await.json();
    shown["config"]["llmConfig"]["prompt"] = json!("You are somebody else.");
    shown["config"]["futureFeature"] = json!({ "deep": [1, 2.5, null, { "x": "y" }] });
    let answer = fixture.send(send(Method::PUT, &path, &shown)).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.json()["config"], shown["config"]);
    assert_eq!(answer.json()["inboundSipConfig"], json!({ "password": "********" }));
    // The stored secrets are still the ones that were written first.
    let chat = fixture.talk(&id, &["resolved?"]).await;
    let asked = fixture.models.asked().pop().expect("asked");
    assert_eq!(asked.model.api_key.map(|key| key.0).as_deref(), Some("literal:env:PATH"));
    assert_eq!(asked.system, "You are somebody else.");
    fixture.end(&chat).await;
    fixture.run_until_idle().await;
    let sent = fixture.webhooks.heard().pop().expect("sent");
    assert_eq!(sent.headers["authorization"], "Bearer receiver");
}

#[tokio::test]
async fn a4_a_mask_with_nothing_behind_it_is_refused() {
    let fixture = Fixture::start().await;
    let masked = with("/config/llmConfig/apiKey", json!("********"));
    let refused = problem(&fixture.send(post("/agents", &masked)).await, 400);
    assert!(refused["errors"]["config.llmConfig.apiKey"].is_array(), "{refused}");
    let headers = with("/config/resultWebhook/headers", json!({ "X-New": "********" }));
    let id = fixture.make(document()).await;
    let answer = fixture.send(send(Method::PUT, &format!("/agents/{id}"), &headers)).await;
    let refused = problem(&answer, 400);
    assert!(refused["errors"]["config.resultWebhook.headers.X-New"].is_array(), "{refused}");
}

#[tokio::test]
async fn a3_every_secret_is_hidden_and_a4_takes_each_of_them_back_as_it_was() {
    let fixture = Fixture::start().await;
    let mut whole = document();
    let secrets = json!({
        "secret": "s3cret-1",
        "headers": [{ "name": "X-Key", "value": "s3cret-2" }, { "name": "X-N", "value": 17 }, "s3cret-3"],
        "password": ["s3cret-4"],
        "config": {
            "apiKey": { "kid": "s3cret-5" },
            "authToken": 4711,
            "customHeaders": "s3cret-6",
            "url": "https://me:s3cret-7@a.test/x",
            "other": { "endpoint": "https://me:s3cret-8@a.test", "password": "", "secret": null },
            "queryParams": { "key": "s3cret-9" },
        },
    });
    let config = whole["config"].as_object_mut().expect("an object");
    config.extend(secrets["config"].as_object().expect("one").clone());
    config["resultWebhook"] = json!({
        "url": "https://me:s3cret-10@hooks.example.test/result",
        "headers": { "X-Number": 17, "X-Flag": true, "X-Text": "s3cret-11" },
        "customSettings": { "queryParams": { "key": "s3cret-12", "n": 3 } },
    });
    config.insert(
        "tools".into(),
        json!([{
            "name": "log_in",
            "schema": { "type": "object", "properties": { "password": { "type": "string" } } },
            "webhook": { "url": "https://t.test/x" },
        }]),
    );
    for member in ["secret", "headers", "password"] {
        whole[member] = secrets[member].clone();
    }
    let id = fixture.make(whole).await;
    let path = format!("/agents/{id}");
    let shown = fixture.send(get(&path)).await;
    for hidden in ["s3cret", "4711", ":17"] {
        assert!(!shown.body.contains(hidden), "{hidden}: {}", shown.body);
    }
    let shown = shown.json();
    assert_eq!(shown["headers"][0], json!({ "name": "X-Key", "value": "********" }));
    assert_eq!(shown["config"]["other"]["password"], "", "nothing is shown as nothing");
    let schema = &shown["config"]["tools"][0]["schema"];
    assert_eq!(schema["properties"]["password"], json!({ "type": "string" }));
    let stored = || {
        let sql = "SELECT document FROM agents WHERE agent_id = ?1 ORDER BY version DESC LIMIT 1";
        let read = |row: &rusqlite::Row<'_>| row.get::<_, String>(0);
        fixture.database().query_row(sql, [&id], read).expect("stored")
    };
    let before = stored();
    fixture.clock.advance(Span::from_secs(5));
    let answer = fixture.send(send(Method::PUT, &path, &shown)).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(stored(), before, "every mask stood for what is stored");
    assert_eq!(answer.json(), shown, "and nothing has changed");
    let mut moved = shown.clone();
    moved["config"]["url"] = json!("https://me:********@b.test/x");
    assert_eq!(fixture.send(send(Method::PUT, &path, &moved)).await.status, 200);
    assert!(stored().contains("https://me:s3cret-7@b.test/x"));
    moved["config"]["unknown"] = json!({ "url": "https://me:********@b.test/x" });
    let refused = problem(&fixture.send(send(Method::PUT, &path, &moved)).await, 400);
    assert!(refused["errors"]["config.unknown.url"].is_array(), "{refused}");
}

#[tokio::test]
async fn a4_null_of_what_is_never_null_changes_nothing() {
    let fixture = Fixture::start().await;
    let id = fixture.make(document()).await;
    let path = format!("/agents/{id}");
    fixture.ask(Method::PUT, &path, json!({ "isEnabled": false })).await;
    let nulls = json!({ "isEnabled": null, "additionalData": null, "description": null });
    let answer = fixture.ask(Method::PUT, &path, nulls).await.json();
    assert_eq!(answer["isEnabled"], json!(false), "nobody asked to switch it on");
    assert_eq!(answer["additionalData"], json!({ "team": "blue" }));
    assert_eq!(answer["description"], Value::Null);
}

#[tokio::test]
async fn a4_edits_apply_at_once_to_running_conversations() {
    let fixture = Fixture::start().await;
    let id = fixture.make(document()).await;
    let chat = fixture.talk(&id, &["hello"]).await;
    let changed = with("/config/llmConfig/prompt", json!("You are new."));
    fixture.send(send(Method::PUT, &format!("/agents/{id}"), &changed)).await;
    assert_eq!(fixture.say(&chat, "and now?").await.status, 200);
    assert_eq!(fixture.models.asked().pop().expect("asked").system, "You are new.");
}

#[tokio::test]
async fn a5_a_deleted_agent_is_gone_and_its_conversations_can_still_be_ended() {
    let fixture = Fixture::start().await;
    let id = fixture.make(document()).await;
    let chat = fixture.talk(&id, &["hello"]).await;
    let path = format!("/agents/{id}");
    let gone = fixture.ask(Method::DELETE, &path, Value::Null).await;
    assert_eq!((gone.status.as_u16(), gone.body.as_str()), (204, ""));
    problem(&fixture.send(get(&path)).await, 404);
    problem(&fixture.ask(Method::DELETE, &path, Value::Null).await, 404);
    problem(&fixture.open(json!({ "agent_id": id })).await, 404);
    // Row 18 of section 12: the session stays, its next turn has nobody to take it.
    problem(&fixture.say(&chat, "still there?").await, 422);
    assert_eq!(fixture.end(&chat).await.status, 200);
    fixture.run_until_idle().await;
    let sent = fixture.webhooks.heard();
    assert_eq!(sent.len(), 1, "the last known configuration is used");
    assert_eq!(sent[0].url.as_str(), "https://hooks.example.test/result");
}

#[tokio::test]
async fn a6_a_clone_is_another_agent_without_its_telephone_settings() {
    let fixture = Fixture::start().await;
    let id = fixture.make(document()).await;
    let path = format!("/agents/{id}/clone");
    let answer = fixture.ask(Method::POST, &path, json!({ "name": "Twin" })).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    let body = answer.json();
    assert_eq!(body.as_object().map(serde_json::Map::len), Some(1), "{body}");
    let twin = body["agentId"].as_str().expect("an id").to_owned();
    assert_ne!(twin, id);
    let (one, two) = (
        fixture.send(get(&format!("/agents/{id}"))).await.json(),
        fixture.send(get(&format!("/agents/{twin}"))).await.json(),
    );
    assert_eq!((&two["name"], &two["config"]), (&json!("Twin"), &one["config"]));
    assert!(one["inboundSipConfig"].is_object() && two.get("inboundSipConfig").is_none());
    fixture.talk(&twin, &["hello"]).await;
    for (name, status) in
        [("x".repeat(100), 201), ("x".repeat(101), 400), (String::new(), 400), ("  ".into(), 400)]
    {
        let answer = fixture.ask(Method::POST, &path, json!({ "name": name })).await;
        assert_eq!(answer.status, status, "{}", name.len());
    }
    problem(&fixture.ask(Method::POST, &path, json!({})).await, 400);
}

#[tokio::test]
async fn a7_the_template_is_an_agent_that_can_be_made() {
    let fixture = Fixture::start().await;
    let answer = fixture.send(get("/misc/agent-initial-data")).await;
    assert_eq!(answer.status, 200);
    insta::assert_json_snapshot!("initial_data", answer.json());
    fixture.make(answer.json()).await;
}

#[tokio::test]
async fn who_wrote_an_agent_is_in_the_activity_log() {
    let fixture = Fixture::start().await;
    let id = fixture.make(document()).await;
    let path = format!("/agents/{id}");
    fixture.clock.advance(Span::from_secs(1));
    fixture.ask(Method::PUT, &path, json!({ "description": "New." })).await;
    fixture.clock.advance(Span::from_secs(1));
    fixture.ask(Method::POST, &format!("{path}/clone"), json!({ "name": "Twin" })).await;
    fixture.clock.advance(Span::from_secs(1));
    fixture.ask(Method::DELETE, &path, Value::Null).await;
    let search = json!({ "agentIds": [id], "sortDirection": "Ascending" });
    let log = fixture.ask(Method::POST, "/activity-logs/search", search).await.json();
    insta::assert_json_snapshot!("agent_activity", log["results"]);
    let cloned = json!({ "types": ["AgentCloned"] });
    let log = fixture.ask(Method::POST, "/activity-logs/search", cloned).await.json();
    assert_eq!(log["results"][0]["metadata"]["clone_of"], json!(id));
}

#[tokio::test]
async fn configured_agents_are_shown_and_changed_in_the_configuration_alone() {
    let fixture = Fixture::start().await;
    let path = format!("/agents/{CHAT_AGENT}");
    insta::assert_json_snapshot!("configured_agent", fixture.send(get(&path)).await.json());
    let clone = format!("{path}/clone");
    for (method, path, body) in [
        (Method::PUT, &path, json!({ "isEnabled": false })),
        (Method::DELETE, &path, Value::Null),
        (Method::POST, &clone, json!({ "name": "Twin" })),
    ] {
        let refused = problem(&fixture.ask(method, path, body).await, 409);
        assert!(refused["detail"].as_str().is_some_and(|d| d.contains("configuration")));
    }
}

#[tokio::test]
async fn the_next_start_leaves_made_agents_alone() {
    let fixture = Fixture::start().await;
    let id = fixture.make(document()).await;
    let next = fixture.beside(|_| ()).await;
    let path = format!("/agents/{id}");
    assert_eq!(next.send(get(&path)).await.body, fixture.send(get(&path)).await.body);
}

#[tokio::test]
async fn edits_that_meet_are_both_kept() {
    let fixture = Fixture::start().await;
    let id = fixture.make(document()).await;
    let path = format!("/agents/{id}");
    let one = fixture.ask(Method::PUT, &path, json!({ "description": "One." }));
    let two = fixture.ask(Method::PUT, &path, json!({ "name": "Two" }));
    let (one, two) = tokio::join!(one, two);
    assert_eq!((one.status.as_u16(), two.status.as_u16()), (200, 200));
    let shown = fixture.send(get(&path)).await.json();
    assert_eq!((&shown["description"], &shown["name"]), (&json!("One."), &json!("Two")));
    // The native list shows the same agent, and none of its secrets.
    let native = http::Request::get(format!("/epilogue/v1/agents/{id}"))
        .header("authorization", format!("Bearer {KEY}"))
        .body(axum::body::Body::empty())
        .expect("a request");
    let native = fixture.send(native).await;
    assert_eq!(native.status, 200);
    assert!(!native.body.contains("receiver") && !native.body.contains("env:PATH"));
}
