//! The `chat.ended` webhook: section 5a of the contract, to the byte.

use epilogue_api::Dialects;
use epilogue_core::{EndReason, EventId, MicroCredits, StepKind, Timestamp, Usage, session::Ended};
use epilogue_engine::wording::{Notification, Payload, Wording as _};

use crate::support::*;

#[tokio::test]
async fn an_end_tells_the_agents_webhook_what_it_cost() {
    let fixture = Fixture::start().await;
    let held = fixture.hold().await;
    assert_eq!(fixture.send(held.message("Hello there")).await.status, 200);
    fixture.clock.advance(epilogue_core::Span::from_millis(61_999));
    assert_eq!(fixture.send(held.end()).await.status, 200);
    // The end is answered before anybody is told.
    assert!(fixture.webhooks.heard().is_empty());
    fixture.run_until_idle().await;
    let heard = fixture.webhooks.heard();
    assert_eq!(heard.len(), 1);
    assert_eq!(heard[0].url.as_str(), "https://hooks.example.test/ended");
    assert_eq!(heard[0].timeout, epilogue_core::Span::from_secs(7));
    assert_eq!(heard[0].body_signature_header, Some("X-TalkifAI-Signature"));
    insta::assert_snapshot!("webhook", heard[0].body);
}

#[tokio::test]
async fn a_webhook_that_fails_is_tried_again_with_the_same_id_and_bytes() {
    let fixture = Fixture::start().await;
    let held = fixture.hold().await;
    fixture.webhooks.refuse(2);
    assert_eq!(fixture.send(held.end()).await.status, 200);
    for _ in 0..4 {
        fixture.run_until_idle().await;
        fixture.clock.advance(epilogue_core::Span::from_secs(3_600));
    }
    let heard = fixture.webhooks.heard();
    assert_eq!(heard.len(), 3);
    assert!(heard.iter().all(|sent| (&sent.id, &sent.body) == (&heard[0].id, &heard[0].body)));
}

#[tokio::test]
async fn a_session_in_which_nothing_was_said_is_told_too() {
    let fixture = Fixture::start().await;
    let held = fixture.hold().await;
    assert_eq!(fixture.send(held.end()).await.status, 200);
    fixture.run_until_idle().await;
    let body: serde_json::Value =
        serde_json::from_str(&fixture.webhooks.heard()[0].body).expect("JSON");
    assert_eq!(
        (&body["data"]["message_count"], &body["data"]["total_cost"]),
        (&1.into(), &0.into())
    );
}

/// The words for the published example, as an event of this kind.
async fn example(kind: StepKind, dialect: &str) -> Option<Payload> {
    let fixture = Fixture::start().await;
    let held = fixture.hold().await;
    let mut session = fixture.session(&held.conversation_id).await;
    session.dialect = dialect.into();
    session.dialect_id = "chat_abc123".into();
    session.agent.id = "agent_xyz".into();
    session.usage =
        Usage { total_messages: 20, input_tokens: 150, output_tokens: 300, ..Usage::default() };
    let agents = fixture.engine.agents(&session.org).await.expect("read");
    let agent = agents.into_iter().find(|(version, _)| version.id.as_str() == AGENT);
    let ended = Ended {
        at: Timestamp::parse("2024-01-15T10:35:00.999Z").expect("a time"),
        reason: EndReason::UserEnd,
        deadline: None,
        cost: MicroCredits(4_500),
    };
    Dialects.payload(&Notification {
        kind,
        id: &EventId::from("evt_1"),
        session: &session,
        agent: &agent.expect("configured").1,
        ended: Some(&ended),
        analyses: &[],
        extracted: &serde_json::Map::new(),
        transcript: &[],
    })
}

#[tokio::test]
async fn the_published_example_comes_out_to_the_byte() {
    let payload = example(StepKind::NotifyEnded, "talkifai").await.expect("an event");
    assert_eq!(payload.event, "chat.ended");
    assert_eq!(
        payload.body,
        concat!(
            r#"{"event":"chat.ended","timestamp":"2024-01-15T10:35:00Z","data":{"#,
            r#""conversation_id":"chat_abc123","agent_id":"agent_xyz","agent_name":"Support Bot","#,
            r#""message_count":20,"input_tokens":150,"output_tokens":300,"total_cost":0.0045}}"#,
        )
    );
}

#[tokio::test]
async fn there_is_no_other_event_and_none_for_others_sessions() {
    assert_eq!(example(StepKind::NotifyFinalized, "talkifai").await, None);
    assert_eq!(example(StepKind::NotifyEnded, "another").await, None);
}
