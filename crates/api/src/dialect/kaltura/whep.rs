//! 4: `POST` and `DELETE` below `/media/whep`: how viewers come and go (WHEP).
//!
//! The address is the credential: it names the session and ends in what only this server can make.

use axum::{
    body::Body,
    extract::{Path, State, rejection::PathRejection},
    response::{IntoResponse, Response},
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use epilogue_core::{OrgId, Session};
use http::{HeaderMap, StatusCode, header};
use subtle::ConstantTimeEq as _;

use super::{access, body::is_of_type, error::Error};
use crate::{Api, body};

/// What an offer and its answer are.
const SDP: &str = "application/sdp";
/// The longest offer, in bytes.
pub(super) const OFFER_BYTES_MAX: usize = 64 * 1024;

/// Where a session is seen.
pub(super) fn url(api: &Api, session: &Session) -> String {
    let settings = api.settings();
    let mut url = settings.public_url.clone();
    if !settings.kaltura.media_host.is_empty()
        && url.set_host(Some(&settings.kaltura.media_host)).is_err()
    {
        tracing::warn!("the host of media is none; the server's own is told instead");
    }
    let base = url.as_str().trim_end_matches('/');
    format!("{base}/media/whep/{}", capability(api, &session.org, &session.dialect_id))
}

/// `{organization}.{session}.{mac}`, the same whenever it is asked for.
fn capability(api: &Api, org: &OrgId, session: &str) -> String {
    let mac = mac(api, org, session);
    format!("{}.{session}.{mac}", BASE64_URL_SAFE_NO_PAD.encode(org.as_str()))
}

fn mac(api: &Api, org: &OrgId, session: &str) -> String {
    let mac = api.tokens().mac("viewers", &[org.as_str().as_bytes(), session.as_bytes()]);
    BASE64_URL_SAFE_NO_PAD.encode(mac)
}

/// The session that an address is of, if it is seen: it lives, and its stage was set.
async fn seen(api: &Api, capability: &str) -> Result<Session, Error> {
    let mut parts = capability.split('.');
    let parts = (parts.next(), parts.next(), parts.next(), parts.next());
    let (Some(org), Some(named), Some(given), None) = parts else { return Err(Error::NoSession) };
    let org = BASE64_URL_SAFE_NO_PAD.decode(org).ok().and_then(|org| String::from_utf8(org).ok());
    let org = OrgId::from(org.ok_or(Error::NoSession)?);
    if !bool::from(mac(api, &org, named).as_bytes().ct_eq(given.as_bytes())) {
        return Err(Error::NoSession);
    }
    let session = access::find(api, &org, named).await?;
    let session = session.filter(|session| session.is_live(api.engine().now()));
    session.filter(|session| session.connection.is_some()).ok_or(Error::NoSession)
}

/// Lets a viewer in.
pub(super) async fn open(
    State(api): State<Api>,
    capability: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    offer: Body,
) -> Result<Response, Error> {
    let Path(capability) = capability.map_err(|_| Error::NoSession)?;
    let session = seen(&api, &capability).await?;
    if !is_of_type(&headers, SDP) {
        return Err(Error::NotSdp);
    }
    let offer = body::read_at_most(&api, offer, OFFER_BYTES_MAX).await?;
    let offer = str::from_utf8(&offer).map_err(|_| Error::bad("The offer cannot be answered"))?;
    api.engine().keep_alive(&session.org, session.id).await?;
    let shown =
        api.engine().show(&session, offer).await.map_err(|error| match Error::from(error) {
            // To a viewer, one that is over is not there.
            Error::Over => Error::NoSession,
            error => error,
        })?;
    let location = format!("{}/{}", url(&api, &session), shown.viewer);
    let headers = [(header::CONTENT_TYPE, SDP.to_owned()), (header::LOCATION, location)];
    Ok((StatusCode::CREATED, headers, shown.answer).into_response())
}

/// Sends a viewer away who leaves.
pub(super) async fn close(
    State(api): State<Api>,
    path: Result<Path<(String, String)>, PathRejection>,
) -> Result<StatusCode, Error> {
    let Path((capability, viewer)) = path.map_err(|_| Error::NoSession)?;
    let session = seen(&api, &capability).await?;
    let was_shown = api.engine().hide(session.id, &viewer).await;
    if was_shown { Ok(StatusCode::OK) } else { Err(Error::NoSession) }
}
