//! What must hold at every moment, whatever a test has done.

use std::collections::{BTreeMap, BTreeSet};

use epilogue_core::{
    Agent, Message, MicroCredits, OrgId, Role, Session, SessionId, SessionState, Step, StepKind,
    StepState,
    finalization::{self, Need, Standing},
    ledger::{Account, TransactionKind},
    step::Attempt,
};
use epilogue_storage::{
    LedgerRow, LedgerStore, Mismatch, PageRequest, SessionFilter, SessionStore, Storage,
};

use super::outside::Sent;

/// One session with everything that is on record of it.
struct Case {
    session: Session,
    agent: Agent,
    steps: Vec<(Step, Vec<Attempt>)>,
    transcript: Vec<Message>,
}

/// Audits everything one organization has, as it was at one moment.
pub async fn organization(store: &dyn Storage, org: &OrgId) {
    loop {
        let before = sessions(store, org).await;
        let books = books(store, org).await;
        let mut cases = Vec::new();
        for session in &before {
            cases.push(case(store, session).await);
        }
        if sessions(store, org).await == before {
            balanced(&books);
            return cases.iter().for_each(|case| check(case, &books.rows));
        }
    }
}

async fn case(store: &dyn Storage, session: &Session) -> Case {
    let (org, id) = (&session.org, session.id);
    let agent = store.agent_version(org, &session.agent).await.expect("read");
    Case {
        session: session.clone(),
        agent: agent.expect("the agent's version is kept"),
        steps: store.steps_of(org, id).await.expect("read"),
        transcript: transcript(store, org, id).await,
    }
}

fn check(case: &Case, ledger: &[LedgerRow]) {
    let Case { session, agent, steps, transcript } = case;
    let rows: Vec<_> = ledger.iter().filter(|row| row.session == Some(session.id)).collect();
    let expected = session.ended().map(|ended| {
        // Nobody pays for the time after a deadline, however late it was acted upon.
        let until = ended.deadline.map_or(ended.at, |deadline| ended.at.min(deadline.at));
        let lasted = until.since(session.opened_at);
        let billed = ended.reason.is_billed();
        if billed { agent.price.cost(&session.usage, lasted) } else { MicroCredits::ZERO }
    });
    money(session, &rows, expected);
    let plan = finalization::plan(session, agent, &[]);
    let owed = plan.iter().filter(|planned| matches!(planned.need, Need::Owed { .. }));
    finalized(session, steps, &owed.map(|planned| planned.kind).collect());
    words(session, transcript);
}

/// The whole ledger, the running balances, and where they differ.
struct Books {
    rows: Vec<LedgerRow>,
    balances: Vec<MicroCredits>,
    mismatches: Vec<Mismatch>,
}

async fn books(store: &dyn Storage, org: &OrgId) -> Books {
    let mut rows = Vec::new();
    let mut page = PageRequest::first(PageRequest::LIMIT_MAX);
    loop {
        let found = LedgerStore::list_ledger(store, org, None, &page).await.expect("read");
        rows.extend(found.items);
        let Some(next) = found.next else { break };
        page.after = Some(next);
    }
    let balances = Account::ALL.map(|account| store.balance(org, account));
    let balances = futures::future::try_join_all(balances).await.expect("read");
    Books { rows, balances, mismatches: store.audit_ledger(org).await.expect("read") }
}

/// Each transaction sums to zero, and so do the accounts together.
fn balanced(books: &Books) {
    let mut sums = BTreeMap::<&str, i64>::new();
    for row in &books.rows {
        *sums.entry(&row.transaction_id).or_default() += row.amount.0;
    }
    assert!(sums.values().all(|sum| *sum == 0), "a transaction does not sum to zero: {sums:?}");
    let whole: MicroCredits = books.balances.iter().copied().sum();
    assert_eq!(whole, MicroCredits::ZERO, "the whole ledger");
    assert_eq!(books.mismatches, [], "running balances");
}

async fn sessions(store: &dyn Storage, org: &OrgId) -> Vec<Session> {
    let (mut all, mut page) = (Vec::new(), PageRequest::first(PageRequest::LIMIT_MAX));
    loop {
        let found = SessionStore::list(store, org, &SessionFilter::default(), &page).await;
        let found = found.expect("read");
        all.extend(found.items);
        let Some(next) = found.next else { return all };
        page.after = Some(next);
    }
}

/// One settlement per ended session, of what its recorded usage costs; holds are released.
fn money(session: &Session, rows: &[&LedgerRow], cost: Option<MicroCredits>) {
    let id = session.id;
    let settlement: Vec<_> =
        rows.iter().filter(|row| row.kind == TransactionKind::Settlement).collect();
    let transactions: BTreeSet<_> = settlement.iter().map(|row| &row.transaction_id).collect();
    let of = |account| -> MicroCredits {
        rows.iter().filter(|row| row.account == account).map(|row| row.amount).sum()
    };
    if let (Some(ended), Some(cost)) = (session.ended(), cost) {
        assert_eq!(transactions.len(), 1, "settlements of {id}");
        assert_eq!((ended.cost, of(Account::Revenue)), (cost, cost), "the cost of {id}");
        assert_eq!(of(Account::Held), MicroCredits::ZERO, "what {id} held is released");
        assert!(settlement.iter().all(|row| row.created_at == ended.at), "settled at the end");
    } else {
        assert!(transactions.is_empty(), "{id} is open and settled");
        assert_eq!(of(Account::Held), session.held, "what {id} holds");
    }
}

/// What was owed is on record, every attempt too, and the state says what the steps say.
fn finalized(session: &Session, steps: &[(Step, Vec<Attempt>)], owed: &BTreeSet<StepKind>) {
    let id = session.id;
    let states: Vec<_> = steps.iter().map(|(step, _)| (step.kind, step.state.clone())).collect();
    let standings: Vec<_> = steps.iter().map(|(step, _)| Standing::from(step)).collect();
    // Whom else a session tells follows from who subscribed at the time, which nobody knows any more.
    let own = steps.iter().map(|(step, _)| step).filter(|step| step.target.is_none());
    // Where who it was with is gone with all that was said, by a purge or an erasure, the plan does not know
    // whom memory was about.
    let is_purged = |step: &Step| step.kind == StepKind::Purge && step.state.is_settled();
    let is_gone = session.messages == 0 || steps.iter().any(|(step, _)| is_purged(step));
    let nobody = session.person.is_none() && is_gone;
    let own = own.filter(|step| !nobody || step.kind != StepKind::IngestMemory);
    let kinds: BTreeSet<_> = own.map(|step| step.kind).collect();
    if session.ended().is_none() {
        let begun = |(kind, _): &(StepKind, StepState)| *kind == StepKind::NotifyStarted;
        assert!(kinds.is_empty() && states.iter().all(begun), "{id} is open: {states:?}");
        return;
    }
    assert_eq!(&kinds, owed, "the steps of {id}");
    for (step, attempts) in steps {
        if step.state == StepState::Waiting {
            let id = (step.kind, step.target);
            let ready = finalization::is_ready(id, &session.profile, &standings);
            assert!(!ready, "{} waits for nothing", step.id());
        }
        let running = u32::from(matches!(step.state, StepState::Leased { .. }));
        let numbers: Vec<_> = attempts.iter().map(|attempt| attempt.number).collect();
        let expected: Vec<_> = (1..=step.attempt - running).collect();
        assert_eq!(numbers, expected, "the attempts at {}", step.id());
    }
    let open = states.iter().find(|(kind, state)| {
        let sent_again = matches!(session.state, SessionState::Final { .. }) && kind.notifies();
        !state.is_settled() && !sent_again
    });
    match session.state {
        SessionState::Final { .. } => assert_eq!(open, None, "{id} is final"),
        _ => assert!(open.is_some(), "{id} has settled everything and is not final"),
    }
}

/// The transcript can be replayed, is counted right, and ends with the session.
fn words(session: &Session, transcript: &[Message]) {
    let id = session.id;
    let seqs: Vec<_> = transcript.iter().map(|message| message.seq).collect();
    assert_eq!(seqs, (0..session.messages).collect::<Vec<_>>(), "the numbers in {id}");
    let purged = transcript.is_empty();
    let count = |wanted: &dyn Fn(&Message) -> bool| {
        u32::try_from(transcript.iter().filter(|message| wanted(message)).count()).expect("few")
    };
    if !purged {
        let visible = count(&|message| message.body.is_visible());
        let by_user = count(&|message| message.body.role == Role::User);
        let counted = (session.usage.total_messages, session.usage.user_messages);
        assert_eq!(counted, (visible, by_user), "the counters of {id}");
    }
    if let Some(ended) = session.ended() {
        let late = transcript.iter().find(|message| message.body.at > ended.at);
        assert_eq!(late, None, "written after the end of {id}");
    }
    let mut open = Vec::new();
    for message in transcript {
        if message.body.role == Role::Tool {
            let answered = message.body.tool_call_id.clone().expect("a result names its call");
            assert_eq!(open.first(), Some(&answered), "an orphaned result in {id}");
            open.remove(0);
            continue;
        }
        assert_eq!(open, Vec::<String>::new(), "dangling calls in {id}");
        open.extend(message.body.tool_calls.iter().map(|call| call.id.clone()));
    }
    // The caller of a session that is open may be at work on them.
    let may_be_open = session.ended().is_none() && session.profile.turns.defers_calls;
    assert!(open.is_empty() || may_be_open, "dangling calls at the end of {id}: {open:?}");
}

/// The whole transcript.
pub async fn transcript(store: &dyn Storage, org: &OrgId, id: SessionId) -> Vec<Message> {
    SessionStore::messages(store, org, id, 0, u32::MAX).await.expect("read")
}

/// Each event has one id, and every attempt at it the same body.
pub fn deliveries(sent: &[Sent]) {
    let mut bodies = BTreeMap::new();
    for attempt in sent {
        let step = attempt.step();
        assert_eq!(step.event_id(), attempt.id);
        let first = bodies.entry(attempt.id.to_string()).or_insert(attempt);
        assert_eq!((&first.id, &first.body), (&attempt.id, &attempt.body), "said otherwise");
    }
}
