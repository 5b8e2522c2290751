//! Which pages may call, and what they may read of an answer.

use http::{HeaderName, Method, header};
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

use super::sunset::{DEPRECATION, SUNSET};
use crate::{Settings, cors, rate};

/// Names the session of a completion.
pub const SESSION_ID: HeaderName = HeaderName::from_static("x-session-id");

/// Answers preflights and marks answers. Keys are sent in a header that only a script of the page can
/// set, never by the browser itself, so that any origin may be let in.
pub(super) fn layer(settings: &Settings) -> CorsLayer {
    let any = settings.cors_origins.iter().any(|origin| origin == "*");
    let origins = cors::origins(&settings.cors_origins);
    CorsLayer::new()
        // This API says the origin back, rather than a star.
        .allow_origin(if any { AllowOrigin::mirror_request() } else { origins })
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers([
            SESSION_ID,
            DEPRECATION,
            SUNSET,
            header::RETRY_AFTER,
            rate::LIMIT,
            rate::REMAINING,
            rate::RESET,
        ])
        .max_age(cors::MAX_AGE)
}
