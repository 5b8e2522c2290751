//! Session tokens: what a client holds for one session, and for nothing else.
//!
//! A token says which session it is for; whether the session lives is asked of the store, every
//! time. So a token dies with its session, at once and on every node.

use epilogue_core::{AgentId, OrgId, Session, SessionId, Span, Timestamp};
use hmac::{Hmac, Mac as _};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::Sha256;

use crate::seal::Seal;

/// How long a token is good for at the most.
pub const LIFETIME: Span = Span::from_secs(24 * 3600);

/// The longest token that is looked at, in bytes.
pub const TOKEN_BYTES_MAX: usize = 4_096;

/// What a token says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The session's name in the dialect that opened it.
    pub conversation_id: String,
    /// The agent.
    pub agent_id: AgentId,
    /// The organization.
    pub organization_id: OrgId,
    /// Whoever's key opened the session.
    pub user_id: String,
    /// The session's identity in the core.
    pub sid: SessionId,
    /// When it was signed, in seconds since the epoch.
    pub iat: i64,
    /// When it stops being good, in seconds since the epoch.
    pub exp: i64,
}

/// Signs and reads session tokens.
pub struct SessionTokens {
    signing: EncodingKey,
    reading: DecodingKey,
    validation: Validation,
    states: Seal,
    secrets: Seal,
    names: [u8; 32],
}

impl SessionTokens {
    /// Tokens under this secret.
    pub fn new(secret: &SecretString) -> Self {
        let secret = secret.expose_secret().as_bytes();
        let mut validation = Validation::new(Algorithm::HS256);
        // Judged by our own clock, below.
        validation.validate_exp = false;
        validation.required_spec_claims.clear();
        Self {
            signing: EncodingKey::from_secret(secret),
            reading: DecodingKey::from_secret(secret),
            validation,
            states: Seal::new(secret, "conversation state"),
            secrets: Seal::new(secret, "account secrets"),
            names: mac(secret, b"names"),
        }
    }

    /// Seals what clients of stateless conversations carry.
    pub(crate) const fn states(&self) -> &Seal {
        &self.states
    }

    /// Seals what the store keeps of secrets that must be had again.
    pub(crate) const fn secrets(&self) -> &Seal {
        &self.secrets
    }

    /// What only this server can make of these parts, for one purpose.
    pub(crate) fn mac(&self, purpose: &str, parts: &[&[u8]]) -> [u8; 32] {
        let mut text = Vec::new();
        for part in [purpose.as_bytes()].iter().chain(parts) {
            // Each with its length, so that no two lists of parts are one text.
            text.extend((part.len() as u64).to_be_bytes());
            text.extend(*part);
        }
        mac(&self.names, &text)
    }

    /// A token that says whatever an API's tokens say.
    pub(crate) fn sign_claims(
        &self,
        claims: &impl Serialize,
    ) -> Result<String, jsonwebtoken::errors::Error> {
        encode(&Header::new(Algorithm::HS256), claims, &self.signing)
    }

    /// What a token for this audience says. `None`: it is forged, damaged, or for another. Whether it is
    /// too old is for the caller to see.
    pub(crate) fn read_claims<T: DeserializeOwned>(
        &self,
        token: &str,
        audience: &str,
    ) -> Option<T> {
        if token.len() > TOKEN_BYTES_MAX {
            return None;
        }
        let mut validation = self.validation.clone();
        validation.set_audience(&[audience]);
        decode::<T>(token, &self.reading, &validation).ok().map(|read| read.claims)
    }

    /// A token for `session`, opened by the holder of `user`'s key.
    pub fn sign(
        &self,
        session: &Session,
        user: &str,
        now: Timestamp,
    ) -> Result<String, jsonwebtoken::errors::Error> {
        let claims = Claims {
            conversation_id: session.dialect_id.clone(),
            agent_id: session.agent.id.clone(),
            organization_id: session.org.clone(),
            user_id: user.to_owned(),
            sid: session.id,
            iat: now.as_secs(),
            exp: (now + LIFETIME).as_secs(),
        };
        encode(&Header::new(Algorithm::HS256), &claims, &self.signing)
    }

    /// What a token says. `None`: it is forged, damaged, of another algorithm, or too old.
    pub fn read(&self, token: &str, now: Timestamp) -> Option<Claims> {
        if token.len() > TOKEN_BYTES_MAX {
            return None;
        }
        let claims = decode::<Claims>(token, &self.reading, &self.validation).ok()?.claims;
        (now.as_secs() < claims.exp).then_some(claims)
    }
}

/// What only whoever has this key can make of a text.
pub(crate) fn mac(key: &[u8], text: &[u8]) -> [u8; 32] {
    let mac = <Hmac<Sha256> as hmac::Mac>::new_from_slice(key);
    let mut mac = mac.expect("a key of any length will do");
    mac.update(text);
    mac.finalize().into_bytes().into()
}
