//! A real browser, headless, with a page that chats.

use epilogue_browser::{Browser, Locator};
use serde_json::json;

use super::{chat, home, token};
use crate::support::{
    client::Http,
    eventually, in_time,
    peer::{Peer, answer},
};

const PAGE: &str = include_str!("page.html");

/// A page that chats, as a person sees it.
struct Page {
    browser: Browser,
}

impl Page {
    async fn text(&self, id: &str) -> String {
        let element = self.browser.client().find(Locator::Id(id)).await.expect("on the page");
        element.text().await.expect("read")
    }

    /// Waits until the page shows this.
    async fn shows(&self, id: &str, wanted: &str) {
        let seen = async || self.text(id).await.contains(wanted).then_some(());
        eventually(&format!("`{wanted}` in #{id}"), seen).await;
    }

    async fn click(&self, id: &str) {
        let element = self.browser.client().find(Locator::Id(id)).await.expect("on the page");
        element.click().await.expect("clicked");
    }

    async fn say(&self, text: &str) {
        let field = self.browser.client().find(Locator::Id("text")).await.expect("on the page");
        field.send_keys(text).await.expect("typed");
        self.click("send").await;
    }
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

    let page = Page { browser: Browser::start().await };
    let client = page.browser.client();
    let here = client.window().await.expect("a window");
    page.browser.show(&address(&origin)).await;
    page.shows("status", "opened").await;
    let record = page.text("record").await;
    page.say("hello").await;
    page.shows("log", "assistant: You said: hello").await;
    page.say("what page").await;
    page.shows("log", "assistant: I have looked.").await;
    let shown = chat(&http, &url, &record).await;
    let response = &shown["messages"][3]["tool_calls"][0]["response"];
    assert_eq!(*response, json!({ "title": "The shop", "asked": { "why": "asked" } }), "{shown}");

    // Another tab ends its conversation itself.
    let other = client.new_window(true).await.expect("a tab");
    client.switch_to_window(other.handle).await.expect("there");
    page.browser.show(&address(&origin)).await;
    page.shows("status", "opened").await;
    let ended = page.text("record").await;
    page.click("end").await;
    page.shows("log", "result: user_end").await;
    page.shows("status", "closed with 1000").await;
    assert_eq!(chat(&http, &url, &ended).await["final_reason"], "user_end");

    // A page of another origin is not let in with the same token.
    let elsewhere = origin.replace("127.0.0.1", "localhost");
    page.browser.show(&address(&elsewhere)).await;
    page.shows("log", "error: Origin not allowed").await;
    page.shows("status", "closed with 1008").await;

    assert_eq!(chat(&http, &url, &record).await["status"], "active");
    client.switch_to_window(here).await.expect("there");
    client.close_window().await.expect("closed");
    let over = eventually("the end of the session whose tab was closed", async || {
        let shown = chat(&http, &url, &record).await;
        (shown["status"] == "final").then_some(shown)
    })
    .await;
    assert_eq!(over["final_reason"], "user_end");
    in_time("the browser to be gone", page.browser.stop()).await;
    server.stop().await;
}
