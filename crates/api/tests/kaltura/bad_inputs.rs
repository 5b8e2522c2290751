//! "What bad input gets": a clear status, and a session that can still be ended.

use std::{path::Path, sync::Arc};

use epilogue_core::Span;
use epilogue_engine::{clock::SystemClock, speech::CommandVoice};
use serde_json::json;

use crate::{client::*, support::Setup};

/// A house whose voice is this program.
async fn spoken_by(command: &[&str]) -> House {
    let command: Vec<_> = command.iter().map(|part| (*part).to_owned()).collect();
    let voice = CommandVoice::new(&command, Span::from_secs(600), Arc::new(SystemClock));
    let voice = Arc::new(voice.expect("a program"));
    House::with(move |setup: &mut Setup| setup.stage.1 = Some(voice)).await
}

/// Ends a session, and sees that nothing of it is left.
async fn ended(house: &House, client: &Client) {
    succeeded(&house.ask(client, "end").await);
    until(|| house.stage.count() == 0 && house.engine.stages() == 0).await;
    refused(&house.ask(client, "keep-alive").await, 410, "Session ended");
}

/// "a speech command that … crashes, … writes endless output": it costs its part alone, which is not on
/// record; what comes after it is heard.
#[tokio::test]
async fn i5_a_speech_command_that_crashes_or_never_stops_costs_its_part_alone() {
    let script = "case \"$1\" in crash) kill -9 $$;; fail) exit 3;; endless) exec cat /dev/zero;; \
                  nothing) exit 0;; noise) echo noise;; *) printf %s \"$1\";; esac";
    let house = spoken_by(&["sh", "-c", script, "sh", "{text}"]).await;
    let client = house.created().await;
    for text in ["crash", "fail", "endless", "nothing", "noise", "🙂🙂🙂"] {
        house.said(&client, json!({ "text": text })).await;
    }
    house.said(&client, json!({ "text": "Heard." })).await;
    assert_eq!(house.heard(1).await, ["🙂🙂🙂"]);
    house.clock.advance(crate::fakes::HEARD);
    assert_eq!(house.heard(2).await, ["🙂🙂🙂", "Heard."]);
    // What failed is not on record.
    house.recorded(&client, &[(1, "🙂🙂🙂"), (2, "Heard.")]).await;
    ended(&house, &client).await;
}

/// "a speech command that … is missing": texts are accepted, nothing is heard, and the rest works.
#[tokio::test]
async fn i5_a_speech_command_that_is_missing_keeps_no_session_from_its_end() {
    let house = spoken_by(&["/no/such/program", "{text}"]).await;
    let client = house.created().await;
    for _ in 0..5 {
        house.said(&client, json!({ "text": "Nobody says this." })).await;
    }
    settle().await;
    assert!(house.stage.show().said.is_empty() && house.transcript(&client).await.is_empty());
    succeeded(&house.ask(&client, "interrupt").await);
    ended(&house, &client).await;
}

/// Whether a process still runs; one that is dead and not yet waited for does not.
fn runs(pid: &str) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().is_some_and(|rest| rest.starts_with(" Z")))
}

fn written(file: &Path) -> Option<String> {
    let text = std::fs::read_to_string(file).ok()?;
    text.ends_with('\n').then(|| text.trim().to_owned())
}

/// "a speech command that hangs": the end does not wait for it, and it is stopped.
#[tokio::test]
async fn i5_a_speech_command_that_hangs_is_stopped_by_the_end() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("pid");
    let script = format!("echo $$ > {}; exec sleep 1000", file.display());
    let house = spoken_by(&["sh", "-c", &script]).await;
    let client = house.created().await;
    house.said(&client, json!({ "text": "It never comes." })).await;
    until(|| written(&file).is_some()).await;
    let pid = written(&file).expect("written");
    assert!(runs(&pid));
    ended(&house, &client).await;
    until(|| !runs(&pid)).await;
    assert!(house.transcript(&client).await.is_empty());
}

/// "text of 100,000 characters or only emoji": a clear status, and nothing is spoken of what is refused.
#[tokio::test]
async fn i5_a_text_of_100_000_characters_is_400_and_the_session_can_end() {
    let house = House::start().await;
    let client = house.created().await;
    for character in ["x", "é"] {
        let text = character.repeat(100_000);
        let answer = house.say(&client, json!({ "text": text })).await;
        refused(&answer, 400, "Text is too long (at most 32768 bytes)");
    }
    let emoji = "👩‍👩‍👧‍👦🏳️‍🌈".repeat(25_000);
    refused_somehow(&house.say(&client, json!({ "text": emoji })).await, 413);
    let emoji = "👩‍👩‍👧‍👦".repeat(1_200);
    succeeded(&house.say(&client, json!({ "text": emoji })).await);
    house.heard(1).await;
    let asked = house.voice.asked();
    assert!(asked.iter().all(|part| part.text.len() <= 1_200 && !part.text.is_empty()));
    ended(&house, &client).await;
}

/// Text that is no text: bytes that are no UTF-8, control characters, text that runs backwards.
#[tokio::test]
async fn i5_text_of_strange_characters_is_400_or_said() {
    let house = House::start().await;
    let client = house.created().await;
    let broken =
        client.post("say-text").text("application/json", b"{\"text\":\"\xff\xfe\"}".to_vec());
    refused(&house.send(broken).await, 400, "Request body must be a JSON object");
    let lone = client.post("say-text").text("application/json", r#"{"text":"\ud800"}"#);
    refused(&house.send(lone).await, 400, "Request body must be a JSON object");
    for text in ["\u{0}", "\u{202e}olleH", "\u{feff}", "a\u{0}b\u{7f}"] {
        let answer = house.say(&client, json!({ "text": text })).await;
        assert!([200, 400].contains(&answer.status.as_u16()), "{text:?}: {}", answer.body);
    }
    ended(&house, &client).await;
}

/// Depth and width of JSON that nobody needs are refused before they cost anything.
#[tokio::test]
async fn i5_json_of_any_shape_is_answered() {
    let house = House::start().await;
    let client = house.created().await;
    let deep = "[".repeat(50_000);
    let nested = format!("{{\"text\":{deep}");
    for body in [deep.as_str(), &nested, "{\"text\":\"x\",\"text\":7}", "{\"text\":1e999}"] {
        let answer = house.send(client.post("say-text").text("application/json", body.to_owned()));
        refused_somehow(&answer.await, 400);
    }
    let key = format!("KS {STATIC_KS}");
    for body in [deep, format!("{{\"visualConfig\":{{\"id\":\"{}\"}}}}", "x".repeat(257))] {
        let request = post(BASE).header("authorization", &key).text("application/json", body);
        refused_somehow(&house.send(request).await, 400);
    }
    let most = json!({ "visualConfig": { "id": "x".repeat(256) } });
    Client::of(&house.create(most).await);
    ended_one(&house, &client).await;
}

/// Ends one of several sessions.
async fn ended_one(house: &House, client: &Client) {
    succeeded(&house.ask(client, "end").await);
    until(|| house.stage.count() == 1).await;
}
