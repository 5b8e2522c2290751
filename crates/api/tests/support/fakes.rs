//! What is outside: named as fakes, for that is what they are.

use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use epilogue_core::{Price, Role, SessionId, Span, agent::ModelSpec, message::ToolCall};
use epilogue_engine::{
    clock::SharedClock,
    llm::{
        LanguageModel, Listed, ModelError, ModelEvent, ModelRequest, ModelStream, Scripted,
        listed_price, meant,
    },
    media::MediaPlane,
    webhook::{WebhookAnswer, WebhookError, WebhookReply, WebhookRequest, WebhookSender},
};
use futures::{StreamExt as _, stream};

/// The scripted model, which notes what it is asked, and on demand fails before or within its answer.
pub struct FakeModel {
    clock: SharedClock,
    scripted: Scripted,
    asked: Mutex<Vec<ModelRequest>>,
    listed: Listed,
}

impl FakeModel {
    pub fn new(clock: SharedClock) -> Self {
        Self {
            scripted: Scripted::new(clock.clone()),
            clock,
            asked: Mutex::default(),
            listed: super::listed(),
        }
    }

    /// What it was asked so far.
    pub fn asked(&self) -> Vec<ModelRequest> {
        locked(&self.asked).clone()
    }
}

#[async_trait]
impl LanguageModel for FakeModel {
    fn price(&self, model: &ModelSpec) -> Price {
        listed_price(model, &self.listed)
    }

    async fn stream(&self, mut request: ModelRequest) -> Result<ModelStream, ModelError> {
        request.model = meant(request.model, &self.listed)?;
        locked(&self.asked).push(request.clone());
        let said = request.messages.iter().rfind(|message| message.body.role == Role::User);
        match said.map_or("", |message| message.body.content.as_str()) {
            "time out" => Err(ModelError::Timeout { seconds: 30 }),
            "misconfigured" => Err(ModelError::Configuration("no address".into())),
            "fail" => Err(ModelError::Unreachable("the provider's own words".into())),
            "slow goodbye" => {
                let clock = self.clock.clone();
                let call = ToolCall {
                    id: "call_0".into(),
                    name: "finishTheConversation".into(),
                    arguments: "{}".into(),
                };
                let late = async move {
                    clock.sleep(Span::from_secs(10)).await;
                    Ok(ModelEvent::ToolCall(call))
                };
                let end = async { Ok(ModelEvent::End { usage: None }) };
                Ok(stream::once(late).chain(stream::once(end)).boxed())
            }
            "both at once" => Ok(stream::iter(both(&request)).boxed()),
            "break off" => {
                let text = Ok(ModelEvent::Text("Half a ".into()));
                Ok(stream::iter([text, Err(ModelError::Incomplete)]).boxed())
            }
            _ => self.scripted.stream(request).await,
        }
    }
}

/// Two calls of a tool at once, and what is said when both have results.
fn both(request: &ModelRequest) -> Vec<Result<ModelEvent, ModelError>> {
    let end = Ok(ModelEvent::End { usage: None });
    if request.messages.last().is_some_and(|message| message.body.role == Role::Tool) {
        return vec![Ok(ModelEvent::Text("I have both.".into())), end];
    }
    let call = |n: u32| ToolCall {
        id: format!("both_{n}"),
        name: "web_search".into(),
        arguments: format!("{{\"q\":{n}}}"),
    };
    let calls = [0, 1].map(|n| Ok(ModelEvent::ToolCall(call(n))));
    calls.into_iter().chain([end]).collect()
}

/// A receiver that notes what it is sent, and answers 200 unless told otherwise.
#[derive(Default)]
pub struct FakeWebhooks {
    heard: Mutex<Vec<WebhookRequest>>,
    refusals: Mutex<u32>,
    statuses: Mutex<Vec<u16>>,
    says: Mutex<String>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl FakeWebhooks {
    /// What it was sent so far.
    pub fn heard(&self) -> Vec<WebhookRequest> {
        locked(&self.heard).clone()
    }

    /// Answers with these statuses, in order; 0 is no answer in time.
    pub fn answer(&self, statuses: &[u16]) {
        *locked(&self.statuses) = statuses.iter().rev().copied().collect();
    }

    /// Says this in the bodies of its answers.
    pub fn say(&self, body: &str) {
        body.clone_into(&mut locked(&self.says));
    }

    /// Answers 500 that many times.
    pub fn refuse(&self, times: u32) {
        *locked(&self.refusals) = times;
    }
}

#[async_trait]
impl WebhookSender for FakeWebhooks {
    async fn send(&self, request: &WebhookRequest) -> WebhookReply {
        locked(&self.heard).push(request.clone());
        let mut refusals = locked(&self.refusals);
        let status = if *refusals > 0 { 500 } else { 200 };
        *refusals = refusals.saturating_sub(1);
        let status = locked(&self.statuses).pop().unwrap_or(status);
        if status == 0 {
            let late = WebhookError::Timeout { seconds: request.timeout.as_millis() / 1000 };
            return WebhookReply { result: Err(late), took: request.timeout };
        }
        let body = locked(&self.says).clone();
        let answer = WebhookAnswer { status, retry_after: None, body };
        WebhookReply { result: Ok(answer), took: Span::ZERO }
    }
}

/// Sessions that only write hold no media.
pub struct NoMedia;

#[async_trait]
impl MediaPlane for NoMedia {
    async fn release(&self, _session: SessionId) -> usize {
        0
    }
}
