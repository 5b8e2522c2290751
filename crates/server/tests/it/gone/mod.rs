//! End means gone: a conversation is had with the real server, ended, and looked for in every byte of
//! its files, in everything it logs, and in everything it answers; also when it is killed on the way.

mod forget;
mod operator;
mod world;

use reqwest::Method;
use rusqlite::types::ValueRef;
use serde_json::{Value, json};

use self::world::{CANARY, KEY, PROJECT, REMEMBERING, World, holds};
use crate::support::{
    binary::Binary,
    client::{Http, ask},
    eventually,
    native::Native,
    pause,
};

/// A client of the project.
struct Client<'a> {
    http: &'a Http,
    url: String,
}

impl Client<'_> {
    async fn request(&self, method: Method, tail: &str, body: Option<&Value>) -> (u16, Value) {
        let url = format!("{}/v1/projects/{PROJECT}{tail}", self.url);
        let request = self.http.request(method, url).bearer_auth(KEY);
        let request = if let Some(body) = body { request.json(body) } else { request };
        let answer = ask(request).await.expect("an answer");
        (answer.status, answer.body)
    }

    /// A session with something in every place that a client can put something into.
    async fn converse(&self, name: &str) {
        let variables = json!({ "name": CANARY, "nested": { "list": [CANARY, { CANARY: 1 }] } });
        let body = json!({ "session_id": name, "variables": variables, "provider": "web" });
        let created = self.request(Method::POST, "/sessions", Some(&body)).await;
        assert_eq!(created.0, 200, "{}", created.1);
        for stream in [false, true] {
            let said = json!([
                { "role": "system", "content": format!("Be brief about {CANARY}.") },
                { "role": "user", "content": format!("I am \"{CANARY}\", é \u{1f426}.") },
            ]);
            let body = json!({ "session_id": name, "messages": said, "stream": stream });
            let url = format!("{}/v1/projects/{PROJECT}/chat/completions", self.url);
            let key = format!("{CANARY} {name} {stream}");
            let request = self.http.post(url).bearer_auth(KEY).header("idempotency-key", key);
            let request = request.json(&body);
            let answer = request.send().await.expect("an answer");
            assert_eq!(answer.status(), 200);
            let text = answer.text().await.expect("read");
            assert!(text.contains(CANARY), "{text}");
        }
        let (status, live) = self.request(Method::GET, &format!("/sessions/{name}"), None).await;
        assert!(status == 200 && holds(live.to_string().as_bytes()), "it is there: {live}");
    }

    async fn end(&self, name: &str) {
        let body = json!({ "session_id": name });
        let (status, ended) = self.request(Method::DELETE, "/sessions", Some(&body)).await;
        assert_eq!((status, &ended["success"]), (200, &json!(true)), "{ended}");
    }
}

/// Waits until the purge is done and the bytes are gone.
async fn gone(world: &World, native: &Native, url: &str, name: &str) {
    let purged = format!("the purge of {name}");
    eventually(&purged, async || {
        let session = native.session(url, name).await;
        let steps = session["steps"].as_array().expect("steps");
        steps.iter().find(|step| step["kind"] == "purge" && step["state"] == "done").cloned()
    })
    .await;
    eventually("the last byte to go", async || {
        pause(world::MOMENT).await;
        world.found().is_empty().then_some(())
    })
    .await;
}

/// Everything the server answers about the session, and about everything.
async fn answers_are_clean(client: &Client<'_>, native: &Native, name: &str) {
    let session = native.session(&client.url, name).await;
    let id = session["session"]["id"].as_str().or(session["id"].as_str()).expect("an id");
    let mut seen = session.to_string();
    for path in [
        format!("/sessions/{id}/messages"),
        format!("/sessions/{id}/why"),
        "/sessions".into(),
        "/deliveries".into(),
        "/activity".into(),
        "/steps".into(),
        "/ledger".into(),
        "/agents".into(),
    ] {
        seen += &native.get(&client.url, &path).await.to_string();
    }
    let deliveries = native.get(&client.url, "/deliveries").await;
    for delivery in
        deliveries["items"].as_array().or(deliveries["deliveries"].as_array()).into_iter().flatten()
    {
        let id = delivery["id"].as_str().expect("an id");
        seen += &native.get(&client.url, &format!("/deliveries/{id}")).await.to_string();
    }
    for tail in [
        "/session-history".to_owned(),
        format!("/session-history/{name}"),
        "/session-history/stats".into(),
        format!("/sessions/{name}"),
        "/webhooks".into(),
        "/agent".into(),
    ] {
        seen += &client.request(Method::GET, &tail, None).await.1.to_string();
    }
    let search = json!({ "search_string": CANARY });
    let (status, found) = client.request(Method::POST, "/sessions/search", Some(&search)).await;
    assert_eq!((status, &found["pagination"]["total"]), (200, &json!(0)), "{found}");
    assert!(!holds(seen.as_bytes()), "{seen}");
    let entry = client.request(Method::GET, &format!("/session-history/{name}"), None).await.1;
    assert_eq!(entry["data"]["evaluation"], json!({ "result": 7 }), "the evaluation stays");
    assert_eq!((&entry["data"]["provider"], &entry["data"]["events"]), (&json!("web"), &json!([])));
    assert!(
        entry["data"]["messageCount"].as_u64() > Some(0) && entry["data"]["endTime"].is_string()
    );
}

fn client<'a>(http: &'a Http, server: &Binary) -> Client<'a> {
    Client { http, url: server.url() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_a_conversation_is_left_in_files_logs_and_answers() {
    let (world, http) = (World::new().await, Http::new());
    let native = Native::new(&http, KEY);
    let server = world.home.start().await;
    let client = client(&http, &server);
    client.converse("s1").await;
    client.converse("s2").await;
    assert!(!world.found().is_empty(), "it is there while they live");
    client.end("s1").await;
    client.end("s2").await;
    for name in ["s1", "s2"] {
        gone(&world, &native, &server.url(), name).await;
        answers_are_clean(&client, &native, name).await;
    }
    let (status, _) = client.request(Method::GET, "/sessions/s1", None).await;
    assert_eq!(status, 404);
    // The same name starts empty.
    let anew = json!({ "session_id": "s1" });
    let (status, _) = client.request(Method::POST, "/sessions", Some(&anew)).await;
    assert_eq!(status, 200);
    let (status, anew) = client.request(Method::GET, "/sessions/s1", None).await;
    assert!(status == 200 && !holds(anew.to_string().as_bytes()), "{anew}");
    let logs = server.stop().await;
    let line = logs.lines().find(|line| holds(line.as_bytes()));
    assert_eq!(line, None, "nothing of it is in the logs, whatever they tell");
    assert!(logs.contains("TRACE"), "they tell everything");
    assert_eq!(world.found(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_at_any_step_purges_all_the_same() {
    let (world, http) = (World::new().await, Http::new());
    let native = Native::new(&http, KEY);
    for moment in ["answered", "analysis", "session.ended", "session.finalized", "purged"] {
        let server = world.home.start().await;
        let name = format!("killed {moment}");
        let client = client(&http, &server);
        client.converse(&name).await;
        world.gate.hold_at(moment);
        client.end(&name).await;
        match moment {
            "answered" => {}
            "purged" => {
                // Between the purge and the emptying of the log, which comes about a second later.
                native.step(&server.url(), &name, "purge", "done").await;
            }
            _ => {
                let held = async || world.gate.holds().then_some(());
                eventually(moment, held).await;
            }
        }
        server.kill().await;
        assert!(!world.found().is_empty(), "{moment}: it is still there");
        world.gate.open();
        let server = world.home.start().await;
        gone(&world, &native, &server.url(), &name).await;
        let client = self::client(&http, &server);
        answers_are_clean(&client, &native, &name).await;
        server.kill().await;
        assert_eq!(world.found(), Vec::<String>::new(), "{moment}");
    }
    let told = world.told.lock().expect("nobody panicked");
    for event in ["session.ended", "session.finalized"] {
        assert!(told.iter().any(|told| told == event), "{event} in {told:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_remembered_of_a_person_is_all_that_stays() {
    let (world, http) = (World::new().await, Http::new());
    let native = Native::new(&http, KEY);
    let server = world.home.start().await;
    let url = server.url();
    let opened = native.open(&url, REMEMBERING, Some("ann")).await.expect("an answer");
    let session = opened.body["session"]["id"].as_str().expect("an id").to_owned();
    let said = native.send(&url, &session, &format!("I am {CANARY}.")).await.expect("an answer");
    said.expect("a turn").all().await.expect("read");
    assert_eq!(native.end(&url, &session, &json!({})).await.expect("an answer").status, 200);
    native.step(&url, &session, "purge", "done").await;
    server.stop().await;
    let database = rusqlite::Connection::open(world.home.database()).expect("opens");
    assert_eq!(tables_with(&database, CANARY), ["episodes", "entities", "facts"]);
    assert!(!world.found().is_empty(), "what is remembered is remembered");
}

/// The tables in which any column of any row holds it.
fn tables_with(database: &rusqlite::Connection, needle: &str) -> Vec<String> {
    let names =
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%'";
    let mut statement = database.prepare(names).expect("prepared");
    let tables = statement.query_map([], |row| row.get::<_, String>(0)).expect("listed");
    let holds = |table: &String| {
        let mut rows = database.prepare(&format!("SELECT * FROM \"{table}\"")).expect("prepared");
        let columns = rows.column_count();
        let mut rows = rows.query([]).expect("read");
        while let Some(row) = rows.next().expect("a row") {
            let found = (0..columns).any(|column| {
                let (ValueRef::Text(bytes) | ValueRef::Blob(bytes)) =
                    row.get_ref(column).expect("a value")
                else {
                    return false;
                };
                bytes.windows(needle.len()).any(|part| part == needle.as_bytes())
            });
            if found {
                return true;
            }
        }
        false
    };
    tables.map(|table| table.expect("a name")).filter(holds).collect()
}
