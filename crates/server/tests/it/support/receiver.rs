//! A webhook receiver: checks what arrives, keeps it, and answers as it is told.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use hmac::{Hmac, Mac};
use http::{HeaderMap, Request};
use serde_json::Value;
use sha2::Sha256;
use standardwebhooks::Webhook;

use super::peer::{HangsUp, Peer, answer};

/// What a receiver does with a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Answers with this status.
    Answered(u16),
    /// Closes the connection instead.
    HungUp,
}

/// A delivery as it arrived.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The event's id.
    pub id: String,
    /// What is told.
    pub body: Bytes,
    /// The same, read.
    pub json: Value,
    /// What is wrong with its signatures.
    pub forged: Option<String>,
    /// What became of it.
    pub fate: Fate,
}

impl Delivery {
    /// Whether the receiver has said yes to it.
    pub fn is_accepted(&self) -> bool {
        matches!(self.fate, Fate::Answered(200..=299))
    }
}

/// The receiver. It stops with the test's runtime.
pub struct Receiver {
    peer: Peer,
    log: Arc<Mutex<Vec<Delivery>>>,
}

impl Receiver {
    /// Knows this secret, and does with each delivery what `fate` says of its id and of how often
    /// that id has come before.
    pub async fn start(
        secret: &str,
        fate: impl Fn(&str, usize) -> Fate + Send + Sync + 'static,
    ) -> Self {
        let log = Arc::<Mutex<Vec<Delivery>>>::default();
        let (kept, secret, fate) = (log.clone(), secret.to_owned(), Arc::new(fate));
        let peer = Peer::start(move |request: Request<Bytes>| {
            let (kept, secret, fate) = (kept.clone(), secret.clone(), fate.clone());
            async move {
                let id = text(request.headers(), "webhook-id").unwrap_or_default();
                let mut log = lock(&kept);
                let before = log.iter().filter(|delivery| delivery.id == id).count();
                let fate = fate(&id, before);
                log.push(Delivery {
                    forged: forged(&secret, request.headers(), request.body()).err(),
                    json: serde_json::from_slice(request.body()).unwrap_or_default(),
                    body: request.into_body(),
                    id,
                    fate,
                });
                match fate {
                    Fate::Answered(status) => Ok(answer(status, "")),
                    Fate::HungUp => Err(HangsUp),
                }
            }
        });
        Self { peer: peer.await, log }
    }

    /// Where it is.
    pub fn url(&self) -> String {
        self.peer.url("/hook")
    }

    /// What has arrived so far.
    pub fn deliveries(&self) -> Vec<Delivery> {
        lock(&self.log).clone()
    }
}

fn lock(log: &Mutex<Vec<Delivery>>) -> MutexGuard<'_, Vec<Delivery>> {
    log.lock().unwrap_or_else(PoisonError::into_inner)
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

/// Checks the signatures as a receiver would: the standard one by the scheme's own library, and the
/// one over the body alone, where it is sent, by hand.
fn forged(secret: &str, headers: &HeaderMap, body: &Bytes) -> Result<(), String> {
    let standard = Webhook::new(secret).map_err(|error| error.to_string())?;
    standard.verify(body, headers).map_err(|error| error.to_string())?;
    let event: Value = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let by_body = text(headers, "x-talkifai-signature");
    if event["event"] != "chat.ended" {
        return match by_body {
            None => Ok(()),
            Some(_) => Err("signed in the words of another API".to_owned()),
        };
    }
    let key = standard_key(secret);
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("a key of any length");
    mac.update(body);
    let expected = format!("sha256={}", hex::encode(mac.finalize().into_bytes()));
    if by_body.as_deref() == Some(&expected) {
        Ok(())
    } else {
        Err(format!("X-TalkifAI-Signature is {by_body:?}"))
    }
}

fn standard_key(secret: &str) -> Vec<u8> {
    use base64::Engine as _;
    let encoded = secret.strip_prefix("whsec_").expect("a standard secret");
    base64::prelude::BASE64_STANDARD.decode(encoded).expect("base64")
}
