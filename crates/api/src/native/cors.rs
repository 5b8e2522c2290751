//! Which pages may call the session paths.

use http::{HeaderName, Method, header};
use tower_http::cors::CorsLayer;

use super::access::ORGANIZATION_HEADER;
use crate::{Settings, cors, rate};

/// Answers preflights and marks answers, for the configured origins. Credentials are bearer tokens,
/// never cookies, so that any page may be let in without being trusted.
pub(super) fn layer(settings: &Settings) -> CorsLayer {
    CorsLayer::new()
        .allow_origin(cors::origins(&settings.cors_origins))
        .allow_methods([Method::GET, Method::POST])
        .allow_headers([
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            HeaderName::from_static(ORGANIZATION_HEADER),
        ])
        .expose_headers([
            header::LOCATION,
            header::RETRY_AFTER,
            rate::LIMIT,
            rate::REMAINING,
            rate::RESET,
        ])
        .max_age(cors::MAX_AGE)
}
