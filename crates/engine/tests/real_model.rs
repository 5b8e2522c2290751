//! The adapter against a real engine: `scripts/with-model cargo test -p epilogue-engine`.
//! Without one these tests say that they are skipped, and pass.

use std::sync::Arc;

use epilogue_core::{
    Message, Role, Timestamp,
    agent::{ModelProvider, ModelSpec},
    message::NewMessage,
};
use epilogue_engine::{
    clock::SystemClock,
    ids::Ids,
    llm::{AnswerSchema, LanguageModel, ModelEvent, ModelRequest, ModelUsage, OpenAi, tokens},
};
use futures::StreamExt;
use serde_json::{Value, json};
use tokio::sync::Mutex;
use url::Url;

/// One test at a time uses the engine, whose state one of them looks at.
static ENGINE: Mutex<()> = Mutex::const_new(());

/// A request to the engine that the environment names. `None`: it names none.
fn request(asked: &str) -> Option<ModelRequest> {
    let Ok(url) = std::env::var("EPILOGUE_TEST_MODEL_URL") else {
        println!("skipped: EPILOGUE_TEST_MODEL_URL is not set");
        return None;
    };
    let model = ModelSpec {
        provider: ModelProvider::Openai,
        base_url: Some(url.parse().expect("EPILOGUE_TEST_MODEL_URL is a URL")),
        name: "smollm2".into(),
        api_key: None,
        temperature: Some(0.0),
        max_output_tokens: Some(64),
        first_token_timeout_s: 120,
        stall_timeout_s: 60,
        script: Vec::new(),
        vendor: None,
        chosen_by: epilogue_core::agent::ChosenBy::Operator,
        options: serde_json::Map::new(),
        price: epilogue_core::Price::default(),
    };
    let body = NewMessage::text(Role::User, asked, Timestamp::default());
    Some(ModelRequest {
        model,
        system: "You are a helpful assistant.".into(),
        messages: vec![Message { seq: 0, turn: 1, body }],
        tools: Vec::new(),
        answer: None,
    })
}

fn model() -> OpenAi {
    OpenAi::new(Arc::new(SystemClock), Arc::new(Ids::from_os()), false).expect("a client")
}

/// The text of a whole answer, in how many pieces it came, and what it used.
async fn answer(request: ModelRequest) -> (String, usize, Option<ModelUsage>) {
    let mut stream = model().stream(request).await.expect("a first piece");
    let (mut text, mut pieces) = (String::new(), 0);
    while let Some(event) = stream.next().await {
        match event.expect("a whole answer") {
            ModelEvent::Text(more) => {
                text += &more;
                pieces += 1;
            }
            ModelEvent::ToolCall(call) => panic!("no tool was offered, yet it calls {call:?}"),
            ModelEvent::End { usage } => return (text, pieces, usage),
        }
    }
    panic!("the stream ended without an end");
}

#[tokio::test]
async fn an_answer_is_streamed_and_its_usage_reported() {
    let Some(request) = request("What is the capital of France?") else { return };
    let _alone = ENGINE.lock().await;
    let estimate = tokens::estimate(&request, "", &[]).prompt_tokens;
    let (text, pieces, usage) = answer(request).await;
    assert!(text.contains("Paris"), "{text}");
    assert!(pieces > 1, "it came in one piece: {text}");
    let usage = usage.expect("the engine reports usage");
    assert!((1..=64).contains(&usage.completion_tokens), "{usage:?}");
    // Its vocabulary and its marks differ from those we count by, though not without bounds.
    assert!((estimate / 3..=estimate * 3).contains(&usage.prompt_tokens), "{usage:?} {estimate}");
}

/// Whether each place of the engine that was used had more to write when it stopped. Waits until
/// all are idle; llama.cpp's own endpoint, beside the one that all engines have.
async fn unfinished(base_url: &Url) -> Vec<bool> {
    let slots = base_url.join("/slots").expect("a URL");
    let client = reqwest::Client::builder().build().expect("a client");
    loop {
        let response = client.get(slots.clone()).send().await.expect("an engine");
        let slots: Vec<Value> = response.json().await.expect("its places");
        if slots.iter().all(|slot| slot["is_processing"] == false) {
            let used = slots.iter().filter_map(|slot| slot["next_token"][0].as_object());
            return used.map(|next| next["has_next_token"] == true).collect();
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_cancelled_answer_stops_the_engine() {
    let Some(mut request) = request("Count from 1 to 10000, every number.") else { return };
    let _alone = ENGINE.lock().await;
    request.model.max_output_tokens = Some(1500);
    let base_url = request.model.base_url.clone().expect("set above");
    let mut stream = model().stream(request).await.expect("a first piece");
    let piece = stream.next().await.expect("a piece").expect("no failure");
    assert!(matches!(piece, ModelEvent::Text(_)), "{piece:?}");
    drop(stream);
    let unfinished = unfinished(&base_url).await;
    assert!(unfinished.contains(&true), "nothing was stopped: {unfinished:?}");
}

#[tokio::test]
async fn an_answer_is_bound_to_its_schema() {
    let transcript = "user: My invoice is wrong.\nassistant: I have corrected it.\nuser: Thanks!";
    let asked = format!("Fill in the form about this conversation.\n\n{transcript}");
    let Some(mut request) = request(&asked) else { return };
    let _alone = ENGINE.lock().await;
    let schema = json!({
        "type": "object",
        "properties": {
            "resolved": { "type": ["boolean", "null"] },
            "topic": { "enum": ["billing", "delivery", null] },
        },
        "required": ["resolved", "topic"],
        "additionalProperties": false,
    });
    request.answer = Some(AnswerSchema { name: "qa form".into(), schema });
    let (text, ..) = answer(request).await;
    let answer: Value = serde_json::from_str(&text).expect("JSON");
    let answer = answer.as_object().expect("an object");
    assert_eq!(answer.keys().map(String::as_str).collect::<Vec<_>>(), ["resolved", "topic"]);
    assert!(answer["resolved"].is_boolean() || answer["resolved"].is_null());
    assert!([json!("billing"), json!("delivery"), Value::Null].contains(&answer["topic"]));
}
