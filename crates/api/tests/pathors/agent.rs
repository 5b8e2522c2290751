//! 2.10: the project's agent: shown, partly updated by both verbs, and what an update does.

use std::sync::Arc;

use axum::body::Body;
use futures::future::join_all;
use http::Method;
use serde_json::{Value, json};

use crate::{
    client::*,
    support::{Answer, Fixture, NOW, Setup},
};

fn write(method: Method, update: &Value) -> http::Request<Body> {
    keyed(DK, method, &current("/agent"), update.to_string())
}

async fn put(house: &Fixture, update: Value) -> Answer {
    house.send(write(Method::PUT, &update)).await
}

/// The agent after an update that nothing stands against.
async fn updated(house: &Fixture, update: Value) -> Value {
    let answer = put(house, update).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()["data"].clone()
}

async fn shown(house: &Fixture) -> Value {
    let answer = house.send(get("/agent")).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()["data"].clone()
}

async fn refuses(house: &Fixture, update: Value, message: &str) {
    let before = shown(house).await;
    let answer = put(house, update.clone()).await;
    assert_eq!(answer.status, 400, "{update} {}", answer.body);
    let error = &answer.json()["error"];
    let told = error["message"].as_str().expect("a message");
    assert!(told.starts_with(message), "{update} {told}");
    assert_eq!(shown(house).await, before, "nothing was written");
}

/// > `GET` → `{"data":{id, projectId, type, name, status, globalPrompt, executionMode, timezone,
/// > memoryEnabled, …}}`.
#[tokio::test]
async fn c2_10_the_agent_is_shown_with_every_member() {
    let house = house().await;
    let hook = json!({ "url": "https://hooks.example.test/********", "headers": [], "events": ["session.ended"] });
    assert_eq!(
        shown(&house).await,
        json!({
            "id": PATHWAY, "projectId": PROJECT, "type": "monolithic", "name": "Pathway",
            "status": "published", "globalPrompt": "You help {{name}}.", "executionMode": "balance",
            "timezone": null, "memoryEnabled": false, "beforeStartConfig": null,
            "postSessionWebhook": hook, "postSessionVariableKeys": null,
            "postEvaluationConfig": null, "variableConfigs": [],
            "createdAt": "2024-01-15T10:00:00.000Z", "updatedAt": "2024-01-15T10:00:00.000Z",
        })
    );
}

/// > `PUT` partial update, all optional … accept both verbs.
#[tokio::test]
async fn c2_10_both_verbs_change_what_they_name_and_leave_the_rest() {
    let house = house().await;
    for (method, name) in [(Method::PUT, "One"), (Method::PATCH, "Two")] {
        for prefix in ["", "/api"] {
            let path = format!("{prefix}{}", current("/agent"));
            let body = json!({ "name": format!("{name}{prefix}") }).to_string();
            let answer = house.send(keyed(DK, method.clone(), &path, body)).await;
            assert_eq!(answer.status, 200);
        }
    }
    updated(&house, json!({ "timezone": "Asia/Taipei", "executionMode": "turbo" })).await;
    let after = updated(&house, json!({})).await;
    assert_eq!((&after["name"], &after["timezone"]), (&json!("Two/api"), &json!("Asia/Taipei")));
    assert_eq!(
        (&after["executionMode"], &after["globalPrompt"]),
        (&json!("turbo"), &json!("You help {{name}}."))
    );
    assert_eq!(shown(&house).await, after);
}

/// > `name` 1–16 chars, `type` monolithic|skill, `status` draft|published, … `executionMode`
/// > smart|turbo|balance
#[tokio::test]
async fn c2_10_members_are_held_to_their_types_words_and_lengths() {
    let house = house().await;
    for name in ["x", "éééééééééééééééé"] {
        assert_eq!(updated(&house, json!({ "name": name })).await["name"], name);
    }
    for name in [json!(""), json!("é".repeat(17)), json!(7), json!(null)] {
        refuses(&house, json!({ "name": name }), "name must be a text of 1 to 16").await;
    }
    for (member, words) in [
        ("type", vec!["monolithic", "skill"]),
        ("status", vec!["draft", "published"]),
        ("executionMode", vec!["smart", "turbo", "balance"]),
    ] {
        for word in words {
            assert_eq!(updated(&house, json!({ member: word })).await[member], word);
        }
        for wrong in [json!("Smart"), json!(null), json!(1)] {
            refuses(&house, json!({ member: wrong }), &format!("{member} must be one of")).await;
        }
    }
    refuses(&house, json!({ "memoryEnabled": "yes" }), "memoryEnabled must be true or false").await;
    refuses(&house, json!({ "globalPrompt": 7 }), "globalPrompt must be a text").await;
    updated(&house, json!({ "globalPrompt": "x".repeat(50_000) })).await;
    refuses(&house, json!({ "globalPrompt": "x".repeat(50_001) }), "globalPrompt must be").await;
    updated(&house, json!({ "timezone": "x".repeat(64) })).await;
    refuses(&house, json!({ "timezone": "x".repeat(65) }), "timezone must be").await;
    refuses(&house, json!({ "beforeStartConfig": [] }), "beforeStartConfig must be an object")
        .await;
    for body in ["", "[]", "7", "{"] {
        let answer = house.send(keyed(DK, Method::PUT, &current("/agent"), body)).await;
        assert_eq!(answer.status, 400, "{body}");
        assert!(answer.json()["error"]["message"].is_string());
    }
}

#[tokio::test]
async fn c2_10_variables_and_evaluations_are_checked() {
    let house = house().await;
    let many =
        |count: usize| (0..count).map(|n| json!({ "key": n.to_string() })).collect::<Vec<_>>();
    updated(&house, json!({ "variableConfigs": many(100) })).await;
    for wrong in [
        json!(many(101)),
        json!({}),
        json!([{}]),
        json!([{ "key": "" }]),
        json!([7]),
        json!([{ "key": "a", "type": "date" }]),
        json!([{ "key": "a" }, { "key": "a" }]),
    ] {
        refuses(&house, json!({ "variableConfigs": wrong }), "variableConfigs").await;
    }
    let number = |min: Value, max: Value| json!({ "postEvaluationConfig": { "numberConfig": { "min": min, "max": max } } });
    updated(&house, number(json!(1), json!(1))).await;
    refuses(&house, number(json!(2), json!(1)), "postEvaluationConfig.numberConfig").await;
    refuses(&house, number(json!("1"), json!(2)), "postEvaluationConfig.numberConfig").await;
    for wrong in
        [json!("x"), json!({ "enumOptions": [7] }), json!({ "enabled": 1 }), json!({ "prompt": 1 })]
    {
        refuses(&house, json!({ "postEvaluationConfig": wrong }), "postEvaluationConfig").await;
    }
    for wrong in [json!("a"), json!([1]), json!([""])] {
        refuses(&house, json!({ "postSessionVariableKeys": wrong }), "postSessionVariableKeys")
            .await;
    }
}

/// > `url` required, HTTPS … Custom headers may not replace Content-Type or Host.
#[tokio::test]
async fn c5_a_webhook_is_https_and_its_headers_are_its_owners_to_set() {
    let house = house().await;
    let hook = |change: Value| {
        let mut hook = json!({ "url": "https://own.example.com/" });
        hook.as_object_mut().expect("an object").extend(change.as_object().expect("one").clone());
        json!({ "postSessionWebhook": hook })
    };
    for url in [
        json!(null),
        json!(""),
        json!("x"),
        json!("http://e.example.com/"),
        json!("https://10.0.0.1/"),
        json!("https://localhost/"),
    ] {
        refuses(&house, hook(json!({ "url": url })), "postSessionWebhook.url must be").await;
    }
    for name in [
        "Content-Type",
        "content-type",
        "Host",
        "HOST",
        "Content-Length",
        "Transfer-Encoding",
        "a b",
        "",
    ] {
        let headers = json!([{ "key": name, "value": "x" }]);
        refuses(
            &house,
            hook(json!({ "headers": headers })),
            "postSessionWebhook.headers cannot set",
        )
        .await;
    }
    let pair = |value: &str| json!([{ "key": "X-Key", "value": value }]);
    refuses(
        &house,
        hook(json!({ "headers": pair("a\r\nb: c") })),
        "postSessionWebhook.headers must",
    )
    .await;
    updated(&house, hook(json!({ "headers": pair(&"x".repeat(4_096)) }))).await;
    refuses(
        &house,
        hook(json!({ "headers": pair(&"x".repeat(4_097)) })),
        "postSessionWebhook.headers must",
    )
    .await;
    let twice = json!([{ "key": "X-Key", "value": "x" }, { "key": "x-key", "value": "y" }]);
    refuses(&house, hook(json!({ "headers": twice })), "postSessionWebhook.headers has").await;
    let many = |count: usize| {
        (0..count).map(|n| json!({ "key": format!("x-{n}"), "value": "" })).collect::<Vec<_>>()
    };
    updated(&house, hook(json!({ "headers": many(20) }))).await;
    refuses(&house, hook(json!({ "headers": many(21) })), "postSessionWebhook.headers must").await;
    refuses(&house, hook(json!({ "events": ["session.over"] })), "postSessionWebhook.events must")
        .await;
    let after = updated(&house, hook(json!({}))).await;
    assert_eq!(
        after["postSessionWebhook"]["events"],
        json!(["session.ended"]),
        "the published default"
    );
}

/// Secrets in headers are never shown back, in answers or in the log, and are kept when the mask comes back.
#[tokio::test]
async fn c5_the_values_of_headers_are_never_shown_and_kept_behind_their_mask() {
    let house = house().await;
    let hook = |url: &str, value: &str| json!({ "postSessionWebhook": { "url": url, "headers": [{ "key": "Authorization", "value": value }] } });
    let own = "https://own.example.com/hook";
    let answer = put(&house, hook(own, "Bearer s3cr3t")).await;
    assert!(!answer.body.contains("s3cr3t"), "{}", answer.body);
    let after = shown(&house).await;
    let masked = json!([{ "key": "Authorization", "value": "********" }]);
    assert_eq!(after["postSessionWebhook"]["headers"], masked);
    updated(&house, json!({ "postSessionWebhook": after["postSessionWebhook"], "name": "B" }))
        .await;
    let (org, page) = (ORG.into(), epilogue_engine::records::PageRequest::first(100));
    let log = house.engine.activity(&org, None, &page).await.expect("read");
    assert!(!format!("{log:?}").contains("s3cr3t"));
    refuses(
        &house,
        hook("https://elsewhere.example.com/", "********"),
        "postSessionWebhook.headers must say",
    )
    .await;
    house.created("x", json!({})).await;
    house.end("x").await;
    house.run_until_idle().await;
    assert_eq!(house.webhooks.heard()[0].headers["authorization"], "Bearer s3cr3t");
    // A text that looks like a reference is the secret itself.
    updated(&house, hook(own, "env:PATH")).await;
    house.created("y", json!({})).await;
    house.end("y").await;
    house.run_until_idle().await;
    assert_eq!(house.webhooks.heard()[1].headers["authorization"], "env:PATH");
}

/// > Object fields are nullable; null switches them off.
#[tokio::test]
async fn c2_10_null_switches_off() {
    let house = house().await;
    let off = json!({
        "postSessionWebhook": null, "postEvaluationConfig": null, "beforeStartConfig": null,
        "postSessionVariableKeys": null, "variableConfigs": null, "globalPrompt": null,
    });
    let after = updated(&house, off).await;
    assert_eq!((&after["postSessionWebhook"], &after["globalPrompt"]), (&json!(null), &json!("")));
    house.created("x", json!({})).await;
    house.end("x").await;
    house.run_until_idle().await;
    assert_eq!(house.webhooks.heard().len(), 0);
}

/// What the page has and this server does not know is kept and shown, within bounds.
#[tokio::test]
async fn c2_10_other_members_are_kept_within_bounds() {
    let house = house().await;
    let after = updated(
        &house,
        json!({ "voice": { "speed": 1.5 }, "id": "mine", "projectId": "mine", "createdAt": 1 }),
    )
    .await;
    assert_eq!(after["voice"], json!({ "speed": 1.5 }));
    assert_eq!((&after["id"], &after["projectId"]), (&json!(PATHWAY), &json!(PROJECT)));
    let deep = |levels: usize| (1..levels).fold(json!({}), |inner, _| json!({ "a": inner }));
    updated(&house, json!({ "voice": deep(31) })).await;
    refuses(&house, json!({ "voice": deep(32) }), "The agent must have at most 32 levels").await;
    let rest = updated(&house, json!({ "voice": "" })).await;
    assert_eq!(rest["voice"], "");
    let long = "x".repeat(128 * 1024 - r#"{"voice":""}"#.len());
    assert_eq!(put(&house, json!({ "voice": long })).await.status, 200);
    assert_eq!(put(&house, json!({ "voice": format!("{long}x") })).await.status, 413);
}

#[tokio::test]
async fn c2_10_only_who_owns_the_project_writes() {
    let house = house().await;
    for key in ["nonsense", OTHER_SK, READ_SK] {
        unauthorized(&house.send(keyed(key, Method::PUT, &current("/agent"), "{}")).await);
    }
    let read = house.send(keyed(READ_SK, Method::GET, &current("/agent"), Body::empty())).await;
    assert_eq!(read.status, 200);
    assert_eq!(house.send(keyed(SK, Method::PUT, &current("/agent"), "{}")).await.status, 200);
}

/// New sessions go by an update; those that run keep the agent that they were opened with, and the
/// other projects of that agent keep theirs.
#[tokio::test]
async fn c2_10_new_sessions_go_by_it_and_live_ones_keep_theirs() {
    let house = house().await;
    house.created("before", json!({})).await;
    updated(&house, json!({ "globalPrompt": "Be brief." })).await;
    let created = house.create("after", json!({})).await;
    assert_eq!(created.json()["pathwayId"], PATHWAY, "the project's agent has one name");
    house.says("before", "hello").await;
    house.says("after", "hello").await;
    let prompts: Vec<_> = house.models.asked().iter().map(|asked| asked.system.clone()).collect();
    assert!(prompts[0].starts_with("You help"), "{prompts:?}");
    assert!(prompts[1].starts_with("Be brief."), "{prompts:?}");
    let path = format!("/v1/projects/{OTHER_PROJECT}/agent");
    let other = house.send(keyed(DK, Method::GET, &path, Body::empty())).await.json();
    assert_eq!(other["data"]["globalPrompt"], "You help {{name}}.");
    let listed = house.engine.agents(&ORG.into()).await.expect("read");
    assert!(listed.iter().all(|(version, _)| !version.id.as_str().starts_with("project:")));
}

/// What the operator changes shows through where the project has changed nothing.
#[tokio::test]
async fn c2_10_a_new_configuration_shows_through_at_start() {
    let house = house().await;
    updated(&house, json!({ "name": "Ours" })).await;
    let mut setup = Setup::default();
    furnish(&mut setup);
    let agents = &mut setup.organizations[0].agents;
    let agent = agents.iter_mut().find(|agent| agent.id.as_str() == PATHWAY).expect("it is there");
    "Be bold.".clone_into(&mut agent.prompt);
    house.storage.apply_config(setup.organizations, NOW).await.expect("configured");
    let after = shown(&house).await;
    assert_eq!((&after["name"], &after["globalPrompt"]), (&json!("Ours"), &json!("Be bold.")));
    house.created("x", json!({})).await;
    house.says("x", "hello").await;
    assert!(house.models.asked()[0].system.starts_with("Be bold."));
}

/// Two partial updates at once lose nothing of each other.
#[tokio::test]
async fn c2_10_updates_at_once_all_count() {
    let house = Arc::new(house().await);
    let updates = (0..6).map(|n| {
        let house = Arc::clone(&house);
        async move { put(&house, json!({ format!("extra{n}"): n })).await.status.as_u16() }
    });
    let statuses = join_all(updates).await;
    assert!(statuses.iter().all(|status| [200, 409].contains(status)), "{statuses:?}");
    let after = shown(&house).await;
    for (n, status) in statuses.iter().enumerate() {
        let written = after[format!("extra{n}")] == json!(n);
        assert_eq!(written, *status == 200);
    }
}

/// A mask stands for a secret of the webhook that is there, and of no other on the same host.
#[tokio::test]
async fn c5_secrets_of_the_operators_webhook_go_nowhere_else() {
    let house = house_with(|setup: &mut Setup| {
        let agents = &mut setup.organizations[0].agents;
        let agent = agents.iter_mut().find(|agent| agent.id.as_str() == PATHWAY);
        let hook = agent.expect("it is there").webhook.as_mut().expect("it has one");
        hook.url = "https://relay.example.com/team-a?token=t0ken".parse().expect("a URL");
        let secret = epilogue_core::agent::SecretRef::literal("r3lay");
        hook.headers.insert("Authorization".into(), secret);
    })
    .await;
    let hook = shown(&house).await["postSessionWebhook"].clone();
    assert_eq!(hook["url"], "https://relay.example.com/********");
    let headers = &hook["headers"];
    for url in ["https://relay.example.com/mine", "https://relay.example.com/team-a"] {
        let mine = json!({ "postSessionWebhook": { "url": url, "headers": headers } });
        refuses(&house, mine, "postSessionWebhook.headers must say").await;
    }
    // Sent back as it was shown, twice, it is what it was, with other events.
    for events in [json!(["session.finalized"]), json!(["session.ended"])] {
        let back = json!({ "url": hook["url"], "headers": headers, "events": events });
        let after = updated(&house, json!({ "postSessionWebhook": back })).await;
        assert_eq!(after["postSessionWebhook"], back);
    }
    house.created("x", json!({})).await;
    house.end("x").await;
    house.run_until_idle().await;
    let heard = house.webhooks.heard();
    assert_eq!(heard[0].url.as_str(), "https://relay.example.com/team-a?token=t0ken");
    assert_eq!(heard[0].headers["authorization"], "r3lay");
}

#[tokio::test]
async fn c5_the_password_of_a_receiver_is_shown_to_nobody() {
    let house = house().await;
    let url = "https://user:pass-word@example.com/h";
    let hook = json!({ "url": url });
    let after = updated(&house, json!({ "postSessionWebhook": hook })).await;
    let masked = "https://user:********@example.com/h";
    assert_eq!(after["postSessionWebhook"]["url"], masked);
    updated(&house, json!({ "postSessionWebhook": after["postSessionWebhook"] })).await;
    let elsewhere =
        json!({ "postSessionWebhook": { "url": "https://user:********@example.org/h" } });
    refuses(&house, elsewhere, "postSessionWebhook.url must say its password again").await;
    let made =
        house.send(post("/webhooks", &json!({ "url": url, "events": ["session.ended"] }))).await;
    assert_eq!(made.json()["url"], masked);
    let listed = house.send(get("/webhooks")).await;
    assert_eq!(listed.json()["data"][0]["url"], masked);
    house.created("x", json!({})).await;
    house.end("x").await;
    house.run_until_idle().await;
    let heard = house.webhooks.heard();
    assert!(heard.len() == 2 && heard.iter().all(|request| request.url.as_str() == url));
}

/// Whom the operator's agent knows, the project's does: a change of its name forgets nobody.
#[tokio::test]
async fn c2_10_a_change_of_the_agent_forgets_nobody() {
    let house = house().await;
    updated(&house, json!({ "name": "B", "memoryEnabled": true })).await;
    house.created("x", json!({})).await;
    let session = house.session("x").await;
    let agent = house.storage.agent_version(&session.org, &session.agent).await.expect("read");
    let agent = agent.expect("versions stay");
    assert_eq!((agent.id.as_str(), agent.remembers_as().as_str()), ("project:proj_1", PATHWAY));
}

/// > `session.started` | new session; subscriptions only
#[tokio::test]
async fn c5_the_agents_webhook_cannot_ask_for_the_start() {
    let house = house().await;
    let hook = json!({ "url": "https://own.example.com/", "events": ["session.started"] });
    refuses(&house, json!({ "postSessionWebhook": hook }), "postSessionWebhook.events must").await;
}
