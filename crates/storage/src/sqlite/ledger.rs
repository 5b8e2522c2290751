//! The ledger in SQLite. Rows are only ever added; a trigger refuses anything else.

use async_trait::async_trait;
use epilogue_core::{
    MicroCredits, OrgId, SessionId, Timestamp,
    ledger::{Account, Transaction, TransactionKind},
};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{SqliteStorage, row};
use crate::{Cursor, LedgerRow, LedgerStore, Mismatch, Page, PageRequest, Result};

/// Posts a transaction and moves the running balances. `false`: its id was posted before, and
/// nothing happened.
pub(super) fn post(
    db: &Connection,
    org: &OrgId,
    transaction: &Transaction,
    now: Timestamp,
) -> Result<bool> {
    for (account, amount) in &transaction.entries {
        let added = db
            .prepare_cached(
                "INSERT INTO ledger
                    (org_id, transaction_id, account, amount, kind, session_id, created_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO NOTHING",
            )?
            .execute(params![
                org.as_str(),
                transaction.id,
                account.as_str(),
                amount.0,
                transaction.kind.as_str(),
                transaction.session.as_ref().map(|id| id.0.as_bytes().as_slice()),
                now.as_millis(),
            ])?;
        if added == 0 {
            return Ok(false);
        }
        db.prepare_cached(
            "INSERT INTO balances (org_id, account, amount) VALUES (?1, ?2, ?3)
             ON CONFLICT DO UPDATE SET amount = amount + excluded.amount",
        )?
        .execute(params![org.as_str(), account.as_str(), amount.0])?;
    }
    Ok(true)
}

/// What an account holds.
pub(super) fn balance(db: &Connection, org: &OrgId, account: Account) -> Result<MicroCredits> {
    let amount = db
        .prepare_cached("SELECT amount FROM balances WHERE org_id = ?1 AND account = ?2")?
        .query_row(params![org.as_str(), account.as_str()], |row| row.get(0))
        .optional()?;
    Ok(MicroCredits(amount.unwrap_or(0)))
}

/// The transactions of a page: whole ones, so that each page sums to zero.
fn page_of_transactions(
    db: &Connection,
    org: &OrgId,
    session: Option<SessionId>,
    page: &PageRequest,
) -> Result<Vec<(i64, String)>> {
    let after = page.after.as_ref();
    let mut statement = db.prepare_cached(
        "SELECT DISTINCT created_at, transaction_id FROM ledger
         WHERE org_id = ?1 AND (?2 IS NULL OR session_id = ?2)
           AND (created_at, transaction_id) < (?3, ?4)
         ORDER BY created_at DESC, transaction_id DESC LIMIT ?5",
    )?;
    let rows = statement.query_map(
        params![
            org.as_str(),
            session.as_ref().map(|id| id.0.as_bytes().as_slice()),
            after.map_or(i64::MAX, |cursor| cursor.at),
            after.map_or("", |cursor| cursor.key.as_str()),
            page.limit() + 1,
        ],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn rows_of(db: &Connection, org: &OrgId, transaction: &str) -> Result<Vec<LedgerRow>> {
    let mut statement = db.prepare_cached(
        "SELECT transaction_id, session_id, account, amount, kind, created_at FROM ledger
         WHERE org_id = ?1 AND transaction_id = ?2 ORDER BY account",
    )?;
    let rows = statement.query_map(params![org.as_str(), transaction], ledger_row)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn ledger_row(row: &Row<'_>) -> rusqlite::Result<LedgerRow> {
    Ok(LedgerRow {
        transaction_id: row.get(0)?,
        session: row::session_id_opt(row, 1)?,
        account: row::word(row, 2, Account::parse)?,
        amount: MicroCredits(row.get(3)?),
        kind: row::word(row, 4, TransactionKind::parse)?,
        created_at: row::time(row, 5)?,
    })
}

#[async_trait]
impl LedgerStore for SqliteStorage {
    async fn grant(
        &self,
        org: &OrgId,
        key: &str,
        amount: MicroCredits,
        now: Timestamp,
    ) -> Result<bool> {
        let (org, grant) = (org.clone(), Transaction::grant(key, amount));
        self.writer.decide(move |db| post(db.connection, &org, &grant, now)).await
    }

    async fn balance(&self, org: &OrgId, account: Account) -> Result<MicroCredits> {
        self.readers.look(|db| balance(db, org, account)).await
    }

    async fn list_ledger(
        &self,
        org: &OrgId,
        session: Option<SessionId>,
        page: &PageRequest,
    ) -> Result<Page<LedgerRow>> {
        let (org, page) = (org.clone(), page.clone());
        let read = move |db: &Connection| {
            let found = page_of_transactions(db, &org, session, &page)?;
            let found = Page::from_rows(found, page.limit(), |(at, id)| Cursor {
                at: *at,
                key: id.clone(),
            });
            let rows = found.items.iter().map(|(_, id)| rows_of(db, &org, id));
            let rows = rows.collect::<Result<Vec<_>>>()?;
            Ok(Page { items: rows.into_iter().flatten().collect(), next: found.next })
        };
        self.readers.read(read).await
    }

    async fn audit_ledger(&self, org: &OrgId) -> Result<Vec<Mismatch>> {
        let org = org.clone();
        let read = move |db: &Connection| {
            let mut mismatches = Vec::new();
            for account in Account::ALL {
                let ledger = db
                    .prepare_cached(
                        "SELECT coalesce(sum(amount), 0) FROM ledger
                         WHERE org_id = ?1 AND account = ?2",
                    )?
                    .query_row(params![org.as_str(), account.as_str()], |row| row.get(0))
                    .map(MicroCredits)?;
                let running = balance(db, &org, account)?;
                if ledger != running {
                    mismatches.push(Mismatch { account, ledger, running });
                }
            }
            Ok(mismatches)
        };
        self.readers.read(read).await
    }
}
