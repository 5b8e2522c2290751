//! The session that a path names.

use std::collections::HashMap;

use axum::extract::{FromRequestParts, Path};
use http::request::Parts;

use super::{error::Error, limits::is_name};

/// The name in a path. Where a word of this API's own stands in its place, it is that word. What can be
/// nobody's name names no session.
#[derive(Clone, Debug)]
pub(super) struct Named(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        let path = Path::<HashMap<String, String>>::from_request_parts(parts, state).await;
        let Ok(Path(mut named)) = path else { return Err(Error::no_session()) };
        let last = || parts.uri.path().rsplit('/').next().map(str::to_owned);
        let name = named.remove("session").or_else(last).filter(|name| is_name(name));
        name.map(Self).ok_or_else(Error::no_session)
    }
}
