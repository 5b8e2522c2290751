//! Which pages may call the session paths.

use std::time::Duration;

use http::{HeaderName, HeaderValue, Method, header};
use tower_http::cors::{AllowOrigin, CorsLayer};

use super::access::ORGANIZATION_HEADER;

/// How long a browser may keep the answer to a preflight.
const MAX_AGE: Duration = Duration::from_mins(10);

/// Answers preflights and marks answers, for pages of these origins; `*` is any. Credentials are
/// bearer tokens, never cookies, so that any page may be let in without being trusted.
pub(super) fn layer(origins: &[String]) -> CorsLayer {
    let allowed = if origins.iter().any(|origin| origin == "*") {
        AllowOrigin::any()
    } else {
        AllowOrigin::list(origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok()))
    };
    CorsLayer::new()
        .allow_origin(allowed)
        .allow_methods([Method::GET, Method::POST])
        .allow_headers([
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            HeaderName::from_static(ORGANIZATION_HEADER),
        ])
        .expose_headers([header::LOCATION, header::RETRY_AFTER])
        .max_age(MAX_AGE)
}
