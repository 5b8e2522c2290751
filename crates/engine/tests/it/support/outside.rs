//! Fakes of what lies outside: receivers of webhooks, memory, media, and a dialect's words.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
};

use async_trait::async_trait;
use epilogue_core::{
    EventId, MemoryScope, OrgId, SessionId, Span, StepId, StepKind, Timestamp,
    profile::Keeps,
    retry::{Manners, Refusals},
};
use epilogue_engine::{
    media::{MediaPlane, StageFault},
    memory::{
        Conversation, EmbeddedMemory, ForgetRequest, Ingested, Memory, MemoryError, RecallRequest,
        RecalledFact, Recollection,
    },
    webhook::{WebhookAnswer, WebhookError, WebhookReply, WebhookRequest, WebhookSender},
    wording::{Notification, Payload, Wording},
};
use epilogue_storage::{ErasureReport, Page, PageRequest};
use tokio::sync::Notify;

use super::schedule::Pace;

/// What the fake receiver does with an attempt.
#[derive(Clone, Copy, Debug)]
pub enum Plan {
    /// Answers with this status, and asks for a wait.
    Answer(u16, Option<Span>),
    /// Breaks the connection off.
    Unreachable,
    /// Is not there: nothing of the attempt arrives.
    Absent,
    /// Never answers.
    Hang,
}

/// An attempt as the fake receiver saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    pub url: String,
    pub id: EventId,
    pub at: Timestamp,
    pub body: String,
}

impl Sent {
    /// The step that this attempt was made for.
    pub fn step(&self) -> StepId {
        StepId::of_event(&self.id).expect("an event's id names its step")
    }
}

/// A fake receiver of every webhook. Accepts unless it is told otherwise.
pub struct FakeWebhooks {
    plans: Mutex<VecDeque<Plan>>,
    then: Mutex<Option<Plan>>,
    slow: Mutex<Option<String>>,
    sent: Mutex<Vec<Sent>>,
    arrived: Notify,
    pace: Pace,
}

impl FakeWebhooks {
    /// A receiver that lets others go first before it is reached, and before its answer is heard.
    pub fn new(pace: Pace) -> Self {
        Self {
            plans: Mutex::default(),
            then: Mutex::default(),
            slow: Mutex::default(),
            sent: Mutex::default(),
            arrived: Notify::new(),
            pace,
        }
    }

    /// The next attempts come to this, the later ones are accepted.
    pub fn plan(&self, plans: impl IntoIterator<Item = Plan>) {
        self.plans.lock().expect("not poisoned").extend(plans);
    }

    /// Every attempt that is not planned comes to this.
    pub fn always(&self, plan: Plan) {
        *self.then.lock().expect("not poisoned") = Some(plan);
    }

    /// The receiver with this host never answers.
    pub fn hang_at(&self, host: &str) {
        *self.slow.lock().expect("not poisoned") = Some(host.to_owned());
    }

    /// Every attempt so far.
    pub fn sent(&self) -> Vec<Sent> {
        self.sent.lock().expect("not poisoned").clone()
    }

    /// The kinds of events sent, in order.
    pub fn kinds(&self) -> Vec<&'static str> {
        self.sent().iter().map(|sent| sent.step().kind.as_str()).collect()
    }

    /// Ready when this many attempts have arrived.
    pub async fn arrived(&self, count: usize) {
        super::soon(async {
            loop {
                let arrived = self.arrived.notified();
                if self.sent().len() >= count {
                    return;
                }
                arrived.await;
            }
        })
        .await;
    }

    fn next_plan(&self, request: &WebhookRequest) -> Plan {
        let slow = self.slow.lock().expect("not poisoned").clone();
        if slow.is_some() && slow.as_deref() == request.url.host_str() {
            return Plan::Hang;
        }
        let planned = self.plans.lock().expect("not poisoned").pop_front();
        let then = *self.then.lock().expect("not poisoned");
        planned.or(then).unwrap_or(Plan::Answer(200, None))
    }
}

#[async_trait]
impl WebhookSender for FakeWebhooks {
    async fn send(&self, request: &WebhookRequest) -> WebhookReply {
        self.pace.aside("receiver reached").await;
        self.sent.lock().expect("not poisoned").push(Sent {
            url: request.url.to_string(),
            id: request.id.clone(),
            at: request.at,
            body: request.body.clone(),
        });
        self.arrived.notify_waiters();
        let result = match self.next_plan(request) {
            Plan::Answer(status, retry_after) => {
                Ok(WebhookAnswer { status, retry_after, body: "heard".into() })
            }
            Plan::Absent => Err(WebhookError::NotConnected("nobody there".into())),
            Plan::Unreachable => Err(WebhookError::Unreachable("it broke off".into())),
            Plan::Hang => std::future::pending().await,
        };
        self.pace.aside("receiver answered").await;
        WebhookReply { result, took: Span::ZERO }
    }
}

/// How the fake memory behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Mood {
    /// As the real one behind it.
    Well,
    /// Every request fails.
    Failing,
    /// No request is ever answered.
    Stalled,
    /// What is recalled is on its way until the mood changes.
    Slow,
}

/// The real embedded memory behind a fake door that can be shut.
pub struct FakeMemory {
    real: EmbeddedMemory,
    mood: Arc<AtomicU8>,
}

impl FakeMemory {
    pub fn new(real: EmbeddedMemory, mood: Arc<AtomicU8>) -> Self {
        Self { real, mood }
    }

    async fn pass(&self) -> Result<(), MemoryError> {
        match self.mood.load(Ordering::SeqCst) {
            mood if mood == Mood::Failing as u8 => Err(epilogue_storage::Error::Overloaded.into()),
            mood if mood == Mood::Stalled as u8 => std::future::pending().await,
            _ => Ok(()),
        }
    }
}

#[async_trait]
impl Memory for FakeMemory {
    async fn ingest(&self, conversation: Conversation) -> Result<Ingested, MemoryError> {
        self.pass().await?;
        self.real.ingest(conversation).await
    }

    async fn recall(&self, asked: &RecallRequest) -> Result<Option<Recollection>, MemoryError> {
        self.pass().await?;
        let recalled = self.real.recall(asked).await;
        while self.mood.load(Ordering::SeqCst) == Mood::Slow as u8 {
            tokio::task::yield_now().await;
        }
        recalled
    }

    async fn list(
        &self,
        org: &OrgId,
        scope: &MemoryScope,
        page: &PageRequest,
    ) -> Result<Page<RecalledFact>, MemoryError> {
        self.real.list(org, scope, page).await
    }

    async fn forget(&self, request: &ForgetRequest) -> Result<ErasureReport, MemoryError> {
        self.pass().await?;
        self.real.forget(request).await
    }
}

/// A fake media plane that counts what it was asked to release. Everybody is watched, or nobody.
#[derive(Default)]
pub struct FakeMedia {
    released: Mutex<Vec<SessionId>>,
    pub watched: AtomicBool,
    pub closed: AtomicBool,
}

impl FakeMedia {
    pub fn released(&self) -> Vec<SessionId> {
        self.released.lock().expect("not poisoned").clone()
    }
}

#[async_trait]
impl MediaPlane for FakeMedia {
    async fn begin(&self, _session: SessionId, _avatar: &str) -> Result<(), StageFault> {
        Ok(())
    }

    async fn is_watched(&self, _session: SessionId) -> bool {
        self.watched.load(Ordering::Relaxed)
    }

    async fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
    }

    async fn release(&self, session: SessionId) -> usize {
        self.released.lock().expect("not poisoned").push(session);
        1
    }
}

/// Plain words for every event.
pub struct FakeWording;

impl Wording for FakeWording {
    fn payload(&self, told: &Notification<'_>) -> Option<Payload> {
        let forms: Vec<_> = told.analyses.iter().map(|a| (&a.form, &a.values)).collect();
        let body = serde_json::json!({
            "id": told.id,
            "session": told.session.id,
            "reason": told.ended.map(|ended| ended.reason),
            "cost": told.ended.map(|ended| ended.cost),
            "metadata": told.session.context.metadata,
            "forms": forms,
            "extracted": told.extracted,
        });
        let event = format!("fake.{}", told.kind.as_str());
        // Where an API keeps counters alone it tells what is final at most once, in these tests.
        let once =
            told.kind == StepKind::NotifyFinalized && told.session.profile.keeps == Keeps::Counters;
        let refusals = Refusals::OnceAtMost;
        let manners = once.then_some(Manners { policy: None, refusals, logged: false });
        Some(Payload { event, body: body.to_string(), body_signature_header: None, manners })
    }
}
