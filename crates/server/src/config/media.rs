//! `[media]`: avatar sessions.

use std::{collections::BTreeMap, net::SocketAddr, ops::RangeInclusive, path::PathBuf};

use epilogue_core::agent::SecretRef;
use serde::Deserialize;
use url::Url;

use super::{path::KeyPath, report::Report};

/// Sessions that are shown at a time.
const SESSIONS: RangeInclusive<u32> = 1..=10_000;
/// Addresses under which viewers reach this machine.
const ADDRESSES_MAX: usize = 8;

/// Addresses that the relay listens on.
const DOORS_MAX: usize = 8;

/// `[media]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MediaConfig {
    /// Where media packets arrive.
    pub udp_listen: SocketAddr,
    /// Under which addresses those packets reach this machine. Empty: as far as it can see itself.
    pub public_addresses: Vec<SocketAddr>,
    /// How many sessions are shown at a time.
    pub sessions_max: u32,
    /// The host in addresses told to clients. Absent: that of the server's public address.
    #[serde(default)]
    pub public_host: Option<String>,
    /// Where browsers that insist on a relay come in, by UDP and TCP. None: there is no relay.
    pub turn_listen: Vec<SocketAddr>,
    /// The relay's host, as clients reach it. Absent: the host in addresses.
    #[serde(default)]
    pub turn_host: Option<String>,
    /// What the relay's credentials are made with, here or at a relay of the operator's own. Absent: made of the token secret.
    #[serde(default)]
    pub turn_secret: Option<SecretRef>,
    /// A folder of avatars, beside the built-in one.
    #[serde(default)]
    pub avatars: Option<PathBuf>,
    /// Whether an avatar that is not known is refused, instead of being shown as the default.
    pub strict_avatars: bool,
    /// Voices as clients call them, and as whoever speaks does.
    #[serde(default)]
    pub voices: BTreeMap<String, String>,
    /// Who speaks. Absent: avatar sessions are answered with 503.
    #[serde(default)]
    pub speech: Option<SpeechConfig>,
}

/// Who turns text into speech.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "provider", rename_all = "snake_case", deny_unknown_fields)]
pub enum SpeechConfig {
    /// A program that writes a WAV file to its output.
    Command {
        /// The program and its arguments. `{text}` stands for the text.
        command: Vec<String>,
    },
    /// Any OpenAI-compatible `audio/speech` endpoint.
    Openai {
        /// The endpoint that has `audio/speech` below it.
        base_url: Url,
        /// The model's name.
        #[serde(default)]
        name: String,
        /// The voice's name.
        #[serde(default)]
        voice: String,
        /// The endpoint's key.
        #[serde(default)]
        api_key: Option<SecretRef>,
    },
}

impl MediaConfig {
    pub(super) fn check(&self, at: &KeyPath, report: &mut Report) {
        report.within(at.key("sessions_max"), &self.sessions_max, &SESSIONS);
        if self.public_addresses.len() > ADDRESSES_MAX {
            let text = format!("must be at most {ADDRESSES_MAX}: each is in every answer");
            report.fail(at.key("public_addresses"), text);
        }
        if self.turn_listen.len() > DOORS_MAX {
            let text = format!("must be at most {DOORS_MAX}: each is two sockets");
            report.fail(at.key("turn_listen"), text);
        }
        let hosts = [("public_host", &self.public_host), ("turn_host", &self.turn_host)];
        for (key, host) in hosts.iter().filter_map(|(key, host)| Some((key, host.as_ref()?))) {
            report.host(at.key(key), host);
        }
        if self.turn_secret.as_ref().is_some_and(|secret| secret.0.trim().is_empty()) {
            report.fail(at.key("turn_secret"), "must not be empty; leave it out to have one made");
        }
        for (known, voice) in &self.voices {
            report.name(at.key("voices").key(known), voice);
        }
        let at = at.key("speech");
        match &self.speech {
            Some(SpeechConfig::Command { command }) if command.is_empty() => {
                let text = "must name a program, such as [\"espeak-ng\", \"--stdout\", \"{text}\"]";
                report.fail(at.key("command"), text);
            }
            Some(SpeechConfig::Openai { base_url, .. }) => {
                report.service_url(at.key("base_url"), base_url);
            }
            Some(SpeechConfig::Command { .. }) | None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{Config, ConfigError, Layers};

    fn listening(doors: usize) -> Result<Config, ConfigError> {
        let doors: Vec<String> =
            (0..doors).map(|door| format!("'0.0.0.0:{}'", 80 + door)).collect();
        let text = format!("[media]\nturn_listen = [{}]", doors.join(", "));
        Config::checked(&Layers::from_text(Some((Path::new("epilogue.toml"), text)), [])?)
    }

    #[test]
    fn the_relay_listens_at_so_many_addresses_or_none() {
        for doors in [0, 1, DOORS_MAX] {
            assert_eq!(listening(doors).expect("sound").media.turn_listen.len(), doors);
        }
        let told = listening(DOORS_MAX + 1).expect_err("too many").to_string();
        assert!(told.contains("media.turn_listen must be at most 8"), "{told}");
    }
}
