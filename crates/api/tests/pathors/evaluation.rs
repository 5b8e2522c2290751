//! 5: what is found out about a conversation when it is over, before its context is gone.

use http::Method;
use serde_json::{Value, json};

use crate::{
    client::*,
    support::{Fixture, Setup},
};

/// The house, with an agent that has answers to forms about conversations in which Taipei is named.
async fn knowing(answer: &Value) -> Fixture {
    let rule = json!({ "when": "taipei", "reply": answer.to_string() });
    house_with(|setup: &mut Setup| {
        let agents = &mut setup.organizations[0].agents;
        let agent = agents.iter_mut().find(|agent| agent.id.as_str() == PATHWAY);
        let rule = serde_json::from_value(rule).expect("a rule");
        agent.expect("the pathway").model.script.insert(0, rule);
    })
    .await
}

async fn update(house: &Fixture, update: Value) {
    let answer = house.send(keyed(DK, Method::PUT, &current("/agent"), update.to_string())).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
}

/// What the forms said of a conversation about Taipei.
async fn found(house: &Fixture, name: &str) -> Value {
    house.created(name, json!({})).await;
    house.says(name, "I am in Taipei").await;
    house.end(name).await;
    house.run_until_idle().await;
    let session = house.session(name).await;
    let filled = house.engine.analyses_of(&ORG.into(), session.id).await.expect("read");
    Value::Object(filled.into_iter().map(|form| (form.form, form.values)).collect())
}

fn extracted(house: &Fixture) -> Value {
    let heard = house.webhooks.heard();
    let body: Value = serde_json::from_str(&heard[0].body).expect("JSON");
    assert_eq!(body["event"], "session.ended");
    body["extractedVariables"].clone()
}

/// > `postEvaluationConfig` runs after the session ends; the answer is one of `enumOptions` … and
/// > appears as `evaluation.result`
#[tokio::test]
async fn c5_an_evaluation_chooses_one_of_its_options() {
    let house = knowing(&json!({ "result": "good" })).await;
    let config =
        json!({ "enabled": true, "prompt": "How did it go?", "enumOptions": ["good", "bad"] });
    update(&house, json!({ "postEvaluationConfig": config })).await;
    assert_eq!(found(&house, "x").await["evaluation"], json!({ "result": "good" }));
    let asked = house.models.asked();
    let form = asked.iter().rev().find_map(|request| request.answer.clone()).expect("a form");
    assert_eq!(form.schema["properties"]["result"]["enum"], json!(["good", "bad", null]));
}

/// > … or a number within `numberConfig`
#[tokio::test]
async fn c5_an_evaluation_is_a_number_within_its_bounds() {
    for (answer, result) in
        [(json!(5), json!(5)), (json!(6), json!(null)), (json!("5"), json!(null))]
    {
        let house = knowing(&json!({ "result": answer })).await;
        let config =
            json!({ "enabled": true, "prompt": "?", "numberConfig": { "min": 1, "max": 5 } });
        update(&house, json!({ "postEvaluationConfig": config })).await;
        assert_eq!(found(&house, "x").await["evaluation"]["result"], result);
    }
}

/// > Object fields are nullable; null switches them off.
#[tokio::test]
async fn c5_an_evaluation_that_is_off_asks_nothing() {
    let house = knowing(&json!({ "result": "good" })).await;
    let config = json!({ "enabled": true, "prompt": "?", "enumOptions": ["good"] });
    for off in [
        json!(null),
        json!({ "enabled": false, "prompt": "?" }),
        json!({}),
        json!({ "foo": 1 }),
        json!({ "enabled": null, "prompt": "?" }),
    ] {
        update(&house, json!({ "postEvaluationConfig": config })).await;
        update(&house, json!({ "postEvaluationConfig": off })).await;
        assert_eq!(found(&house, "x").await, json!({}));
    }
}

/// > Extraction: `variableConfigs` → `extractedVariables`; `postSessionVariableKeys` filters what the
/// > webhook carries.
#[tokio::test]
async fn c5_variables_are_extracted_after_the_end_and_filtered_for_the_webhook() {
    let answer = json!({ "city": "Taipei", "people": 4, "mood": null, "other": 1 });
    let house = knowing(&answer).await;
    let configs = json!([
        { "key": "city", "type": "string", "description": "Where they are." },
        { "key": "people", "type": "number" }, { "key": "mood" },
    ]);
    update(&house, json!({ "variableConfigs": configs })).await;
    found(&house, "x").await;
    assert_eq!(extracted(&house), json!({ "city": "Taipei", "people": 4 }), "no nulls");
    let house = knowing(&answer).await;
    let keys = json!(["people", "mood"]);
    update(&house, json!({ "variableConfigs": configs, "postSessionVariableKeys": keys })).await;
    found(&house, "x").await;
    assert_eq!(extracted(&house), json!({ "people": 4 }));
}

/// What was known before the end is told as it was, and not asked for again.
#[tokio::test]
async fn c5_what_the_conversation_knew_comes_first() {
    let house = knowing(&json!({ "city": "Taipei", "people": 4 })).await;
    let configs = json!([{ "key": "city" }, { "key": "people", "type": "integer" }]);
    update(&house, json!({ "variableConfigs": configs })).await;
    house.created("x", json!({ "variables": { "city": "Tainan" } })).await;
    house.says("x", "Not in Taipei").await;
    house.end("x").await;
    house.run_until_idle().await;
    assert_eq!(extracted(&house), json!({ "city": "Tainan", "people": 4 }));
}

/// > These must read the context **before** 2.4 purges it.
#[tokio::test]
async fn c5_evaluation_and_extraction_read_before_the_purge() {
    let house = knowing(&json!({ "result": "good", "city": "Taipei" })).await;
    update(
        &house,
        json!({
            "variableConfigs": [{ "key": "city" }],
            "postEvaluationConfig": { "enabled": true, "prompt": "?", "enumOptions": ["good"] },
        }),
    )
    .await;
    let found = found(&house, "x").await;
    assert_eq!(found["evaluation"], json!({ "result": "good" }));
    let session = house.session("x").await;
    let messages = house.engine.transcript(&ORG.into(), session.id).await.expect("read");
    assert!(messages.is_empty() && session.context.bag.is_empty());
}
