//! The demo's page: an avatar talks in it, and is ended.

use std::process::Stdio;

use epilogue_browser::{Browser, Locator};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::{Child, ChildStdout, Command},
};

use crate::support::{binary::BINARY, in_time};

/// Hands over what the page has written down, once a line of it holds the first argument.
const WRITTEN: &str = "const [wanted, done] = arguments;
    const look = () => {
        const lines = [...document.querySelectorAll('#log li')].map(line => line.textContent);
        if (lines.some(line => line.includes(wanted))) done(lines.join('\\n')); else setTimeout(look, 100);
    };
    look();";
/// Has the next end fail on its way.
const SPOIL: &str = "const done = arguments[0], real = window.fetch;
    window.fetch = (url, options) => {
        if (!String(url).endsWith('/end')) return real(url, options);
        window.fetch = real;
        return Promise.resolve(new Response('{\"error\":\"Not now\"}', { status: 503 }));
    };
    done(true);";
/// Where a picture of the page is to be put: `docs/avatar.png` is one, made smaller. The test does without.
const PICTURE: &str = "EPILOGUE_TEST_PICTURE";

/// The demo, as somebody runs it at a terminal.
struct Demo {
    _child: Child,
    told: Lines<BufReader<ChildStdout>>,
    _data: tempfile::TempDir,
}

impl Demo {
    fn start() -> Self {
        let data = tempfile::tempdir().expect("a folder");
        let mut child = Command::new(BINARY)
            .arg("demo")
            .args(["--listen", "127.0.0.1:0", "--data"])
            .arg(data.path())
            .current_dir(data.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("the binary runs");
        let told = BufReader::new(child.stdout.take().expect("piped")).lines();
        Self { _child: child, told, _data: data }
    }

    /// Reads on to a line that holds this.
    async fn tells(&mut self, wanted: &str) -> String {
        let reading = async {
            while let Some(line) = self.told.next_line().await.expect("text") {
                if line.contains(wanted) {
                    return line;
                }
            }
            panic!("the demo has not told: {wanted}");
        };
        in_time(wanted, reading).await
    }
}

async fn written(browser: &Browser, wanted: &str) -> String {
    let lines = browser.run(WRITTEN, vec![Value::from(wanted)]);
    in_time(wanted, lines).await.as_str().expect("text").to_owned()
}

async fn click(browser: &Browser, button: &str) {
    let button = browser.client().find(Locator::Css(button)).await.expect("a button");
    button.click().await.expect("clicked");
}

#[tokio::test]
async fn the_demos_page_has_an_avatar_talk_and_ends_it_and_ends_it_as_well_when_it_goes() {
    let mut demo = Demo::start();
    let line = demo.tells("See and hear the avatar").await;
    let url = line.rsplit(' ').next().expect("an address").to_owned();
    let browser = Browser::start().await;
    browser.client().set_window_size(1080, 900).await.expect("sized");
    browser.show(&url).await;
    written(&browser, "the stream is there").await;
    click(&browser, "#talk").await;
    written(&browser, "say-").await;
    picture(&browser).await;
    let log = written(&browser, "ended:").await;
    for part in ["it has said everything", "the stream was closed", "keep-alive: 410 Session ended"]
    {
        assert!(log.contains(part), "{part} is not in: {log}");
    }
    assert!(log.contains("ended: user_end"), "{log}");
    demo.tells("ended by the page      user_end").await;

    browser.show(&url).await;
    written(&browser, "the stream is there").await;
    demo.tells("page: session").await;
    browser.show("data:text/html,elsewhere").await;
    demo.tells("ended by the page      user_end").await;
    browser.stop().await;
}

#[tokio::test]
async fn an_end_that_fails_can_be_asked_for_again_on_the_demos_page() {
    let mut demo = Demo::start();
    let line = demo.tells("See and hear the avatar").await;
    let browser = Browser::start().await;
    browser.show(line.rsplit(' ').next().expect("an address")).await;
    written(&browser, "the stream is there").await;
    browser.run(SPOIL, vec![]).await;
    click(&browser, "#end").await;
    written(&browser, "end: 503 Not now").await;
    click(&browser, "#end").await;
    written(&browser, "ended: user_end").await;
    browser.stop().await;
}

/// Keeps a picture of the page while its avatar talks, if somebody wants one.
async fn picture(browser: &Browser) {
    let Some(path) = std::env::var_os(PICTURE) else { return };
    let mouth_is_open = "const done = arguments[0]; setTimeout(() => done(true), 1500)";
    browser.run(mouth_is_open, vec![]).await;
    let picture = browser.client().screenshot().await.expect("a picture");
    std::fs::write(path, picture).expect("written");
}
