//! The ledger: granted once, held, settled, and always in balance.

use std::collections::HashSet;

use epilogue_core::{
    EndReason, EndRequest, MicroCredits, Session,
    ledger::{Account, TransactionKind},
};

use super::{
    Backend,
    audit::audit,
    fixture::{START, World, at, every},
    prelude::*,
};
use crate::{LedgerRow, OpenOutcome, PageRequest, Result, Storage};

pub async fn credits_are_granted_once_per_occasion(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let grant =
        async |key, micro| world.store.grant(&world.org, key, MicroCredits(micro), at(1)).await;
    assert!(grant("spring", 100).await?);
    assert!(!grant("spring", 100).await?);
    assert!(!grant("spring", 7).await?, "whatever the amount");
    assert!(grant("summer", 11).await?);
    assert_eq!(world.store.balance(&world.org, Account::Balance).await?, MicroCredits(111));
    assert_eq!(world.store.balance(&world.org, Account::Granted).await?, MicroCredits(-111));
    let neighbour = world.neighbour("org_2").await?;
    let theirs = neighbour.store.grant(&neighbour.org, "spring", MicroCredits(5), at(1)).await?;
    assert!(theirs, "another organization has its own occasions");
    audit(&*world.store, &neighbour.org).await?;
    audit(&*world.store, &world.org).await
}

pub async fn every_account_begins_at_zero(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    for account in Account::ALL {
        assert_eq!(world.store.balance(&world.org, account).await?, MicroCredits::ZERO);
    }
    assert_eq!(world.store.audit_ledger(&world.org).await?, []);
    Ok(())
}

/// A grant, then three sessions with a hold: one open, one ended, one that failed.
async fn booked<S: Storage>(world: &World<S>) -> Result<[Session; 3]> {
    world.store.grant(&world.org, "opening", MicroCredits(1_000_000), START).await?;
    let held = |n: u32| Session {
        held: MicroCredits(i64::from(n) * 1_000),
        ..world.session_at(n, at(u64::from(n)))
    };
    let sessions = [held(1), held(2), held(3)];
    for session in &sessions {
        assert_eq!(world.open(session).await?, OpenOutcome::Opened);
        world.turn(session.id, at(10)).await?;
    }
    for (session, reason) in sessions[1..].iter().zip([EndReason::UserEnd, EndReason::Failed]) {
        world.end(session.id, EndRequest::asked(reason), at(20)).await?;
    }
    Ok(sessions)
}

pub async fn the_balances_are_the_sums_of_the_rows(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let sessions = booked(&world).await?;
    let cost = world.stored(sessions[1].id).await?.ended().expect("it ended").cost;
    assert!(cost > MicroCredits::ZERO);
    let balance = async |account| world.store.balance(&world.org, account).await;
    assert_eq!(balance(Account::Granted).await?, MicroCredits(-1_000_000));
    assert_eq!(balance(Account::Held).await?, MicroCredits(1_000), "of the open session");
    assert_eq!(balance(Account::Revenue).await?, cost);
    assert_eq!(balance(Account::Balance).await?, MicroCredits(999_000) - cost);
    audit(&*world.store, &world.org).await
}

pub async fn a_page_of_the_ledger_holds_whole_transactions(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    booked(&world).await?;
    let list = async |page| world.store.list_ledger(&world.org, None, &page).await;
    let all = every(PageRequest::LIMIT_MAX, list).await?;
    // A grant and three holds of two rows each, and two settlements that release a hold.
    assert_eq!(all.len(), 2 + 3 * 2 + 2 * 3);
    assert!(all.is_sorted_by(|a, b| a.created_at >= b.created_at), "the latest first");
    for limit in 1..=all.len() + 1 {
        let mut request = PageRequest::first(u32::try_from(limit).expect("a few"));
        let (mut rows, mut seen) = (Vec::new(), HashSet::new());
        loop {
            let page = list(request.clone()).await?;
            let transactions: HashSet<_> =
                page.items.iter().map(|row| row.transaction_id.clone()).collect();
            for id in transactions {
                let mine = page.items.iter().filter(|row| row.transaction_id == id);
                assert_eq!(mine.map(|row| row.amount.0).sum::<i64>(), 0, "{id} is cut in two");
                assert!(seen.insert(id.clone()), "{id} is on two pages");
            }
            rows.extend(page.items);
            let Some(next) = page.next else { break };
            request.after = Some(next);
        }
        assert_eq!(sorted(rows), sorted(all.clone()), "{limit} a page");
    }
    Ok(())
}

fn sorted(mut rows: Vec<LedgerRow>) -> Vec<LedgerRow> {
    rows.sort_by_key(|row| (row.transaction_id.clone(), row.account.as_str()));
    rows
}

pub async fn the_ledger_of_one_session_is_its_hold_and_its_settlement(
    backend: &impl Backend,
) -> Result<()> {
    let world = World::new(backend).await?;
    let sessions = booked(&world).await?;
    for (session, expected) in sessions.iter().zip([2, 5, 5]) {
        let list = async |page| world.store.list_ledger(&world.org, Some(session.id), &page).await;
        let rows = every(1, list).await?;
        assert_eq!(rows.len(), expected);
        assert!(rows.iter().all(|row| row.session == Some(session.id)));
        let hold: Vec<_> = rows.iter().filter(|row| row.kind == TransactionKind::Hold).collect();
        assert_eq!(hold.len(), 2);
        assert!(hold.iter().all(|row| row.created_at == session.opened_at));
    }
    let stranger = Some(world.session(9).id);
    let page = world.store.list_ledger(&world.org, stranger, &PageRequest::first(9)).await?;
    assert_eq!((page.items, page.next), (vec![], None));
    Ok(())
}
