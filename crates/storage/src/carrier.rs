//! Decisions about accounts at carriers and the numbers people write to.

use async_trait::async_trait;
use epilogue_core::{
    AgentId, OrgId, Timestamp,
    texting::{CarrierAccount, PhoneNumber},
};

use crate::Result;

/// How many accounts at carriers an organization may have.
pub const CARRIERS_MAX: u32 = 100;

/// How many numbers an organization may have.
pub const NUMBERS_MAX: u32 = 1_000;

/// What became of an account that was written.
#[derive(Clone, Debug, PartialEq)]
pub enum PutCarrierOutcome {
    /// It is new.
    Added,
    /// The organization had it before: what was written replaces what stood there, and its identity
    /// and age stay.
    Replaced(Box<CarrierAccount>),
    /// The organization has [`CARRIERS_MAX`] of them.
    TooMany,
}

/// What became of a new number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddNumberOutcome {
    /// It is written.
    Added,
    /// The organization has it already.
    Taken,
    /// The organization has [`NUMBERS_MAX`] of them.
    TooMany,
    /// This organization has no such account.
    NoCarrier,
}

/// The durable decisions about carriers. Each that changes something is in the activity log.
#[async_trait]
pub trait CarrierStore: Send + Sync {
    /// Writes an account. One that the organization has under the same name at the carrier is
    /// replaced.
    async fn put_carrier(
        &self,
        org: &OrgId,
        carrier: CarrierAccount,
        by: Option<String>,
        now: Timestamp,
    ) -> Result<PutCarrierOutcome>;

    /// One account.
    async fn carrier(&self, org: &OrgId, id: &str) -> Result<Option<CarrierAccount>>;

    /// Whose account has this id, in whatever organization.
    async fn carrier_holder(&self, id: &str) -> Result<Option<(OrgId, CarrierAccount)>>;

    /// Adds a number.
    async fn add_number(
        &self,
        org: &OrgId,
        number: PhoneNumber,
        by: Option<String>,
        now: Timestamp,
    ) -> Result<AddNumberOutcome>;

    /// Has an agent answer a number, or nobody. `None`: this organization has no such number.
    async fn link_number(
        &self,
        org: &OrgId,
        id: &str,
        agent: Option<AgentId>,
        by: Option<String>,
        now: Timestamp,
    ) -> Result<Option<PhoneNumber>>;

    /// Every number, by id.
    async fn numbers(&self, org: &OrgId) -> Result<Vec<PhoneNumber>>;

    /// The number that is written like this.
    async fn number(&self, org: &OrgId, number: &str) -> Result<Option<PhoneNumber>>;
}
