//! Clients that send slowly, too much, or nothing.

use serde_json::json;
use tokio::io::AsyncWriteExt as _;

use super::{KEY, agent, config};
use crate::support::{
    binary::Home,
    client::{Http, ask},
    raw,
};

/// The longest body in these tests, in bytes.
const BODY_BYTES_MAX: usize = 2_048;

fn short_of_patience() -> Home {
    Home::new(&config(json!({
        "limits": {
            "request_header_timeout_s": 1,
            "request_body_timeout_s": 1,
            "body_bytes_max": BODY_BYTES_MAX,
        },
        "organizations": [agent(json!({ "provider": "scripted" }))],
    })))
}

#[tokio::test]
async fn a_head_that_does_not_come_is_not_waited_for() {
    let server = short_of_patience().start().await;
    for sent in ["", "P", "POST /v1/chat/sessions HTTP/1.1\r\nhost: localhost\r\nx-api-key: tk"] {
        let mut stream = raw::connect(&server.url()).await;
        stream.write_all(sent.as_bytes()).await.expect("sent");
        let said = raw::until_closed(&mut stream).await;
        let is_refusal = said.is_empty() || said.starts_with("HTTP/1.1 408");
        assert!(is_refusal, "{sent:?} was answered {said:?}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let server = short_of_patience().start().await;
    for path in ["/v1/chat/sessions", "/epilogue/v1/sessions"] {
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\nx-api-key: {KEY}\r\n\
             authorization: Bearer {KEY}\r\ncontent-type: application/json\r\n\
             content-length: 100\r\n\r\n{{"
        );
        let mut stream = raw::connect(&server.url()).await;
        stream.write_all(head.as_bytes()).await.expect("sent");
        let said = raw::until_closed(&mut stream).await;
        assert!(said.starts_with("HTTP/1.1 408"), "{path} was answered {said:?}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_body_at_the_limit_is_taken_and_one_past_it_is_not() {
    let server = short_of_patience().start().await;
    let http = Http::new();
    for (path, taken) in [("/v1/chat/sessions", 200), ("/epilogue/v1/sessions", 201)] {
        for (bytes, status) in [(BODY_BYTES_MAX, taken), (BODY_BYTES_MAX + 1, 413)] {
            let body = if taken == 200 {
                json!({ "agent_id": "agent" }).to_string()
            } else {
                json!({ "agent": "agent" }).to_string()
            };
            let body = format!("{body:bytes$}");
            for chunked in [false, true] {
                let request = http.post(format!("{}{path}", server.url()));
                let request = request.bearer_auth(KEY).header("x-api-key", KEY);
                let request = if chunked {
                    let parts = vec![Ok::<_, std::io::Error>(body.clone())];
                    request.body(reqwest::Body::wrap_stream(futures::stream::iter(parts)))
                } else {
                    request.body(body.clone())
                };
                let answer = ask(request).await.expect("an answer");
                assert_eq!(answer.status, status, "{path}, {bytes} bytes: {}", answer.body);
            }
        }
    }
    server.stop().await;
}
