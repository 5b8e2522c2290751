//! Tells the agent's owner, or a subscriber. At least once: every attempt carries the same event id and
//! body. What an API tells at most once is only told again when nothing of it can have arrived.

use std::sync::atomic::Ordering::Relaxed;

use epilogue_core::{
    EventId, Span, Timestamp,
    agent::{BodyTemplate, WebhookSpec},
    analysis,
    event::Activity,
    retry::{ATTEMPT_MAX, Refusals, RetryPolicy},
    step::AttemptOutcome,
};
use epilogue_storage::{AnalysisResult, Delivery, DeliveryAttempt, Product};
use http::HeaderMap;
use secrecy::SecretString;
use serde_json::{Map, Value};

use super::{StepContext, StepDone, StepError};
use crate::{
    clock::within,
    secret,
    webhook::{WebhookReply, WebhookRequest, owners, template},
    wording::{Notification, Payload},
    worker::ATTEMPT_SLACK_MS,
};

/// The statuses with which a receiver may ask us to wait.
const MAY_ASK_TO_WAIT: [u16; 2] = [429, 503];

pub(super) async fn run(cx: &StepContext<'_>) -> Result<StepDone, StepError> {
    let webhook = match receiver(cx).await? {
        Ok(webhook) => webhook,
        Err(nobody) => return Ok(StepDone::Skipped(nobody.into())),
    };
    let Some(payload) = worded(cx).await? else {
        return Ok(StepDone::Skipped("this API has no such event".into()));
    };
    let manners = payload.manners.clone();
    let logged = manners.as_ref().is_some_and(|manners| manners.logged);
    let told = |failure: Option<&str>| {
        let attempt = (cx.step.id(), cx.step.attempt);
        let now = cx.engine.now();
        Box::new(Activity::webhook_told(&cx.session, attempt, &payload.event, failure, now))
    };
    match deliver(cx, &webhook, payload.clone()).await {
        Ok((detail, delivery)) => {
            let told = logged.then(|| Product::Activity(told(None)));
            let products = std::iter::once(delivery).chain(told).collect();
            Ok(StepDone::Done { detail, products })
        }
        // Whatever kept it from being delivered, its owner learns that it was not.
        Err(error) => {
            let on_park = logged.then(|| told(Some(&error.detail)));
            let policy = manners.and_then(|manners| manners.policy);
            Err(StepError { policy, on_park, ..error })
        }
    }
}

/// Whom the step tells: the agent's own webhook, or a subscriber as it is at this moment. Or why nobody.
async fn receiver(cx: &StepContext<'_>) -> Result<Result<WebhookSpec, &'static str>, StepError> {
    let Some(id) = cx.step.target else {
        return Ok(cx.agent.webhook.clone().ok_or("the agent has no webhook"));
    };
    let Some(project) = &cx.session.project else {
        return Ok(Err("the session belongs to no project"));
    };
    let found = cx.engine.store().subscription(&cx.session.org, project, id).await;
    let found = found.map_err(|error| StepError::because("the subscription", &error))?;
    let told = found.map(|subscription| WebhookSpec::at(subscription.url));
    Ok(told.ok_or("the subscription is gone"))
}

/// Whether an earlier attempt may have told the event, though it did not come back to say so. Every
/// other failure leaves it certain: one that is tried again had not sent anything, or nothing of it had
/// arrived; and once somebody has looked at a parked one and resumed it, it does not count any more.
async fn may_be_told(cx: &StepContext<'_>) -> Result<bool, StepError> {
    if cx.step.attempt <= 1 {
        return Ok(false);
    }
    let id = cx.step.id();
    let steps = cx.engine.store().steps_of(&cx.session.org, id.session).await;
    let steps = steps.map_err(|error| StepError::because("the log could not be read", &error))?;
    let own = steps.iter().find(|(step, _)| step.id() == id);
    let last = own.and_then(|(_, attempts)| attempts.last());
    Ok(last.is_some_and(|last| last.outcome == AttemptOutcome::Interrupted))
}

/// Sends the event once. What the receiver said, and the record of it.
async fn deliver(
    cx: &StepContext<'_>,
    webhook: &WebhookSpec,
    payload: Payload,
) -> Result<(String, Product), StepError> {
    let refusals = payload.manners.as_ref().map(|m| m.refusals).unwrap_or_default();
    let once = refusals == Refusals::OnceAtMost;
    if once && may_be_told(cx).await? {
        return Err(StepError::fatal(
            "an attempt that was cut may have told it, and it is told once",
        ));
    }
    let body = body(cx, webhook.body.as_ref(), &payload.body).await?;
    let payload = Payload { body, ..payload };
    let request = request(cx, webhook, &payload)?;
    let limit = Span::from_millis(request.timeout.as_millis() + ATTEMPT_SLACK_MS);
    cx.once.store(once, Relaxed);
    let sending = cx.engine.inner.parts.webhooks.send(&request);
    let Some(reply) = within(&**cx.engine.clock(), limit, sending).await else {
        let late = StepError::again(format!("it took longer than {} ms", limit.as_millis()));
        return Err(StepError { fatal: once, ..late });
    };
    let verdict = judge(&reply, refusals);
    let delivery = record(cx, &request, &payload, &reply, verdict.is_ok());
    match verdict {
        Ok(detail) => Ok((detail, delivery)),
        Err(error) => Err(StepError { products: vec![delivery], ..error }),
    }
}

/// The event in the words of its API. `None`: it has no such event.
async fn worded(cx: &StepContext<'_>) -> Result<Option<Payload>, StepError> {
    let id = cx.step.id().event_id();
    let analyses = cx.analyses().await?;
    let wording = &cx.engine.inner.parts.wording;
    let transcript = if wording.tells_transcript(&cx.session.dialect) {
        cx.transcript().await?
    } else {
        Vec::new()
    };
    Ok(wording.payload(&Notification {
        kind: cx.step.kind,
        id: &id,
        session: &cx.session,
        agent: &cx.agent,
        ended: cx.ended.as_ref(),
        analyses: &analyses,
        extracted: &extracted(cx, &analyses),
        transcript: &transcript,
    }))
}

/// What came out of the conversation, as far as receivers are to have it.
fn extracted(cx: &StepContext<'_>, analyses: &[AnalysisResult]) -> Map<String, Value> {
    let form = analyses.iter().find(|filled| filled.form == analysis::EXTRACTION);
    let filled_in = form.map_or(&Value::Null, |form| &form.values);
    let mut found = analysis::extracted(&cx.agent.variables, &cx.session.context.bag, filled_in);
    if let Some(keys) = &cx.agent.variable_keys {
        found.retain(|name, _| keys.contains(name));
    }
    found
}

/// What is sent: the event's words, or its owner's. A delivery that is sent again says what it said
/// the first time.
async fn body(
    cx: &StepContext<'_>,
    own_words: Option<&BodyTemplate>,
    worded: &str,
) -> Result<String, StepError> {
    let known = cx.engine.store().delivery(&cx.session.org, &cx.step.id().event_id()).await;
    let known = known.map_err(|error| StepError::because("the log could not be read", &error))?;
    // After a purge its words are gone from the log, and are made anew from what has stayed.
    match (known, own_words) {
        (Some((delivery, _)), _) if !delivery.body.is_empty() => Ok(delivery.body),
        (_, Some(own)) => in_own_words(own, worded),
        (_, None) => Ok(worded.to_owned()),
    }
}

/// The event's words put into the owner's own.
pub(crate) fn in_own_words(own: &BodyTemplate, body: &str) -> Result<String, StepError> {
    let words = serde_json::from_str(body)
        .map_err(|error| StepError::because("the event's words are not JSON", &error))?;
    template::fill_in(own, &words).map_err(|error| StepError::fatal(error.to_string()))
}

fn request(
    cx: &StepContext<'_>,
    webhook: &WebhookSpec,
    payload: &Payload,
) -> Result<WebhookRequest, StepError> {
    let policy = cx.engine.inner.parts.policies.of(cx.step.kind);
    own_request(webhook, payload, (cx.step.id().event_id(), cx.engine.now()), policy)
}

/// A request as its owner wants it. The payload's body is sent as it is.
pub(crate) fn own_request(
    webhook: &WebhookSpec,
    payload: &Payload,
    (id, at): (EventId, Timestamp),
    policy: &RetryPolicy,
) -> Result<WebhookRequest, StepError> {
    let mut url = webhook.url.clone();
    if !webhook.query.is_empty() {
        url.query_pairs_mut().extend_pairs(&webhook.query);
    }
    let own = payload.manners.as_ref().and_then(|manners| manners.policy.as_ref());
    let own = own.map(|policy| policy.timeout.min(ATTEMPT_MAX));
    let format = webhook.body.as_ref().map(|own| own.format).unwrap_or_default();
    Ok(WebhookRequest {
        url,
        id,
        at,
        method: webhook.method,
        headers: headers(webhook)?,
        content_type: format.content_type(),
        body: payload.body.clone(),
        secrets: secrets(webhook)?,
        body_signature_header: payload.body_signature_header,
        timeout: own.unwrap_or(policy.timeout),
    })
}

fn headers(webhook: &WebhookSpec) -> Result<HeaderMap, StepError> {
    let own = webhook.headers.iter().map(|(name, value)| owners::header(name, value));
    own.collect::<Result<_, _>>().map_err(|error| StepError::because("not delivered", &error))
}

fn secrets(webhook: &WebhookSpec) -> Result<Vec<SecretString>, StepError> {
    let configured = webhook.secret.iter().chain(&webhook.previous_secret);
    configured
        .map(|configured| {
            secret::resolve(configured)
                .map_err(|error| StepError::because("the webhook's secret", &error))
        })
        .collect()
}

/// What a reply means: done, owed again, or never to be accepted.
fn judge(reply: &WebhookReply, refusals: Refusals) -> Result<String, StepError> {
    let answer = match &reply.result {
        Ok(answer) => answer,
        Err(error) => {
            let fatal = refusals == Refusals::OnceAtMost && !error.nothing_arrived();
            return Err(StepError { fatal, ..StepError::because("not delivered", error) });
        }
    };
    let said = format!("the receiver answered {}", answer.status);
    match answer.status {
        200..=299 => Ok(said),
        410 => Err(StepError::fatal("the receiver answered 410: it is gone")),
        status if !refusals.again(status) => Err(StepError::fatal(said)),
        status => {
            let retry_after = answer.retry_after.filter(|_| MAY_ASK_TO_WAIT.contains(&status));
            Err(StepError { retry_after, ..StepError::again(said) })
        }
    }
}

fn record(
    cx: &StepContext<'_>,
    request: &WebhookRequest,
    payload: &Payload,
    reply: &WebhookReply,
    accepted: bool,
) -> Product {
    let (status, error, response) = match &reply.result {
        Ok(answer) => (Some(answer.status), None, answer.body.clone()),
        Err(error) => {
            (None, Some(StepError::because("not delivered", error).detail), String::new())
        }
    };
    let delivery = Delivery {
        id: request.id.clone(),
        session: cx.session.id,
        event: payload.event.clone(),
        url: request.url.to_string(),
        body: payload.body.clone(),
        created_at: request.at,
        accepted_at: accepted.then(|| request.at + reply.took),
        attempts: 1,
    };
    let attempt = DeliveryAttempt {
        at: request.at,
        duration_ms: reply.took.as_millis(),
        status,
        error,
        response,
    };
    Product::Delivery(Box::new(delivery), attempt)
}

#[cfg(test)]
mod tests {
    use epilogue_core::Span;

    use super::*;
    use crate::webhook::{WebhookAnswer, WebhookError};

    fn answered(status: u16, retry_after: Option<Span>) -> WebhookReply {
        let answer = WebhookAnswer { status, retry_after, body: String::new() };
        WebhookReply { result: Ok(answer), took: Span::ZERO }
    }

    #[test]
    fn statuses_mean_what_the_documentation_says() {
        for accepted in [200, 204, 299] {
            assert!(judge(&answered(accepted, None), Refusals::default()).is_ok());
        }
        for refused in [199, 300, 302, 400, 404, 500] {
            assert!(
                !judge(&answered(refused, None), Refusals::default()).expect_err("refused").fatal
            );
        }
        assert!(judge(&answered(410, None), Refusals::default()).expect_err("gone").fatal);
    }

    #[test]
    fn only_a_receiver_that_is_busy_may_ask_us_to_wait() {
        let wait = Some(Span::from_secs(60));
        let asked = |status| {
            judge(&answered(status, wait), Refusals::default()).expect_err("refused").retry_after
        };
        assert_eq!((asked(429), asked(503), asked(500)), (wait, wait, None));
    }

    #[test]
    fn where_only_faults_are_tried_again_every_other_refusal_is_final() {
        let fatal = |status| {
            judge(&answered(status, None), Refusals::ServerFaults).expect_err("refused").fatal
        };
        assert!([300, 302, 400, 404, 410, 429, 499].into_iter().all(fatal));
        assert!(![500, 502, 503, 599].into_iter().any(fatal));
    }

    #[test]
    fn what_is_told_once_at_most_is_tried_again_only_if_nothing_arrived() {
        let cause = || -> Box<dyn std::error::Error + Send + Sync> { "cut".into() };
        let fatal = |error| {
            let reply = WebhookReply { result: Err(error), took: Span::ZERO };
            judge(&reply, Refusals::OnceAtMost).expect_err("failed").fatal
        };
        let host = || "example.com".to_owned();
        assert!(!fatal(WebhookError::NotConnected(cause())));
        assert!(!fatal(WebhookError::Unresolved { host: host(), source: cause() }));
        assert!(!fatal(WebhookError::PrivateAddress { host: host() }));
        assert!(fatal(WebhookError::Unreachable(cause())));
        assert!(fatal(WebhookError::Timeout { seconds: 7 }));
        let refused = |status| judge(&answered(status, None), Refusals::OnceAtMost);
        assert!(
            [199, 302, 404, 429, 500, 503].into_iter().all(|s| refused(s).is_err_and(|e| e.fatal))
        );
        assert!(refused(204).is_ok());
    }

    #[test]
    fn no_answer_is_tried_again() {
        let result = Err(WebhookError::Timeout { seconds: 7 });
        let error = judge(&WebhookReply { result, took: Span::ZERO }, Refusals::default())
            .expect_err("failed");
        assert!(!error.fatal && error.detail.contains("7 s"));
    }
}
