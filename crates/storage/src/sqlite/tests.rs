//! What is particular to SQLite. What every backend must do is in `conformance`.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use super::*;
use crate::{DirectoryStore, Error};

fn open(path: &Path) -> Result<SqliteStorage> {
    SqliteStorage::open(path, &Options::default())
}

#[test]
fn a_damaged_file_is_named_as_such() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(&file, vec![7_u8; 8_192]).expect("written");
    assert!(matches!(open(file.path()), Err(Error::Corrupt(_))));
}

#[test]
fn a_folder_that_does_not_exist_cannot_be_written() {
    assert!(matches!(open(Path::new("/no/such/folder/e.db")), Err(Error::ReadOnly(_))));
}

#[test]
fn a_database_of_a_newer_version_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("e.db");
    drop(open(&path).expect("opens"));
    let newer = rusqlite::Connection::open(&path).expect("opens");
    let sql = "INSERT INTO refinery_schema_history (version, name, applied_on, checksum)
               VALUES (999, 'later', '2100-01-01T00:00:00Z', '1')";
    newer.execute(sql, []).expect("inserted");
    assert!(matches!(open(&path), Err(Error::TooNew { found: 999, .. })));
}

#[tokio::test]
async fn a_locked_database_is_named_as_such_and_works_again_afterwards() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("e.db");
    let store = open(&path).expect("opens");
    let other = rusqlite::Connection::open(&path).expect("opens");
    other.execute_batch("BEGIN IMMEDIATE").expect("locked");
    let now = epilogue_core::Timestamp::from_millis(0);
    assert!(matches!(store.apply_config(Vec::new(), now).await, Err(Error::Locked(_))));
    other.execute_batch("ROLLBACK").expect("released");
    store.apply_config(Vec::new(), now).await.expect("works again");
}

#[tokio::test]
async fn a_full_disk_fails_the_decision_and_loses_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("e.db");
    let store = open(&path).expect("opens");
    let limit = |pages: u32| {
        store.writer.decide(move |db| {
            db.connection.pragma_update(None, "max_page_count", pages)?;
            Ok(())
        })
    };
    limit(1).await.expect("set");
    let big = |scope: &str| crate::RememberRequest {
        episode: crate::Episode {
            scope: epilogue_core::MemoryScope(scope.into()),
            session: epilogue_core::SessionId(uuid::Uuid::from_u128(1)),
            at: epilogue_core::Timestamp::from_millis(0),
            text: "x".repeat(1_000_000),
        },
        person: epilogue_core::PersonKey([1; 32]),
        began_at: epilogue_core::Timestamp::from_millis(0),
        salt: [1; 16],
    };
    let org = epilogue_core::OrgId::from("org");
    let full = crate::MemoryStore::remember(&store, &org, big("a")).await;
    assert!(matches!(full, Err(Error::Full(_))), "{full:?}");
    limit(1_000_000).await.expect("set");
    let again = crate::MemoryStore::remember(&store, &org, big("a")).await.expect("fits again");
    assert_eq!(again, crate::RememberOutcome::Remembered);
}

#[tokio::test]
async fn a_decision_that_panics_takes_nobody_down() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(&folder.path().join("e.db")).expect("opens");
    let panicked = store.writer.decide(|_| -> Result<()> { panic!("on purpose") }).await;
    assert!(matches!(panicked, Err(Error::Other(_))));
    store.writer.decide(|_| Ok(())).await.expect("the writer lives");
}

#[tokio::test]
async fn a_decision_that_fails_leaves_nothing_and_takes_nobody_down() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(&folder.path().join("e.db")).expect("opens");
    let note = |text: &'static str, fails: bool| {
        store.writer.decide(move |db| {
            db.connection.execute_batch("CREATE TEMP TABLE IF NOT EXISTS notes (text TEXT)")?;
            db.connection.execute("INSERT INTO notes VALUES (?1)", [text])?;
            if fails { Err(Error::Other("on purpose".into())) } else { Ok(()) }
        })
    };
    // Polled together, they share a transaction or they do not: it must not matter.
    for _ in 0..50 {
        let (first, second, third, fourth) = tokio::join!(
            note("kept", false),
            note("failed", true),
            note("kept", false),
            note("failed", true),
        );
        assert!(first.is_ok() && third.is_ok());
        assert!(matches!((second, fourth), (Err(Error::Other(_)), Err(Error::Other(_)))));
    }
    let counted = store.writer.decide(|db| {
        let sql = "SELECT count(*) FILTER (WHERE text = 'kept'), count(*) FROM notes";
        Ok(db.connection.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))?)
    });
    let (kept, all): (u32, u32) = counted.await.expect("counted");
    assert_eq!((kept, all), (100, 100));
}

#[tokio::test]
async fn the_queue_takes_what_it_holds_and_turns_the_next_away() {
    let folder = tempfile::tempdir().expect("a folder");
    let options = Options { queue_max: 2, ..Options::default() };
    let store = SqliteStorage::open(&folder.path().join("e.db"), &options).expect("opens");
    let (release, released) = std::sync::mpsc::channel::<()>();
    let (started, mut has_started) = tokio::sync::mpsc::unbounded_channel();
    let released = std::sync::Mutex::new(released);
    let blocking = store.clone();
    let blocker = tokio::spawn(async move {
        let wait = move |_: &writer::Db<'_>| {
            let _ = started.send(());
            let _ = released.lock().expect("nobody panicked").recv();
            Ok(())
        };
        blocking.writer.decide(wait).await
    });
    has_started.recv().await.expect("the writer is busy");
    let waiting: Vec<_> = (0..2)
        .map(|_| Box::pin(store.writer.decide(|_| Ok(()))))
        .map(|mut decision| {
            assert!(futures_poll(&mut decision).is_pending());
            decision
        })
        .collect();
    assert!(matches!(store.writer.decide(|_| Ok(())).await, Err(Error::Overloaded)));
    assert_eq!(store.commit_stats().shed, 1);
    release.send(()).expect("released");
    for decision in waiting {
        decision.await.expect("decided");
    }
    blocker.await.expect("joined").expect("decided");
}

/// Polls once.
fn futures_poll<F: Future + Unpin>(future: &mut F) -> std::task::Poll<F::Output> {
    let waker = std::task::Waker::noop();
    std::pin::Pin::new(future).poll(&mut std::task::Context::from_waker(waker))
}

#[tokio::test]
async fn a_caller_that_goes_away_in_mid_read_takes_no_connection_along() {
    let folder = tempfile::tempdir().expect("a folder");
    let options = Options { readers: 1, ..Options::default() };
    let store = SqliteStorage::open(&folder.path().join("e.db"), &options).expect("opens");
    let (started, has_started) = tokio::sync::oneshot::channel();
    let (release, released) = std::sync::mpsc::channel::<()>();
    let reading = store.clone();
    let abandoned = tokio::spawn(async move {
        let wait = move |_: &rusqlite::Connection| {
            let _ = started.send(());
            let _ = released.recv();
            Ok(())
        };
        reading.readers.read(wait).await
    });
    has_started.await.expect("the read runs");
    abandoned.abort();
    assert!(abandoned.await.is_err());
    let mut next = Box::pin(store.readers.read(|_| Ok(7)));
    assert!(futures_poll(&mut next).is_pending());
    release.send(()).expect("released");
    assert_eq!(next.await.expect("the connection came back"), 7);
}

#[tokio::test]
async fn a_tidied_database_is_whole_in_its_one_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("e.db");
    let store = open(&path).expect("opens");
    let org = epilogue_core::OrgId::from("org");
    let now = epilogue_core::Timestamp::from_millis(0);
    let grant = epilogue_core::MicroCredits(5);
    crate::LedgerStore::grant(&store, &org, "gift", grant, now).await.expect("granted");
    store.tidy().await.expect("tidied");
    let copy = folder.path().join("copy.db");
    std::fs::copy(&path, &copy).expect("copied");
    let (copied, account) = (open(&copy).expect("opens"), epilogue_core::ledger::Account::Balance);
    let balance = crate::LedgerStore::balance(&copied, &org, account);
    assert_eq!(balance.await.expect("read"), grant);
}

#[tokio::test]
async fn the_ledger_refuses_to_be_rewritten() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("e.db");
    let store = open(&path).expect("opens");
    let org = epilogue_core::OrgId::from("org");
    let now = epilogue_core::Timestamp::from_millis(0);
    let grant = epilogue_core::MicroCredits(5);
    assert!(crate::LedgerStore::grant(&store, &org, "gift", grant, now).await.expect("granted"));
    let hand = rusqlite::Connection::open(&path).expect("opens");
    assert!(hand.execute("UPDATE ledger SET amount = 6", []).is_err());
    assert!(hand.execute("DELETE FROM ledger", []).is_err());
}

#[test]
fn the_next_lane_is_found_without_reading_the_steps_of_the_one_before() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("e.db");
    drop(open(&path).expect("opens"));
    let mut db = rusqlite::Connection::open(&path).expect("opens");
    let owe = "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ?2)
        INSERT INTO steps (org_id, session_id, kind, lane, state, due_at, attempt, failures, owed_at)
        SELECT ?3, randomblob(16), 'notify_ended', ?1, 'owed', n, 0, 0, n FROM numbers";
    for (org, lane, count) in [("a", "hook:1", 5_000), ("a", "hook:2", 1), ("b", "hook:1", 1)] {
        db.execute(owe, rusqlite::params![lane, count, org]).expect("owed");
    }
    // Operations of SQLite's machine, so that the test does not depend on how fast this one is.
    let operations = Arc::<AtomicUsize>::default();
    let counted = operations.clone();
    let count = move || {
        counted.fetch_add(1, Relaxed);
        false
    };
    db.progress_handler(1, Some(count)).expect("counted");
    let mut found = Vec::new();
    let mut place = (String::new(), String::new());
    while let Some(lane) = step::lane_after(&db, (&place.0, &place.1)).expect("looked up") {
        place = (lane.org.to_string(), lane.lane.clone());
        found.push(place.clone());
    }
    let expected = [("a", "hook:1"), ("a", "hook:2"), ("b", "hook:1")];
    assert_eq!(found, expected.map(|(org, lane)| (org.to_owned(), lane.to_owned())));
    assert!(operations.load(Relaxed) < 500, "{operations:?} operations for three lanes");
}

#[tokio::test]
async fn steps_of_before_subscribers_keep_their_places_attempts_and_indexes() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("e.db");
    let mut db = connection::writing(&path).expect("opens");
    connection::migrate_to(&mut db, 9);
    let indexes = |db: &rusqlite::Connection| {
        let sql = "SELECT name || ' ' || sql FROM sqlite_schema
            WHERE tbl_name = 'steps' AND type = 'index' AND sql IS NOT NULL
                AND name <> 'steps_to_subscribers' ORDER BY name";
        let mut statement = db.prepare(sql).expect("prepared");
        let rows = statement.query_map([], |row| row.get::<_, String>(0)).expect("read");
        rows.collect::<Result<Vec<_>, _>>().expect("read")
    };
    let before = indexes(&db);
    db.execute_batch(
        "INSERT INTO steps (org_id, session_id, kind, lane, state, due_at, node, claimed_at, attempt,
            failures, owed_at, settled_at, reason) VALUES
            ('org', zeroblob(16), 'notify_ended', 'hook:x', 'leased', 9, 'node', 8, 2, 1, 7, NULL, NULL),
            ('org', zeroblob(16), 'purge', 'store', 'parked', NULL, NULL, NULL, 1, 1, 7, 8, 'gone');
         INSERT INTO step_attempts VALUES ('org', zeroblob(16), 'notify_ended', 1, 5, 6, 'failed', 'x');",
    )
    .expect("written");
    drop(db);
    let store = open(&path).expect("opens");
    let id = epilogue_core::SessionId(uuid::Uuid::nil());
    let steps = crate::StepStore::steps_of(&store, &"org".into(), id).await.expect("read");
    let shown: Vec<_> = steps
        .iter()
        .map(|(step, attempts)| {
            assert_eq!((step.target, step.owed_at.as_millis()), (None, 7));
            (step.id().to_string(), step.state.as_str(), step.attempt, attempts.len())
        })
        .collect();
    let id = |kind: &str| format!("stp_{}_{kind}", "0".repeat(32));
    assert_eq!(shown, [(id("notify_ended"), "leased", 2, 1), (id("purge"), "parked", 1, 0)]);
    assert_eq!(indexes(&rusqlite::Connection::open(&path).expect("opens")), before);
}

fn result_of(n: u128) -> crate::ResultRecord {
    let at = epilogue_core::Timestamp::from_millis(0);
    crate::ResultRecord {
        session: epilogue_core::SessionId(uuid::Uuid::from_u128(n)),
        dialect: "native".into(),
        agent: "a".into(),
        reason: epilogue_core::EndReason::UserEnd,
        opened_at: at,
        ended_at: at,
        active: epilogue_core::Span::ZERO,
        endpoint: String::new(),
        data: serde_json::Map::new(),
    }
}

#[tokio::test]
async fn purged_words_are_gone_from_the_file_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("e.db");
    let store = open(&path).expect("opens");
    let org = epilogue_core::OrgId::from("org");
    let of_org = org.clone();
    let keep = move |db: &writer::Db<'_>| {
        result::keep(db.connection, &of_org, &result_of(1), "hello zyzzyva")?;
        result::keep(db.connection, &of_org, &result_of(2), "hello there")
    };
    store.writer.decide(keep).await.expect("kept");
    let holds = |needle: &[u8]| {
        let file = std::fs::read(&path).expect("read");
        file.windows(needle.len()).any(|bytes| bytes == needle)
    };
    store.tidy().await.expect("folded");
    assert!(holds(b"zyzzyva"));
    let purge = move |db: &writer::Db<'_>| result::purge(db.connection, &org, result_of(1).session);
    store.writer.decide(purge).await.expect("purged");
    store.tidy().await.expect("folded");
    assert!(!holds(b"zyzzyva") && holds(b"hello"));
}

#[test]
fn only_the_known_states_are_stored_and_knowing_them_costs_no_table() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("e.db");
    drop(open(&path).expect("opens"));
    let db = rusqlite::Connection::open(&path).expect("opens");
    let step = |state: &str| {
        format!(
            "INSERT INTO steps (org_id, session_id, kind, lane, state, attempt, failures, owed_at)
             VALUES ('org', x'01', '{state}', 'store', '{state}', 0, 0, 0)"
        )
    };
    for state in epilogue_core::StepState::WORDS {
        db.execute(&step(state), []).expect("a known state");
    }
    let refused = db.execute(&step("lost"), []).expect_err("an unknown state");
    assert!(refused.to_string().contains("CHECK"), "{refused}");
    for sql in [step("owed"), "UPDATE sessions SET state = 'final'".to_owned()] {
        let mut explained = db.prepare(&format!("EXPLAIN {sql}")).expect("explained");
        let operations = explained.query_map([], |row| row.get::<_, String>(1)).expect("rows");
        let operations: Vec<_> = operations.collect::<Result<_, _>>().expect("rows");
        assert!(!operations.iter().any(|name| name == "OpenEphemeral"), "{sql}: {operations:?}");
    }
}
