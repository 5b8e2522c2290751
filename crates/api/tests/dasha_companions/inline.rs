//! Agents that come with a stateless conversation.

use http::Method;
use serde_json::{Value, json};

use crate::{
    client::problem,
    house::{document, with},
    support::{Answer, Fixture},
};

async fn complete(fixture: &Fixture, agent: &Value, state: &Value, finish: bool) -> Answer {
    let messages = json!([{ "role": "user", "content": "hello" }]);
    let body = json!({ "agent": agent, "messages": messages, "state": state, "finish": finish });
    fixture.ask(Method::POST, "/text-chat/completion", body).await
}

#[tokio::test]
async fn t1_an_inline_configuration_answers_is_analysed_and_told_like_any_other() {
    let fixture = Fixture::start().await;
    let first = complete(&fixture, &document(), &Value::Null, false).await;
    assert_eq!(first.status, 200, "{}", first.body);
    let asked = fixture.models.asked().pop().expect("asked");
    assert_eq!((asked.model.name.as_str(), asked.model.temperature), ("m", Some(0.5)));
    let state = first.json()["state"].clone();
    let last = complete(&fixture, &document(), &state, true).await;
    assert_eq!((last.status.as_u16(), &last.json()["is_final"]), (200, &json!(true)));
    assert_eq!(last.json()["call_id"], first.json()["call_id"]);
    fixture.a_minute_passes().await;
    let call = last.json()["call_id"].as_str().expect("an id").to_owned();
    assert!(fixture.types_of(&call).await.contains(&"CallCompleted".to_owned()));
}

#[tokio::test]
async fn t1_an_inline_agent_stands_in_no_list_and_nobody_elses_conversation_gets_it() {
    let fixture = Fixture::start().await;
    let before = fixture.ask(Method::GET, "/agents", Value::Null).await.json();
    let nameless = with("/name", Value::Null);
    assert_eq!(complete(&fixture, &nameless, &Value::Null, false).await.status, 200);
    assert_eq!(fixture.ask(Method::GET, "/agents", Value::Null).await.json(), before);
}

#[tokio::test]
async fn t1_400_an_inline_configuration_that_does_not_hold_is_named() {
    let fixture = Fixture::start().await;
    for (agent, field) in [
        (json!({}), "agent"),
        (json!({ "name": "A" }), "config"),
        (with("/config/llmConfig/endpoint", json!("not a url")), "config.llmConfig.endpoint"),
        (with("/config/llmConfig/apiKey", json!("********")), "config.llmConfig.apiKey"),
    ] {
        let refused = complete(&fixture, &agent, &Value::Null, false).await;
        problem(&refused, 400);
        let errors = refused.json()["errors"].clone();
        assert!(errors.get(field).is_some(), "{field}: {errors}");
    }
}

#[tokio::test]
async fn t1_the_same_inline_configuration_is_kept_once() {
    let fixture = Fixture::start().await;
    let kept = || -> u32 {
        let count = "SELECT count(*) FROM agents WHERE NOT listed";
        fixture.database().query_row(count, [], |row| row.get(0)).expect("counted")
    };
    let first = complete(&fixture, &document(), &Value::Null, false).await.json();
    let second = complete(&fixture, &document(), &Value::Null, false).await.json();
    assert_ne!(first["call_id"], second["call_id"]);
    assert_eq!(kept(), 1);
    let other = complete(&fixture, &with("/name", json!("Other")), &Value::Null, false).await;
    assert_eq!((other.status.as_u16(), kept()), (200, 2));
    // Deleted by its id, it takes no turn of those that had it; who brings it along again has it anew.
    let call = first["call_id"].as_str().expect("an id");
    let agent = fixture.session(call).await.agent.id;
    let gone = fixture.ask(Method::DELETE, &format!("/agents/{agent}"), Value::Null).await;
    assert_eq!(gone.status, 204);
    assert_eq!(complete(&fixture, &document(), &first["state"], false).await.status, 422);
    assert_eq!(complete(&fixture, &document(), &Value::Null, false).await.status, 200);
}
