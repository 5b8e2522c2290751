//! Agents that are written at run time.

use epilogue_core::{AgentId, OrgId, agent::WebhookSpec};

use crate::{
    Engine, Result,
    records::{AgentRecord, AgentWrite, DeleteAgentOutcome, WriteAgentOutcome},
    step::notify,
    webhook::WebhookReply,
    wording::Payload,
};

impl Engine {
    /// An agent with everything that is known of it, a deleted one too.
    pub async fn agent_record(&self, org: &OrgId, id: &AgentId) -> Result<Option<AgentRecord>> {
        Ok(self.store().agent_record(org, id).await?)
    }

    /// Agents that are not deleted, by id: after `skip` of them, `limit`.
    pub async fn agent_records(
        &self,
        org: &OrgId,
        skip: u32,
        limit: u32,
    ) -> Result<Vec<AgentRecord>> {
        Ok(self.store().agent_records(org, skip, limit).await?)
    }

    /// Writes an agent. It costs what the operator lists for its model as it is written.
    pub async fn write_agent(
        &self,
        org: &OrgId,
        mut write: AgentWrite,
    ) -> Result<WriteAgentOutcome> {
        write.agent.price = self.inner.parts.models.price(&write.agent.model);
        Ok(self.store().write_agent(org, write, self.now()).await?)
    }

    /// Deletes an agent.
    pub async fn delete_agent(
        &self,
        org: &OrgId,
        id: &AgentId,
        by: Option<String>,
    ) -> Result<DeleteAgentOutcome> {
        Ok(self.store().delete_agent(org, id, by, self.now()).await?)
    }

    /// Sends a webhook once, to see what its receiver says: through the same guard as any other, and
    /// nothing of it is kept. `Err`: it cannot be sent as it is written, for this reason.
    pub async fn try_webhook(
        &self,
        webhook: &WebhookSpec,
        payload: &Payload,
    ) -> Result<WebhookReply, String> {
        let id = format!("evt_test_{:032x}", u128::from_be_bytes(self.ids().bytes()));
        let policy = &self.inner.parts.policies.notify;
        let body = match &webhook.body {
            Some(own) => notify::in_own_words(own, &payload.body).map_err(|error| error.detail)?,
            None => payload.body.clone(),
        };
        let payload = Payload { body, ..payload.clone() };
        let request = notify::own_request(webhook, &payload, (id.into(), self.now()), policy)
            .map_err(|error| error.detail)?;
        Ok(self.inner.parts.webhooks.send(&request).await)
    }
}
