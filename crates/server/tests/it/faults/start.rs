//! Starts that must not succeed: each says what is wrong and what would be right, with the exit
//! code that scripts rely on.

use std::{
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown},
    path::Path,
    process::Output,
};

use serde_json::json;

use super::{agent, config};
use crate::support::{
    binary::{BINARY, Home},
    in_time,
};

/// Whom root becomes: nobody, who may not write everywhere.
const NOBODY: u32 = 65_534;

fn complaint(output: &Output, code: i32) -> String {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{text}");
    text
}

#[tokio::test]
async fn an_unknown_key_is_refused_with_the_nearest_known_one() {
    let home = Home::new(&config(&json!({ "limits": { "ends_per_minut": 1 } })));
    let text = complaint(&home.run().await, 2);
    for part in ["epilogue.toml", "ends_per_minut", "ends_per_minute"] {
        assert!(text.contains(part), "{part} is not in: {text}");
    }
    assert!(!home.data().exists(), "a wrong configuration must leave nothing behind");
}

#[tokio::test]
async fn a_second_server_on_the_same_data_learns_who_has_it() {
    let home = Home::new(&config(&json!({})));
    let first = home.start().await;
    let text = complaint(&home.run().await, 1);
    assert!(text.contains(&format!("in use by process {}", first.pid())), "{text}");
    first.stop().await;
}

#[tokio::test]
async fn an_address_in_use_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let home = Home::new(&config(&json!({})));
    let running = home.command_at(Path::new(BINARY), &address).output();
    let output = in_time("the server to give up", running).await.expect("it runs");
    let text = complaint(&output, 1);
    assert!(text.contains(&format!("cannot listen on {address}")), "{text}");
}

#[tokio::test]
async fn a_damaged_database_is_left_as_it_is() {
    let home = Home::new(&config(&json!({})));
    home.start().await.stop().await;
    // Into the file itself, not the log beside it.
    let db = rusqlite::Connection::open(home.database()).expect("the database");
    db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).expect("folded");
    drop(db);
    let whole = std::fs::read(home.database()).expect("a database");
    for (what, damage) in [
        ("no database at all", b"This is not a database. ".repeat(400)),
        ("a database of which the most is missing", whole[..whole.len() / 2].to_vec()),
    ] {
        std::fs::write(home.database(), &damage).expect("written");
        let text = complaint(&home.run().await, 1);
        assert!(text.contains("epilogue.db"), "{what}: {text}");
        let after = std::fs::read(home.database()).expect("still there");
        assert!(after == damage, "{what}: it was written to");
    }
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_refused() {
    let home = Home::new(&config(&json!({})));
    home.start().await.stop().await;
    let db = rusqlite::Connection::open(home.database()).expect("the database");
    db.execute(
        "INSERT INTO refinery_schema_history (version, name, applied_on, checksum)
         SELECT 9999, 'later', applied_on, checksum FROM refinery_schema_history LIMIT 1",
        [],
    )
    .expect("a newer version");
    drop(db);
    let text = complaint(&home.run().await, 1);
    assert!(text.contains("newer") && text.contains("9999"), "{text}");
}

#[tokio::test]
async fn a_data_folder_that_cannot_be_written_is_named() {
    let home = Home::new(&config(&json!({})));
    std::fs::create_dir(home.data()).expect("a folder");
    let text = complaint(&run_with_mode(&home, &home.data(), 0o500).await, 1);
    assert!(text.contains(&home.data().display().to_string()), "{text}");
    assert!(text.contains("Permission denied"), "{text}");
}

#[tokio::test]
async fn a_database_that_cannot_be_written_is_named() {
    // With somebody to write down: a server that serves nobody writes nothing at its start.
    let organization = agent(&json!({ "provider": "scripted" }));
    let home = Home::new(&config(&json!({ "organizations": [organization] })));
    home.start().await.stop().await;
    let text = complaint(&run_with_mode(&home, &home.database(), 0o400).await, 1);
    assert!(text.contains("epilogue.db") && text.contains("Permission denied"), "{text}");
}

/// Runs a server that may not do what the mode of `path` forbids. Root may do anything, so it lets
/// nobody run it.
async fn run_with_mode(home: &Home, path: &Path, mode: u32) -> Output {
    let folder = home.folder();
    let mut command = if folder.metadata().expect("a folder").uid() == 0 {
        let binary = folder.join("epilogue");
        std::fs::copy(BINARY, &binary).expect("a copy");
        give_to_nobody(folder);
        let mut command = home.command_at(&binary, "127.0.0.1:0");
        command.uid(NOBODY).gid(NOBODY);
        command
    } else {
        home.command_at(Path::new(BINARY), "127.0.0.1:0")
    };
    let before = path.metadata().expect("there").permissions();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("set");
    let output = in_time("the server to give up", command.output()).await.expect("it runs");
    std::fs::set_permissions(path, before).expect("set back");
    output
}

fn give_to_nobody(path: &Path) {
    chown(path, Some(NOBODY), Some(NOBODY)).expect("given away");
    if path.is_dir() {
        for entry in std::fs::read_dir(path).expect("a folder") {
            give_to_nobody(&entry.expect("an entry").path());
        }
    }
}
