//! The checker of the books.

use std::collections::HashMap;

use rusqlite::Connection;

use super::{
    check::{Findings, Stored, rows},
    world::{CREDITS_MICRO, ORG},
};

/// Amounts are charged to the ten-thousandth of a credit, in millionths.
const CHARGED_STEP: i64 = 100;

/// One line of a transaction.
struct Line {
    transaction: String,
    account: String,
    amount: i64,
    kind: String,
    session: Option<String>,
}

/// Every transaction sums to zero, every ended session has exactly one settlement that is its price
/// times its usage, and the running balances are the sums.
pub fn books(db: &Connection, sessions: &[Stored], found: &mut Findings) {
    let sql = "SELECT transaction_id, account, amount, kind, lower(hex(session_id)), org_id
               FROM ledger";
    let lines = rows(db, sql, |row| {
        assert_eq!(row.get::<_, String>(5)?, ORG);
        let session: String = row.get(4)?;
        Ok(Line {
            transaction: row.get(0)?,
            account: row.get(1)?,
            amount: row.get(2)?,
            kind: row.get(3)?,
            session: Some(session).filter(|session| !session.is_empty()),
        })
    });
    let mut sums: HashMap<&str, i64> = HashMap::new();
    let mut accounts: HashMap<&str, i64> = HashMap::new();
    for line in &lines {
        *sums.entry(&line.transaction).or_default() += line.amount;
        *accounts.entry(&line.account).or_default() += line.amount;
    }
    for (transaction, sum) in sums {
        found.check(sum == 0, || format!("{transaction} sums to {sum}"));
    }
    running(db, &accounts, found);
    let granted = accounts.get("granted").copied().unwrap_or_default();
    found.check(granted == -CREDITS_MICRO, || format!("granted {granted}, not once"));
    let held = accounts.get("held").copied().unwrap_or_default();
    found.check(held == 0, || format!("{held} are held for sessions that are over"));
    let mut by_session: HashMap<&str, Vec<&Line>> = HashMap::new();
    for line in &lines {
        if let Some(session) = &line.session {
            by_session.entry(session).or_default().push(line);
        }
    }
    for session in sessions {
        let lines = by_session.remove(&*session.id).unwrap_or_default();
        settled(session, &lines, found);
    }
    found.check(by_session.is_empty(), || format!("paid for nothing: {:?}", by_session.keys()));
}

fn running(db: &Connection, accounts: &HashMap<&str, i64>, found: &mut Findings) {
    let balances: HashMap<String, i64> =
        rows(db, "SELECT account, amount FROM balances", |row| Ok((row.get(0)?, row.get(1)?)))
            .into_iter()
            .collect();
    found.check(balances.len() == accounts.len(), || {
        format!("balances of {balances:?}, a ledger of {accounts:?}")
    });
    for (account, sum) in accounts {
        let balance = balances.get(*account);
        found.check(balance == Some(sum), || format!("{account} is {balance:?}, not {sum}"));
    }
    let whole: i64 = accounts.values().sum();
    found.check(whole == 0, || format!("the ledger sums to {whole}"));
}

fn settled(session: &Stored, lines: &[&Line], found: &mut Findings) {
    let of = |kind: &str, account: &str| {
        let mut amounts = lines
            .iter()
            .filter(|line| line.kind == kind && line.account == account)
            .map(|line| line.amount);
        (amounts.next(), amounts.next())
    };
    let cost = cost(session);
    found.check(session.cost == Some(cost), || format!("{session:?} should cost {cost}"));
    let charged = of("settlement", "revenue");
    found.check(charged == (Some(cost), None), || {
        format!("{session:?} was settled {charged:?} times, for {cost}")
    });
    let paid = of("settlement", "balance");
    found.check(paid == (Some(session.held - cost), None), || {
        format!("{session:?} was paid for with {paid:?}, held {}", session.held)
    });
    let set_aside = of("hold", "held");
    let expected = (Some(session.held).filter(|held| *held != 0), None);
    found.check(set_aside == expected, || format!("{session:?} has set aside {set_aside:?}"));
}

/// What a session should cost: its price times what it has used, rounded half up. The time after a deadline,
/// in which nobody was there to act upon it, is nobody's.
fn cost(session: &Stored) -> i64 {
    let until = |ended: i64| session.deadline_at.map_or(ended, |deadline| ended.min(deadline));
    let seconds = session.ended_at.map_or(0, |ended| (until(ended) - session.opened_at) / 1_000);
    let price = session.facts().price;
    let exact = price(session.input_tokens, session.output_tokens, session.total_messages, seconds);
    (exact + CHARGED_STEP / 2) / CHARGED_STEP * CHARGED_STEP
}
