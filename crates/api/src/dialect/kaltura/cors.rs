//! Browsers call this API directly: preflights are answered, and every answer is marked.

use axum::{extract::Request, middleware::Next, response::Response};
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use tower_http::cors::CorsLayer;

use crate::{Settings, cors};

/// Under which a create may be repeated.
pub(super) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

fn layer(settings: &Settings) -> CorsLayer {
    CorsLayer::new()
        .allow_origin(cors::origins(&settings.cors_origins))
        .allow_headers([header::AUTHORIZATION, header::CONTENT_TYPE, IDEMPOTENCY_KEY])
        .max_age(cors::MAX_AGE)
}

/// For sessions.
pub(super) fn sessions(settings: &Settings) -> CorsLayer {
    layer(settings)
        .allow_methods([Method::POST, Method::OPTIONS])
        .expose_headers([header::RETRY_AFTER])
}

/// For viewers.
pub(super) fn media(settings: &Settings) -> CorsLayer {
    layer(settings)
        .allow_methods([Method::POST, Method::OPTIONS, Method::DELETE, Method::PATCH])
        .expose_headers([header::LOCATION, header::RETRY_AFTER])
}

/// What holds for every answer: nobody keeps it, and a preflight's has no content.
pub(super) async fn finish(request: Request, next: Next) -> Response {
    let is_preflight = request.method() == Method::OPTIONS;
    let mut response = next.run(request).await;
    if is_preflight && response.status().is_success() {
        *response.status_mut() = StatusCode::NO_CONTENT;
        response.headers_mut().remove(header::CONTENT_LENGTH);
    }
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
