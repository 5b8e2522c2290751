//! 2.7: `POST /v1/avatar-session/{S}/end`

use axum::{
    Json,
    body::Body,
    extract::{Path, State, rejection::PathRejection},
};
use bytes::Bytes;
use epilogue_core::{EndOutcome, EndReason, EndRequest, Session};
use http::{HeaderMap, header};
use serde_json::Value;

use super::{Success, access, body::nothing, error::Error, success};
use crate::{Api, auth::bearer, body};

/// The longest body of a beacon, in bytes.
pub(super) const BEACON_BYTES_MAX: usize = 64 * 1024;

/// Ends a session. Exactly one of many ends succeeds; the others learn that it is over.
///
/// A page that is left can set no header on a beacon, so that its credential may come in the body. It is
/// looked at where there is no header, and never logged.
pub(super) async fn end(
    State(api): State<Api>,
    named: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Success>, Error> {
    // A name that does not even decode is nobody's.
    let named = named.map_or_else(|_| "?".to_owned(), |Path(named)| named);
    let session = if headers.contains_key(header::AUTHORIZATION) {
        let session = access::held(&api, bearer(&headers), &named).await?;
        nothing(&api, &headers, body).await?;
        session
    } else {
        let beacon = body::read_at_most(&api, body, BEACON_BYTES_MAX).await;
        let token = beacon.ok().and_then(|beacon| credential(&beacon));
        access::held(&api, token.as_deref(), &named).await?
    };
    end_once(&api, &session).await
}

/// The token in a beacon: `{"headers":{"Authorization":"Bearer …"}}`.
fn credential(beacon: &Bytes) -> Option<String> {
    let beacon: Value = serde_json::from_slice(beacon).ok()?;
    let headers = beacon.get("headers")?.as_object()?;
    let mut given = headers
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case(header::AUTHORIZATION.as_str()));
    let value = given.next()?.1.as_str()?.parse().ok()?;
    let mut headers = HeaderMap::new();
    headers.insert(header::AUTHORIZATION, value);
    bearer(&headers).map(str::to_owned)
}

async fn end_once(api: &Api, session: &Session) -> Result<Json<Success>, Error> {
    let by = Some("session token".to_owned());
    let request = EndRequest { by, ..EndRequest::asked(EndReason::UserEnd) };
    let receipt = api.engine().end(&session.org, session.id, request).await?;
    match receipt.map(|receipt| receipt.outcome) {
        Some(EndOutcome::EndedNow(_)) => Ok(success()),
        // One whose time had run out was over before it was asked.
        Some(
            EndOutcome::AlreadyEnded(_) | EndOutcome::Lapsed(_) | EndOutcome::StillActive { .. },
        ) => Err(Error::Over),
        None => Err(Error::NoSession),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beacon_carries_one_bearer_and_everything_else_is_unusable() {
        let read = |text: &str| credential(&Bytes::copy_from_slice(text.as_bytes()));
        for usable in [
            r#"{"headers":{"Authorization":"Bearer abc"}}"#,
            r#"{"headers":{"authorization":"bearer abc","x":1},"y":2}"#,
        ] {
            assert_eq!(read(usable).as_deref(), Some("abc"), "{usable}");
        }
        for unusable in [
            "",
            "{}",
            "[]",
            "null",
            "Bearer abc",
            r#"{"headers":[]}"#,
            r#"{"headers":{"Authorization":"abc"}}"#,
            r#"{"headers":{"Authorization":"KS abc"}}"#,
            r#"{"headers":{"Authorization":["Bearer abc"]}}"#,
            r#"{"headers":{"Authorization":"Bearer a\nb"}}"#,
            r#"{"Authorization":"Bearer abc"}"#,
            r#"{"headers":{"Authorization":"Bearer abc"}"#,
        ] {
            assert_eq!(read(unusable), None, "{unusable}");
        }
        assert_eq!(read(&"[".repeat(60_000)), None);
    }
}
