//! A real browser, headless, for tests: Chromium and its driver, which must be installed.

mod viewer;

use std::process::Stdio;

use fantoccini::ClientBuilder;
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, ChildStdout, Command},
};

pub use self::viewer::{Answered, Event, Glance, Path};
pub use fantoccini::{Client, Locator};

/// What a headless Chromium needs where there is no desktop, no sandbox and nobody to talk to; and sound
/// without a click.
const FLAGS: [&str; 10] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
];

/// What to do where there is no browser.
const REMEDY: &str = "chromedriver could not be started: install Chromium and its driver (on Debian \
    `apt-get install chromium chromium-driver`), or leave this test out with `-- --skip browser`";

/// A browser and its driver, which go with it, also when a test fails.
pub struct Browser {
    client: Client,
    driver: Driver,
    _folder: TempDir,
}

/// A driver that is killed by itself would leave its browser behind: the group they are in goes as a whole.
struct Driver(Child);

impl Drop for Driver {
    fn drop(&mut self) {
        if let Some(leader) = self.0.id() {
            let group = format!("-{leader}");
            let _ = std::process::Command::new("kill").args(["-KILL", "--", &group]).status();
        }
    }
}

impl Driver {
    fn start() -> Self {
        let driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn();
        Self(driver.unwrap_or_else(|error| panic!("{REMEDY}: {error}")))
    }
}

impl Browser {
    /// A browser with an empty page.
    ///
    /// # Panics
    ///
    /// If there is none.
    pub async fn start() -> Self {
        let mut driver = Driver::start();
        let port = port(driver.0.stdout.take().expect("piped")).await.expect(REMEDY);
        let folder = tempfile::tempdir().expect("a folder");
        let mut flags = FLAGS.map(str::to_owned).to_vec();
        flags.push(format!("--user-data-dir={}", folder.path().display()));
        let options = json!({ "goog:chromeOptions": { "args": flags } });
        let Value::Object(options) = options else { unreachable!("it is one") };
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(options)
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .unwrap_or_else(|error| panic!("the browser did not start: {error}"));
        let browser = Self { client, driver, _folder: folder };
        browser.show("data:text/html,<body></body>").await;
        browser
    }

    /// Whoever drives it.
    pub const fn client(&self) -> &Client {
        &self.client
    }

    /// Shows a page.
    ///
    /// # Panics
    ///
    /// If there is no such page.
    pub async fn show(&self, address: &str) {
        self.client.goto(address).await.expect("shown");
    }

    /// Runs a script in the page, which hands its result to its last argument.
    ///
    /// # Panics
    ///
    /// If the script fails, or hands over nothing.
    pub async fn run(&self, script: &str, arguments: Vec<Value>) -> Value {
        self.client.execute_async(script, arguments).await.expect("the script ran")
    }

    /// Closes it.
    ///
    /// # Panics
    ///
    /// If it is gone already.
    pub async fn stop(self) {
        self.client.close().await.expect("closed");
        drop(self.driver);
    }
}

/// The port that the driver says it listens on. `None`: it says nothing of the kind.
async fn port(stdout: ChildStdout) -> Option<u16> {
    let mut lines = BufReader::new(stdout).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let after = line.split_once("started successfully on port ").map(|(_, after)| after);
        if let Some(after) = after {
            // The driver writes on, and nobody needs to read it.
            tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
            return after.trim_end_matches('.').parse().ok();
        }
    }
    None
}
