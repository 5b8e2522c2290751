//! Avatar sessions of the real binary, watched by a real browser.

mod client;
mod demo;
mod ends;
mod expiry;
mod figures;
mod relayed;
mod restart;
mod start;
mod watching;

use std::sync::atomic::{AtomicU16, Ordering};

use epilogue_browser::Browser;
use serde_json::{Value, json};

use self::client::Client;
use crate::support::{
    binary::{Binary, Home},
    client::Http,
    native::Native,
    peer::{Peer, answer},
};

/// The key of the one organization.
const KEY: &str = "tk_live_avatar";
/// A Kaltura Session that is taken as it is.
const KS: &str = "ks_of_a_developer";
/// What webhooks are signed with.
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// An address that no other test has: a server must know under which name it is reached.
fn address() -> String {
    static NEXT: AtomicU16 = AtomicU16::new(7_400);
    let [_, high, middle, low] = std::process::id().to_be_bytes();
    let port = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("127.{}.{middle}.{low}:{port}", high.max(1))
}

/// A configuration with an avatar that a partner may show, reached at this address. `own` changes the
/// avatar, and `media` how it is shown.
fn config(address: &str, own: &Value, media: &Value) -> Value {
    let (host, _) = address.split_once(':').expect("with its port");
    let mut agent = json!({
        "id": "avatar", "name": "Avatar", "kind": "avatar", "model": { "provider": "scripted" },
        "price": { "per_minute": "60" },
    });
    let script = json!([{ "reply": "and so on ".repeat(20), "word_delay_ms": 500 }]);
    let slow = json!({ "provider": "scripted", "script": script });
    let mut shown = json!({
        "udp_listen": "127.0.0.1:0", "public_host": host, "turn_listen": [],
        "speech": { "provider": "command", "command": ["espeak-ng", "--stdout", "{text}"] },
    });
    for (whole, part) in [(&mut agent, own), (&mut shown, media)] {
        let part = part.as_object().expect("an object").clone();
        whole.as_object_mut().expect("an object").extend(part);
    }
    json!({
        "telemetry": { "log": "info", "log_format": "json" },
        "security": { "allow_private_webhooks": true },
        "server": { "public_url": format!("http://{address}") },
        "media": shown,
        "organizations": [{
            "id": "org_avatar", "name": "Avatars", "credits": "1000.00", "api_keys": [KEY],
            "agents": [agent, { "id": "slow", "name": "Slow", "model": slow }],
            "kaltura_partners": [{
                "partner_id": 7, "admin_secret": "literal:of the partner", "static_ks": [KS],
                "agent": "avatar",
            }],
        }],
    })
}

/// A server that shows avatars, and those who speak to it.
struct House {
    home: Home,
    address: String,
    server: Binary,
    http: Http,
    native: Native,
    /// Whose pages watch: of another origin than the server's.
    site: Peer,
}

impl House {
    /// As most tests want it.
    async fn start() -> Self {
        Self::with(&json!({}), &json!({})).await
    }

    /// With something about the avatar and the media changed.
    async fn with(own: &Value, media: &Value) -> Self {
        let address = address();
        let home = Home::new(&config(&address, own, media));
        let server = home.start_at(&address).await;
        let http = Http::that_hangs_up();
        let native = Native::new(&http, KEY);
        let page = |_| async { Ok(answer(200, "<!doctype html><title>A shop</title>")) };
        let site = Peer::start(page).await;
        Self { home, address, server, http, native, site }
    }

    /// Creates a session, and has it shown.
    async fn shown(&self) -> Client {
        let client = Client::create(&self.http, &self.server.url()).await;
        client.init().await
    }

    /// Has a page show a session that is created for it.
    async fn watched(&self, browser: &Browser) -> Client {
        let client = self.shown().await;
        browser.show(&self.site.url("/")).await;
        let answered = browser.play(&client.whep, json!({})).await;
        assert_eq!(answered.status, 201, "{answered:?}");
        browser.look_until("pictures", |glance| glance.frames > 5.0).await;
        client
    }

    /// The session, as its operator sees it.
    async fn session(&self, client: &Client) -> Value {
        self.native.session(&self.server.url(), &client.session).await
    }

    /// Why the session ended.
    async fn why(&self, client: &Client) -> Value {
        self.native.get(&self.server.url(), &format!("/sessions/{}/why", client.session)).await
    }
}
