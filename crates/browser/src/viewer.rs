//! A page that watches an avatar: what it sees and hears.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::Browser;

const PLAYER: &str = include_str!("player.js");
const OFFER: &str = include_str!("offer.js");
const PLAY: &str = include_str!("play.js");
const PATH: &str = include_str!("path.js");
const LOOK: &str = include_str!("look.js");
const ACCEPT: &str = "const [answer, done] = arguments;
    pc.setRemoteDescription({ type: 'answer', sdp: answer }).then(() => done(true), e => done(String(e)));";
/// How often a page looks for something before it gives up; each look takes half a second.
const LOOKS_MAX: usize = 60;

/// What the page has seen and heard in half a second.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Glance {
    /// Pictures decoded so far.
    pub frames: f64,
    /// Of these, those that stand alone.
    pub key_frames: f64,
    /// Packets lost so far.
    pub lost: f64,
    /// The loudest sample, of 1.
    pub loudest: f64,
    /// How much changed in the part of the picture where the mouth is.
    pub mouth: f64,
    /// The same above the eyes.
    pub brow: f64,
    /// The picture's width.
    pub width: f64,
    /// The state of the transport (DTLS).
    pub transport: String,
    /// What went wrong.
    pub error: Option<String>,
}

impl Glance {
    /// Whether nothing is heard, and the mouth is still.
    pub fn rests(&self) -> bool {
        self.loudest < 0.01 && self.mouth < 4.0
    }

    /// Whether something is heard, and the mouth moves.
    pub fn speaks(&self) -> bool {
        self.loudest > 0.1 && self.mouth > 10.0
    }
}

/// What a page was answered when it asked for a stream.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default)]
pub struct Answered {
    /// The status.
    pub status: u16,
    /// Where the viewer can be given up.
    pub location: Option<String>,
    /// What went wrong.
    pub error: Option<String>,
}

/// By which way a player gets what it sees: its own end of it.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub struct Path {
    /// `relay`, `host` and so on.
    pub kind: String,
    /// How it reaches its relay, if it has one: `udp`, `tcp` or `tls`.
    pub protocol: Option<String>,
}

/// Something that happened to the player.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub struct Event {
    /// `transport` (DTLS) or `connection`, or what the page has noted itself.
    pub what: String,
    /// Its state from then on.
    pub value: Value,
    /// When, in milliseconds of the page.
    pub at: f64,
}

impl Browser {
    /// Makes a player for one codec. Returns its offer.
    ///
    /// # Panics
    ///
    /// If the page makes none.
    pub async fn offer(&self, codec: &str) -> String {
        self.offer_with(codec, json!({})).await
    }

    /// Makes a player for one codec, with this configuration of its connection. Returns its offer.
    ///
    /// # Panics
    ///
    /// If the page makes none.
    pub async fn offer_with(&self, codec: &str, configuration: Value) -> String {
        let offer = self.run(&with_player(OFFER), vec![codec.into(), configuration]).await;
        offer.as_str().expect("an offer").to_owned()
    }

    /// By which way the player gets what it sees. `None`: it has none yet.
    ///
    /// # Panics
    ///
    /// If the page cannot tell.
    pub async fn path(&self) -> Option<Path> {
        serde_json::from_value(self.run(PATH, vec![]).await).expect("a path")
    }

    /// Has the player take the answer to its offer.
    ///
    /// # Panics
    ///
    /// If it does not.
    pub async fn accept(&self, answer: String) {
        assert_eq!(self.run(ACCEPT, vec![answer.into()]).await, json!(true));
    }

    /// Plays the stream at this address, with this configuration of the connection.
    ///
    /// # Panics
    ///
    /// If what the page says of it cannot be read.
    pub async fn play(&self, address: &str, configuration: Value) -> Answered {
        let answered = self.run(&with_player(PLAY), vec![address.into(), configuration]).await;
        serde_json::from_value(answered).expect("an answer")
    }

    /// What the page sees and hears now.
    ///
    /// # Panics
    ///
    /// If it cannot look.
    pub async fn look(&self) -> Glance {
        let seen = self.run(LOOK, vec![]).await;
        let glance: Glance = serde_json::from_value(seen).expect("a glance");
        assert_eq!(glance.error, None);
        glance
    }

    /// Looks until something is so.
    ///
    /// # Panics
    ///
    /// If it never is.
    pub async fn look_until(&self, what: &str, is_so: impl Fn(&Glance) -> bool) -> Glance {
        let mut last = None;
        for _ in 0..LOOKS_MAX {
            let glance = self.look().await;
            if is_so(&glance) {
                return glance;
            }
            last = Some(glance);
        }
        panic!("the page has not seen {what}: {last:?}, {:?}", self.events().await);
    }

    /// What has happened to the player so far.
    ///
    /// # Panics
    ///
    /// If there never was one.
    pub async fn events(&self) -> Vec<Event> {
        let events = self.run("arguments[0](window.events)", vec![]).await;
        serde_json::from_value(events).expect("events")
    }
}

fn with_player(script: &str) -> String {
    format!("{PLAYER}\n{script}")
}
