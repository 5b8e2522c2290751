//! An OpenAI-compatible endpoint that does what the person's message asks of it.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::body::Body;
use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use http::{HeaderMap, Request, Response};
use serde_json::{Value, json};

use super::{
    pause,
    peer::{HangsUp, Peer, answer},
};

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Asked {
    pub headers: HeaderMap,
    pub body: Value,
}

/// The endpoint. It stops with the test's runtime. What it does with a message that contains
/// `stall`, `silence`, `cut`, `garbage`, `refuse`, `tool` or `both` is below; to others it answers whole.
pub struct FakeModel {
    peer: Peer,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl FakeModel {
    pub async fn start() -> Self {
        let asked = Arc::<Mutex<Vec<Asked>>>::default();
        let kept = asked.clone();
        let peer = Peer::start(move |request: Request<Bytes>| {
            let body: Value = serde_json::from_slice(request.body()).unwrap_or_default();
            let asked = Asked { headers: request.headers().clone(), body: body.clone() };
            kept.lock().unwrap_or_else(PoisonError::into_inner).push(asked);
            async move { Ok(respond(&body)) }
        });
        Self { peer: peer.await, asked }
    }

    /// Where it is, as an agent's `base_url`.
    pub fn url(&self) -> String {
        self.peer.url("/v1")
    }

    /// What it has been asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn respond(request: &Value) -> Response<Body> {
    let messages = request["messages"].as_array().cloned().unwrap_or_default();
    let is_after_tool = messages.last().is_some_and(|message| message["role"] == "tool");
    let said = messages.iter().rfind(|message| message["role"] == "user");
    let said = said.and_then(|message| message["content"].as_str()).unwrap_or_default();
    let first = || stream::iter([Ok(word("Once "))]);
    match said.split(' ').next().unwrap_or_default() {
        "stall" => streamed(first().chain(stream::pending())),
        "silence" => streamed(stream::pending()),
        "cut" => streamed(first().chain(stream::once(async {
            // Time for what came before to leave.
            pause(Duration::from_millis(50)).await;
            Err(HangsUp)
        }))),
        "garbage" => {
            let garbage = Bytes::from_static(b"data: {\"choices\":[{]\n\n");
            streamed(first().chain(stream::iter([Ok(garbage)])))
        }
        "refuse" => answer(400, json!({ "error": { "message": said } }).to_string()),
        "both" if !is_after_tool => {
            let calls = Bytes::from([call_in(0, 7), call_in(1, 8)].concat());
            streamed(stream::iter([Ok(calls), Ok(finish("tool_calls"))]))
        }
        "tool" if !is_after_tool => streamed(stream::iter([Ok(call()), Ok(finish("tool_calls"))])),
        _ => {
            let words = ["You ", "said: ", said].map(word);
            let all = words.into_iter().chain([finish("stop")]).map(Ok);
            streamed(stream::iter(all.collect::<Vec<_>>()))
        }
    }
}

fn streamed(
    packets: impl Stream<Item = Result<Bytes, HangsUp>> + Send + 'static,
) -> Response<Body> {
    let mut response = Response::new(Body::from_stream(packets));
    let kind = http::HeaderValue::from_static("text/event-stream");
    response.headers_mut().insert(http::header::CONTENT_TYPE, kind);
    response
}

fn event(choice: &Value) -> Bytes {
    format!("data: {}\n\n", json!({ "choices": [choice] })).into()
}

fn word(text: &str) -> Bytes {
    event(&json!({ "index": 0, "delta": { "content": text } }))
}

fn call() -> Bytes {
    call_in(0, 7)
}

/// The call in this place, about this order.
fn call_in(place: u32, order: u32) -> Bytes {
    let arguments = json!({ "order": order }).to_string();
    let function = json!({ "name": "look_up", "arguments": arguments });
    let id = format!("call_{}", place + 1);
    let call = json!({ "index": place, "id": id, "type": "function", "function": function });
    event(&json!({ "index": 0, "delta": { "tool_calls": [call] } }))
}

fn finish(reason: &str) -> Bytes {
    let last = event(&json!({ "index": 0, "delta": {}, "finish_reason": reason }));
    [last, Bytes::from_static(b"data: [DONE]\n\n")].concat().into()
}

/// A tool's endpoint, which answers with what it is made with, with this status.
pub async fn tool(status: u16, result: &str) -> Peer {
    let body = json!({ "result": result }).to_string();
    Peer::start(move |_| {
        let body = body.clone();
        async move { Ok(answer(status, body)) }
    })
    .await
}
