//! Subscriptions: receivers that hear of a project's sessions beside the agent's own webhook.

use url::Url;

use crate::{id::SubscriptionId, step::StepKind, time::Timestamp};

/// How many subscriptions a project may have. Each may cost every end a step.
pub const SUBSCRIPTIONS_MAX: u32 = 100;

/// Somebody's wish to hear of what happens in a project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// Its identity.
    pub id: SubscriptionId,
    /// Where to. A project has one subscription for a URL at the most.
    pub url: Url,
    /// Of which events, by the names in [`StepKind::event`]. Others are kept and never come.
    pub events: Vec<String>,
    /// When it was made.
    pub created_at: Timestamp,
}

impl Subscription {
    /// Whether it asks for what a step of this kind tells.
    pub fn asks_for(&self, kind: StepKind) -> bool {
        asks_for(&self.events, kind)
    }
}

/// Whether two lists ask for the same events.
pub fn are_alike(some: &[String], others: &[String]) -> bool {
    let all_in = |these: &[String], those: &[String]| these.iter().all(|one| those.contains(one));
    all_in(some, others) && all_in(others, some)
}

/// Whether a list of events has the one that a step of this kind tells.
pub fn asks_for(events: &[String], kind: StepKind) -> bool {
    kind.event().is_some_and(|event| events.iter().any(|wanted| wanted == event))
}
