//! Once and whole: a person's conversation is put into the embedded graph part by part while the real
//! server is killed, and is known afterwards as if nothing had happened.

mod world;

use std::collections::BTreeSet;

use serde_json::{Value, json};

use self::world::{AGENT, CHAPTERS, KEY, MESSAGE_PRICE_MICRO, World};
use crate::support::{binary::Binary, client::Http, eventually, native::Native};

/// When the server is killed.
#[derive(Clone, Copy, Debug)]
enum Moment {
    /// Never.
    Calm,
    /// In the commit that keeps the conversation, before any part is read.
    Keeping,
    /// While the model reads this chapter; those before it are in the graph.
    Reading(u32),
    /// In the commit that absorbs this chapter, when its facts are written and its end is not.
    Absorbing(u32),
    /// In the commit that settles the step, when every chapter is in the graph.
    Settling,
}

const MOMENTS: [Moment; 11] = [
    Moment::Calm,
    Moment::Keeping,
    Moment::Reading(1),
    Moment::Absorbing(1),
    Moment::Reading(2),
    Moment::Absorbing(2),
    Moment::Reading(3),
    Moment::Absorbing(3),
    Moment::Reading(4),
    Moment::Absorbing(4),
    Moment::Settling,
];

impl Moment {
    /// What the model has been asked to read in the end: what had been absorbed is not read again.
    fn read(self) -> Vec<u32> {
        let twice = match self {
            Self::Reading(chapter) | Self::Absorbing(chapter) => Some(chapter),
            Self::Calm | Self::Keeping | Self::Settling => None,
        };
        (1..=CHAPTERS)
            .flat_map(|n| [Some(n), twice.filter(|twice| *twice == n)])
            .flatten()
            .collect()
    }

    /// Readies the world to stop the server there.
    fn prepare(self, world: &World, person: &str) {
        match self {
            Self::Calm => {}
            Self::Keeping => world.stall("BEFORE INSERT ON episodes"),
            Self::Reading(chapter) => world.gate.hold_at(&world::reading(person, chapter)),
            Self::Absorbing(chapter) => world.stall(&format!(
                "BEFORE UPDATE OF absorbed ON episodes WHEN NEW.absorbed = {}",
                chapter * world::MESSAGES_OF_A_CHAPTER
            )),
            Self::Settling => world.stall(
                "BEFORE UPDATE OF state ON steps
                 WHEN NEW.kind = 'ingest_memory' AND NEW.state = 'done'",
            ),
        }
    }

    /// Waits until the server has come there.
    async fn comes(self, world: &World) {
        match self {
            Self::Calm => {}
            Self::Reading(_) => {
                eventually("the model to read", async || world.gate.holds().then_some(())).await;
            }
            Self::Keeping | Self::Absorbing(_) | Self::Settling => world.is_stalled().await,
        }
    }
}

/// A conversation of these chapters, ended.
async fn converse(native: &Native, url: &str, person: &str, chapters: &[u32]) -> String {
    let opened = native.open(url, AGENT, Some(person)).await.expect("an answer");
    let session = opened.body["session"]["id"].as_str().expect("an id").to_owned();
    for chapter in chapters {
        let words = world::chapter(person, *chapter);
        let said = native.send(url, &session, &words).await.expect("an answer");
        said.expect("a turn").all().await.expect("read");
    }
    session
}

async fn end(native: &Native, url: &str, session: &str) {
    let ended = native.end(url, session, &json!({})).await.expect("an answer");
    assert_eq!(ended.status, 200, "{}", ended.body);
}

/// Where a fact comes from and whether it is over, by its sentence.
fn facts(known: &Value, sessions: &[String; 2]) -> Vec<(String, String, bool)> {
    let number = |source: &Value| match source["session_id"].as_str() {
        Some(id) if id == sessions[0] => '1',
        Some(id) if id == sessions[1] => '2',
        _ => '?',
    };
    let fact = |fact: &Value| {
        let sources = fact["sources"].as_array().expect("sources").iter().map(number);
        let sentence = fact["sentence"].as_str().expect("a sentence").to_owned();
        (sentence, sources.collect(), !fact["valid_until"].is_null())
    };
    let mut facts: Vec<_> = known["items"].as_array().expect("facts").iter().map(fact).collect();
    facts.sort();
    facts
}

/// What is known after both conversations: each fact once, with each chapter that told it.
fn expected() -> Vec<(String, String, bool)> {
    let fact = |sentence: &str, sources: &str, is_over| (sentence.into(), sources.into(), is_over);
    vec![
        fact("The user likes olives.", "2221", false),
        fact("The user lives in Lisbon.", "2", true),
        fact("The user lives in Porto.", "2", false),
        // Who says that it is over tells of it, too.
        fact("The user plays cello.", "22", true),
    ]
}

/// What is handed out of the person: entities by their names, and the conversations.
async fn exported_once(native: &Native, url: &str, person: &str, sessions: &[String; 2]) {
    let exported = native.get(url, &format!("/memory/{person}/export")).await;
    let items = exported["items"].as_array().expect("items");
    let of = |kind: &str, member: &str| -> Vec<&str> {
        let items = items.iter().filter(|item| item["type"] == kind);
        let mut found: Vec<_> = items.filter_map(|item| item[member].as_str()).collect();
        found.sort_unstable();
        found
    };
    let names = of("entity", "name");
    let names: Vec<_> = names.into_iter().filter(|name| *name != "user").collect();
    assert_eq!(names, ["Lisbon", "Porto", "cello", "olives"], "{person}");
    let mut both: Vec<_> = sessions.iter().map(String::as_str).collect();
    both.sort_unstable();
    assert_eq!(of("episode", "session_id"), both, "{person}");
    assert_eq!(of("fact", "id").len(), expected().len(), "{person}");
    for chapter in 0..=CHAPTERS {
        let opening = world::opening(person, chapter);
        let told: usize =
            of("episode", "text").iter().map(|text| text.matches(&opening).count()).sum();
        assert_eq!(told, 1, "{opening}");
    }
}

/// The conversation is paid for once, for what it was.
async fn settled_once(native: &Native, url: &str, session: &str) {
    let ledger = native.get(url, &format!("/ledger?session={session}")).await;
    let rows = ledger["items"].as_array().expect("rows");
    let settlements = || rows.iter().filter(|row| row["kind"] == "settlement");
    let transactions: BTreeSet<_> =
        settlements().filter_map(|row| row["transaction_id"].as_str()).collect();
    assert_eq!(transactions.len(), 1, "{ledger}");
    let revenue = settlements().filter(|row| row["account"] == "revenue");
    let amounts: Vec<_> = revenue.filter_map(|row| row["amount_micro_credits"].as_u64()).collect();
    let messages = u64::from(CHAPTERS * world::MESSAGES_OF_A_CHAPTER);
    assert_eq!(amounts, [messages * MESSAGE_PRICE_MICRO], "{ledger}");
}

/// The step is there once, and one of its attempts has done it: the one that was not killed.
async fn done_once(native: &Native, url: &str, session: &str, moment: Moment) {
    native.step(url, session, "ingest_memory", "done").await;
    let shown = native.session(url, session).await;
    let steps = shown["steps"].as_array().expect("steps");
    let steps: Vec<_> = steps.iter().filter(|step| step["kind"] == "ingest_memory").collect();
    assert_eq!(steps.len(), 1, "{shown}");
    let attempts = if matches!(moment, Moment::Calm) { 1 } else { 2 };
    assert_eq!(steps[0]["step"]["attempts_made"], attempts, "{moment:?}: {}", steps[0]);
    let made = steps[0]["attempts"].as_array().expect("attempts").iter();
    let done = made.filter(|attempt| attempt["outcome"] == "done").count();
    assert_eq!(done, 1, "{moment:?}: {}", steps[0]);
}

/// Has both conversations, and dies at this moment of what comes after the second.
async fn lives_through(world: &World, native: &Native, server: Binary, moment: Moment) -> Binary {
    let person = &format!("{moment:?}").replace(['(', ')'], "").to_lowercase();
    let mut server = server;
    let first = converse(native, &server.url(), person, &[0]).await;
    end(native, &server.url(), &first).await;
    native.step(&server.url(), &first, "ingest_memory", "done").await;
    let chapters: Vec<_> = (1..=CHAPTERS).collect();
    let second = converse(native, &server.url(), person, &chapters).await;
    moment.prepare(world, person);
    end(native, &server.url(), &second).await;
    if !matches!(moment, Moment::Calm) {
        moment.comes(world).await;
        server.kill().await;
        world.go_on();
        server = world.home.start().await;
    }
    let (url, sessions) = (server.url(), [first, second]);
    done_once(native, &url, &sessions[1], moment).await;
    let known = native.get(&url, &format!("/memory/{person}")).await;
    assert_eq!(facts(&known, &sessions), expected(), "{moment:?}");
    assert_eq!(world.read(person), [&[0], &*moment.read()].concat(), "{moment:?}");
    exported_once(native, &url, person, &sessions).await;
    settled_once(native, &url, &sessions[1]).await;
    server
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conversation_is_known_once_wherever_the_server_is_killed_while_it_is_read() {
    let world = World::new().await;
    let native = Native::new(&Http::new(), KEY);
    let mut server = world.home.start().await;
    for moment in MOMENTS {
        server = lives_through(&world, &native, server, moment).await;
    }
    server.stop().await;
}
