//! The ledger as it is stored.

use async_trait::async_trait;
use epilogue_core::{
    MicroCredits, OrgId, SessionId, Timestamp,
    ledger::{Account, TransactionKind},
};

use crate::{Page, PageRequest, Result};

/// One line of the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerRow {
    /// Its transaction. A transaction's rows sum to zero.
    pub transaction_id: String,
    /// The session it belongs to, if any.
    pub session: Option<SessionId>,
    /// The account that changed.
    pub account: Account,
    /// By how much.
    pub amount: MicroCredits,
    /// Why.
    pub kind: TransactionKind,
    /// When.
    pub created_at: Timestamp,
}

/// An account whose running balance is not the sum of its rows: a defect, or a hand in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// The account.
    pub account: Account,
    /// The sum of its rows.
    pub ledger: MicroCredits,
    /// Its running balance.
    pub running: MicroCredits,
}

/// The ledger. Holds and settlements are written by the decisions that cause them.
#[async_trait]
pub trait LedgerStore: Send + Sync {
    /// Gives credits for the occasion `key`. `false`: that occasion was granted before.
    async fn grant(
        &self,
        org: &OrgId,
        key: &str,
        amount: MicroCredits,
        now: Timestamp,
    ) -> Result<bool>;

    /// What an account holds. Costs the same however long the ledger is.
    async fn balance(&self, org: &OrgId, account: Account) -> Result<MicroCredits>;

    /// The organization's ledger, latest first. A page holds whole transactions.
    async fn list_ledger(
        &self,
        org: &OrgId,
        session: Option<SessionId>,
        page: &PageRequest,
    ) -> Result<Page<LedgerRow>>;

    /// Adds up the whole ledger and compares it with the running balances. For `doctor`: reads
    /// everything.
    async fn audit_ledger(&self, org: &OrgId) -> Result<Vec<Mismatch>>;
}
