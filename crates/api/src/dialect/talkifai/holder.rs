//! Whoever holds a session's token.

use axum::extract::{FromRequestParts, Path};
use epilogue_core::Session;
use epilogue_engine::records::{CredentialKind, SessionName};
use http::{HeaderMap, request::Parts};

use super::error::Error;
use crate::{Api, auth::bearer, cors, token::Claims};

/// The holder of a token for the session that the path names. Whether that session lives is not
/// known yet.
#[derive(Debug)]
pub(super) struct Holder {
    pub claims: Claims,
}

impl FromRequestParts<Api> for Holder {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Error> {
        let token = bearer(&parts.headers);
        let claims = token.and_then(|token| api.tokens().read(token, api.engine().now()));
        let Some(claims) = claims else { return Err(refused(api, &parts.headers).await) };
        // A path that does not even decode names somebody else's session at best.
        let path = Path::<String>::from_request_parts(parts, api).await;
        match path {
            Ok(Path(named)) if named == claims.conversation_id => Ok(Self { claims }),
            _ => Err(Error::WrongSession),
        }
    }
}

/// Why a request without a session's token is refused: a widget key is told that it is in the
/// wrong place.
async fn refused(api: &Api, headers: &HeaderMap) -> Error {
    let key = headers.get(cors::API_KEY).and_then(|value| value.to_str().ok());
    // A dot makes it a damaged token, which is nobody's key.
    let key = key.or_else(|| bearer(headers).filter(|token| !token.contains('.')));
    let Some(key) = key else { return Error::InvalidToken };
    match api.caller(key).await {
        Ok(Some(caller)) if matches!(caller.kind, CredentialKind::Widget { .. }) => {
            Error::WidgetKey
        }
        Ok(_) => Error::InvalidToken,
        Err(error) => error.into(),
    }
}

impl Holder {
    /// The session, if it takes turns.
    pub async fn live_session(&self, api: &Api) -> Result<Session, Error> {
        let Claims { organization_id, sid, .. } = &self.claims;
        let found = api.engine().find(organization_id, &SessionName::Id(*sid)).await?;
        found.filter(|session| session.is_live(api.engine().now())).ok_or(Error::NoSession)
    }
}
