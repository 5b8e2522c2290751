//! What must hold in a store at any time, whatever was done to it in whatever order.

use std::collections::{BTreeMap, HashMap};

use epilogue_core::{
    Agent, MicroCredits, OrgId, Session, SessionState, Step, StepKind,
    finalization::{self, Need},
    ledger::{Account, TransactionKind},
    open_calls::open_calls,
};

use super::fixture::every;
use crate::{LedgerRow, PageRequest, Result, SessionFilter, Storage};

/// Checks everything of one organization.
pub async fn audit(store: &impl Storage, org: &OrgId) -> Result<()> {
    let limit = PageRequest::LIMIT_MAX;
    let rows = every(limit, async |page| store.list_ledger(org, None, &page).await).await?;
    the_books_balance(store, org, &rows).await?;
    let filter = SessionFilter::default();
    let sessions = every(limit, async |page| store.list(org, &filter, &page).await).await?;
    for session in &sessions {
        the_session_is_settled_once(session, &rows);
        the_fence_holds(store, session).await?;
        the_steps_are_known(store, session).await?;
    }
    Ok(())
}

async fn the_books_balance(store: &impl Storage, org: &OrgId, rows: &[LedgerRow]) -> Result<()> {
    let mut transactions: BTreeMap<&str, i64> = BTreeMap::new();
    let mut accounts: HashMap<Account, i64> = HashMap::new();
    for row in rows {
        *transactions.entry(&row.transaction_id).or_default() += row.amount.0;
        *accounts.entry(row.account).or_default() += row.amount.0;
    }
    transactions.retain(|_, sum| *sum != 0);
    assert!(transactions.is_empty(), "transactions that do not sum to zero: {transactions:?}");
    assert_eq!(accounts.values().sum::<i64>(), 0, "the whole ledger sums to zero");
    for account in Account::ALL {
        let sum = MicroCredits(accounts.get(&account).copied().unwrap_or_default());
        let running = store.balance(org, account).await?;
        assert_eq!(running, sum, "the balance of {} is the sum of its rows", account.as_str());
    }
    assert_eq!(store.audit_ledger(org).await?, [], "the store's own audit finds nothing");
    Ok(())
}

/// What transactions of one kind moved for a session in one account, one amount each.
fn posted(
    rows: &[LedgerRow],
    session: &Session,
    kind: TransactionKind,
    account: Account,
) -> Vec<MicroCredits> {
    let mine = rows.iter().filter(|row| row.session == Some(session.id) && row.kind == kind);
    mine.filter(|row| row.account == account).map(|row| row.amount).collect()
}

fn the_session_is_settled_once(session: &Session, rows: &[LedgerRow]) {
    let id = session.id;
    let settled = posted(rows, session, TransactionKind::Settlement, Account::Revenue);
    let released = posted(rows, session, TransactionKind::Settlement, Account::Held);
    let set_aside = posted(rows, session, TransactionKind::Hold, Account::Held);
    let hold = if session.held == MicroCredits::ZERO { vec![] } else { vec![session.held] };
    assert_eq!(set_aside, hold, "the hold of {id} is posted once");
    match session.ended() {
        Some(ended) => {
            assert_eq!(settled, [ended.cost], "{id} has one settlement, of its cost");
            let back: Vec<_> = hold.into_iter().map(|amount| -amount).collect();
            assert_eq!(released, back, "the hold of {id} is released");
        }
        None => assert_eq!((settled, released), (vec![], vec![]), "{id} is open, and not settled"),
    }
}

async fn the_fence_holds(store: &impl Storage, session: &Session) -> Result<()> {
    let messages = store.messages(&session.org, session.id, 0, u32::MAX).await?;
    let seqs: Vec<_> = messages.iter().map(|message| message.seq).collect();
    let expected: Vec<_> = (0..session.messages).collect();
    assert_eq!(seqs, expected, "the transcript of {} has no gap and no surplus", session.id);
    let ordered = messages.is_sorted_by_key(|message| message.turn);
    assert!(ordered, "the turns of {} follow each other", session.id);
    if let Some(ended) = session.ended() {
        let open = open_calls(messages.iter().map(|message| &message.body));
        let closed = open.is_empty() || !session.profile.turns.defers_calls;
        assert!(closed, "{} has ended with calls open", session.id);
        let late = messages.iter().filter(|message| message.body.at > ended.at).count();
        assert_eq!(late, 0, "{} has messages beyond its fence", session.id);
    }
    Ok(())
}

fn the_cost_is_the_usage(session: &Session, agent: &Agent) {
    let Some(ended) = session.ended() else { return };
    // The time in which a deadline had passed and nobody acted upon it costs nothing.
    let until = ended.deadline.map_or(ended.at, |deadline| ended.at.min(deadline.at));
    let lasted = until.since(session.opened_at);
    let billed = ended.reason.is_billed();
    let cost = if billed { agent.price.cost(&session.usage, lasted) } else { MicroCredits::ZERO };
    assert_eq!(ended.cost, cost, "{} costs what it used", session.id);
}

async fn the_steps_are_known(store: &impl Storage, session: &Session) -> Result<()> {
    let stored = store.steps_of(&session.org, session.id).await?;
    let stored = stored.into_iter().map(|(step, _)| step);
    // Whom else a session tells follows from who subscribed at the time, which nobody knows any more.
    let (stored, told): (Vec<_>, Vec<_>) = stored.partition(|step| step.target.is_none());
    assert!(told.iter().all(|step| step.kind.notifies()), "subscribers are told, and no more");
    let begun = |step: &Step| step.kind == StepKind::NotifyStarted;
    assert!(session.ended().is_some() || told.iter().all(begun), "{} is open", session.id);
    if session.ended().is_none() {
        assert_eq!(stored, [], "{} is open, and owes nothing", session.id);
        return Ok(());
    }
    let agent = store.agent_version(&session.org, &session.agent).await?;
    let agent = agent.expect("an agent's versions stay");
    the_cost_is_the_usage(session, &agent);
    let planned = finalization::plan(session, &agent, &[]).into_iter();
    let owed: Vec<_> = planned
        .filter_map(|planned| match planned.need {
            Need::Owed { lane } => Some((planned.kind, lane)),
            Need::NotOwed(_) => None,
        })
        .collect();
    // Where who it was with is gone with all that was said, by a purge or an erasure, the plan does not know
    // whom memory was about.
    let is_purged = |step: &Step| step.kind == StepKind::Purge && step.state.is_settled();
    let is_gone = session.messages == 0 || stored.iter().any(is_purged);
    let nobody = session.person.is_none() && is_gone;
    let known = stored.iter().filter(|step| !nobody || step.kind != StepKind::IngestMemory);
    let known: Vec<_> = known.map(|step| (step.kind, step.lane.clone())).collect();
    assert_eq!(known, owed, "{} owes exactly what its plan says", session.id);
    if matches!(session.state, SessionState::Finalizing(_)) {
        let open = stored.iter().chain(&told).filter(|step| !step.state.is_settled()).count();
        assert_ne!(open, 0, "{} has nothing left to settle, and is not final", session.id);
    }
    Ok(())
}
