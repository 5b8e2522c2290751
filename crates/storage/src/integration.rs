//! Decisions about integrations and their tokens.

use async_trait::async_trait;
use epilogue_core::{
    OrgId, Timestamp,
    integration::{Integration, IntegrationToken},
};

use crate::{KeyHash, Result};

/// How many integrations an organization may have.
pub const INTEGRATIONS_MAX: u32 = 500;

/// How many tokens an integration may have.
pub const TOKENS_MAX: u32 = 100;

/// An integration with its tokens, the oldest first.
pub type WithTokens = (Integration, Vec<IntegrationToken>);

/// Whom a token lets in, and where.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenHolder {
    /// The organization.
    pub org: OrgId,
    /// The integration.
    pub integration: Integration,
    /// The token.
    pub token: IntegrationToken,
}

/// What became of a new integration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddIntegrationOutcome {
    /// It is written.
    Added,
    /// The organization has [`INTEGRATIONS_MAX`] of them.
    TooMany,
}

/// What became of a change to an integration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PutIntegrationOutcome {
    /// It is written.
    Written,
    /// It is no longer what the change was made from.
    Changed,
    /// This organization has none with that id.
    Gone,
}

/// What became of a new token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddTokenOutcome {
    /// It opens from now on.
    Added,
    /// The integration has a token of that name.
    NameTaken,
    /// The integration has [`TOKENS_MAX`] of them.
    TooMany,
    /// This organization has no such integration.
    NoIntegration,
}

/// The durable decisions about integrations. Each that changes something is in the activity log.
#[async_trait]
pub trait IntegrationStore: Send + Sync {
    /// Adds an integration.
    async fn add_integration(
        &self,
        org: &OrgId,
        integration: Integration,
        by: Option<String>,
        now: Timestamp,
    ) -> Result<AddIntegrationOutcome>;

    /// Writes an integration in the place of what it was, if it still is that.
    async fn put_integration(
        &self,
        org: &OrgId,
        (was, integration): (Integration, Integration),
        by: Option<String>,
        now: Timestamp,
    ) -> Result<PutIntegrationOutcome>;

    /// Removes an integration; its tokens open nothing from then on.
    async fn remove_integration(
        &self,
        org: &OrgId,
        id: &str,
        by: Option<String>,
        now: Timestamp,
    ) -> Result<bool>;

    /// One integration.
    async fn integration(&self, org: &OrgId, id: &str) -> Result<Option<WithTokens>>;

    /// Every integration, by id.
    async fn integrations(&self, org: &OrgId) -> Result<Vec<WithTokens>>;

    /// Adds a token.
    async fn add_token(
        &self,
        org: &OrgId,
        integration: &str,
        new: (IntegrationToken, KeyHash),
        by: Option<String>,
        now: Timestamp,
    ) -> Result<AddTokenOutcome>;

    /// Revokes a token: it opens nothing from then on. `false`: there is none.
    async fn remove_token(
        &self,
        org: &OrgId,
        (integration, token): (&str, &str),
        by: Option<String>,
        now: Timestamp,
    ) -> Result<bool>;

    /// Whom this token lets in, in whatever organization, expired or not.
    async fn token_holder(&self, hash: &KeyHash) -> Result<Option<TokenHolder>>;

    /// Records that a token was used.
    async fn token_used(&self, org: &OrgId, hash: &KeyHash, now: Timestamp) -> Result<()>;
}
