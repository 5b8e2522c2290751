use std::sync::{Arc, Mutex};

use axum::{
    Router,
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Response as Answer},
    routing::post,
};
use epilogue_core::Timestamp;
use serde_json::Value;

use super::*;
use crate::{
    clock::{SimClock, SystemClock},
    speech::TEXT_BYTES_MAX,
};

const LIMIT: Span = Span::from_secs(10);

type Heard = Arc<Mutex<Vec<(Option<String>, Value)>>>;

/// An endpoint that does what the text asks of it.
async fn fake_endpoint() -> (Url, Heard) {
    let heard = Heard::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let base = format!("http://{}/v1", listener.local_addr().expect("bound"));
    let app = Router::new().route("/v1/audio/speech", post(speech)).with_state(heard.clone());
    tokio::spawn(async move { axum::serve(listener, app).await });
    (base.parse().expect("a URL"), heard)
}

async fn speech(State(heard): State<Heard>, headers: HeaderMap, body: String) -> Answer {
    let body: Value = serde_json::from_str(&body).expect("JSON");
    let key = headers.get("authorization").map(|key| key.to_str().expect("text").to_owned());
    let text = body["input"].as_str().expect("text").to_owned();
    heard.lock().expect("whole").push((key, body));
    match &*text {
        "refuse" => (StatusCode::TOO_MANY_REQUESTS, "secret words").into_response(),
        "nothing" => StatusCode::OK.into_response(),
        "full" => vec![0; SOUND_BYTES_MAX].into_response(),
        "too full" => vec![0; SOUND_BYTES_MAX + 1].into_response(),
        "hang" => {
            Body::from_stream(futures::stream::pending::<Result<String, String>>()).into_response()
        }
        "elsewhere" => (StatusCode::FOUND, [("location", "/v1/audio/speech")]).into_response(),
        text => format!("RIFF {text}").into_response(),
    }
}

fn endpoint(base_url: Url) -> Endpoint {
    let api_key = Some(SecretRef::literal("sk-speech"));
    Endpoint { base_url, name: "tts-1".into(), voice: "alloy".into(), api_key }
}

async fn voice() -> (EndpointVoice, Heard) {
    let (base, heard) = fake_endpoint().await;
    (EndpointVoice::new(endpoint(base), LIMIT, Arc::new(SystemClock)).expect("a voice"), heard)
}

fn text(text: impl Into<String>) -> Utterance {
    Utterance { text: text.into(), ..Utterance::default() }
}

#[tokio::test]
async fn the_endpoint_is_asked_in_its_own_words() {
    let (voice, heard) = voice().await;
    let sound = voice.speak(&text("Hello")).await.expect("spoken");
    assert_eq!(sound.0, "RIFF Hello");
    let fast = Utterance { text: "Hi".into(), voice: Some("nova".into()), speed: Some(1.5) };
    voice.speak(&fast).await.expect("spoken");
    let heard = heard.lock().expect("whole");
    let plain =
        json!({ "model": "tts-1", "input": "Hello", "voice": "alloy", "response_format": "wav" });
    assert_eq!(heard[0], (Some("Bearer sk-speech".into()), plain));
    assert_eq!((&heard[1].1["voice"], &heard[1].1["speed"]), (&json!("nova"), &json!(1.5)));
}

#[tokio::test]
async fn failures_are_told_without_anybodys_words() {
    let (voice, _heard) = voice().await;
    let fails =
        async |words: &str| voice.speak(&text(words)).await.expect_err("failed").to_string();
    assert_eq!(fails("refuse").await, "the voice answered 429");
    assert_eq!(fails("elsewhere").await, "the voice answered 302");
    assert_eq!(fails("nothing").await, "there was no sound");
    let nobody = endpoint("http://127.0.0.1:1/v1".parse().expect("a URL"));
    let nobody = EndpointVoice::new(nobody, LIMIT, Arc::new(SystemClock)).expect("a voice");
    let error = nobody.speak(&text("x")).await.expect_err("nobody is there");
    assert_eq!(error.to_string(), "the voice cannot be reached");
}

#[tokio::test]
async fn text_and_sound_are_bounded() {
    let (voice, _heard) = voice().await;
    assert!(voice.speak(&text("x".repeat(TEXT_BYTES_MAX))).await.is_ok());
    let long = voice.speak(&text("x".repeat(TEXT_BYTES_MAX + 1))).await;
    assert!(matches!(long, Err(SpeechError::TooMuchText)));
    assert_eq!(voice.speak(&text("full")).await.expect("fits").0.len(), SOUND_BYTES_MAX);
    assert!(matches!(voice.speak(&text("too full")).await, Err(SpeechError::TooMuchSound)));
}

#[tokio::test]
async fn an_endpoint_that_hangs_is_given_up() {
    let (base, heard) = fake_endpoint().await;
    let clock = SimClock::at(Timestamp::from_millis(0));
    let voice =
        EndpointVoice::new(endpoint(base), LIMIT, Arc::new(clock.clone())).expect("a voice");
    let speaking = tokio::spawn(async move { voice.speak(&text("hang")).await });
    while heard.lock().expect("whole").is_empty() {
        tokio::task::yield_now().await;
    }
    clock.advance(LIMIT);
    assert!(matches!(speaking.await.expect("no panic"), Err(SpeechError::Timeout { seconds: 10 })));
}

#[test]
fn an_endpoint_is_an_http_address() {
    let odd = endpoint("data:text/plain,x".parse().expect("a URL"));
    assert!(EndpointVoice::new(odd, LIMIT, Arc::new(SystemClock)).is_err());
}
