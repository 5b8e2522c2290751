//! Many at once.

use std::{collections::BTreeSet, sync::Arc};

use epilogue_core::ledger::Account;
use epilogue_engine::records::PageRequest;
use futures::future::join_all;
use serde_json::json;

use crate::client::*;

const MANY: usize = 1_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_opens_of_one_endpoint_leave_one_live_session() {
    let fixture = Arc::new(unlimited().await);
    let opens = (0..MANY).map(|_| {
        let fixture = fixture.clone();
        tokio::spawn(async move {
            fixture.open(json!({ "external_id": { "from": "+1", "to": "+2" } })).await
        })
    });
    let answers: Vec<_> = join_all(opens).await.into_iter().map(|a| a.expect("no panic")).collect();
    let ids: BTreeSet<_> = answers.iter().map(id).collect();
    assert_eq!(ids.len(), 1, "all learn of one");
    let count = |status| answers.iter().filter(|answer| answer.status == status).count();
    assert_eq!((count(http::StatusCode::CREATED), count(http::StatusCode::OK)), (1, MANY - 1));
    let listed = fixture.send(get("/chats?state=all")).await.json();
    assert_eq!(listed["total_count"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_ends_run_one_pipeline() {
    let fixture = Arc::new(unlimited().await);
    let chat = fixture.chat(json!({ "ttl_seconds": 60 })).await;
    fixture.say(&chat, "hi").await;
    let ends = (0..MANY).map(|_| {
        let (fixture, chat) = (fixture.clone(), chat.clone());
        tokio::spawn(async move { fixture.end(&chat).await })
    });
    let answers: Vec<_> = join_all(ends).await.into_iter().map(|a| a.expect("no panic")).collect();
    assert!(answers.iter().all(|answer| answer.told() == answers[0].told()));
    assert_eq!(answers[0].json()["final_reason"], "user_end");
    fixture.run_until_idle().await;
    assert!(fixture.steps(&chat).await.iter().all(|(_, attempts)| *attempts == 1));
    let log = fixture.activity(&chat).await;
    assert_eq!(log.iter().filter(|entry| entry.kind == "session.ended").count(), 1);
    let session = fixture.session(&chat).await;
    let page = PageRequest::first(100);
    let ledger = fixture.engine.ledger(&session.org, Some(session.id), &page).await.expect("read");
    let balance = Account::Balance.as_str();
    let charged: Vec<_> =
        ledger.items.iter().filter(|row| row.account.as_str() == balance).collect();
    assert_eq!(charged.len(), 1, "settled once");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_an_agents_goodbye_and_the_sweeper_have_one_winner() {
    for _ in 0..20 {
        let fixture = Arc::new(unlimited().await);
        let chat = fixture.chat(json!({ "ttl_seconds": 60 })).await;
        fixture.clock.advance(epilogue_core::Span::from_secs(61));
        let (one, two) = (fixture.clone(), fixture.clone());
        let (said, asked) = (chat.clone(), chat.clone());
        let turn = tokio::spawn(async move { one.say(&said, "goodbye").await });
        let end = tokio::spawn(async move { two.end(&asked).await });
        fixture.engine.sweep().await.expect("swept");
        let (turn, end) = (turn.await.expect("no panic"), end.await.expect("no panic"));
        let shown = fixture.show(&chat).await;
        assert_eq!(end.json(), shown);
        let by_turn = shown["final_reason"] == "agent_finish";
        assert_eq!(turn.status.is_success(), by_turn, "{}", shown["final_reason"]);
        let log = fixture.activity(&chat).await;
        assert_eq!(log.iter().filter(|entry| entry.kind == "session.ended").count(), 1);
    }
}
