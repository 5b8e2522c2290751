//! Places on the web where agents are talked to.

use epilogue_core::{
    OrgId, Span,
    integration::{Integration, IntegrationToken, Refusal},
};

use crate::{
    Engine, Result,
    records::{
        AddIntegrationOutcome, AddTokenOutcome, KeyHash, PutIntegrationOutcome, TokenHolder,
        WithTokens,
    },
};

/// How exactly the last use of a token is known: within it, a use is not written down again.
pub const USE_NOTED_EVERY: Span = Span::from_secs(60);

impl Engine {
    /// Every integration of the organization.
    pub async fn integrations(&self, org: &OrgId) -> Result<Vec<WithTokens>> {
        Ok(self.store().integrations(org).await?)
    }

    /// One integration.
    pub async fn integration(&self, org: &OrgId, id: &str) -> Result<Option<WithTokens>> {
        Ok(self.store().integration(org, id).await?)
    }

    /// Adds an integration.
    pub async fn add_integration(
        &self,
        org: &OrgId,
        integration: Integration,
        by: Option<String>,
    ) -> Result<AddIntegrationOutcome> {
        Ok(self.store().add_integration(org, integration, by, self.now()).await?)
    }

    /// Writes an integration in the place of what it was, if it still is that.
    pub async fn put_integration(
        &self,
        org: &OrgId,
        change: (Integration, Integration),
        by: Option<String>,
    ) -> Result<PutIntegrationOutcome> {
        Ok(self.store().put_integration(org, change, by, self.now()).await?)
    }

    /// Removes an integration with its tokens. `false`: there is none.
    pub async fn remove_integration(
        &self,
        org: &OrgId,
        id: &str,
        by: Option<String>,
    ) -> Result<bool> {
        Ok(self.store().remove_integration(org, id, by, self.now()).await?)
    }

    /// Adds a token to an integration.
    pub async fn add_token(
        &self,
        org: &OrgId,
        integration: &str,
        new: (IntegrationToken, KeyHash),
        by: Option<String>,
    ) -> Result<AddTokenOutcome> {
        Ok(self.store().add_token(org, integration, new, by, self.now()).await?)
    }

    /// Revokes a token. `false`: there is none.
    pub async fn remove_token(
        &self,
        org: &OrgId,
        of: (&str, &str),
        by: Option<String>,
    ) -> Result<bool> {
        Ok(self.store().remove_token(org, of, by, self.now()).await?)
    }

    /// Whom a token lets in, whatever else may keep them out: see [`Integration::admits`].
    pub async fn token_holder(&self, hash: &KeyHash) -> Result<Option<TokenHolder>> {
        Ok(self.store().token_holder(hash).await?)
    }

    /// Lets somebody in with a token, from a page of this `Origin`, and notes that it was used.
    /// `None`: there is no such token.
    pub async fn admit(
        &self,
        hash: &KeyHash,
        origin: Option<&str>,
    ) -> Result<Option<Result<TokenHolder, Refusal>>> {
        let Some(holder) = self.token_holder(hash).await? else { return Ok(None) };
        let now = self.now();
        if let Err(refusal) = holder.integration.admits(&holder.token, origin, now) {
            return Ok(Some(Err(refusal)));
        }
        let fresh = |at| now.since(at) < USE_NOTED_EVERY;
        if !holder.token.last_used_at.is_some_and(fresh) {
            self.store().token_used(&holder.org, hash, now).await?;
        }
        Ok(Some(Ok(holder)))
    }
}
