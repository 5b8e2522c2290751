//! The token of one session. It is a function of the session, so that a create that is repeated is
//! answered alike; it opens nothing once the session is over, whatever it says of itself.

use epilogue_core::{OrgId, Session, Span, Timestamp};
use serde::{Deserialize, Serialize};

use crate::token::SessionTokens;

/// How long a token is good for at the most.
pub(super) const LIFETIME: Span = crate::token::LIFETIME;

/// Whom these tokens are for: no other API's are taken here, and none takes these.
const AUDIENCE: &str = "avatar-session";

/// What a token says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Claims {
    /// Always [`AUDIENCE`].
    aud: String,
    /// The session, as its clients call it.
    pub sub: String,
    /// The same.
    sid: String,
    /// Its organization.
    pub org: OrgId,
    /// When the session was opened, in seconds since the epoch.
    iat: i64,
    /// When it stops being good, in seconds since the epoch.
    exp: i64,
    /// The token's own name.
    jti: String,
}

/// The token of a session.
pub(super) fn sign(
    tokens: &SessionTokens,
    session: &Session,
) -> Result<String, jsonwebtoken::errors::Error> {
    tokens.sign_claims(&Claims {
        aud: AUDIENCE.to_owned(),
        sub: session.dialect_id.clone(),
        sid: session.dialect_id.clone(),
        org: session.org.clone(),
        iat: session.opened_at.as_secs(),
        exp: (session.opened_at + LIFETIME).as_secs(),
        jti: session.id.0.simple().to_string(),
    })
}

/// What a token says. `None`: it is forged, damaged, another API's, or too old.
pub(super) fn read(tokens: &SessionTokens, token: &str, now: Timestamp) -> Option<Claims> {
    let claims: Claims = tokens.read_claims(token, AUDIENCE)?;
    (claims.sub == claims.sid && now.as_secs() < claims.exp).then_some(claims)
}
