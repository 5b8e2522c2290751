//! What projects say for themselves: who hears of their sessions beside the agent's own webhook, and
//! what they change about that agent.

use epilogue_core::{OrgId, ProjectId, Subscription, SubscriptionId};
use url::Url;

use crate::{
    Engine, Result,
    records::{ProjectAgent, SubscribeOutcome, WriteProjectAgent, WriteProjectAgentOutcome},
    webhook::WebhookError,
};

impl Engine {
    /// Subscribes a receiver to events of a project. The subscription is the one that is there now,
    /// unless there may be no more.
    pub async fn subscribe(
        &self,
        (org, project): (&OrgId, &ProjectId),
        (url, events): (Url, Vec<String>),
        by: Option<String>,
    ) -> Result<(Subscription, SubscribeOutcome)> {
        let id = SubscriptionId(self.new_session_id().0);
        let wanted = Subscription { id, url, events, created_at: self.now() };
        let outcome = self.store().subscribe(org, project, wanted.clone(), by).await?;
        Ok((wanted, outcome))
    }

    /// Whether a webhook at this address would be called at all, as far as the URL alone says it.
    pub fn check_webhook(&self, url: &Url) -> Result<(), WebhookError> {
        self.inner.parts.webhooks.check(url)
    }

    /// Ends a subscription, and what is still to be told to it. `false`: the project has none such.
    pub async fn unsubscribe(
        &self,
        org: &OrgId,
        project: &ProjectId,
        id: SubscriptionId,
        by: Option<String>,
    ) -> Result<bool> {
        let known = self.store().unsubscribe(org, project, id, by, self.now()).await?;
        // What is left of its steps, a part at a time; whatever is not reached here is skipped when it
        // comes due.
        while known && self.store().skip_gone(org, project, id, self.now()).await? > 0 {}
        // What waited for them is due now.
        self.inner.new_steps.notify_one();
        Ok(known)
    }

    /// The project's subscriptions, the oldest first.
    pub async fn subscriptions(
        &self,
        org: &OrgId,
        project: &ProjectId,
    ) -> Result<Vec<Subscription>> {
        Ok(self.store().subscriptions(org, project).await?)
    }

    /// The project's subscription for a URL.
    pub async fn subscription_at(
        &self,
        org: &OrgId,
        project: &ProjectId,
        url: &Url,
    ) -> Result<Option<Subscription>> {
        Ok(self.store().subscription_at(org, project, url).await?)
    }
}

impl Engine {
    /// What a project changes about its agent. `None`: nothing.
    pub async fn project_agent(
        &self,
        org: &OrgId,
        project: &ProjectId,
    ) -> Result<Option<ProjectAgent>> {
        Ok(self.store().project_agent(org, project).await?)
    }

    /// Writes what a project changes about its agent. Sessions that run keep theirs.
    pub async fn write_project_agent(
        &self,
        org: &OrgId,
        write: WriteProjectAgent,
    ) -> Result<WriteProjectAgentOutcome> {
        Ok(self.store().write_project_agent(org, write, self.now()).await?)
    }
}
