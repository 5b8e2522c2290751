//! Section 3: states, and the end of sessions that nobody ends.

use std::sync::Arc;

use epilogue_core::{Span, StepKind};
use serde_json::json;

use crate::{client::*, support::*};

const MS: Span = Span::from_millis(1);

impl Fixture {
    async fn reason(&self, id: &str) -> Option<String> {
        self.run_until_idle().await;
        self.show(id).await["final_reason"].as_str().map(str::to_owned)
    }
}

#[tokio::test]
async fn ttl_of_60_and_of_86400_seconds_ends_strictly_after_its_deadline() {
    for ttl in [60, 86_400] {
        let fixture = Fixture::start().await;
        let id = fixture.chat(json!({ "ttl_seconds": ttl })).await;
        fixture.clock.advance(Span::from_secs(ttl));
        assert_eq!(fixture.reason(&id).await, None, "right at the deadline it lives");
        fixture.clock.advance(MS);
        assert_eq!(fixture.reason(&id).await.as_deref(), Some("ttl"));
        let owed = fixture.steps(&id).await;
        let told = owed.iter().filter(|(kind, _)| *kind == StepKind::NotifyEnded).count();
        assert_eq!(told, 1, "the completion webhook is owed");
    }
}

#[tokio::test]
async fn ttl_null_never_ends_and_the_agents_own_times_do_not_count() {
    let fixture = Fixture::start().await;
    // Chat Bot has an idle timeout of seven seconds, which is for other APIs.
    let id = fixture.chat(json!({ "ttl_seconds": null })).await;
    fixture.clock.advance(Span::from_secs(10 * 365 * 86_400));
    assert_eq!(fixture.reason(&id).await, None);
    assert_eq!(fixture.say(&id, "still there?").await.status, 200);
    let id = fixture.chat(json!({ "ttl_seconds": 60 })).await;
    fixture.clock.advance(Span::from_secs(8));
    assert_eq!(fixture.reason(&id).await, None);
}

#[tokio::test]
async fn activity_right_at_the_deadline_counts() {
    let fixture = Fixture::start().await;
    let id = fixture.chat(json!({ "ttl_seconds": 60 })).await;
    fixture.clock.advance(Span::from_secs(60));
    assert_eq!(fixture.say(&id, "hi").await.status, 200);
    fixture.clock.advance(Span::from_secs(60));
    assert_eq!(fixture.reason(&id).await, None);
    fixture.clock.advance(MS);
    assert_eq!(fixture.reason(&id).await.as_deref(), Some("ttl"));
}

#[tokio::test]
async fn an_overdue_session_that_is_not_swept_is_active_and_a_message_revives_it() {
    let fixture = Fixture::start().await;
    let id = fixture.chat(json!({ "ttl_seconds": 60, "external_id": { "from": "+1" } })).await;
    fixture.clock.advance(Span::from_secs(61));
    assert_eq!(fixture.show(&id).await["status"], "active");
    let again = fixture.open(json!({ "external_id": { "from": "+1" } })).await;
    assert_eq!((again.status.as_u16(), self::id(&again)), (200, id.clone()));
    assert_eq!(fixture.say(&id, "sorry, I was away").await.status, 200);
    fixture.clock.advance(Span::from_secs(60));
    assert_eq!(fixture.reason(&id).await, None, "the sweeper looks again, and passes by");
}

#[tokio::test]
async fn an_overdue_session_ends_as_it_is_asked_until_it_is_swept() {
    let fixture = Fixture::start().await;
    let id = fixture.chat(json!({ "ttl_seconds": 60 })).await;
    fixture.clock.advance(Span::from_secs(61));
    assert_eq!(fixture.end(&id).await.json()["final_reason"], "user_end");
}

#[tokio::test]
async fn the_sweeper_skips_a_session_with_a_turn_in_progress() {
    let fixture = Arc::new(Fixture::start().await);
    let id = fixture.chat(json!({ "ttl_seconds": 60 })).await;
    let speaking = {
        let (fixture, id) = (fixture.clone(), id.clone());
        tokio::spawn(async move { fixture.say(&id, "for ever").await })
    };
    fixture.asked(1).await;
    fixture.clock.advance(Span::from_secs(120));
    assert_eq!(fixture.reason(&id).await, None);
    // The turn is cut by its own limit, and the session's time runs from its message.
    fixture.clock.advance(Span::from_secs(180));
    problem(&speaking.await.expect("no panic"), 504);
    assert_eq!(fixture.reason(&id).await, None, "the turn's end counted");
    fixture.clock.advance(Span::from_secs(61));
    assert_eq!(fixture.reason(&id).await.as_deref(), Some("ttl"));
}

#[tokio::test]
async fn active_to_final_is_one_way() {
    let fixture = Fixture::start().await;
    let id = fixture.chat(json!({ "ttl_seconds": 60 })).await;
    fixture.clock.advance(Span::from_secs(61));
    fixture.run_until_idle().await;
    assert_eq!(fixture.end(&id).await.json()["final_reason"], "ttl", "the first reason stays");
    problem(&fixture.say(&id, "hi").await, 409);
    assert_eq!(fixture.show(&id).await["final_reason"], "ttl");
}

#[tokio::test]
async fn a_turn_that_a_crash_abandoned_leaves_nothing_and_is_billed_nothing() {
    let fixture = Arc::new(Fixture::start().await);
    let id = fixture.chat(json!({ "ttl_seconds": 60 })).await;
    let speaking = {
        let (fixture, id) = (fixture.clone(), id.clone());
        tokio::spawn(async move { fixture.say_as(&id, "for ever", "k1").await })
    };
    fixture.asked(1).await;
    let next = fixture.beside(|setup| setup.seed = 8).await;
    next.engine.recover(&[]).await.expect("recovered");
    assert_eq!(next.show(&id).await["messages"], json!([]));
    assert_eq!(next.session(&id).await.usage, epilogue_core::Usage::default());
    let answer = next.say_as(&id, "hello", "k1").await;
    assert_eq!(answer.json()["messages"][0]["content"], "You said: hello", "the key is free");
    speaking.abort();
}
