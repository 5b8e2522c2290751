//! The official OpenAI clients for Python and JavaScript, unchanged, against the real binary. What they
//! do and expect is in `tests/clients`; `scripts/test` installs them from their registries.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
};

use serde_json::json;
use tokio::process::Command;

use crate::support::{
    binary::{BINARY, Home},
    client::{Http, ask},
    model::FakeModel,
};

/// The key of the project.
const KEY: &str = "sk_openai";

/// The project.
const PROJECT: &str = "proj_openai";

/// Where the clients lie, if not beside the binary.
const CLIENTS: &str = "EPILOGUE_OPENAI_CLIENTS";

/// What to do where they do not.
const REMEDY: &str = "the official OpenAI clients are not there: scripts/test installs them, or leave \
    these tests out with `-- --skip openai`";

/// Where the clients lie: in the target folder, unless the environment says otherwise.
fn clients() -> PathBuf {
    if let Some(folder) = std::env::var_os(CLIENTS) {
        return folder.into();
    }
    let target = Path::new(BINARY).ancestors().nth(2).expect("the target folder");
    target.join("openai-clients")
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(name)
}

/// Runs one client against a server of its own. All that it says it expects must hold.
async fn drive(mut command: Command) {
    let model = FakeModel::start().await;
    let spec = json!({
        "provider": "openai", "base_url": model.url(), "name": "fake", "stall_timeout_s": 600,
    });
    let home = Home::new(&json!({
        "telemetry": { "log": "info", "log_format": "json" },
        "limits": { "opens_per_minute": 0, "messages_per_minute": 0 },
        "organizations": [{
            "id": "org_openai", "name": "OpenAI",
            "agents": [{ "id": "agent", "name": "Agent", "model": spec }],
            "projects": [{ "id": PROJECT, "agent": "agent", "api_keys": [KEY] }],
        }],
    }));
    let server = home.start().await;
    command.env("URL", server.url()).env("KEY", KEY).env("PROJECT", PROJECT);
    // Nothing between it and the server, whatever this machine is told to go through.
    for proxy in
        ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"]
    {
        command.env_remove(proxy);
    }
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await.expect(REMEDY);
    let told = [&output.stdout, &output.stderr].map(|told| String::from_utf8_lossy(told));
    assert!(output.status.success(), "{}\n{}\nthe server:\n{}", told[0], told[1], server.logs());
    is_healthy(&server.url()).await;
    server.stop().await;
}

/// Nothing that a client did has left a turn behind.
async fn is_healthy(url: &str) {
    let http = Http::new();
    let ready = ask(http.get(format!("{url}/health/ready"))).await.expect("an answer");
    assert_eq!(ready.status, 200, "{}", ready.body);
}

#[tokio::test]
async fn the_official_client_for_python_drives_completions_unchanged() {
    let python = clients().join("python/bin/python");
    assert!(python.exists(), "{REMEDY}: {}", python.display());
    let mut command = Command::new(python);
    // Isolated: the script's own folder is no place for modules.
    command.arg("-I").arg(script("openai.py"));
    drive(command).await;
}

#[tokio::test]
async fn the_official_client_for_javascript_drives_completions_unchanged() {
    let client = clients().join("js/node_modules/openai/index.mjs");
    assert!(client.exists(), "{REMEDY}: {}", client.display());
    let mut command = Command::new("node");
    command.arg(script("openai.mjs")).env("CLIENT", client);
    drive(command).await;
}
