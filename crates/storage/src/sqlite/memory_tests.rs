//! What is particular to SQLite about memory: nothing of somebody who was forgotten is in any byte of any
//! file, and no question walks through what it does not ask for.

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    sync::{Arc, Mutex},
};

use epilogue_core::{
    MemoryScope, OrgId, Person, SessionId, Timestamp,
    memory::{EntityKind, Extraction, Mention, StatedFact},
};

use rusqlite::trace::{TraceEvent, TraceEventCodes};

use super::*;
use crate::{
    AbsorbOutcome, AbsorbRequest, Episode, FactQuestion, GraphStore, MemoryStore, RememberRequest,
    Vectors,
};

const CANARY: &str = "c4n4rybird";

fn org() -> OrgId {
    OrgId::from("org")
}

fn person(name: &str) -> Person {
    Person::new(name).expect("a person")
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn fact(object: &str) -> StatedFact {
    let mention = |name: &str| Mention {
        name: name.into(),
        kind: EntityKind::Thing,
        hint: Some(format!("hint {object}")),
    };
    StatedFact {
        subject: Mention { name: "user".into(), kind: EntityKind::Person, hint: None },
        relation: "likes".into(),
        object: mention(object),
        sentence: format!("The user likes {object} a lot."),
        from: None,
        until: None,
        exclusive: false,
    }
}

/// Somebody says in conversation `n` that they like something.
async fn told(store: &SqliteStorage, who: &str, n: u32, what: &str) {
    let scope = MemoryScope(format!("scope of {who}"));
    let session = SessionId(uuid::Uuid::from_u128(u128::from(n)));
    let text = format!("User: I like {what}\n").repeat(20);
    let episode = Episode { scope: scope.clone(), session, at: at(i64::from(n)), text };
    let salt = [u8::try_from(n % 251).expect("small"); 16];
    let request = RememberRequest { episode, person: person(who).key(), began_at: at(1), salt };
    store.remember(&org(), request).await.expect("remembered");
    let request = AbsorbRequest {
        scope,
        session,
        from: 0,
        until: 2,
        told_at: at(i64::from(n)),
        extraction: Extraction { facts: vec![fact(what)], ended: vec![] },
        vectors: Some(Vectors { model: what.into(), vectors: vec![vec![0.5; 8]] }),
    };
    let outcome = store.absorb(&org(), request, at(i64::from(n))).await.expect("absorbed");
    assert!(matches!(outcome, AbsorbOutcome::Absorbed { .. }), "{outcome:?}");
}

/// In which files the canary stands.
fn found(folder: &Path) -> Vec<String> {
    let files = fs::read_dir(folder).expect("a folder").map(|file| file.expect("a file").path());
    let holds = |path: &std::path::PathBuf| {
        let bytes = fs::read(path).expect("read");
        bytes.windows(CANARY.len()).any(|window| window.eq_ignore_ascii_case(CANARY.as_bytes()))
    };
    files.filter(holds).map(|path| path.display().to_string()).collect()
}

#[tokio::test]
async fn who_was_forgotten_is_in_no_byte_of_any_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let store =
        SqliteStorage::open(&folder.path().join("e.db"), &Options::default()).expect("opens");
    for n in 2..200 {
        let (who, what) = match n % 3 {
            0 => ("ann", format!("{CANARY} {n}")),
            _ => ("bob", format!("bread {n}")),
        };
        told(&store, who, n, &what).await;
    }
    store.tidy().await.expect("tidied");
    assert!(!found(folder.path()).is_empty(), "the canary is there before");
    let step = store.erase_person(&org(), &person("ann"), &[], at(500)).await.expect("erased");
    assert!(step.done, "{step:?}");
    store.tidy().await.expect("tidied");
    assert_eq!(found(folder.path()), Vec::<String>::new());
    let bob = MemoryScope("scope of bob".into());
    let question = FactQuestion { text: "bread".into(), ..FactQuestion::default() };
    let facts = store.find_facts(&org(), &bob, &question).await.expect("found");
    assert_eq!(facts.by_words.len(), crate::FOUND_MAX as usize, "others are found as before");
}

/// Every statement of every question and decision, explained: none walks through a table.
#[test]
fn every_question_is_a_range_of_an_index() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("e.db");
    let store = SqliteStorage::open(&path, &Options::default()).expect("opens");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        for n in 2..6 {
            told(&store, "ann", n, &format!("bread {n}")).await;
        }
    });
    drop(store);
    let mut db = connection::writing(&path).expect("opens");
    let run: Arc<Mutex<BTreeSet<String>>> = Arc::default();
    let note = Arc::clone(&run);
    let tracing = move |event: TraceEvent<'_>| {
        if let TraceEvent::Stmt(statement, _) = event {
            let sql = statement.expanded_sql().unwrap_or_default();
            note.lock().expect("not poisoned").insert(sql);
        }
    };
    db.trace_v2(TraceEventCodes::SQLITE_TRACE_STMT, Some(tracing)).expect("traced");
    ask_everything(&db);
    db.trace_v2(TraceEventCodes::empty(), None::<fn(TraceEvent<'_>)>).expect("not traced");
    let statements = run.lock().expect("not poisoned").clone();
    // The text index runs statements of its own, on tables of its own.
    let is_ours =
        |sql: &&String| !(sql.is_empty() || sql.starts_with("--") || sql.contains("memory_words_"));
    let ours: Vec<_> = statements.iter().filter(is_ours).collect();
    assert!(ours.len() > 15, "{ours:?}");
    for sql in ours {
        let mut plan = db.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).expect("prepared");
        let lines = plan.query_map([], |row| row.get::<_, String>(3)).expect("explained");
        for line in lines {
            let line = line.expect("a line");
            let is_walk = line.starts_with("SCAN") && !line.contains("VIRTUAL TABLE INDEX");
            assert!(!is_walk || line.contains("CONSTANT ROW"), "{line}: {sql}");
        }
    }
}

fn ask_everything(db: &rusqlite::Connection) {
    let (org, scope) = (org(), MemoryScope("scope of ann".into()));
    let session = SessionId(uuid::Uuid::from_u128(5));
    let request = AbsorbRequest {
        scope: scope.clone(),
        session,
        from: 2,
        until: 4,
        told_at: at(9),
        extraction: Extraction { facts: vec![fact("jam"), fact("bread 2")], ended: vec![] },
        vectors: None,
    };
    memory_absorb::absorb(db, &org, &request, at(9)).expect("absorbed");
    for text in ["", "does ann like bread?"] {
        for as_of in [None, Some(at(4))] {
            let vector = Some(("bread 2".to_owned(), vec![0.5; 8]));
            let question = FactQuestion { text: text.into(), vector, as_of };
            memory_find::find(db, &org, &scope, &question).expect("found");
        }
    }
    memory_find::find(db, &org, &scope, &FactQuestion::default()).expect("found");
    let known = memory_graph::read(db, &org, &scope, epilogue_core::memory::FactId(0));
    let known = known.expect("read").expect("known");
    let mut dropped = crate::ErasureReport::default();
    memory_erase::drop_fact(db, &org, &scope, &known, &mut dropped).expect("dropped");
    memory::scopes_of(db, &org, person("ann").key()).expect("read");
    let mut report = crate::ErasureReport::default();
    memory_erase::erase_scope(db, &org, &scope, &mut 100, &mut report).expect("erased");
    assert_eq!(report.count("store.facts"), 4, "{report:?}");
}
