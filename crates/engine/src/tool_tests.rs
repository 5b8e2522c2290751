use std::{collections::BTreeMap, sync::Arc};

use epilogue_core::{Timestamp, agent::SecretRef};
use serde_json::json;

use super::*;
use crate::{
    clock::SimClock,
    webhook::fake::{FakeReceiver, Heard, Script, resetting, settle},
};

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

fn spec(url: &Url) -> ToolSpec {
    ToolSpec {
        name: "weather".into(),
        description: "Tells the weather.".into(),
        parameters: json!({ "type": "object" }),
        url: url.clone(),
        method: ToolMethod::Post,
        headers: BTreeMap::new(),
        timeout_s: 30,
        retries: 0,
        fallback_result: None,
        worded_by: None,
    }
}

fn toolbox(allow_private: bool, clock: &SimClock) -> Toolbox {
    Toolbox::new(Egress::new(allow_private).expect("a client"), Arc::new(clock.clone()))
}

fn failed(text: &str) -> ToolReply {
    ToolReply::told(text, "")
}

/// The reply without why it failed, which is for the log.
fn shown(reply: ToolReply) -> ToolReply {
    ToolReply { failure: reply.failure.map(|_| String::new()), ..reply }
}

/// Calls a tool that answers by `script`; `change` alters its specification.
async fn call(
    script: Script,
    arguments: &str,
    change: impl FnOnce(&mut ToolSpec),
) -> (ToolReply, Vec<Heard>) {
    let fake = FakeReceiver::start(script).await;
    let mut spec = spec(&fake.url);
    change(&mut spec);
    let reply = toolbox(true, &SimClock::at(NOW)).call(&spec, arguments).await;
    (shown(reply), fake.heard())
}

/// What the model is told of `body`, answered with 200.
async fn told(body: impl Into<Vec<u8>>) -> ToolReply {
    call(Script::answer(200, body), "{}", |_| {}).await.0
}

async fn said(body: &str) -> String {
    let reply = told(body).await;
    assert!(reply.failure.is_none(), "{body}");
    reply.text
}

#[test]
fn a_model_sees_name_description_and_parameters() {
    let spec = spec(&Url::parse("https://example.com/secret-path").expect("a URL"));
    let [definition] = &Toolbox::definitions(&[spec])[..] else { panic!("one definition") };
    assert_eq!((&*definition.name, &*definition.description), ("weather", "Tells the weather."));
    assert_eq!(definition.parameters, json!({ "type": "object" }));
}

#[tokio::test]
async fn the_arguments_go_out_as_the_body_just_as_they_were_written() {
    let written = r#"{"city": "Zürich", "id": 123456789012345678901234567890}"#;
    for method in [ToolMethod::Post, ToolMethod::Put, ToolMethod::Patch] {
        let (reply, heard) =
            call(Script::answer(200, "sunny"), written, |spec| spec.method = method).await;
        assert_eq!(reply, ToolReply { text: "sunny".into(), failure: None });
        let [heard] = &heard[..] else { panic!("one call") };
        assert_eq!(json!(method), heard.method.as_str());
        assert_eq!(heard.body, written);
        assert_eq!(heard.header("content-type"), Some("application/json"));
    }
}

#[tokio::test]
async fn get_puts_the_arguments_in_the_query_and_leaves_the_owners_part_alone() {
    let arguments = json!({
        "city": "Zürich & Bern", "days": 3, "detail": null, "tags": ["a"], "key": "stolen"
    });
    let (_, heard) = call(Script::answer(200, "sunny"), &arguments.to_string(), |spec| {
        spec.method = ToolMethod::Get;
        spec.url.set_query(Some("key=owner"));
    })
    .await;
    let [heard] = &heard[..] else { panic!("one call") };
    let mut pairs: Vec<_> =
        url::form_urlencoded::parse(heard.uri.query().expect("a query").as_bytes()).collect();
    pairs.sort();
    let expected =
        [("city", "Zürich & Bern"), ("days", "3"), ("key", "owner"), ("tags", r#"["a"]"#)];
    assert_eq!(pairs, expected.map(|(name, value)| (name.into(), value.into())));
    assert_eq!((heard.method.as_str(), &*heard.body), ("GET", ""));
}

#[tokio::test]
async fn broken_arguments_are_told_and_nothing_is_called() {
    for broken in ["{\"city\": \"Zür", "[1]", "\"text\"", "null", "{} {}", "}"] {
        let (reply, heard) = call(Script::answer(200, "x"), broken, |_| {}).await;
        assert_eq!((reply, heard.len()), (failed(BAD_ARGUMENTS), 0), "{broken}");
    }
    let (reply, heard) = call(Script::answer(200, "x"), "", |_| {}).await;
    assert_eq!((reply.failure, &*heard[0].body), (None, "{}"));
}

#[tokio::test]
async fn arguments_have_a_longest_length() {
    let long = |bytes| format!("{{\"a\":\"{}\"}}", "x".repeat(bytes - r#"{"a":""}"#.len()));
    let (reply, heard) = call(Script::answer(200, "x"), &long(ARGUMENTS_BYTES_MAX), |_| {}).await;
    assert_eq!((reply.failure, heard.len()), (None, 1));
    let (reply, heard) =
        call(Script::answer(200, "x"), &long(ARGUMENTS_BYTES_MAX + 1), |_| {}).await;
    assert_eq!((reply, heard.len()), (failed(LONG_ARGUMENTS), 0));
}

#[tokio::test]
async fn result_then_data_then_message_is_the_text() {
    assert_eq!(said(r#"{"message":"c","data":"b","result":"a"}"#).await, "a");
    assert_eq!(said(r#"{"message":"c","data":{"b":1}}"#).await, r#"{"b":1}"#);
    assert_eq!(said(r#"{"message":"c","result":null}"#).await, "c");
    assert_eq!(said(r#"{"result":false,"message":"c"}"#).await, "false");
}

#[tokio::test]
async fn any_other_answer_is_told_as_it_is() {
    assert_eq!(said(r#"{ "temperature": 21 }"#).await, r#"{"temperature":21}"#);
    assert_eq!(said("[1, 2]").await, "[1,2]");
    assert_eq!(said(r#""sunny""#).await, "sunny");
    assert_eq!(said("sunny, {mostly}").await, "sunny, {mostly}");
    assert_eq!(told(b"caf\xe9".to_vec()).await.text, "caf\u{fffd}");
    assert_eq!(said(" ").await, EMPTY);
    assert_eq!(said(r#"{"result":""}"#).await, EMPTY);
}

#[tokio::test]
async fn a_reply_has_a_longest_length() {
    let longest = "x".repeat(REPLY_BYTES_MAX);
    assert_eq!(said(&longest).await, longest);
    assert_eq!(told(format!("{longest}x")).await, failed(FAILED));
    assert_eq!(call(Script::Flood, "{}", |_| {}).await.0, failed(FAILED));
}

#[tokio::test]
async fn a_refusal_is_told_in_the_owners_words_or_in_ours_and_never_in_its_own() {
    for status in [302, 400, 404, 410, 500, 503] {
        let script = Script::answer(status, r#"{"result":"SECRET stack trace"}"#);
        let (reply, heard) = call(script.clone(), "{}", |_| {}).await;
        assert_eq!((reply, heard.len()), (failed(FAILED), 1));
        let (reply, _) = call(script, "{}", |spec| {
            spec.fallback_result = Some("Ask the caller to ring back.".into());
        })
        .await;
        assert_eq!(reply, failed("Ask the caller to ring back."));
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let target = FakeReceiver::start(Script::answer(200, "inner")).await;
    let script = Script::with_header(307, "location", target.url.as_str());
    assert_eq!(call(script, "{}", |_| {}).await.0, failed(FAILED));
    assert!(target.heard().is_empty());
}

#[tokio::test]
async fn a_tool_that_hangs_is_cut_at_its_own_limit() {
    let fake = FakeReceiver::start(Script::Hang).await;
    let clock = SimClock::at(NOW);
    let (tools, spec) = (toolbox(true, &clock), spec(&fake.url));
    let mut calling = tokio::spawn(async move { tools.call(&spec, "{}").await });
    fake.arrived().await;
    clock.advance(Span::from_millis(29_999));
    settle().await;
    assert!(futures::poll!(&mut calling).is_pending());
    clock.advance(Span::from_millis(1));
    assert_eq!(shown(calling.await.expect("no panic")), failed(FAILED));
}

#[tokio::test]
async fn a_broken_connection_is_a_failure() {
    let (url, _server) = resetting().await;
    let reply = toolbox(true, &SimClock::at(NOW)).call(&spec(&url), "{}").await;
    assert_eq!(shown(reply), failed(FAILED));
}

#[tokio::test]
async fn a_private_address_is_refused() {
    let fake = FakeReceiver::start(Script::answer(200, "inner")).await;
    let port = fake.url.port().expect("a port");
    for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"] {
        let url = Url::parse(&format!("https://{host}:{port}/")).expect("a URL");
        let reply = toolbox(false, &SimClock::at(NOW)).call(&spec(&url), "{}").await;
        assert_eq!(shown(reply), failed(FAILED), "{host}");
    }
    assert!(fake.heard().is_empty());
}

#[tokio::test]
async fn headers_are_resolved_and_may_replace_the_content_type() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(&file, "Bearer from-file\n").expect("written");
    let (_, heard) = call(Script::answer(200, "x"), "{}", |spec| {
        let from_file = SecretRef(format!("file:{}", file.path().display()));
        spec.headers.insert("Authorization".into(), from_file);
        spec.headers.insert("Content-Type".into(), SecretRef("application/json; v=2".into()));
    })
    .await;
    assert_eq!(heard[0].header("authorization"), Some("Bearer from-file"));
    assert_eq!(heard[0].header("content-type"), Some("application/json; v=2"));
}

#[tokio::test]
async fn headers_that_would_start_another_or_move_the_request_are_refused() {
    for (name, value) in [
        ("x-key", "a\r\nx-admin: 1"),
        ("x-key", "a\nb"),
        ("x-key", "a\0b"),
        ("x-key: a\r\nx-admin", "1"),
        ("x key", "1"),
        ("", "1"),
        ("Host", "inner.example"),
        ("Content-Length", "0"),
        ("transfer-encoding", "chunked"),
        ("x-key", "env:NOT_SET_ANYWHERE"),
    ] {
        let (reply, heard) = call(Script::answer(200, "x"), "{}", |spec| {
            spec.headers.insert(name.into(), SecretRef(value.into()));
        })
        .await;
        assert_eq!((reply, heard.len()), (failed(FAILED), 0), "{name}: {value}");
    }
}

/// Calls a tool that answers by `script`, pushing the clock on until it is through. Says how long
/// that took.
async fn patiently(
    script: Script,
    spec_of: impl FnOnce(&mut ToolSpec),
) -> (ToolReply, usize, Span) {
    let fake = FakeReceiver::start(script).await;
    let clock = SimClock::at(NOW);
    let (tools, mut spec) = (toolbox(true, &clock), spec(&fake.url));
    spec_of(&mut spec);
    let mut calling = tokio::spawn(async move { tools.call(&spec, "{}").await });
    let step = Span::from_millis(500);
    loop {
        // Real sockets answer in real time, however the clock goes.
        if let Ok(reply) =
            tokio::time::timeout(std::time::Duration::from_millis(10), &mut calling).await
        {
            let took = crate::clock::Clock::now(&clock).since(NOW);
            return (shown(reply.expect("no panic")), fake.heard().len(), took);
        }
        clock.advance(step);
    }
}

#[tokio::test]
async fn a_failing_call_is_tried_again_as_often_as_the_tool_says_and_waits_longer_each_time() {
    for retries in [0, 1, 5] {
        let (reply, heard, took) =
            patiently(Script::answer(503, ""), |spec| spec.retries = retries).await;
        assert_eq!((reply, heard), (failed(FAILED), retries as usize + 1));
        assert!(took.as_millis() >= 500 * ((1 << retries) - 1), "{took:?}");
    }
    let (_, heard, _) = patiently(Script::answer(500, ""), |spec| spec.retries = 6).await;
    assert_eq!(heard, TOOL_RETRIES_MAX as usize + 1);
}

#[tokio::test]
async fn a_call_that_is_refused_is_not_tried_again() {
    let (reply, heard, _) = patiently(Script::answer(404, ""), |spec| spec.retries = 5).await;
    assert_eq!((reply, heard), (failed(FAILED), 1));
}

#[tokio::test]
async fn no_attempt_begins_past_the_window() {
    let (reply, heard, took) = patiently(Script::Hang, |spec| {
        spec.retries = 5;
        spec.timeout_s = 60;
    })
    .await;
    assert_eq!((reply, heard), (failed(FAILED), 2));
    assert!(took >= RETRY_WINDOW, "{took:?}");
}

#[tokio::test]
async fn a_fallback_may_be_any_json() {
    let (reply, _) = call(Script::answer(500, ""), "{}", |spec| {
        spec.fallback_result = Some(json!({ "open": false, "until": 9 }));
    })
    .await;
    assert_eq!(reply, failed(r#"{"open":false,"until":9}"#));
}

#[tokio::test]
async fn a_call_in_words_of_its_own_sends_them_and_takes_the_answer_whole() {
    let asked = async |script: Script, fallback: Option<Value>| {
        let fake = FakeReceiver::start(script).await;
        let mut spec = spec(&fake.url);
        (spec.worded_by, spec.fallback_result) = (Some("somebody".into()), fallback);
        let tools = toolbox(true, &SimClock::at(NOW));
        let reply = tools.call_with(&spec, r#"{"a":1}"#, Some(r#"{"envelope":{"a":1}}"#)).await;
        (shown(reply), fake.heard().remove(0).body)
    };
    let whole = r#"{"result":1,"more":[true]}"#;
    let (reply, body) = asked(Script::answer(200, whole), None).await;
    assert_eq!(reply, ToolReply { text: whole.into(), failure: None });
    assert_eq!(body, r#"{"envelope":{"a":1}}"#);
    // What reads as JSON keeps its quotation marks: it stays the text that the tool gave.
    let text = async |said| asked(Script::answer(200, said), None).await.0.text;
    assert_eq!(text(r#""1234567890123456789012""#).await, r#""1234567890123456789012""#);
    assert_eq!(text(r#""true""#).await, r#""true""#);
    assert_eq!(text(r#""All is well.""#).await, "All is well.");
    let html = || Script::answer(200, "<html>It works!</html>");
    assert_eq!(asked(html(), Some("Later".into())).await.0, failed("Later"));
    assert_eq!(asked(html(), Some("007.5".into())).await.0, failed("007.5"));
    assert_eq!(asked(html(), Some("7.5".into())).await.0, failed(r#""7.5""#));
    let error = r#"{"error":"The tool failed and has no result."}"#;
    assert_eq!(asked(html(), None).await.0, failed(error));
    assert_eq!(asked(Script::answer(204, ""), None).await.0.text, EMPTY);
}
