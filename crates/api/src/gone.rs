//! Callers that hang up. What they asked for is carried through all the same, for an end must not be
//! lost with the page that sent it; only what is worth nothing without its caller looks here.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use http::request::Parts;
use tokio_util::sync::CancellationToken;

/// Tells whether the caller has hung up. The server puts it into each request's extensions; without
/// it the caller counts as there.
#[derive(Clone, Debug, Default)]
pub struct CallerGone(pub CancellationToken);

impl CallerGone {
    /// Waits for something as long as the caller does. `None`: it has hung up.
    pub(crate) async fn unless<F: Future>(&self, work: F) -> Option<F::Output> {
        self.0.run_until_cancelled(work).await
    }
}

impl<S: Send + Sync> FromRequestParts<S> for CallerGone {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_default())
    }
}
