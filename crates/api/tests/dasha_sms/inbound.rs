//! Section 8, 2 and 3: whose conversation a message belongs to, and what it costs.

use epilogue_core::Span;
use serde_json::json;

use crate::{
    client::keyed,
    support::{CHAT_AGENT, FOREIGN_KEY, QUIET_AGENT},
    texting::{ANN, BOB, OURS, SID, TOKEN, Texting},
};

#[tokio::test]
async fn row_2_a_message_opens_a_session_of_its_endpoint_with_the_agent_linked_to_the_number() {
    let texting = Texting::start().await;
    texting.texts("SM1", ANN, "Hello").await;
    texting.work().await;
    let chats = texting.chats().await;
    let [chat] = chats.as_slice() else { panic!("{chats:?}") };
    assert_eq!(chat["channel"], "twilio_sms");
    assert_eq!(chat["agent_id"], CHAT_AGENT);
    assert_eq!(chat["ttl_seconds"], 3_600);
    let session = texting.fixture.session(chat["id"].as_str().expect("an id")).await;
    let address = json!({ "from": ANN, "to": OURS, "provider_id": texting.provider });
    assert_eq!(session.context.address, address);
    let asked = texting.fixture.models.asked();
    assert!(asked[0].system.contains(&format!("via twilio_sms at {ANN}")), "{}", asked[0].system);
}

#[tokio::test]
async fn row_2_the_session_is_the_one_that_a_client_opens_for_the_endpoint() {
    let texting = Texting::start().await;
    let address = json!({ "provider_id": texting.provider, "to": OURS, "from": ANN });
    let open = json!({ "channel": "twilio_sms", "external_id": address, "ttl_seconds": 60 });
    let chat = texting.fixture.chat(open).await;
    texting.texts("SM1", ANN, "Hello").await;
    texting.work().await;
    assert_eq!(texting.chats().await.len(), 1);
    assert_eq!(texting.fixture.show(&chat).await["messages"].as_array().map(Vec::len), Some(2));
    texting.texts("SM2", BOB, "Hello").await;
    texting.work().await;
    assert_eq!(texting.chats().await.len(), 2, "another person is another endpoint");
}

#[tokio::test]
async fn row_2_a_live_session_keeps_its_agent_and_the_next_gets_the_new_one() {
    let texting = Texting::start().await;
    texting.texts("SM1", ANN, "Hello").await;
    texting.work().await;
    texting.link(json!({ "agentId": QUIET_AGENT })).await;
    texting.texts("SM2", ANN, "Again").await;
    texting.work().await;
    assert_eq!(texting.chats().await.len(), 1);
    texting.texts("SM3", ANN, "STOP").await;
    texting.texts("SM4", ANN, "Back").await;
    texting.work().await;
    let agents: Vec<_> =
        texting.chats().await.into_iter().map(|chat| chat["agent_id"].clone()).collect();
    assert_eq!(agents.len(), 2);
    assert!(agents.contains(&json!(QUIET_AGENT)) && agents.contains(&json!(CHAT_AGENT)));
}

#[tokio::test]
async fn row_2_the_session_ends_by_itself_after_the_configured_hour() {
    let texting = Texting::with(|setup| {
        setup.settings.twilio.session_ttl = Span::from_secs(120);
    })
    .await;
    texting.texts("SM1", ANN, "Hello").await;
    texting.work().await;
    assert_eq!(texting.chats().await[0]["ttl_seconds"], 120);
    texting.fixture.clock.advance(Span::from_secs(121));
    texting.fixture.run_until_idle().await;
    assert_eq!(texting.chats().await[0]["final_reason"], "ttl");
    texting.texts("SM2", ANN, "Hello again").await;
    texting.work().await;
    assert_eq!(texting.chats().await.len(), 2);
}

#[tokio::test]
async fn row_2_a_number_nobody_answers_is_200_and_counted() {
    let texting = Texting::start().await;
    texting.link(json!({ "agentId": null })).await;
    texting.texts("SM1", ANN, "Hello").await;
    let unknown = texting.message("SM2", ANN, "Hello").with("To", "+18005550000");
    assert_eq!(texting.tells(&unknown).await.told(), (200, "<Response/>"));
    assert_eq!(texting.inbox().await, []);
    let snapshot = texting.fixture.engine.snapshot().await.expect("read");
    let metrics = texting.fixture.engine.metrics().encode(&snapshot);
    assert!(metrics.contains("epilogue_inbox_messages_total{outcome=\"unlinked\"} 2"), "{metrics}");
}

#[tokio::test]
async fn row_2_a_number_of_another_account_is_nobodys_here() {
    let texting = Texting::start().await;
    let second = "AC00000000000000000000000000000002";
    let account = json!({ "accountSid": second, "authToken": TOKEN, "name": "Second" });
    let answer = texting.fixture.send(crate::client::post("/providers/twilio", &account)).await;
    let provider = answer.json()["id"].as_str().expect("an id").to_owned();
    let mut form = texting.message("SM1", ANN, "Hello").with("AccountSid", second);
    form.path = format!("/api/v1/providers/twilio/{provider}/sms");
    assert_eq!(texting.tells(&form).await.told(), (200, "<Response/>"));
    assert_eq!(texting.inbox().await, []);
}

#[tokio::test]
async fn row_2_two_organizations_with_one_number_each_get_what_came_through_their_account() {
    let texting = Texting::start().await;
    let post = |path: &str, body: &serde_json::Value| {
        keyed(FOREIGN_KEY, http::Method::POST, path, body.to_string())
    };
    let account = json!({ "accountSid": SID, "authToken": "theirs", "name": "Theirs" });
    let answer = texting.fixture.send(post("/providers/twilio", &account)).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    let provider = answer.json()["id"].as_str().expect("an id").to_owned();
    let number = json!({ "phoneNumber": OURS, "providerId": provider });
    assert_eq!(texting.fixture.send(post("/sip-phone-numbers", &number)).await.status, 201);
    // Signed for one account, a message is nothing at the other's address.
    let mut crossed = texting.message("SM1", ANN, "Hello");
    crossed.path = format!("/api/v1/providers/twilio/{provider}/sms");
    assert_eq!(texting.tells(&crossed).await.status, 403);
    crossed.token = "theirs".into();
    assert_eq!(texting.tells(&crossed).await.status, 200);
    assert_eq!(texting.inbox().await, [], "theirs is linked to nobody, and ours was not meant");
}

#[tokio::test(flavor = "multi_thread")]
async fn row_3_a_hundred_deliveries_of_one_message_cost_one_model_call_and_one_reply() {
    let texting = Texting::start().await;
    let form = texting.message("SM1", ANN, "Hello");
    let deliveries = (0..100).map(|_| texting.tells(&form));
    let stop = tokio_util::sync::CancellationToken::new();
    let running = tokio::spawn({
        let (worker, stop) = (texting.worker.clone(), stop.clone());
        async move { worker.run(stop).await }
    });
    for answer in futures::future::join_all(deliveries).await {
        assert_eq!(answer.told(), (200, "<Response/>"));
    }
    texting.twilio.heard(1).await;
    stop.cancel();
    running.await.expect("worked");
    texting.work().await;
    assert_eq!(texting.twilio.bodies(), ["You said: Hello"]);
    assert_eq!(texting.fixture.models.asked().len(), 1);
    assert_eq!(texting.inbox().await.len(), 1);
}

#[tokio::test]
async fn row_3_the_message_is_the_turns_idempotency_key() {
    let texting = Texting::start().await;
    texting.texts("SM1", ANN, "Hello").await;
    texting.work().await;
    let chat = texting.chats().await[0]["id"].as_str().expect("an id").to_owned();
    let answer = texting.fixture.say_as(&chat, "Something else", "SM1").await;
    assert_eq!(answer.json()["messages"][0]["content"], "You said: Hello");
    assert_eq!(texting.fixture.models.asked().len(), 1);
}
