//! `epilogue memory`, as an operator uses it: through the server that runs, and without one.

use serde_json::Value;

use super::{
    forget::{converse, finalized},
    world::{CANARY, KEY, PATHWAY, World},
};
use crate::support::{client::Http, native::Native};

/// The person, as an operator may write her.
const ANN: &str = "Ann  ZQcanary@example.com";

/// The id in the line of a table that has this in it.
fn id_of(table: &str, with: &str) -> String {
    let line = table.lines().find(|line| line.contains(with));
    let line = line.unwrap_or_else(|| panic!("{with} in {table}"));
    line.split(' ').next().expect("an id").to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_looks_asks_corrects_deletes_hands_out_and_forgets() {
    let (world, http) = (World::new().await, Http::new());
    let native = Native::new(&http, KEY);
    let server = world.home.start().await;
    let session = converse(&native, &server.url(), PATHWAY).await;
    finalized(&native, &server.url(), &session).await;
    let memory = async |arguments: &[&str]| {
        let (said, code) = world.home.says(&[&["memory"][..], arguments].concat()).await;
        assert_eq!(code, Some(0), "{arguments:?}: {said}");
        said
    };
    let shown = memory(&["show", ANN]).await;
    let (called, likes) = (id_of(&shown, "is_called"), id_of(&shown, "likes"));
    let why = memory(&["why", ANN, &called]).await;
    assert!(why.contains(&session) && why.contains(&format!("  User: I am {CANARY}.")), "{why}");
    let correction = ["correct", ANN, &called, "--sentence", "Zoe.", "--object", "Zoe"];
    let corrected = memory(&correction).await;
    assert!(corrected.contains(&format!("has taken the place of {called}: Zoe.")), "{corrected}");
    let new = id_of(&corrected, "Zoe");
    let why = memory(&["why", ANN, &new]).await;
    assert!(why.contains(&format!("put in the place of {called} by operator")), "{why}");
    assert_eq!(memory(&["delete", ANN, &likes]).await, format!("{likes} is gone\n"));
    let asked = memory(&["show", ANN, "--query", "Zoe", "--limit", "1"]).await;
    assert_eq!(id_of(&asked, "Zoe"), new);
    let out: Value = serde_json::from_str(&memory(&["export", ANN]).await).expect("JSON");
    let items = out["items"].as_array().expect("items");
    assert!(items.iter().any(|item| item["id"] == new.as_str()), "{out}");
    assert!(!items.iter().any(|item| item["id"] == likes.as_str()), "{out}");
    let (_, code) = world.home.says(&["memory", "why", ANN, &likes]).await;
    assert_eq!(code, Some(1), "there is no such fact any more");

    server.stop().await;
    let forgotten = memory(&["forget", ANN, "--transcripts"]).await;
    assert!(forgotten.contains("store.transcripts") && !forgotten.contains("still there"));
    assert_eq!(memory(&["show", ANN]).await, "nothing is remembered\n");
    assert_eq!(memory(&["forget", ANN]).await, "nothing was there\n");
    let activity = world.home.says(&["memory", "show", "nobody"]).await;
    assert_eq!(activity, ("nothing is remembered\n".into(), Some(0)));
}
