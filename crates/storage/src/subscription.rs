//! Decisions about subscriptions: who hears of a project's sessions beside the agent's own webhook.

use async_trait::async_trait;
use epilogue_core::{OrgId, ProjectId, Subscription, SubscriptionId, Timestamp};
use url::Url;

use crate::Result;

/// How many steps are settled at once when a subscription goes.
pub const GONE_STEPS_MAX: u32 = 200;

/// What became of a wish to subscribe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubscribeOutcome {
    /// It is subscribed from now on.
    Subscribed,
    /// The URL was subscribed to these events before. Nothing changed.
    Known(Subscription),
    /// The URL is subscribed to other events. Nothing changed.
    OtherEvents(Subscription),
    /// The project has [`epilogue_core::subscription::SUBSCRIPTIONS_MAX`]. Nothing changed.
    TooMany,
}

/// The durable decisions about subscriptions. Who subscribes when a session is opened or ends is told
/// of it; who no longer does when it comes to telling is not.
#[async_trait]
pub trait SubscriptionStore: Send + Sync {
    /// Subscribes, with its entry in the activity log.
    async fn subscribe(
        &self,
        org: &OrgId,
        project: &ProjectId,
        wanted: Subscription,
        by: Option<String>,
    ) -> Result<SubscribeOutcome>;

    /// Ends a subscription, with its entry in the activity log, and settles what is still to be told to
    /// it as skipped, with all that follows: [`GONE_STEPS_MAX`] steps of it, and the rest by
    /// [`Self::skip_gone`]. `false`: the project has none such.
    async fn unsubscribe(
        &self,
        org: &OrgId,
        project: &ProjectId,
        id: SubscriptionId,
        by: Option<String>,
        now: Timestamp,
    ) -> Result<bool>;

    /// Settles what is still to be told to a subscription that is gone. Says how many steps there were,
    /// at most [`GONE_STEPS_MAX`]; none of one that is there.
    async fn skip_gone(
        &self,
        org: &OrgId,
        project: &ProjectId,
        id: SubscriptionId,
        now: Timestamp,
    ) -> Result<u32>;

    /// The project's subscriptions, the oldest first.
    async fn subscriptions(&self, org: &OrgId, project: &ProjectId) -> Result<Vec<Subscription>>;

    /// One of them.
    async fn subscription(
        &self,
        org: &OrgId,
        project: &ProjectId,
        id: SubscriptionId,
    ) -> Result<Option<Subscription>>;

    /// The one for a URL.
    async fn subscription_at(
        &self,
        org: &OrgId,
        project: &ProjectId,
        url: &Url,
    ) -> Result<Option<Subscription>>;
}
