//! The ledger: append-only, double entry. Every transaction sums to zero, and so does the whole.

use serde::{Deserialize, Serialize};

use crate::{id::SessionId, money::MicroCredits};

/// An account of one organization's books.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Account {
    /// What the organization may spend.
    Balance,
    /// What is set aside for open sessions.
    Held,
    /// What ended sessions have cost.
    Revenue,
    /// Where credits come from.
    Granted,
}

impl Account {
    /// Every account.
    pub const ALL: [Self; 4] = [Self::Balance, Self::Held, Self::Revenue, Self::Granted];

    /// The stored and published word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Balance => "balance",
            Self::Held => "held",
            Self::Revenue => "revenue",
            Self::Granted => "granted",
        }
    }

    /// The account with this word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|account| account.as_str() == word)
    }
}

/// Why money moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TransactionKind {
    /// Credits were given.
    Grant,
    /// Credits were set aside at open.
    Hold,
    /// A session was paid for.
    Settlement,
}

impl TransactionKind {
    /// The stored and published word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Grant => "grant",
            Self::Hold => "hold",
            Self::Settlement => "settlement",
        }
    }

    /// The kind with this word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Grant, Self::Hold, Self::Settlement].into_iter().find(|kind| kind.as_str() == word)
    }
}

/// One line of a transaction.
pub type Entry = (Account, MicroCredits);

/// Money that moves together. Its id is derived from its cause, so that it cannot happen twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    /// Unique within the organization.
    pub id: String,
    /// The session it belongs to, if any.
    pub session: Option<SessionId>,
    /// Why.
    pub kind: TransactionKind,
    /// What moves. Sums to zero.
    pub entries: Vec<Entry>,
}

impl Transaction {
    fn new(
        id: String,
        session: Option<SessionId>,
        kind: TransactionKind,
        entries: Vec<Entry>,
    ) -> Self {
        debug_assert_eq!(entries.iter().map(|(_, amount)| amount.0).sum::<i64>(), 0);
        Self { id, session, kind, entries }
    }

    /// Gives credits. `key` names the occasion: the same key grants once.
    pub fn grant(key: &str, amount: MicroCredits) -> Self {
        let entries = vec![(Account::Granted, -amount), (Account::Balance, amount)];
        Self::new(format!("grant_{key}"), None, TransactionKind::Grant, entries)
    }

    /// Sets credits aside for a session. `None` if there is nothing to set aside.
    pub fn hold(session: SessionId, amount: MicroCredits) -> Option<Self> {
        (amount > MicroCredits::ZERO).then(|| {
            let entries = vec![(Account::Balance, -amount), (Account::Held, amount)];
            let id = format!("hold_{}", session.0.simple());
            Self::new(id, Some(session), TransactionKind::Hold, entries)
        })
    }

    /// Pays for a session: charges `cost` and releases what was `held`. A session that cost
    /// nothing is settled too, with zeros, so that every ended session has exactly one settlement.
    pub fn settlement(session: SessionId, cost: MicroCredits, held: MicroCredits) -> Self {
        let mut entries = vec![(Account::Balance, held - cost), (Account::Revenue, cost)];
        if held != MicroCredits::ZERO {
            entries.push((Account::Held, -held));
        }
        let id = format!("settle_{}", session.0.simple());
        Self::new(id, Some(session), TransactionKind::Settlement, entries)
    }
}

/// Whether an organization may open another session. Its `grace` is how far below zero it may go.
///
/// With no grace, the last credit must still be there; with a grace, the limit itself is allowed.
pub fn may_open(balance: MicroCredits, hold: MicroCredits, grace: MicroCredits) -> bool {
    let left = balance - hold;
    left > MicroCredits::ZERO || (grace > MicroCredits::ZERO && left >= -grace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_transaction_sums_to_zero() {
        let session = SessionId(uuid::Uuid::from_u128(1));
        let all = [
            Some(Transaction::grant("opening", MicroCredits(5))),
            Transaction::hold(session, MicroCredits(3)),
            Some(Transaction::settlement(session, MicroCredits(7), MicroCredits(3))),
            Some(Transaction::settlement(session, MicroCredits(0), MicroCredits(0))),
        ];
        for transaction in all.into_iter().flatten() {
            assert_eq!(transaction.entries.iter().map(|(_, a)| a.0).sum::<i64>(), 0);
        }
        assert_eq!(Transaction::hold(session, MicroCredits::ZERO), None);
    }

    #[test]
    fn admission_at_the_limit_and_one_past_it() {
        let grace = MicroCredits(5_000_000);
        let none = MicroCredits::ZERO;
        assert!(may_open(MicroCredits(1), none, none));
        assert!(!may_open(none, none, none));
        assert!(may_open(MicroCredits(-5_000_000), none, grace));
        assert!(!may_open(MicroCredits(-5_000_001), none, grace));
        assert!(may_open(MicroCredits(10), MicroCredits(9), none));
        assert!(!may_open(MicroCredits(10), MicroCredits(10), none));
    }
}
