use std::sync::Arc;

use epilogue_core::{EventId, agent::HookMethod};
use secrecy::SecretString;
use standardwebhooks::Webhook;
use url::Url;

use super::{
    super::fake::{FakeReceiver, Script, resetting, settle},
    *,
};
use crate::clock::{Clock, SimClock};

const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
const BODY: &str = r#"{"event":"session.ended"}"#;
/// Sun, 06 Nov 1994 08:49:37 GMT.
const NOW: Timestamp = Timestamp::from_millis(784_111_777_000);
const LIMIT: Span = Span::from_secs(7);

fn to(url: &Url) -> WebhookRequest {
    WebhookRequest {
        method: HookMethod::Post,
        headers: HeaderMap::new(),
        content_type: "application/json",
        url: url.clone(),
        id: EventId::from("evt_1"),
        at: NOW,
        body: BODY.to_owned(),
        secrets: vec![SecretString::from(SECRET)],
        body_signature_header: Some("X-Example-Signature"),
        timeout: LIMIT,
    }
}

fn webhooks(clock: &SimClock) -> HttpWebhooks {
    HttpWebhooks::new(Egress::new(true).expect("a client"), Arc::new(clock.clone()))
}

async fn answer(script: Script) -> WebhookAnswer {
    let fake = FakeReceiver::start(script).await;
    let reply = webhooks(&SimClock::at(NOW)).send(&to(&fake.url)).await;
    reply.result.expect("an answer")
}

#[tokio::test]
async fn a_receiver_can_check_what_it_gets() {
    let fake = FakeReceiver::start(Script::answer(204, "")).await;
    let reply = webhooks(&SimClock::at(NOW)).send(&to(&fake.url)).await;
    assert_eq!(reply.result.expect("an answer").status, 204);
    let [heard] = &fake.heard()[..] else { panic!("one request") };
    assert_eq!((heard.method.as_str(), heard.uri.path()), ("POST", "/hook"));
    assert_eq!(heard.body, BODY);
    assert_eq!(heard.header("content-type"), Some("application/json"));
    assert_eq!(heard.header("user-agent"), Some(concat!("Epilogue/", env!("CARGO_PKG_VERSION"))));
    assert_eq!(heard.header("webhook-id"), Some("evt_1"));
    assert_eq!(heard.header("webhook-timestamp"), Some("784111777"));
    let reference = Webhook::new(SECRET).expect("a secret");
    let expected = reference.sign("evt_1", 784_111_777, heard.body.as_bytes()).expect("signed");
    assert_eq!(heard.header("webhook-signature"), Some(&*expected));
    let body_signature = heard.header("x-example-signature").expect("a body signature");
    assert!(body_signature.starts_with("sha256="), "{body_signature}");
}

#[tokio::test]
async fn every_attempt_carries_the_same_id_and_body_and_its_own_time() {
    let fake = FakeReceiver::start(Script::answer(500, "not now")).await;
    let clock = SimClock::at(NOW);
    for _ in 0..2 {
        let request = WebhookRequest { at: clock.now(), ..to(&fake.url) };
        assert_eq!(webhooks(&clock).send(&request).await.result.expect("an answer").status, 500);
        clock.advance(Span::from_secs(5));
    }
    let reference = Webhook::new(SECRET).expect("a secret");
    let heard = fake.heard();
    assert_eq!(heard.len(), 2);
    for (attempt, at) in heard.iter().zip([784_111_777, 784_111_782]) {
        assert_eq!((attempt.header("webhook-id"), &*attempt.body), (Some("evt_1"), BODY));
        assert_eq!(attempt.header("webhook-timestamp"), Some(&*at.to_string()));
        let expected = reference.sign("evt_1", at, BODY.as_bytes()).expect("signed");
        assert_eq!(attempt.header("webhook-signature"), Some(&*expected));
    }
}

#[tokio::test]
async fn without_a_secret_nothing_pretends_to_be_a_signature() {
    let fake = FakeReceiver::start(Script::answer(200, "")).await;
    let request = WebhookRequest { secrets: Vec::new(), ..to(&fake.url) };
    webhooks(&SimClock::at(NOW)).send(&request).await.result.expect("an answer");
    let heard = &fake.heard()[0];
    assert_eq!(heard.header("webhook-id"), Some("evt_1"));
    assert_eq!(heard.header("webhook-signature"), None);
    assert_eq!(heard.header("x-example-signature"), None);
}

#[tokio::test]
async fn a_receiver_that_hangs_is_cut_at_the_limit() {
    let fake = FakeReceiver::start(Script::Hang).await;
    let clock = SimClock::at(NOW);
    let (sender, request) = (webhooks(&clock), to(&fake.url));
    let mut attempt = tokio::spawn(async move { sender.send(&request).await });
    fake.arrived().await;
    clock.advance(Span::from_millis(6_999));
    settle().await;
    assert!(futures::poll!(&mut attempt).is_pending());
    clock.advance(Span::from_millis(1));
    let reply = attempt.await.expect("no panic");
    assert!(matches!(reply.result, Err(WebhookError::Timeout { seconds: 7 })));
    assert_eq!(reply.took, LIMIT);
}

#[tokio::test]
async fn a_receiver_that_drips_is_cut_at_the_limit_too() {
    let clock = SimClock::at(NOW);
    let fake = FakeReceiver::start(Script::Drip(clock.clone())).await;
    let (sender, request) = (webhooks(&clock), to(&fake.url));
    let attempt = tokio::spawn(async move { sender.send(&request).await });
    for bytes in 1..=7 {
        fake.sent_at_least(bytes).await;
        assert!(!attempt.is_finished());
        clock.advance(Span::from_secs(1));
    }
    let reply = attempt.await.expect("no panic");
    assert!(matches!(reply.result, Err(WebhookError::Timeout { seconds: 7 })));
    assert_eq!(reply.took, LIMIT);
}

#[tokio::test]
async fn a_reset_is_no_answer() {
    let (url, _server) = resetting().await;
    let reply = webhooks(&SimClock::at(NOW)).send(&to(&url)).await;
    assert!(matches!(reply.result, Err(WebhookError::Unreachable(_))));
}

#[tokio::test]
async fn gone_is_an_answer_like_any_other() {
    assert_eq!(answer(Script::answer(410, "moved away")).await.status, 410);
}

#[tokio::test]
async fn a_receiver_may_ask_for_a_wait_in_seconds_or_by_date() {
    for (asked, wait) in [
        ("120", Some(Span::from_secs(120))),
        ("0", Some(Span::ZERO)),
        ("Sun, 06 Nov 1994 08:51:37 GMT", Some(Span::from_secs(120))),
        ("Sunday, 06-Nov-94 08:51:37 GMT", Some(Span::from_secs(120))),
        ("Sun, 06 Nov 1994 08:49:36 GMT", Some(Span::ZERO)),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("99999999999999999999", None),
    ] {
        let answer = answer(Script::with_header(429, "retry-after", asked)).await;
        assert_eq!((answer.status, answer.retry_after), (429, wait), "{asked}");
    }
}

#[tokio::test]
async fn the_excerpt_is_bounded_plain_text() {
    let told = answer(Script::answer(400, b"no\r\nsuch\x1b[31m \xff name\0".to_vec())).await;
    assert_eq!(told.body, "no  such[31m \u{fffd} name");
    let at_limit = answer(Script::answer(400, "x".repeat(RESPONSE_BYTES_MAX))).await;
    assert_eq!(at_limit.body.len(), RESPONSE_BYTES_MAX);
    let past_it = answer(Script::answer(400, "x".repeat(RESPONSE_BYTES_MAX + 1))).await;
    assert_eq!(past_it.body, at_limit.body);
    // What is not UTF-8 grows when it is replaced.
    let grown = answer(Script::answer(400, vec![0xff; RESPONSE_BYTES_MAX])).await;
    assert_eq!(grown.body, "\u{fffd}".repeat(RESPONSE_BYTES_MAX / 3));
}

#[tokio::test]
async fn a_flood_is_answered_by_its_beginning() {
    let flood = answer(Script::Flood).await;
    assert_eq!((flood.status, flood.body.len()), (200, RESPONSE_BYTES_MAX));
}

#[tokio::test]
async fn a_private_address_is_refused_by_type() {
    let fake = FakeReceiver::start(Script::answer(200, "")).await;
    let guarded = Egress::new(false).expect("a client");
    let webhooks = HttpWebhooks::new(guarded, Arc::new(SimClock::at(NOW)));
    let mut url = fake.url.clone();
    url.set_scheme("https").expect("a scheme");
    let reply = webhooks.send(&to(&url)).await;
    assert!(matches!(reply.result, Err(WebhookError::PrivateAddress { .. })));
    assert!(fake.heard().is_empty());
}

#[tokio::test]
async fn a_header_that_cannot_be_sent_stops_the_attempt() {
    let fake = FakeReceiver::start(Script::answer(200, "")).await;
    let injected = WebhookRequest { id: EventId::from("evt_1\r\nx-admin: 1"), ..to(&fake.url) };
    let reply = webhooks(&SimClock::at(NOW)).send(&injected).await;
    assert!(matches!(reply.result, Err(WebhookError::Header(_))));
    assert!(fake.heard().is_empty());
}

#[tokio::test]
async fn the_owners_method_headers_and_content_type_are_sent() {
    let fake = FakeReceiver::start(Script::answer(200, "")).await;
    let mut request = WebhookRequest {
        method: HookMethod::Put,
        content_type: "text/plain; charset=utf-8",
        ..to(&fake.url)
    };
    request.headers.insert("x-api-key", HeaderValue::from_static("secret"));
    let webhooks = webhooks(&SimClock::at(NOW));
    webhooks.send(&request).await.result.expect("an answer");
    request.method = HookMethod::Get;
    webhooks.send(&request).await.result.expect("an answer");
    let heard = fake.heard();
    assert_eq!((heard[0].method.as_str(), heard[0].body.as_str()), ("PUT", BODY));
    assert_eq!(heard[0].header("x-api-key"), Some("secret"));
    assert_eq!(heard[0].header("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!((heard[1].method.as_str(), heard[1].body.as_str()), ("GET", ""));
    assert_eq!(heard[1].header("content-type"), None);
}
