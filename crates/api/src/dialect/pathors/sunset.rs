//! What is announced to go: older paths and older kinds of keys. The announcement is advice alone, unless
//! the operator holds clients to it.

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use epilogue_core::Timestamp;
use http::{HeaderName, HeaderValue, StatusCode};

use super::{error::Error, paths};
use crate::{Api, auth};

/// Says that what was asked is announced to go.
pub const DEPRECATION: HeaderName = HeaderName::from_static("deprecation");
/// Says when.
pub const SUNSET: HeaderName = HeaderName::from_static("sunset");

/// How the older kinds of keys begin.
const OLD_KEYS: [&str; 2] = ["sk_", "buzz_live_"];

/// How this API is set up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PathorsSettings {
    /// When older paths are announced to go; absent: they are not.
    pub path_sunset: Option<Sunset>,
    /// When older kinds of keys are; absent: they are not.
    pub key_sunset: Option<Sunset>,
    /// Whether what is announced to go is refused from then on.
    pub refuse_legacy: bool,
}

/// The moment at which something is announced to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sunset {
    header: HeaderValue,
    at: Timestamp,
}

impl Sunset {
    /// Reads an HTTP date. `None`: it is not one.
    pub fn parse(text: &str) -> Option<Self> {
        let at = httpdate::HttpDate::from(httpdate::parse_http_date(text).ok()?);
        let since = std::time::SystemTime::from(at).duration_since(std::time::UNIX_EPOCH).ok()?;
        let at = Timestamp::from_millis(i64::try_from(since.as_millis()).ok()?);
        Some(Self { header: HeaderValue::from_str(text).ok()?, at })
    }

    fn has_come(&self, now: Timestamp) -> bool {
        self.at <= now
    }
}

/// What of a request is announced to go.
fn announced<'a>(
    settings: &'a PathorsSettings,
    request: &Request,
) -> (Option<&'a Sunset>, Option<&'a Sunset>) {
    let old_path = paths::is_old(request.uri().path());
    let key = auth::bearer(request.headers());
    let old_key = key.is_some_and(|key| OLD_KEYS.iter().any(|prefix| key.starts_with(prefix)));
    let path = settings.path_sunset.as_ref().filter(|_| old_path);
    (path, settings.key_sunset.as_ref().filter(|_| old_key))
}

fn refused(
    settings: &PathorsSettings,
    (path, key): (Option<&Sunset>, Option<&Sunset>),
    now: Timestamp,
) -> Option<Error> {
    if !settings.refuse_legacy {
        return None;
    }
    if path.is_some_and(|sunset| sunset.has_come(now)) {
        let message = "This path is gone: use the one below /v1/projects/";
        return Some(Error::new(StatusCode::GONE, message));
    }
    key.is_some_and(|sunset| sunset.has_come(now)).then(Error::unauthorized)
}

/// Marks every answer to a request by an older path or with an older kind of key, errors and streams
/// included; of two moments, the earlier is said.
pub(super) async fn announce(State(api): State<Api>, request: Request, next: Next) -> Response {
    let settings = &api.settings().pathors;
    let announced = announced(settings, &request);
    let mut response = match refused(settings, announced, api.engine().now()) {
        Some(error) => error.worded(paths::is_of_sessions(request.uri().path())),
        None => next.run(request).await,
    };
    let earliest = announced.0.into_iter().chain(announced.1).min_by_key(|sunset| sunset.at);
    if let Some(sunset) = earliest {
        let headers = response.headers_mut();
        headers.insert(DEPRECATION, HeaderValue::from_static("true"));
        headers.insert(SUNSET, sunset.header.clone());
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sunset_is_an_http_date() {
        let sunset = Sunset::parse("Sat, 11 Jul 2026 00:00:00 GMT").expect("a date");
        assert_eq!(Some(sunset.at), Timestamp::parse("2026-07-11T00:00:00Z"));
        assert!(!sunset.has_come(sunset.at - epilogue_core::Span::from_millis(1)));
        assert!(sunset.has_come(sunset.at));
        for wrong in ["", "2026-07-11", "soon", "Sat, 11 Jul 2026 00:00:00"] {
            assert_eq!(Sunset::parse(wrong), None, "{wrong}");
        }
    }
}
