//! Section 3.4: prompt variables.

use serde_json::{Value, json};

use crate::support::*;

impl Fixture {
    /// The prompt of the latest request to the model.
    fn prompt(&self) -> String {
        self.models.asked().last().expect("asked").system.clone()
    }
}

#[tokio::test]
async fn the_bag_lies_under_a_turns_overrides_which_are_not_kept() {
    let fixture = Fixture::start().await;
    let bag = json!({ "name": "Ann", "data": { "b": [1, true], "a": null } });
    let id = fixture.chat(json!({ "additional_data": bag })).await;
    fixture.say(&id, "hi").await;
    assert_eq!(fixture.prompt(), r#"Ann via web at web: {"a":null,"b":[1,true]}"#);
    let body = json!({ "content": "hi", "additional_data": { "name": "Bob", "data": 7 } });
    fixture.message(&id, body).await;
    assert_eq!(fixture.prompt(), "Bob via web at web: 7");
    fixture.say(&id, "hi").await;
    assert!(fixture.prompt().starts_with("Ann via web"));
}

#[tokio::test]
async fn reserved_keys_are_the_servers_in_any_case() {
    let fixture = Fixture::start().await;
    let hostile = json!({
        "name": "Ann", "data": null,
        "channel": "forged", "CHANNEL": "forged", "Sip_Endpoint": "forged", "sip_endpoint": 1,
    });
    let sms = json!({
        "channel": "twilio_sms",
        "external_id": { "from": "+4917", "to": "+2", "provider_id": "p" },
        "additional_data": hostile,
    });
    let id = fixture.chat(sms).await;
    fixture.say(&id, "hi").await;
    assert_eq!(fixture.prompt(), "Ann via twilio_sms at +4917: ");
    fixture.message(&id, json!({ "content": "hi", "additional_data": hostile })).await;
    assert_eq!(fixture.prompt(), "Ann via twilio_sms at +4917: ");
    let shown = Value::Object(fixture.session(&id).await.context.shown_bag());
    let expected =
        json!({ "name": "Ann", "data": null, "channel": "twilio_sms", "sip_endpoint": "+4917" });
    assert_eq!(shown, expected);
}

#[tokio::test]
async fn a_value_that_looks_like_a_template_is_not_evaluated() {
    let fixture = Fixture::start().await;
    let bag = json!({ "name": "{{channel}}", "data": { "x": "{{name}}" } });
    let id = fixture.chat(json!({ "additional_data": bag })).await;
    fixture.say(&id, "hi").await;
    assert_eq!(fixture.prompt(), r#"{{channel}} via web at web: {"x":"{{name}}"}"#);
}
