//! A fake receiver of webhooks: it answers as it is told and remembers what it heard.

use std::sync::Mutex;

use async_trait::async_trait;
use epilogue_core::Span;
use epilogue_engine::webhook::{WebhookAnswer, WebhookReply, WebhookRequest, WebhookSender};

pub struct FakeReceiver {
    status: Mutex<u16>,
    heard: Mutex<Vec<WebhookRequest>>,
}

impl Default for FakeReceiver {
    fn default() -> Self {
        Self { status: Mutex::new(200), heard: Mutex::default() }
    }
}

impl FakeReceiver {
    /// Answers with this status from now on.
    pub fn answers(&self, status: u16) {
        *self.status.lock().expect("not poisoned") = status;
    }

    /// Everything it heard, in order.
    pub fn heard(&self) -> Vec<WebhookRequest> {
        self.heard.lock().expect("not poisoned").clone()
    }
}

#[async_trait]
impl WebhookSender for FakeReceiver {
    async fn send(&self, request: &WebhookRequest) -> WebhookReply {
        self.heard.lock().expect("not poisoned").push(request.clone());
        let status = *self.status.lock().expect("not poisoned");
        let answer = WebhookAnswer { status, retry_after: None, body: "noted".into() };
        WebhookReply { result: Ok(answer), took: Span::from_millis(5) }
    }
}
