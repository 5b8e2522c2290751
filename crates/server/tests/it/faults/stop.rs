//! Stopping, and callers that do not wait.

use serde_json::json;

use super::{KEY, agent, config};
use crate::support::{
    binary::Home,
    client::Http,
    eventually, in_time,
    native::Native,
    raw,
    talkifai::{TalkifAi, reply},
};

/// An agent that takes its time: `words` of them, one every 50 milliseconds.
fn slow(words: usize) -> serde_json::Value {
    let said = (0..words).map(|number| format!("word{number} ")).collect::<String>();
    let rule = json!({ "when": "", "reply": said, "word_delay_ms": 50 });
    config(json!({
        "organizations": [agent(json!({ "provider": "scripted", "script": [rule] }))],
    }))
}

#[tokio::test]
async fn a_stream_that_runs_is_finished_before_the_server_stops() {
    let home = Home::new(&slow(30));
    let mut server = home.start().await;
    let (url, http) = (server.url(), Http::new());
    let client = TalkifAi::new(&http, KEY);
    let session = client.opened(&url, "agent", None).await;
    let mut stream = client.send(&url, &session, "go").await.expect("sent").expect("taken");
    let mut events = Vec::new();
    while events.len() < 3 {
        events.push(stream.next().await.expect("a stream").expect("an event"));
    }
    server.terminate();
    events.extend(stream.all().await.expect("a whole stream"));
    let (said, completed) = reply(&events);
    assert!(completed && said.ends_with("word29 "), "{events:?}");
    let status = server.gone().await;
    assert_eq!(status.code(), Some(0), "{}", server.logs());
    let server = home.start().await;
    let history = client.history(&server.url(), &session).await;
    assert_eq!(history.last(), Some(&("assistant".to_owned(), said)));
    server.stop().await;
}

#[tokio::test]
async fn a_second_signal_cuts_what_runs_and_keeps_what_was_said() {
    let home = Home::new(&slow(2_000));
    let mut server = home.start().await;
    let (url, http) = (server.url(), Http::new());
    let client = TalkifAi::new(&http, KEY);
    let session = client.opened(&url, "agent", None).await;
    let mut stream = client.send(&url, &session, "go").await.expect("sent").expect("taken");
    let mut heard = Vec::new();
    while heard.len() < 3 {
        heard.push(stream.next().await.expect("a stream").expect("an event"));
    }
    server.terminate();
    eventually("the first signal to arrive", async || {
        server.logs().contains(r#""message":"stopping""#).then_some(())
    })
    .await;
    server.terminate();
    // The stream ends with an error if there was time to say so, and breaks if there was not.
    while let Ok(Some(event)) = in_time("the cut", stream.next()).await {
        assert_ne!(event.name, "stream_end");
        heard.push(event);
    }
    assert_eq!(server.gone().await.code(), Some(0), "{}", server.logs());
    let server = home.start().await;
    let history = client.history(&server.url(), &session).await;
    let kept = &history.last().expect("a transcript").1;
    let (said, _) = reply(&heard);
    assert!(!said.is_empty() && kept.starts_with(&said), "heard {said:?}, kept {kept:?}");
    let answer = client.end(&server.url(), &session).await.expect("an answer");
    assert_eq!(answer.status, 200, "the session lives on: {}", answer.body);
    server.stop().await;
}

#[tokio::test]
async fn an_end_counts_even_if_its_caller_hangs_up_at_once() {
    const SESSIONS: usize = 40;
    let home = Home::new(&slow(1));
    let server = home.start().await;
    let (url, http) = (server.url(), Http::new());
    let (client, native) = (TalkifAi::new(&http, KEY), Native::new(&http, KEY));
    for number in 0..SESSIONS {
        let (path, token) = if number % 2 == 0 {
            let session = client.opened(&url, "agent", None).await;
            (format!("/v1/chat/sessions/{}/end", session.name), session.token)
        } else {
            let session = native.opened(&url, "agent").await;
            (format!("/epilogue/v1/sessions/{session}/end"), KEY.to_owned())
        };
        let token = format!("Bearer {token}");
        raw::send_and_leave(&url, &path, &[("authorization", &token)]).await.expect("sent");
    }
    eventually("every end to count", async || {
        let open = native.get(&url, "/sessions?state=active&limit=1").await;
        open["items"].as_array().expect("items").is_empty().then_some(())
    })
    .await;
    server.stop().await;
}
