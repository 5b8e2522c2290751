//! Tells the agent's owner. At least once: every attempt carries the same event id and body.

use epilogue_core::agent::WebhookSpec;
use epilogue_storage::{Delivery, DeliveryAttempt, Product};
use secrecy::SecretString;

use super::{StepContext, StepDone, StepError};
use crate::{
    secret,
    webhook::{WebhookReply, WebhookRequest},
    wording::{Notification, Payload},
};

/// The statuses with which a receiver may ask us to wait.
const MAY_ASK_TO_WAIT: [u16; 2] = [429, 503];

pub(super) async fn run(cx: &StepContext<'_>) -> Result<StepDone, StepError> {
    let Some(webhook) = &cx.agent.webhook else {
        return Ok(StepDone::Skipped("the agent has no webhook".into()));
    };
    let Some(payload) = payload(cx).await? else {
        return Ok(StepDone::Skipped("this API has no such event".into()));
    };
    let request = request(cx, webhook, &payload)?;
    let reply = cx.engine.inner.parts.webhooks.send(&request).await;
    let verdict = judge(&reply);
    let product = record(cx, &request, payload, &reply, verdict.is_ok());
    match verdict {
        Ok(detail) => Ok(StepDone::Done { detail, products: vec![product] }),
        Err(error) => Err(StepError { products: vec![product], ..error }),
    }
}

/// The words of the event. A delivery that is sent again says what it said the first time.
async fn payload(cx: &StepContext<'_>) -> Result<Option<Payload>, StepError> {
    let id = cx.step.id().event_id();
    let (store, org) = (cx.engine.store(), &cx.session.org);
    let known = store.delivery(org, &id).await;
    let known = known.map_err(|error| StepError::because("the log could not be read", &error))?;
    let analyses = store.analyses_of(org, cx.session.id).await;
    let analyses = analyses.map_err(|error| StepError::because("the analysis", &error))?;
    let worded = cx.engine.inner.parts.wording.payload(&Notification {
        kind: cx.step.kind,
        id: &id,
        session: &cx.session,
        agent: &cx.agent,
        ended: &cx.ended,
        analyses: &analyses,
    });
    // After a purge its words are gone from the log, and are made anew from what has stayed.
    Ok(worded.map(|worded| match known {
        Some((delivery, _)) if !delivery.body.is_empty() => {
            Payload { body: delivery.body, ..worded }
        }
        _ => worded,
    }))
}

fn request(
    cx: &StepContext<'_>,
    webhook: &WebhookSpec,
    payload: &Payload,
) -> Result<WebhookRequest, StepError> {
    Ok(WebhookRequest {
        url: webhook.url.clone(),
        id: cx.step.id().event_id(),
        at: cx.engine.now(),
        body: payload.body.clone(),
        secrets: secrets(webhook)?,
        body_signature_header: payload.body_signature_header,
        timeout: cx.engine.inner.parts.policies.of(cx.step.kind).timeout,
    })
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
fn judge(reply: &WebhookReply) -> Result<String, StepError> {
    let answer = match &reply.result {
        Ok(answer) => answer,
        Err(error) => return Err(StepError::because("not delivered", error)),
    };
    let said = format!("the receiver answered {}", answer.status);
    match answer.status {
        200..=299 => Ok(said),
        410 => Err(StepError::fatal("the receiver answered 410: it is gone")),
        status => {
            let retry_after = answer.retry_after.filter(|_| MAY_ASK_TO_WAIT.contains(&status));
            Err(StepError { retry_after, ..StepError::again(said) })
        }
    }
}

fn record(
    cx: &StepContext<'_>,
    request: &WebhookRequest,
    payload: Payload,
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
        event: payload.event,
        url: request.url.to_string(),
        body: payload.body,
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
            assert!(judge(&answered(accepted, None)).is_ok());
        }
        for refused in [199, 300, 302, 400, 404, 500] {
            assert!(!judge(&answered(refused, None)).expect_err("refused").fatal);
        }
        assert!(judge(&answered(410, None)).expect_err("gone").fatal);
    }

    #[test]
    fn only_a_receiver_that_is_busy_may_ask_us_to_wait() {
        let wait = Some(Span::from_secs(60));
        let asked = |status| judge(&answered(status, wait)).expect_err("refused").retry_after;
        assert_eq!((asked(429), asked(503), asked(500)), (wait, wait, None));
    }

    #[test]
    fn no_answer_is_tried_again() {
        let result = Err(WebhookError::Timeout { seconds: 7 });
        let error = judge(&WebhookReply { result, took: Span::ZERO }).expect_err("failed");
        assert!(!error.fatal && error.detail.contains("7 s"));
    }
}
