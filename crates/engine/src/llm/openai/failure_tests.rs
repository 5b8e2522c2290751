//! What goes wrong: before the first piece, where asking again may help, and after it.

use std::error::Error;

use epilogue_core::{Span, agent::SecretRef};
use futures::StreamExt;
use serde_json::json;

use super::{answer::EVENT_BYTES_MAX, fake::*, *};
use crate::llm::{
    ModelEvent,
    testing::{all, text, whole},
};

const NOTHING: [&str; 0] = [];

/// What becomes of a request to an endpoint that answers like this, and how often it is asked.
async fn ask(replies: Vec<Reply>) -> (Result<String, ModelError>, usize, Vec<u64>) {
    let fake = FakeEndpoint::start(replies).await;
    let clock = HurriedClock::new();
    let waits = clock.waits.clone();
    let result = match adapter(clock).stream(fake.request()).await {
        Ok(stream) => Ok(text(&whole(stream).await)),
        Err(error) => Err(error),
    };
    let waits = waits.lock().unwrap().iter().map(|wait| wait.as_millis()).collect();
    (result, fake.asked().len(), waits)
}

/// The error and all its causes, as a log shows them.
fn shown(error: &ModelError) -> String {
    let error: &dyn Error = error;
    let causes = std::iter::successors(error.source(), |cause| (*cause).source());
    let causes: Vec<_> = causes.map(ToString::to_string).collect();
    format!("{error} {error:?} {causes:?}")
}

/// The first failure after the first piece.
async fn failure_of(reply: Reply) -> ModelError {
    let fake = FakeEndpoint::start([reply, whole_answer("again")]).await;
    let stream = adapter(sim_clock()).stream(fake.request()).await.expect("a first piece");
    let mut events = all(stream).await;
    let failure = events.pop().expect("something").expect_err("a failure, and nothing after it");
    assert!(events.iter().all(Result::is_ok));
    assert_eq!(fake.asked().len(), 1, "nothing is asked again after the first piece");
    failure
}

#[tokio::test]
async fn a_refusal_that_says_when_to_return_is_heeded() {
    let busy = refusal(429, "{}").header("retry-after", "3");
    let (result, asked, waits) = ask(vec![busy, whole_answer("a")]).await;
    assert_eq!(result.expect("an answer"), "a");
    assert_eq!((asked, waits), (2, vec![3000]));
}

#[tokio::test]
async fn a_wait_as_long_as_the_cap_is_waited_and_a_longer_one_is_passed_on_at_once() {
    let longest = refusal(503, "").header("retry-after", "10");
    let (result, asked, waits) = ask(vec![longest, whole_answer("a")]).await;
    assert!(result.is_ok());
    assert_eq!((asked, waits), (2, vec![RETRY_AFTER_MAX.as_millis()]));

    let longer = refusal(503, "").header("retry-after", "11");
    let (result, asked, waits) = ask(vec![longer, whole_answer("a")]).await;
    let error = result.expect_err("too long");
    assert!(matches!(error, ModelError::Refused { status: 503, retry_after_s: Some(11), .. }));
    assert_eq!((asked, waits.len()), (1, 0));
}

#[tokio::test]
async fn a_failing_endpoint_is_asked_three_times_and_no_more() {
    let failing = |times: usize| (0..times).map(|_| refusal(500, ""));
    let (result, asked, waits) = ask(failing(2).chain([whole_answer("a")]).collect()).await;
    assert_eq!((result.expect("an answer").as_str(), asked), ("a", 3));
    assert!((250..=375).contains(&waits[0]) && (500..=750).contains(&waits[1]), "{waits:?}");

    let (result, asked, _) = ask(failing(3).chain([whole_answer("a")]).collect()).await;
    let error = result.expect_err("three failures");
    assert!(matches!(error, ModelError::Refused { status: 500, .. }));
    assert_eq!(asked, 3);
}

#[test]
fn the_back_off_doubles_and_jitter_lengthens_it_by_half_at_most() {
    let millis = |retries, jitter| backoff(retries, jitter).as_millis();
    assert_eq!([millis(0, 0.0), millis(1, 0.0)], [250, 500]);
    assert_eq!([millis(0, 1.0), millis(0, 9.0)], [375, 375]);
}

#[tokio::test]
async fn what_asking_again_cannot_help_is_not_asked_again() {
    for status in [400, 401, 404, 302] {
        let (result, asked, _) = ask(vec![refusal(status, "{}"), whole_answer("a")]).await;
        let error = result.expect_err("a refusal");
        assert!(matches!(error, ModelError::Refused { status: s, .. } if s == status));
        assert_eq!(asked, 1);
    }
}

#[tokio::test]
async fn failures_before_the_first_piece_are_asked_again() {
    let error = || event(&json!({ "error": { "code": 503, "message": "busy" } }));
    for reply in [
        stream_of(NOTHING).then(Act::Break),
        stream_of(NOTHING),
        stream_of([error()]),
        stream_of(["data: garbage\n\n"]),
        stream_of(["data: [DONE]\n\n"]),
        stream_of(["<html>"]).header("content-type", "text/html"),
        stream_of([&b"data: \xff\xfe\n\n"[..]]),
    ] {
        let (result, asked, _) = ask(vec![reply, whole_answer("a")]).await;
        assert_eq!((result.expect("an answer").as_str(), asked), ("a", 2));
    }
}

#[tokio::test]
async fn nobody_at_the_address_is_unreachable() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let fake = FakeEndpoint::start([]).await;
    let mut request = fake.request();
    let url = format!("http://{address}/v1?api-key=secret");
    request.model.base_url = Some(url.parse().expect("a URL"));
    let error = adapter(HurriedClock::new()).stream(request).await.err().expect("nobody is there");
    assert!(matches!(error, ModelError::Unreachable(_)));
    assert!(!shown(&error).contains("secret"));
}

#[tokio::test]
async fn no_answer_before_the_first_token_timeout_is_a_timeout() {
    for reply in [
        stream_of(NOTHING).then(Act::Stall),
        stream_of([": keep-alive\n\n".to_owned(), delta(&json!({ "reasoning": "hm" }))])
            .then(Act::Stall),
    ] {
        let fake = FakeEndpoint::start([reply]).await;
        let clock = sim_clock();
        let model = adapter(clock.clone());
        let asking = model.stream(fake.request());
        let (result, ()) = tokio::join!(asking, async {
            fake.first_request().await;
            clock.advance(Span::from_secs(30));
        });
        assert!(matches!(result.err(), Some(ModelError::Timeout { seconds: 30 })));
    }
}

#[tokio::test]
async fn waits_that_would_outlast_the_first_token_timeout_are_not_begun() {
    let busy = || refusal(429, "").header("retry-after", "9");
    let asked = async |first_token_timeout_s| {
        let fake = FakeEndpoint::start([busy(), busy(), whole_answer("a")]).await;
        let model = adapter(HurriedClock::new());
        let mut request = fake.request();
        request.model.first_token_timeout_s = first_token_timeout_s;
        (model.stream(request).await.err(), fake.asked().len())
    };
    assert!(matches!(asked(19).await, (None, 3)));
    assert!(matches!(asked(18).await, (Some(ModelError::Refused { status: 429, .. }), 2)));
}

#[tokio::test]
async fn a_stall_after_the_first_piece_is_a_timeout_and_hangs_up() {
    let fake = FakeEndpoint::start([stream_of([word("a")]).then(Act::Stall)]).await;
    let clock = sim_clock();
    let mut stream = adapter(clock.clone()).stream(fake.request()).await.expect("a first piece");
    assert!(matches!(stream.next().await, Some(Ok(ModelEvent::Text(_)))));
    let mut next = stream.next();
    assert!(futures::poll!(&mut next).is_pending());
    clock.advance(Span::from_millis(19_999));
    assert!(futures::poll!(&mut next).is_pending());
    clock.advance(Span::from_millis(1));
    assert!(matches!(next.await, Some(Err(ModelError::Timeout { seconds: 20 }))));
    fake.first_reply_over().await;
    assert!(stream.next().await.is_none());
}

#[tokio::test]
async fn an_answer_that_breaks_off_has_failed() {
    let cut_off = failure_of(stream_of([word("a")])).await;
    assert!(matches!(cut_off, ModelError::Incomplete));
    let broken = failure_of(stream_of([word("a")]).then(Act::Break)).await;
    assert!(matches!(broken, ModelError::Unreachable(_)));
}

#[tokio::test]
async fn an_error_in_mid_answer_is_a_failure_whose_words_are_not_repeated() {
    let error = json!({ "error": { "message": "my secret", "type": "server_error" } });
    let failure = failure_of(stream_of([word("a"), event(&error), done()])).await;
    assert!(matches!(failure, ModelError::Garbled(_)));
    assert!(shown(&failure).contains("server_error"));
    assert!(!shown(&failure).contains("secret"));
}

#[tokio::test]
async fn garbage_in_mid_answer_is_a_failure() {
    let failure = failure_of(stream_of([word("a"), "data: {my secret\n\n".to_owned()])).await;
    assert!(matches!(failure, ModelError::Garbled(_)));
    assert!(!shown(&failure).contains("secret"));
}

#[tokio::test]
async fn an_event_without_end_is_a_failure() {
    let endless = format!("data: {}", "x".repeat(EVENT_BYTES_MAX));
    let failure = failure_of(stream_of([word("a"), endless])).await;
    assert!(shown(&failure).contains("an event is longer than"), "{failure:?}");
}

#[tokio::test]
async fn a_refusal_keeps_the_kind_of_error_and_not_its_words() {
    let body = r#"{"error":{"message":"my secret","type":"invalid_request_error"}}"#;
    let (result, _, _) = ask(vec![refusal(400, body)]).await;
    let shown = shown(&result.expect_err("a refusal"));
    assert!(shown.contains("400") && shown.contains("invalid_request_error"));
    assert!(!shown.contains("secret"));
}

#[tokio::test]
async fn a_key_that_cannot_be_had_is_a_mistake_in_the_configuration() {
    let fake = FakeEndpoint::start([]).await;
    for key in ["env:NOT_SET_ANYWHERE", "two\nlines"] {
        let mut request = fake.request();
        request.model.api_key = Some(SecretRef(key.into()));
        let error = adapter(sim_clock()).stream(request).await.err().expect("no key");
        assert!(matches!(error, ModelError::Configuration(_)));
        assert!(!shown(&error).contains("lines"));
    }
    assert!(fake.asked().is_empty());
}

#[tokio::test]
async fn what_a_tenant_chose_is_called_on_the_public_internet_alone() {
    let fake = FakeEndpoint::start([whole_answer("inner")]).await;
    let mut request = fake.request();
    request.model.chosen_by = ChosenBy::Tenant;
    let port = request.model.base_url.as_ref().and_then(Url::port).expect("a port");
    for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "10.0.0.1"] {
        let url = format!("https://{host}:{port}/v1").parse().expect("a URL");
        request.model.base_url = Some(url);
        let Err(refused) = adapter(sim_clock()).stream(request.clone()).await else {
            panic!("{host} was called")
        };
        assert!(matches!(refused, ModelError::Configuration(_)), "{host}: {refused:?}");
    }
    let plain = format!("http://example.com:{port}/v1").parse().expect("a URL");
    request.model.base_url = Some(plain);
    let refused = adapter(sim_clock()).stream(request).await.err().expect("not encrypted");
    assert!(matches!(refused, ModelError::Configuration(_)), "{refused:?}");
    assert_eq!(fake.asked().len(), 0);
}
