//! Session tokens: what a client holds for one session, and for nothing else.
//!
//! A token says which session it is for; whether the session lives is asked of the store, every
//! time. So a token dies with its session, at once and on every node.

use epilogue_core::{AgentId, OrgId, Session, SessionId, Span, Timestamp};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

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
