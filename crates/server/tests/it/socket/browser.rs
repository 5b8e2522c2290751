//! A real browser, headless, with a page that chats.

use std::process::Stdio;

use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
};

use super::{chat, home, token};
use crate::support::{
    client::Http,
    eventually, in_time,
    peer::{Peer, answer},
};

const PAGE: &str = include_str!("page.html");

/// What a headless Chromium needs where there is no desktop, no sandbox and nobody to talk to.
const FLAGS: [&str; 9] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
];

/// What to do where there is no browser.
const REMEDY: &str = "chromedriver could not be started: install Chromium and its driver (on Debian \
    `apt-get install chromium chromium-driver`), or leave this test out with `-- --skip browser`";

/// A browser and its driver, which go with it.
struct Browser {
    client: Client,
    driver: Child,
    _folder: TempDir,
}

impl Browser {
    async fn start() -> Self {
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("{REMEDY}: {error}"));
        let stdout = driver.stdout.take().expect("piped");
        let port = in_time("chromedriver to listen", port(stdout)).await.expect(REMEDY);
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
        Self { client, driver, _folder: folder }
    }

    async fn text(&self, id: &str) -> String {
        let element = self.client.find(Locator::Id(id)).await.expect("on the page");
        element.text().await.expect("read")
    }

    /// Waits until the page shows this.
    async fn shows(&self, id: &str, wanted: &str) {
        let seen = async || self.text(id).await.contains(wanted).then_some(());
        eventually(&format!("`{wanted}` in #{id}"), seen).await;
    }

    async fn click(&self, id: &str) {
        let element = self.client.find(Locator::Id(id)).await.expect("on the page");
        element.click().await.expect("clicked");
    }

    async fn say(&self, text: &str) {
        let field = self.client.find(Locator::Id("text")).await.expect("on the page");
        field.send_keys(text).await.expect("typed");
        self.click("send").await;
    }

    async fn stop(mut self) {
        self.client.close().await.expect("closed");
        self.driver.kill().await.expect("killed");
    }
}

/// The port that the driver says it listens on. `None`: it says nothing of the kind.
async fn port(stdout: tokio::process::ChildStdout) -> Option<u16> {
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

#[tokio::test]
async fn a_page_in_a_real_browser_chats_runs_a_tool_and_is_missed_when_its_tab_is_closed() {
    let home = home(&json!({ "disconnect_grace_s": 1 }));
    let server = home.start().await;
    let (url, http) = (server.url(), Http::new());
    let site = Peer::start(|_| async {
        let mut page = answer(200, PAGE);
        let kind = http::HeaderValue::from_static("text/html; charset=utf-8");
        page.headers_mut().insert(http::header::CONTENT_TYPE, kind);
        Ok(page)
    })
    .await;
    let origin = site.url("");
    let token = token(&http, &url, &json!([origin])).await;
    let socket = url.replace("http://", "ws://");
    let address = |origin: &str| format!("{origin}/?server={socket}&token={token}");

    let browser = Browser::start().await;
    let here = browser.client.window().await.expect("a window");
    browser.client.goto(&address(&origin)).await.expect("shown");
    browser.shows("status", "opened").await;
    let record = browser.text("record").await;
    browser.say("hello").await;
    browser.shows("log", "assistant: You said: hello").await;
    browser.say("what page").await;
    browser.shows("log", "assistant: I have looked.").await;
    let shown = chat(&http, &url, &record).await;
    let response = &shown["messages"][3]["tool_calls"][0]["response"];
    assert_eq!(*response, json!({ "title": "The shop", "asked": { "why": "asked" } }), "{shown}");

    // Another tab ends its conversation itself.
    let other = browser.client.new_window(true).await.expect("a tab");
    browser.client.switch_to_window(other.handle).await.expect("there");
    browser.client.goto(&address(&origin)).await.expect("shown");
    browser.shows("status", "opened").await;
    let ended = browser.text("record").await;
    browser.click("end").await;
    browser.shows("log", "result: user_end").await;
    browser.shows("status", "closed with 1000").await;
    assert_eq!(chat(&http, &url, &ended).await["final_reason"], "user_end");

    // A page of another origin is not let in with the same token.
    let elsewhere = origin.replace("127.0.0.1", "localhost");
    browser.client.goto(&address(&elsewhere)).await.expect("shown");
    browser.shows("log", "error: Origin not allowed").await;
    browser.shows("status", "closed with 1008").await;

    assert_eq!(chat(&http, &url, &record).await["status"], "active");
    browser.client.switch_to_window(here).await.expect("there");
    browser.client.close_window().await.expect("closed");
    let over = eventually("the end of the session whose tab was closed", async || {
        let shown = chat(&http, &url, &record).await;
        (shown["status"] == "final").then_some(shown)
    })
    .await;
    assert_eq!(over["final_reason"], "user_end");
    in_time("the browser to be gone", browser.stop()).await;
    server.stop().await;
}
