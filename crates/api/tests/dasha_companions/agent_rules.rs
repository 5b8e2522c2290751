//! Sections 6, 9 and 10 of the contract: what a configuration may say, and what comes of it.

use serde_json::{Value, json};

use crate::{
    client::{post, problem},
    house::{document, with},
    support::Fixture,
};

/// Asserts that an agent with `value` at `pointer` is refused, for what is wrong at `path`.
async fn refused(fixture: &Fixture, pointer: &str, value: Value, path: &str) {
    let body = with(pointer, value.clone());
    let body = problem(&fixture.send(post("/agents", &body)).await, 400);
    assert!(body["errors"][path][0].is_string(), "{pointer} = {value}: {body}");
}

async fn taken(fixture: &Fixture, pointer: &str, value: Value) {
    fixture.make(with(pointer, value)).await;
}

#[tokio::test]
async fn names_descriptions_and_data_have_limits() {
    let fixture = Fixture::start().await;
    let max = 100;
    taken(&fixture, "/name", json!("x".repeat(max))).await;
    for wrong in [json!("x".repeat(max + 1)), json!(""), json!(" "), json!(null), json!(7)] {
        refused(&fixture, "/name", wrong, "name").await;
    }
    taken(&fixture, "/description", json!("x".repeat(4_000))).await;
    refused(&fixture, "/description", json!("x".repeat(4_001)), "description").await;
    refused(&fixture, "/additionalData", json!([]), "additionalData").await;
    refused(&fixture, "/isEnabled", json!("yes"), "isEnabled").await;
    for wrong in [json!(null), json!("v1")] {
        refused(&fixture, "/config", wrong, "config").await;
    }
    let bytes = serde_json::to_string(&with("/config/more", json!(""))).expect("JSON").len();
    // `isEnabled` is added to it.
    let fits = 192 * 1024 - bytes - r#","isEnabled":true"#.len();
    taken(&fixture, "/config/more", json!("x".repeat(fits))).await;
    let longer = with("/config/more", json!("x".repeat(fits + 1)));
    problem(&fixture.send(post("/agents", &longer)).await, 413);
}

#[tokio::test]
async fn the_model_is_read_and_its_options_go_to_the_endpoint() {
    let fixture = Fixture::start().await;
    let llm = "/config/llmConfig/options";
    for (options, wrong) in [
        (json!({ "temperature": 2.1 }), "temperature"),
        (json!({ "temperature": "hot" }), "temperature"),
        (json!({ "maxTokens": 0 }), "maxTokens"),
        (json!({ "maxTokens": 1.5 }), "maxTokens"),
    ] {
        refused(&fixture, llm, options, &format!("config.llmConfig.options.{wrong}")).await;
    }
    for wrong in ["not a url", "ftp://example.com", "https://"] {
        let path = "config.llmConfig.endpoint";
        refused(&fixture, "/config/llmConfig/endpoint", json!(wrong), path).await;
    }
    let id =
        fixture.make(with(llm, json!({ "topP": 0.9, "stop": ["."], "maxRetries": null }))).await;
    fixture.talk(&id, &["hello"]).await;
    let asked = fixture.models.asked().pop().expect("asked").model;
    assert_eq!(Value::Object(asked.options), json!({ "top_p": 0.9, "stop": ["."] }));
    assert_eq!(asked.name, "m");
}

#[tokio::test]
async fn an_unknown_vendor_without_an_endpoint_is_kept_and_a_turn_answers_422() {
    let fixture = Fixture::start().await;
    let id = fixture.make(with("/config/llmConfig/vendor", json!("nobody"))).await;
    let chat = fixture.chat(json!({ "agent_id": id })).await;
    problem(&fixture.say(&chat, "hello").await, 422);
    assert_eq!(fixture.end(&chat).await.status, 200);
}

#[tokio::test]
async fn a_disabled_agent_takes_no_new_conversations_and_goes_on_with_the_old() {
    let fixture = Fixture::start().await;
    let id = fixture.make(document()).await;
    let chat = fixture.talk(&id, &["hello"]).await;
    let path = format!("/agents/{id}");
    fixture.ask(http::Method::PUT, &path, json!({ "isEnabled": false })).await;
    problem(&fixture.open(json!({ "agent_id": id })).await, 409);
    assert_eq!(fixture.say(&chat, "still there?").await.status, 200);
    fixture.ask(http::Method::PUT, &path, json!({ "isEnabled": true })).await;
    assert_eq!(fixture.open(json!({ "agent_id": id })).await.status, 201);
}

#[tokio::test]
async fn tools_have_names_schemas_and_limits() {
    let fixture = Fixture::start().await;
    let tool = |more: Value| {
        let mut tool = json!({
            "name": "look_up", "description": "Looks.", "schema": { "type": "object" },
            "webhook": { "url": "https://tools.example.test/x" },
        });
        tool.as_object_mut().expect("an object").extend(more.as_object().expect("one").clone());
        json!([tool])
    };
    for good in [
        json!({}),
        json!({ "name": "_x9" }),
        json!({ "timeoutSeconds": 1, "retryCount": 0 }),
        json!({ "timeoutSeconds": 300, "retryCount": 5 }),
        json!({ "webhook": null }),
    ] {
        taken(&fixture, "/config/tools", tool(good)).await;
    }
    for (wrong, member) in [
        (json!({ "name": "look-up" }), "name"),
        (json!({ "name": "9x" }), "name"),
        (json!({ "name": "" }), "name"),
        (json!({ "timeoutSeconds": 0 }), "timeoutSeconds"),
        (json!({ "timeoutSeconds": 301 }), "timeoutSeconds"),
        (json!({ "retryCount": 6 }), "retryCount"),
        (json!({ "retryCount": -1 }), "retryCount"),
        (json!({ "schema": "object" }), "schema"),
        (json!({ "webhook": { "url": "x" } }), "webhook.url"),
        (
            json!({ "webhook": { "url": "https://a.test", "headers": { "Host": "inner" } } }),
            "webhook.headers",
        ),
        (
            json!({ "webhook": {
                "url": "https://a.test", "customSettings": { "bodyFormat": { "template": "{}" } },
            } }),
            "webhook.customSettings.bodyFormat.template",
        ),
    ] {
        refused(&fixture, "/config/tools", tool(wrong), &format!("config.tools[0].{member}")).await;
    }
    let two = [tool(json!({}))[0].clone(), tool(json!({}))[0].clone()];
    refused(&fixture, "/config/tools", json!(two), "config.tools").await;
}

#[tokio::test]
async fn analysis_forms_have_typed_labels() {
    let fixture = Fixture::start().await;
    let forms = "/config/features/postCallAnalysis";
    let form = |label: Value| json!([{ "name": "qa", "labels": [label] }]);
    for kind in ["string", "number", "boolean"] {
        taken(&fixture, forms, form(json!({ "name": "a-B_9", "type": kind }))).await;
    }
    let at = |member: &str| format!("config.features.postCallAnalysis[0].labels[0].{member}");
    for (wrong, member) in [
        (json!({ "name": "a b", "type": "string" }), "name"),
        (json!({ "name": "a", "type": "date" }), "type"),
        (json!({ "name": "a", "type": "enum" }), "enumValues"),
        (json!({ "name": "a", "type": "enum", "enumValues": [] }), "enumValues"),
        (json!({ "name": "a", "type": "string", "isRequired": 1 }), "isRequired"),
    ] {
        refused(&fixture, forms, form(wrong), &at(member)).await;
    }
    let twice = json!([{ "name": "qa", "labels": [] }, { "name": "qa", "labels": [] }]);
    refused(&fixture, forms, twice, "config.features.postCallAnalysis").await;
}

#[tokio::test]
async fn webhooks_may_be_customized_within_reason() {
    let fixture = Fixture::start().await;
    let settings = "/config/resultWebhook/customSettings";
    for good in [
        json!(null),
        json!({ "httpMethod": "PUT", "queryParams": { "a": "b", "n": 1 } }),
        json!({ "bodyFormat": { "type": "json", "template": "{\"id\":\"{{callId}}\"}" } }),
    ] {
        taken(&fixture, settings, good).await;
    }
    for (wrong, member) in [
        (json!({ "httpMethod": "TRACE" }), "httpMethod"),
        (json!({ "queryParams": { "a": [] } }), "queryParams"),
        (json!({ "bodyFormat": { "type": "yaml" } }), "bodyFormat.type"),
    ] {
        let path = format!("config.resultWebhook.customSettings.{member}");
        refused(&fixture, settings, wrong, &path).await;
    }
    let path = "config.resultWebhook.headers";
    let line_break = json!({ "X-A": "a\r\nX-Admin: 1" });
    refused(&fixture, "/config/resultWebhook/headers", line_break, path).await;
    taken(&fixture, "/config/resultWebhook", json!({ "url": "" })).await;
}

#[tokio::test]
async fn the_names_of_the_finish_tool_are_taken() {
    let fixture = Fixture::start().await;
    let tool =
        |name: &str| json!([{ "name": name, "webhook": { "url": "https://t.example.test/" } }]);
    for name in ["finishTheConversation", "endConversation"] {
        refused(&fixture, "/config/tools", tool(name), "config.tools[0].name").await;
    }
    taken(&fixture, "/config/tools", tool("end_chat")).await;
}

#[tokio::test]
async fn an_agent_costs_what_the_operator_lists_with_its_model() {
    let fixture = Fixture::start().await;
    for (vendor, cost) in [("house", 0), ("dear", 2_000_000)] {
        let agent = fixture.make(with("/config/llmConfig/vendor", json!(vendor))).await;
        let chat = fixture.talk(&agent, &["hello"]).await;
        fixture.end(&chat).await;
        let ended = fixture.session(&chat).await.ended().cloned().expect("ended");
        assert_eq!(ended.cost.0, cost, "{vendor}");
    }
}
