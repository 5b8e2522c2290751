//! What avatars need: artwork, a port, a name that clients accept, and a voice.

use std::{
    net::{TcpListener, UdpSocket},
    sync::Arc,
};

use epilogue_engine::{
    clock::{SharedClock, SystemClock},
    secret,
    speech::Utterance,
};
use epilogue_media::{avatar::Gallery, sound::Clip};
use secrecy::SecretString;
use tokio::task::spawn_blocking;

use super::Findings;
use crate::{
    config::{Config, SpeechConfig, is_local},
    exit::chain,
    relay::remedy,
    wiring,
};

/// What the voice is asked to say.
const WORDS: &str = "Hello.";

/// Looks at what avatars need, where anybody may have one shown.
pub(super) async fn look(config: &Config, is_served: bool, findings: &mut Findings) {
    for agent in config.idle_avatars() {
        findings.note(&format!("agent {agent}: no kaltura_partners name this avatar"));
    }
    if !config.shows_avatars() {
        return;
    }
    secrets(config, findings);
    artwork(config, findings);
    if !is_served {
        port(config, findings);
        doors(config, findings);
    }
    let host = config.media_host();
    if is_local(host) {
        findings.note(&format!(
            "existing clients refuse an avatar whose address is at {host}: set [media] public_host to a \
             name of this machine"
        ));
    }
    for doubt in config.relay_doubts() {
        findings.note(&doubt);
    }
    voice(config, findings).await;
}

/// Every secret that is named can be had. What is made of the token secret does not matter here.
fn secrets(config: &Config, findings: &mut Findings) {
    if let Err(error) = config.kaltura(&SecretString::default()) {
        findings.wrong(&chain(&error));
    }
    if let Some(SpeechConfig::Openai { api_key: Some(key), .. }) = &config.media.speech
        && let Err(error) = secret::resolve(key)
    {
        findings.wrong(&format!("[media] speech: {}", chain(&error)));
    }
}

fn artwork(config: &Config, findings: &mut Findings) {
    match Gallery::load(config.media.avatars.as_deref()) {
        Ok(_) => findings.well("every avatar can be drawn"),
        Err(error) => findings.wrong(&chain(&error)),
    }
}

fn port(config: &Config, findings: &mut Findings) {
    let address = config.media.udp_listen;
    match UdpSocket::bind(address) {
        Ok(_) => findings.well(&format!("viewers of avatars can be reached by {address}")),
        Err(error) => findings.wrong(&format!(
            "viewers of avatars cannot be reached by {address}: {error}; set [media] udp_listen"
        )),
    }
}

/// A relay with fewer doors is better than none, so a shut one keeps no server from starting.
fn doors(config: &Config, findings: &mut Findings) {
    for address in &config.media.turn_listen {
        let tried = [
            ("UDP", UdpSocket::bind(address).map(drop)),
            ("TCP", TcpListener::bind(address).map(drop)),
        ];
        for (protocol, tried) in tried {
            match tried {
                Ok(()) => findings.well(&format!("the relay can listen on {address} ({protocol})")),
                Err(error) => findings.note(&format!(
                    "the relay cannot listen on {address} ({protocol}): {error}; {}",
                    remedy(error.kind())
                )),
            }
        }
    }
}

/// Has a program say something. An endpoint is not asked: it may cost.
async fn voice(config: &Config, findings: &mut Findings) {
    match &config.media.speech {
        None => findings.note("no [media] speech: avatars say recordings and no text"),
        Some(SpeechConfig::Openai { base_url, .. }) => {
            findings.note(&format!("whether {base_url} speaks is not tried"));
        }
        Some(SpeechConfig::Command { command }) => {
            let program = command.first().map_or("", String::as_str);
            if !config.media.voices.is_empty() {
                findings.note("a speech program has one voice: [media] voices change nothing");
            }
            match spoken(config).await {
                Ok(()) => findings.well(&format!("{program} speaks")),
                Err(error) => findings.wrong(&format!("[media] speech: {program}: {error}")),
            }
        }
    }
}

async fn spoken(config: &Config) -> Result<(), String> {
    let clock: SharedClock = Arc::new(SystemClock);
    let voice = wiring::voice(config, &clock).map_err(|error| chain(&error))?;
    let voice = voice.ok_or("nobody speaks")?;
    let hello = Utterance { text: WORDS.to_owned(), ..Utterance::default() };
    let sound = voice.speak(&hello).await.map_err(|error| chain(&error))?;
    let making = spawn_blocking(move || Clip::from_recording(sound.0.into()));
    let made = making.await.map_err(|error| error.to_string())?;
    made.map(drop).map_err(|error| format!("what it says cannot be played: {error}"))
}
