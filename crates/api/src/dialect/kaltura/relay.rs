//! Credentials for the relay (TURN): good for a time, by the scheme of its shared secret.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use epilogue_core::{Session, Span};
use hmac::{Hmac, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use sha1::Sha1;

use super::LONGEST;
use crate::{Api, token::mac};

/// How long credentials outlive the session they are for, for clocks that differ.
const SLACK: Span = Span::from_secs(60);

/// Where the relay is, and what it is told.
#[derive(Debug, Serialize)]
pub(super) struct Relay {
    /// A bare host: clients put the scheme before it and the ports after it themselves.
    url: String,
    username: String,
    credential: String,
}

/// Credentials that last as long as the session may.
pub(super) fn credentials(api: &Api, session: &Session) -> Relay {
    let settings = &api.settings().kaltura;
    let longest = session.profile.max_duration.unwrap_or(LONGEST);
    let expires_at = (session.opened_at + longest + SLACK).max(api.engine().now() + SLACK);
    let username = format!("{}:{}", expires_at.as_secs(), session.id);
    let credential = password(&settings.relay_secret, &username);
    Relay { url: settings.relay_host.clone(), username, credential }
}

/// The password that goes with a username, for those who know the secret.
pub fn password(secret: &SecretString, username: &str) -> String {
    BASE64_STANDARD.encode(proof(secret.expose_secret().as_bytes(), username.as_bytes()))
}

/// As coturn has it, whose scheme knows SHA-1 alone.
fn proof(secret: &[u8], text: &[u8]) -> [u8; 20] {
    let mac = <Hmac<Sha1> as hmac::Mac>::new_from_slice(secret);
    let mut mac = mac.expect("a key of any length will do");
    mac.update(text);
    mac.finalize().into_bytes().into()
}

/// What the relay and this server share where the operator has not chosen it.
pub fn relay_secret(token_secret: &SecretString) -> SecretString {
    let made = mac(token_secret.expose_secret().as_bytes(), b"media relay");
    BASE64_STANDARD.encode(made).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_what_other_implementations_make() {
        // echo -n '1800000000:s' | openssl dgst -sha1 -hmac 'north' -binary | base64
        assert_eq!(password(&"north".into(), "1800000000:s"), "FxsOKGq2moKwSiNT2pTVCICSx+c=");
    }

    #[test]
    fn the_relays_secret_follows_from_the_servers_and_is_another() {
        let made = |secret: &str| relay_secret(&secret.into()).expose_secret().to_owned();
        assert_eq!(made("a"), made("a"));
        assert_ne!(made("a"), made("b"));
    }
}
