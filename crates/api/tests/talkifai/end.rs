//! C4: `POST /v1/chat/sessions/{conversation_id}/end`.

use axum::body::Body;
use epilogue_core::{EndReason, Span};
use http::{Method, header};

use crate::{client::assert_refused, support::*};

const ENDED: (u16, &str) = (200, r#"{"success":true,"message":"Session ended successfully"}"#);

#[tokio::test]
async fn an_end_answers_exactly_as_published() {
    let fixture = Fixture::start().await;
    let held = fixture.hold().await;
    let answer = fixture.send(held.end()).await;
    assert_eq!(answer.told(), ENDED);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let session = fixture.session(&held.conversation_id).await;
    assert_eq!(session.ended().expect("ended").reason, EndReason::UserEnd);
}

#[tokio::test]
async fn an_end_takes_any_body_and_any_content_type_or_none() {
    let fixture = Fixture::start().await;
    let bodies: [(Option<&str>, Body); 5] = [
        (None, Body::empty()),
        (Some("application/json"), "{}".into()),
        (Some("application/json"), "{".into()),
        (Some("text/plain;charset=UTF-8"), "closing".into()),
        (Some("application/octet-stream"), vec![0xff; 1024 * 1024].into()),
    ];
    for (kind, body) in bodies {
        let held = fixture.hold().await;
        let mut request = held.request(Method::POST, "end", body);
        if let Some(kind) = kind {
            let kind = kind.parse().expect("a value");
            request.headers_mut().insert(header::CONTENT_TYPE, kind);
        }
        assert_eq!(fixture.send(request).await.told(), ENDED);
    }
}

#[tokio::test]
async fn a_second_end_is_401_for_the_token_died_with_the_session() {
    let fixture = Fixture::start().await;
    let held = fixture.hold().await;
    assert_eq!(fixture.send(held.end()).await.told(), ENDED);
    assert_refused(&fixture.send(held.end()).await, 401, "Invalid token");
    fixture.run_until_idle().await;
    assert_refused(&fixture.send(held.end()).await, 401, "Invalid token");
    assert_eq!(fixture.webhooks.heard().len(), 1);
}

#[tokio::test]
async fn of_ends_at_the_same_time_one_is_200_and_the_rest_are_401() {
    let fixture = Fixture::start().await;
    let held = fixture.hold().await;
    let ends = (0..8).map(|_| fixture.send(held.end()));
    let answers = futures::future::join_all(ends).await;
    let (ended, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|a| a.status == 200);
    assert_eq!((ended.len(), refused.len()), (1, 7));
    for answer in refused {
        assert_refused(answer, 401, "Invalid token");
    }
    fixture.run_until_idle().await;
    assert_eq!(fixture.webhooks.heard().len(), 1);
}

#[tokio::test]
async fn an_end_after_the_idle_timeout_is_401_and_everything_runs_once() {
    let fixture = Fixture::start().await;
    let (asked, swept) = (fixture.hold().await, fixture.hold().await);
    for held in [&asked, &swept] {
        assert_eq!(fixture.send(held.message("hi")).await.status, 200);
    }
    fixture.clock.advance(Span::from_secs(1_800));
    // Nobody has swept it: the end comes too late all the same, but it is an end.
    assert_refused(&fixture.send(asked.end()).await, 401, "Invalid token");
    fixture.run_until_idle().await;
    assert_refused(&fixture.send(swept.end()).await, 401, "Invalid token");
    fixture.run_until_idle().await;
    assert_eq!(fixture.webhooks.heard().len(), 2);
    for held in [&asked, &swept] {
        let session = fixture.session(&held.conversation_id).await;
        assert_eq!(session.ended().expect("ended").reason, EndReason::Idle);
    }
}

#[tokio::test]
async fn a_millisecond_before_the_idle_timeout_an_end_is_200() {
    let fixture = Fixture::start().await;
    let held = fixture.hold().await;
    fixture.clock.advance(Span::from_millis(1_799_999));
    assert_eq!(fixture.send(held.end()).await.told(), ENDED);
}

#[tokio::test]
async fn an_end_that_cannot_be_recorded_is_500_and_the_session_survives() {
    let fixture = Fixture::start().await;
    let held = fixture.hold().await;
    let database = fixture.database();
    for table in ["steps", "ledger", "activity"] {
        database.execute_batch(&format!("ALTER TABLE {table} RENAME TO away")).expect("broken");
        assert_refused(&fixture.send(held.end()).await, 500, "Failed to end session");
        database.execute_batch(&format!("ALTER TABLE away RENAME TO {table}")).expect("mended");
        assert_eq!(fixture.send(held.message("still here")).await.status, 200, "{table}");
    }
    assert_eq!(fixture.send(held.end()).await.told(), ENDED);
    fixture.run_until_idle().await;
    assert_eq!(fixture.webhooks.heard().len(), 1);
}

#[tokio::test]
async fn a_caller_that_hangs_up_cancels_nothing() {
    let fixture = Fixture::start().await;
    let held = fixture.hold().await;
    let mut end = Box::pin(fixture.send(held.end()));
    assert!(futures::poll!(&mut end).is_pending());
    drop(end);
    fixture.engine.begin_drain();
    fixture.engine.drained().await;
    let session = fixture.session(&held.conversation_id).await;
    assert_eq!(session.ended().expect("ended").reason, EndReason::UserEnd);
}

#[tokio::test]
async fn a_server_that_stops_still_ends_sessions() {
    let fixture = Fixture::start().await;
    let held = fixture.hold().await;
    fixture.engine.begin_drain();
    assert_eq!(fixture.send(held.end()).await.told(), ENDED);
}

#[tokio::test]
async fn the_log_knows_whose_token_ended_a_session() {
    let fixture = Fixture::start().await;
    let held = fixture.hold().await;
    assert_eq!(fixture.send(held.end()).await.told(), ENDED);
    let session = fixture.session(&held.conversation_id).await;
    let why = fixture.engine.why(&session.org, session.id).await.expect("read").expect("known");
    let by = why.activity.first().and_then(|entry| entry.by.as_deref());
    assert_eq!(by, Some("session token of key key_acme"));
}
