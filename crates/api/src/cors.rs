//! Which pages may call, and with what.

use std::time::Duration;

use http::{HeaderName, HeaderValue, Method, header};
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::{Settings, rate};

/// How long a browser may remember that it has asked.
pub const MAX_AGE: Duration = Duration::from_mins(10);

/// The key of whoever opens sessions.
pub const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
/// The sign-in of whoever looks at the dashboard.
pub const STUDIO_TOKEN: HeaderName = HeaderName::from_static("x-studio-token");

/// Answers preflights, without credentials, and marks every answer, errors included: a browser
/// shows a page no answer that is not marked.
///
/// Keys are sent in headers that only a script of the page can set, never by the browser itself,
/// so that any origin may be let in: a widget key's own list of domains is checked apart.
pub fn layer(settings: &Settings) -> CorsLayer {
    CorsLayer::new()
        .allow_origin(origins(&settings.cors_origins))
        .allow_methods([Method::GET, Method::POST, Method::OPTIONS])
        .allow_headers([
            header::CONTENT_TYPE,
            header::AUTHORIZATION,
            API_KEY,
            STUDIO_TOKEN,
            header::ORIGIN,
        ])
        .expose_headers([header::RETRY_AFTER, rate::LIMIT, rate::REMAINING, rate::RESET])
        .max_age(MAX_AGE)
}

/// The configured origins; `*` is any.
pub fn origins(configured: &[String]) -> AllowOrigin {
    if configured.iter().any(|origin| origin == "*") {
        return AllowOrigin::any();
    }
    // An origin that cannot stand in a header is one that no browser sends.
    AllowOrigin::list(configured.iter().filter_map(|origin| HeaderValue::from_str(origin).ok()))
}
