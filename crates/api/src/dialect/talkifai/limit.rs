//! Answers within the limits, and says where the caller stands.

use axum::response::{IntoResponse, Response};

use super::error::Error;
use crate::{
    Api,
    rate::{Subject, Verdict},
};

/// Answers with `work` unless the subject has asked too often. What is worse than that, such as
/// that the session is over, is only looked for then: `worse` costs a request within the limit
/// nothing.
pub(super) async fn limited<A: IntoResponse>(
    api: &Api,
    (subject, per_minute): (Subject, u32),
    work: impl Future<Output = Result<A, Error>>,
    worse: impl Future<Output = Result<(), Error>>,
) -> Response {
    let Some(rate) = api.limiter().count(&subject, per_minute, api.engine().now()) else {
        return work.await.into_response();
    };
    let answer = match rate.verdict {
        Verdict::Within => work.await,
        Verdict::Past => {
            let retry_after = rate.retry_after();
            worse.await.and(Err(Error::RateLimited { retry_after }))
        }
    };
    let mut response = answer.into_response();
    rate.stamp(response.headers_mut());
    response
}
