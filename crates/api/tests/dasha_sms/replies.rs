//! Section 8, 4 and 6: how replies leave, and when none does.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use epilogue_core::Span;
use epilogue_engine::inbox::Carrier as _;
use serde_json::json;

use crate::texting::{ANN, OURS, SID, TOKEN, Texting};

#[tokio::test]
async fn row_4_twilio_is_answered_at_once_and_the_reply_leaves_by_the_messages_resource() {
    let texting = Texting::start().await;
    texting.texts("SM1", ANN, "Hello").await;
    assert!(texting.fixture.models.asked().is_empty(), "nobody waits for the model");
    assert_eq!(texting.census().await.open, 1);
    assert_eq!(texting.work().await, 1);
    let sent = texting.twilio.sent();
    let [sent] = sent.as_slice() else { panic!("{sent:?}") };
    assert_eq!(sent.path, format!("/2010-04-01/Accounts/{SID}/Messages.json"));
    let basic = format!("Basic {}", BASE64_STANDARD.encode(format!("{SID}:{TOKEN}")));
    assert_eq!(sent.headers["authorization"], basic);
    assert_eq!(sent.headers["content-type"], "application/x-www-form-urlencoded");
    let form = [("Body", "You said: Hello"), ("From", OURS), ("To", ANN)];
    let form = form.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(sent.form, form.into(), "from and to swapped");
    assert_eq!(texting.census().await.open, 0);
}

#[tokio::test]
async fn row_4_a_reply_at_1600_characters_is_one_message_and_one_past_it_is_two() {
    let texting = Texting::start().await;
    let prefix = "You said: ";
    let longest = "x".repeat(1_600 - prefix.len());
    texting.texts("SM1", ANN, &longest).await;
    texting.work().await;
    assert_eq!(texting.twilio.bodies(), [format!("{prefix}{longest}")]);
    texting.texts("SM2", ANN, &format!("{longest}y")).await;
    texting.work().await;
    let bodies = texting.twilio.bodies();
    assert_eq!(bodies[1..], ["You said:".to_owned(), format!("{longest}y")]);
}

#[tokio::test]
async fn row_4_a_reply_of_very_many_parts_is_cut_off_at_the_limit() {
    let texting = Texting::start().await;
    // Words of 1,600: each a part of its own.
    let words = |count| vec!["x".repeat(1_600); count].join(" ");
    texting.texts("SM1", ANN, &words(20)).await;
    texting.work().await;
    assert_eq!(texting.twilio.sent().len(), 21, "the agent's own words, and each of these");
    let carrier = epilogue_api::dialect::dasha::sms::Twilio::new(
        &texting.fixture.api,
        epilogue_engine::webhook::egress::Egress::new(true).expect("a client"),
    );
    assert_eq!(carrier.parts(&words(32)).len(), 32);
    assert_eq!(carrier.parts(&words(33)).len(), 32);
}

#[tokio::test]
async fn row_4_a_reply_that_is_sent_counts_as_activity() {
    let texting = Texting::start().await;
    let gate = texting.twilio.hold();
    texting.texts("SM1", ANN, "Hello").await;
    let worker = texting.worker.clone();
    let working = tokio::spawn(async move { worker.run_until_idle().await });
    texting.twilio.heard(1).await;
    let before = texting.chats().await[0]["last_activity"].clone();
    texting.fixture.clock.advance(Span::from_secs(5));
    gate.add_permits(1);
    working.await.expect("no panic").expect("worked");
    let after = texting.chats().await[0]["last_activity"].clone();
    assert_eq!(before, "2024-01-15T10:00:00.000Z");
    assert_eq!(after, "2024-01-15T10:00:05.000Z");
}

#[tokio::test]
async fn row_4_what_was_said_stays_in_the_inbox_no_longer_than_it_must() {
    let texting = Texting::start().await;
    texting.texts("SM1", ANN, "Hello").await;
    assert_eq!(texting.of("SM1").await.inbound.text, "Hello");
    texting.work().await;
    let done = texting.of("SM1").await;
    assert_eq!((&*done.inbound.text, &*done.inbound.from, done.reply), ("", "", None));
    assert!(done.session.is_some());
}

#[tokio::test]
async fn row_4_the_agents_last_words_are_sent_and_the_session_is_over() {
    let texting = Texting::start().await;
    texting.texts("SM1", ANN, "goodbye").await;
    texting.work().await;
    assert_eq!(texting.twilio.bodies(), ["Take care!"]);
    assert_eq!(texting.chats().await[0]["final_reason"], "agent_finish");
    texting.texts("SM2", ANN, "Hello").await;
    texting.work().await;
    assert_eq!(texting.chats().await.len(), 2);
}

#[tokio::test]
async fn row_6_a_turn_through_c4_sends_no_text_message() {
    let texting = Texting::start().await;
    texting.texts("SM1", ANN, "Hello").await;
    texting.work().await;
    let chat = texting.chats().await[0]["id"].as_str().expect("an id").to_owned();
    let answer = texting.fixture.say(&chat, "From the desk").await;
    assert_eq!(answer.json()["messages"][0]["content"], "You said: From the desk");
    texting.work().await;
    texting.fixture.run_until_idle().await;
    assert_eq!(texting.twilio.bodies(), ["You said: Hello"]);
}

#[tokio::test]
async fn row_4_the_tenant_cannot_choose_where_twilio_is() {
    let texting = Texting::start().await;
    let own = json!({
        "accountSid": SID, "authToken": TOKEN, "name": "Main", "region": "ie1",
        "apiUrl": "http://127.0.0.1:1", "api_url": "http://127.0.0.1:1", "baseUrl": "http://127.0.0.1:1",
    });
    let answer = texting.fixture.send(crate::client::post("/providers/twilio", &own)).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    texting.texts("SM1", ANN, "Hello").await;
    texting.work().await;
    assert_eq!(texting.twilio.bodies(), ["You said: Hello"]);
}
