//! What is removed is nowhere in the files: rows are planted, moved about by their neighbours, and
//! removed in random order, and the bytes are read. Turned off, `scrub` leaves copies.

use std::path::PathBuf;

use epilogue_core::{EventId, OrgId, SessionId, Timestamp};
use rand::{Rng, SeedableRng, rngs::StdRng, seq::SliceRandom};
use rusqlite::params;

use super::super::{Options, SqliteStorage, delivery, purge, result, writer::Db};
use crate::{Delivery, DeliveryAttempt, Result, Storage};

/// Stands in everything that must go. No word of it is in any other text.
const CANARY: &str = "zqcanary";
/// Stands in everything that stays.
const STAYS: &str = "zqstays";

struct House {
    folder: tempfile::TempDir,
    store: SqliteStorage,
    dice: StdRng,
    org: OrgId,
}

impl House {
    fn build(seed: u64) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let store = SqliteStorage::open(&folder.path().join("e.db"), &Options::default());
        let dice = StdRng::seed_from_u64(seed);
        Self { store: store.expect("opens"), folder, dice, org: "org".into() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn decide(&self, decision: impl Fn(&Db<'_>) -> Result<()> + Send + 'static) {
        self.store.writer.decide(decision).await.expect("decided");
    }

    fn text(&mut self, canary: &str, longest: usize) -> String {
        // Quotation marks and letters beyond ASCII, so that JSON escapes something.
        let word = format!("{canary}{:04} \"é\" ", self.dice.random_range(0..10_000));
        word.repeat(1 + self.dice.random_range(0..longest) / word.len())
    }

    /// Plants a session in every table that holds what was said, somewhere among the others.
    async fn plant(&mut self, canary: &'static str) -> SessionId {
        let id = SessionId(uuid::Builder::from_random_bytes(self.dice.random()).into_uuid());
        let texts: Vec<_> = (0..6).map(|_| self.text(canary, 600)).collect();
        // Some do not fit into a page.
        let longest = if self.dice.random_bool(0.1) { 20_000 } else { 1_500 };
        let messages: Vec<_> =
            (0..self.dice.random_range(1..5)).map(|_| self.text(canary, longest)).collect();
        let org = self.org.clone();
        self.decide(move |db| write(db, &org, id, &texts, &messages)).await;
        id
    }

    async fn purge(&self, id: SessionId) {
        let org = self.org.clone();
        let decision = move |db: &Db<'_>| {
            db.removes();
            purge::purge(db.connection, &org, id)
        };
        self.decide(decision).await;
    }

    /// In which files it stands.
    fn found(&self, needle: &str) -> Vec<String> {
        let files = std::fs::read_dir(self.folder.path()).expect("listed");
        let files = files.map(|file| file.expect("a file").path());
        let holds = |path: &PathBuf| {
            let bytes = std::fs::read(path).expect("read").to_ascii_lowercase();
            let mut rest = bytes.as_slice();
            while let Some(at) = rest.iter().position(|byte| *byte == needle.as_bytes()[0]) {
                if rest[at..].starts_with(needle.as_bytes()) {
                    return true;
                }
                rest = &rest[at + 1..];
            }
            false
        };
        files.filter(holds).map(|path| path.display().to_string()).collect()
    }
}

/// A profile under which nothing stays.
const PROFILE: &str = r#"{"idle_timeout":null,"max_duration":null,"keep_alive_counts":false,
    "agent_finish":"ends_session","notify_ended":"never","notify_finalized":false,
    "holds_media":false,"keeps":"counters"}"#;

fn write(
    db: &Db<'_>,
    org: &OrgId,
    id: SessionId,
    texts: &[String],
    messages: &[String],
) -> Result<()> {
    let (of, session) = (org.as_str(), id.0.as_bytes().as_slice());
    let context = serde_json::json!({ "metadata": { "x": texts[0] }, "bag": { "y": texts[1] } });
    db.connection
        .prepare_cached(
            "INSERT INTO sessions (org_id, session_id, dialect, dialect_id, agent_id, agent_version,
                person, profile, context, endpoint, opened_at, last_activity, last_seen, user_messages,
                total_messages, input_tokens, output_tokens, prompt_tokens, model_calls, estimated,
                held, messages, turns, state, ended_at, reason, cost)
             VALUES (?1, ?2, 'native', hex(?2), 'a', 1, ?7, ?3, ?4, ?5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
                ?6, 0, 'finalizing', 0, 'user_end', 0)",
        )?
        .execute(params![
            of,
            session,
            PROFILE,
            context.to_string(),
            texts[2],
            messages.len(),
            texts[3],
        ])?;
    for (seq, text) in messages.iter().enumerate() {
        let calls = serde_json::json!([{ "id": "c", "name": "look", "arguments": text }]);
        db.connection
            .prepare_cached(
                "INSERT INTO messages VALUES (?1, ?2, ?3, 1, 'user', ?4, 0, 1, ?5, ?6, 0)",
            )?
            .execute(params![of, session, seq, text, calls.to_string(), texts[3]])?;
    }
    // The names of calls stay: dialects that promise a purge keep digests of them.
    let key = id.to_string();
    db.connection
        .prepare_cached(
            "INSERT INTO turn_keys (org_id, session_id, key, turn, from_seq, messages)
             VALUES (?1, ?2, ?3, 1, 0, 1)",
        )?
        .execute(params![of, session, key])?;
    let detail = serde_json::json!({ "reason": "user_end", "note": texts[5] });
    db.connection
        .prepare_cached(
            "INSERT INTO activity (org_id, at, activity_id, kind, session_id, detail)
             VALUES (?1, 0, hex(?2), 'session.ended', ?2, ?3)",
        )?
        .execute(params![of, session, detail.to_string()])?;
    db.connection
        .prepare_cached(
            "INSERT INTO inbox (org_id, carrier_id, message_id, line, place, sender, recipient, body,
                wish, received_at, state, session_id, reply, settled_at)
             VALUES (?1, 'c', hex(?2), hex(?2), 1, ?3, '+1', ?3, '', 0, 'parked', ?2, ?4, 0)",
        )?
        .execute(params![of, session, texts[3], serde_json::json!([texts[4]]).to_string()])?;
    deliver(db, org, id, texts)?;
    let made = crate::ResultRecord {
        session: id,
        dialect: "native".into(),
        agent: "a".into(),
        reason: epilogue_core::EndReason::UserEnd,
        opened_at: Timestamp::from_millis(0),
        ended_at: Timestamp::from_millis(0),
        active: epilogue_core::Span::ZERO,
        endpoint: texts[2].clone(),
        data: [("x".to_owned(), texts[3].clone().into())].into_iter().collect(),
    };
    // The words of what is to be purged are not searched: see `record_result` of the engine.
    let words = if messages[0].starts_with(STAYS) { messages.join(" ") } else { String::new() };
    result::keep(db.connection, org, &made, &words)
}

fn deliver(db: &Db<'_>, org: &OrgId, session: SessionId, texts: &[String]) -> Result<()> {
    let made = Delivery {
        id: EventId::from(session.to_string().as_str()),
        session,
        event: "session.ended".into(),
        url: "https://hooks.example.com/x".into(),
        body: serde_json::json!({ "said": texts }).to_string(),
        created_at: Timestamp::from_millis(0),
        accepted_at: None,
        attempts: 1,
    };
    let attempt = DeliveryAttempt {
        at: Timestamp::from_millis(0),
        duration_ms: 1,
        status: Some(500),
        error: None,
        response: texts[5].clone(),
    };
    delivery::record(db.connection, org, &made, &attempt)
}

/// Plants and purges in random order, with the log folded at random moments.
async fn churn(seed: u64, rounds: usize) -> (House, usize) {
    let mut house = House::build(seed);
    let (mut planted, mut staying) = (Vec::new(), 0);
    for round in 0..rounds {
        for _ in 0..30 {
            if house.dice.random_bool(0.5) {
                let id = house.plant(CANARY).await;
                planted.push(id);
            } else {
                house.plant(STAYS).await;
                staying += 1;
            }
        }
        planted.shuffle(&mut house.dice);
        let few = house.dice.random_range(0..=planted.len());
        for id in planted.drain(..few).collect::<Vec<_>>() {
            house.purge(id).await;
        }
        if round % 7 == 0 {
            house.store.tidy().await.expect("folded");
        }
    }
    for id in planted {
        house.purge(id).await;
    }
    house.store.tidy().await.expect("folded");
    (house, staying)
}

#[tokio::test]
async fn what_was_purged_is_in_no_byte_of_any_file() {
    let (house, staying) = churn(1, 40).await;
    assert_eq!(house.found(CANARY), Vec::<String>::new());
    assert!(!house.found(STAYS).is_empty());
    let whole = move |db: &rusqlite::Connection| {
        let sound: String = db.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
        let sql = "SELECT count(DISTINCT session_id) FROM messages WHERE content LIKE 'zqstays%'";
        let staying: usize = db.query_row(sql, [], |row| row.get(0))?;
        Ok((sound, staying))
    };
    let (sound, still) = house.store.readers.read(whole).await.expect("read");
    assert_eq!((sound.as_str(), still), ("ok", staying));
}

/// Waits for what happens by itself, soon.
async fn soon(what: &str, mut happened: impl FnMut() -> bool) {
    for _ in 0..1_200 {
        if happened() {
            return;
        }
        tokio::task::spawn_blocking(|| std::thread::sleep(std::time::Duration::from_millis(50)))
            .await
            .expect("slept");
    }
    panic!("it did not happen: {what}");
}

fn log_is_empty(house: &House) -> bool {
    std::fs::metadata(house.path("e.db-wal")).is_ok_and(|log| log.len() == 0)
}

#[tokio::test]
async fn the_log_is_emptied_soon_after_a_purge_though_readers_come_and_go() {
    let mut house = House::build(2);
    soon("the log of the beginning", || log_is_empty(&house)).await;
    let id = house.plant(CANARY).await;
    house.plant(STAYS).await;
    // A reader that holds the moment before the purge, and one that reads from the log all the time.
    let (holding, held) = std::sync::mpsc::channel();
    let (let_go, waits) = std::sync::mpsc::channel::<()>();
    let store = house.store.clone();
    let reader = tokio::spawn(async move {
        let read = move |db: &rusqlite::Connection| {
            let _: u32 = db.query_row("SELECT count(*) FROM messages", [], |row| row.get(0))?;
            holding.send(()).expect("the test waits");
            let _ = waits.recv();
            Ok(())
        };
        store.readers.read(read).await
    });
    tokio::task::spawn_blocking(move || held.recv()).await.expect("joined").expect("it reads");
    house.purge(id).await;
    let others = house.plant(STAYS);
    others.await;
    assert!(!house.found(CANARY).is_empty(), "the reader can still see it");
    let_go.send(()).expect("it waits");
    reader.await.expect("joined").expect("read");
    soon("no trace", || log_is_empty(&house) && house.found(CANARY).is_empty()).await;
    assert!(!house.found(STAYS).is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_searches_without_pause_keeps_nothing_that_was_removed_in_the_log() {
    let mut house = House::build(7);
    let id = house.plant(CANARY).await;
    // At every moment somebody reads what was a while ago.
    let searches: Vec<_> = (0..4)
        .map(|n| {
            let store = house.store.clone();
            tokio::spawn(async move {
                for round in 0.. {
                    let pause =
                        std::time::Duration::from_millis(if round == 0 { n * 70 } else { 300 });
                    let read = move |db: &rusqlite::Connection| {
                        let sql = "SELECT count(*) FROM messages";
                        let _: u32 = db.query_row(sql, [], |row| row.get(0))?;
                        std::thread::sleep(pause);
                        Ok(())
                    };
                    store.searchers.read(read).await.expect("read");
                }
            })
        })
        .collect();
    house.purge(id).await;
    for _ in 0..2_000 {
        house.plant(STAYS).await;
        if house.found(CANARY).is_empty() {
            break;
        }
        tokio::task::spawn_blocking(|| std::thread::sleep(std::time::Duration::from_millis(20)))
            .await
            .expect("slept");
    }
    assert_eq!(house.found(CANARY), Vec::<String>::new());
    let search = house.store.searchers.read(|_| Ok(()));
    search.await.expect("searches go on");
    searches.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn what_a_process_that_died_left_in_the_log_is_looked_after_by_the_next() {
    let mut house = House::build(3);
    let id = house.plant(CANARY).await;
    house.plant(STAYS).await;
    house.purge(id).await;
    // Its files as they are after a crash: the purge is in the log alone.
    let copy = tempfile::tempdir().expect("a folder");
    for name in ["e.db", "e.db-wal"] {
        std::fs::copy(house.path(name), copy.path().join(name)).expect("copied");
    }
    let store = SqliteStorage::open(&copy.path().join("e.db"), &Options::default());
    let next = House { folder: copy, store: store.expect("opens"), ..House::build(4) };
    assert!(!next.found(CANARY).is_empty(), "the log still shows it");
    soon("no trace", || log_is_empty(&next) && next.found(CANARY).is_empty()).await;
    assert!(!next.found(STAYS).is_empty());
}

#[tokio::test]
async fn what_lies_in_files_of_before_is_overwritten_once() {
    let mut house = House::build(5);
    house.plant(STAYS).await;
    house.store.tidy().await.expect("folded");
    let path = house.path("e.db");
    let House { folder, store, .. } = house;
    drop(store);
    // Something in the gap of a page, and a file that does not say it was looked through.
    let mut bytes = std::fs::read(&path).expect("read");
    let page = 4_096 * (bytes.len() / 4_096 - 1);
    let gap = super::gap(&bytes[page..], 2).expect("a page of a tree");
    bytes[page + gap.end - CANARY.len()..page + gap.end].copy_from_slice(CANARY.as_bytes());
    bytes[60..64].fill(0);
    std::fs::write(&path, bytes).expect("written");
    let store = SqliteStorage::open(&path, &Options::default()).expect("opens");
    let house = House { folder, store, ..House::build(6) };
    soon("no trace", || house.found(CANARY).is_empty()).await;
    let marked = |db: &rusqlite::Connection| super::super::connection::is_scrubbed(db);
    let mut is_marked = false;
    for _ in 0..200 {
        is_marked = is_marked || house.store.readers.look(marked).await.expect("read");
        if is_marked {
            return;
        }
        soon("a moment", {
            let mut first = true;
            move || !std::mem::take(&mut first)
        })
        .await;
    }
    panic!("it does not say so");
}

#[test]
fn the_gap_of_a_page_lies_between_its_pointers_and_its_cells() {
    let mut page = vec![0; 512];
    page[0] = 0x0d;
    page[3..7].copy_from_slice(&[0, 2, 1, 144]);
    page[8..12].copy_from_slice(&[1, 144, 1, 200]);
    assert_eq!(super::gap(&page, 2), Some(12..400));
    page[0] = 0x05;
    page[12..16].copy_from_slice(&[1, 144, 1, 200]);
    assert_eq!(super::gap(&page, 2), Some(16..400));
    // A pointer into the gap, and pages of other kinds.
    page[12] = 0;
    assert_eq!(super::gap(&page, 2), None);
    for kind in [0x00, 0x01, 0x03] {
        page[0] = kind;
        assert_eq!(super::gap(&page, 2), None);
    }
    let mut first = vec![0; 512];
    first[100] = 0x0d;
    first[105..107].copy_from_slice(&[2, 0]);
    assert_eq!(super::gap(&first, 1), Some(108..512));
}
