//! Who may do what: a Kaltura Session creates sessions, and a session's token does everything else.

use axum::extract::{FromRequestParts, Path};
use epilogue_core::Session;
use epilogue_engine::records::SessionName;
use http::{HeaderMap, header, request::Parts};
use subtle::ConstantTimeEq as _;

use super::{NAME, Partner, error::Error, ks::Ks, token};
use crate::{
    Api,
    auth::{bearer, hash},
};

/// The longest id of a session, in characters.
pub(super) const ID_CHARS_MAX: usize = 128;

/// Whoever may create sessions.
#[derive(Clone, Debug)]
pub(super) struct Owner {
    /// The partner it acts for.
    pub partner: Partner,
    /// The user its Kaltura Session was made for; may be empty.
    pub user: String,
}

/// Whose Kaltura Session came with a request.
pub(super) fn owner(api: &Api, headers: &HeaderMap) -> Result<Owner, Error> {
    let text = kaltura_session(headers).ok_or(Error::InvalidKs)?;
    let partners = &api.settings().kaltura.partners;
    let given = hash(text);
    let is_static = |partner: &&Partner| {
        // Each is looked at, so that time tells nothing.
        partner
            .static_ks
            .iter()
            .fold(false, |found, known| found | bool::from(known.0.ct_eq(&given.0)))
    };
    if let Some(partner) = partners.iter().find(is_static) {
        return Ok(Owner { partner: partner.clone(), user: String::new() });
    }
    let partner_of = |id: u64| partners.iter().find(|partner| partner.id == id);
    let secret_of = |id| partner_of(id).map(|partner| partner.admin_secret.clone());
    let ks = Ks::read(text, secret_of, api.engine().now());
    let ks = ks.map_err(|_| Error::InvalidKs)?;
    if !ks.admin {
        return Err(Error::NotAdmin);
    }
    let partner = partner_of(ks.partner).ok_or(Error::InvalidKs)?;
    Ok(Owner { partner: partner.clone(), user: ks.user })
}

fn kaltura_session(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, ks) = value.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("ks").then(|| ks.trim())
}

/// The session that a path names, in the hands of whoever sent this token: alive, as far as is known.
pub(super) async fn held(api: &Api, token: Option<&str>, named: &str) -> Result<Session, Error> {
    let now = api.engine().now();
    let claims = token.and_then(|token| token::read(api.tokens(), token, now));
    let claims = claims.ok_or(Error::InvalidToken)?;
    let session = find(api, &claims.org, named).await?.ok_or(Error::NoSession)?;
    if claims.sub != session.dialect_id {
        return Err(Error::InvalidToken);
    }
    if session.is_live(now) { Ok(session) } else { Err(Error::Over) }
}

/// The session of that name. What cannot be a name names none.
pub(super) async fn find(
    api: &Api,
    org: &epilogue_core::OrgId,
    named: &str,
) -> Result<Option<Session>, Error> {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if named.len() > ID_CHARS_MAX || !named.chars().all(fits) {
        return Ok(None);
    }
    let name = SessionName::Dialect(NAME.into(), named.to_owned());
    Ok(api.engine().find(org, &name).await?)
}

/// The session that the path names, in the hands of whoever asks. That somebody asks keeps it alive.
#[derive(Debug)]
pub(super) struct Held(pub Session);

impl FromRequestParts<Api> for Held {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Error> {
        let named = named(parts, api).await;
        let session = held(api, bearer(&parts.headers), &named).await?;
        match api.engine().keep_alive(&session.org, session.id).await? {
            Some(true) => Ok(Self(session)),
            Some(false) => Err(Error::Over),
            None => Err(Error::NoSession),
        }
    }
}

/// The name in a path. One that does not even decode is nobody's.
async fn named(parts: &mut Parts, api: &Api) -> String {
    let path = Path::<String>::from_request_parts(parts, api).await;
    path.map_or_else(|_| "?".to_owned(), |Path(named)| named)
}
