//! The end: decided once, with its settlement, its steps and its place in the activity log.

use epilogue_core::{
    EndCause, EndOutcome, EndReason, EndRequest, Ended, MicroCredits, Session, SessionState, Span,
    StepState,
    event::Activity,
    finalization::{self, Need, Standing},
    ledger::{Account, TransactionKind},
    profile::{Keeps, NotifyEnded},
    reason::{Deadline, DeadlineKind},
};

use super::{
    Backend,
    audit::audit,
    fixture::{IDLE, MS, START, World, at, every},
    prelude::*,
};
use crate::{LedgerRow, OpenOutcome, PageRequest, Result, Storage};

async fn end<S: Storage>(
    world: &World<S>,
    session: &Session,
    request: EndRequest,
    now: epilogue_core::Timestamp,
) -> Result<Option<EndOutcome>> {
    world.end(session.id, request, now).await
}

/// Everything about a session that an end writes, to see whether a second one changes any of it.
async fn footprint<S: Storage>(
    world: &World<S>,
    session: &Session,
) -> Result<impl PartialEq + std::fmt::Debug + use<S>> {
    let (store, org) = (&world.store, &world.org);
    let rows = every(100, async |page| store.list_ledger(org, None, &page).await).await?;
    let log = every(100, async |page| store.list_activity(org, None, &page).await).await?;
    let steps = store.steps_of(org, session.id).await?;
    let messages = store.messages(org, session.id, 0, 100).await?;
    Ok((world.stored(session.id).await?, rows, log, steps, messages))
}

pub async fn every_reason_ends_a_session(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    for (reason, n) in EndReason::ALL.into_iter().zip(1..) {
        let session = world.opened(n).await?;
        let session = world.turn(session.id, at(1)).await?;
        let outcome = end(&world, &session, EndRequest::asked(reason), at(60)).await?;
        let usage_cost = world.agent.price.cost(&session.usage, Span::from_secs(60));
        let cost = if reason.is_billed() { usage_cost } else { MicroCredits::ZERO };
        let ended = Ended { at: at(60), reason, deadline: None, cost };
        assert_eq!(outcome, Some(EndOutcome::EndedNow(ended.clone())));
        let state = SessionState::Finalizing(ended);
        assert_eq!(world.stored(session.id).await?, Session { state, ..session });
    }
    audit(&*world.store, &world.org).await
}

pub async fn an_end_settles_the_usage_and_releases_the_hold(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    world.store.grant(&world.org, "opening", MicroCredits(1_000_000), START).await?;
    let held = MicroCredits(10_000);
    let session = Session { held, ..world.session(1) };
    assert_eq!(world.open(&session).await?, OpenOutcome::Opened);
    assert_eq!(world.store.balance(&world.org, Account::Balance).await?, MicroCredits(990_000));
    world.turn(session.id, at(1)).await?;
    let ended = world.ended(session.id, at(60)).await?;
    // 450 tokens at 0.01 the thousand, and a minute at 0.001.
    assert_eq!(ended.cost, MicroCredits(5_500));
    let list = async |page| world.store.list_ledger(&world.org, Some(session.id), &page).await;
    let mut rows = every(100, list).await?;
    rows.retain(|row| row.kind == TransactionKind::Settlement);
    rows.sort_by_key(|row| row.account.as_str());
    let row = |account, micro| LedgerRow {
        transaction_id: format!("settle_{}", session.id.0.simple()),
        session: Some(session.id),
        account,
        amount: MicroCredits(micro),
        kind: TransactionKind::Settlement,
        created_at: at(60),
    };
    let expected =
        [row(Account::Balance, 4_500), row(Account::Held, -10_000), row(Account::Revenue, 5_500)];
    assert_eq!(rows, expected);
    assert_eq!(world.store.balance(&world.org, Account::Balance).await?, MicroCredits(994_500));
    assert_eq!(world.store.balance(&world.org, Account::Held).await?, MicroCredits::ZERO);
    audit(&*world.store, &world.org).await
}

pub async fn a_session_that_cost_nothing_is_settled_at_zero(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let session = world.opened(1).await?;
    let ended = world.ended(session.id, START).await?;
    assert_eq!(ended.cost, MicroCredits::ZERO);
    let list = async |page| world.store.list_ledger(&world.org, Some(session.id), &page).await;
    let rows = every(100, list).await?;
    let rows: Vec<_> = rows.into_iter().map(|row| (row.kind, row.amount)).collect();
    assert_eq!(rows, [(TransactionKind::Settlement, MicroCredits::ZERO); 2]);
    audit(&*world.store, &world.org).await
}

pub async fn an_end_owes_exactly_what_the_plan_says(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let usual = |_: &mut Session| {};
    let variants: [fn(&mut Session); 6] = [
        usual,
        |session| session.person = None,
        |session| session.profile.notify_ended = NotifyEnded::Never,
        |session| session.profile.notify_ended = NotifyEnded::AfterAnalysis,
        |session| session.profile.notify_finalized = false,
        |session| session.profile.keeps = Keeps::Counters,
    ];
    for (vary, n) in variants.into_iter().zip(1..) {
        for speaks in [true, false] {
            let mut session = world.session(n * 2 + u32::from(speaks));
            vary(&mut session);
            assert_eq!(world.open(&session).await?, OpenOutcome::Opened);
            if speaks {
                session = world.turn(session.id, at(1)).await?;
            }
            world.ended(session.id, at(60)).await?;
            owes_its_plan(&world, &session, speaks).await?;
        }
    }
    audit(&*world.store, &world.org).await
}

async fn owes_its_plan<S: Storage>(
    world: &World<S>,
    session: &Session,
    speaks: bool,
) -> Result<()> {
    let plan = finalization::plan(session, &world.agent, &[]);
    let owed: Vec<_> = plan
        .into_iter()
        .filter_map(|planned| match planned.need {
            Need::Owed { lane } => Some((planned.kind, lane)),
            Need::NotOwed(_) => None,
        })
        .collect();
    let waiting = |kind| Standing { kind, target: None, state: StepState::Waiting, failed: false };
    let waiting: Vec<_> = owed.iter().map(|(kind, _)| waiting(*kind)).collect();
    let steps = world.store.steps_of(&world.org, session.id).await?;
    assert_eq!(steps.len(), owed.len(), "{steps:?}");
    assert!(steps.len() >= if speaks { 4 } else { 2 }, "{steps:?}");
    for ((step, attempts), (kind, lane)) in steps.into_iter().zip(owed) {
        let ready = finalization::is_ready((kind, None), &session.profile, &waiting);
        let state = if ready { StepState::Owed { due_at: at(60) } } else { StepState::Waiting };
        assert_eq!((step.kind, step.lane, step.state), (kind, lane, state));
        assert_eq!((step.attempt, step.failures, step.owed_at), (0, 0, at(60)));
        assert_eq!(attempts, []);
    }
    Ok(())
}

pub async fn an_end_is_in_the_activity_log_with_its_note(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let session = world.opened(1).await?;
    world.opened(2).await?;
    let request = EndRequest {
        cause: EndCause::Asked(EndReason::Operator),
        note: Some("Asked by phone. „Grüße“ \u{1f44b}\n".into()),
        by: Some("key_7".into()),
        last_words: None,
    };
    let outcome = end(&world, &session, request.clone(), at(60)).await?;
    let ended = outcome.and_then(|outcome| outcome.ended().cloned()).expect("it ended");
    let expected = Activity::session_ended(&session, &ended, &request);
    for filter in [None, Some(session.id)] {
        let list = async |page| world.store.list_activity(&world.org, filter, &page).await;
        let mut log = every(1, list).await?;
        log.retain(|activity| activity.kind == "session.ended");
        assert_eq!(log, std::slice::from_ref(&expected));
    }
    let other = Some(world.session(2).id);
    let page = world.store.list_activity(&world.org, other, &PageRequest::first(10)).await?;
    assert!(page.items.iter().all(|activity| activity.kind != "session.ended"));
    Ok(())
}

pub async fn the_activity_log_shows_the_latest_first(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    for n in 1..=6 {
        world.opened(n).await?;
        // Two by two in the same millisecond.
        world.ended(world.session(n).id, at(u64::from(n / 2))).await?;
    }
    for limit in [1, 2, 4, 100] {
        let list = async |page| world.store.list_activity(&world.org, None, &page).await;
        let mut log = every(limit, list).await?;
        log.retain(|activity| activity.kind == "session.ended");
        assert!(log.is_sorted_by(|a, b| a.at >= b.at), "{log:?}");
        log.sort_by(|a, b| a.id.cmp(&b.id));
        log.dedup();
        assert_eq!(log.len(), 6, "no gaps and no doubles at {limit} a page");
    }
    Ok(())
}

pub async fn a_second_end_changes_nothing(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let session = world.opened(1).await?;
    let session = world.turn(session.id, at(1)).await?;
    let first = world.ended(session.id, at(60)).await?;
    let before = footprint(&world, &session).await?;
    let mut requests: Vec<_> = EndReason::ALL.into_iter().map(EndRequest::asked).collect();
    requests.push(EndRequest::due());
    requests.push(EndRequest {
        note: Some("again".into()),
        by: Some("key_9".into()),
        ..EndRequest::asked(EndReason::Operator)
    });
    for (request, later) in requests.into_iter().zip([60, 61, 100_000].into_iter().cycle()) {
        let outcome = end(&world, &session, request, at(later)).await?;
        assert_eq!(outcome, Some(EndOutcome::AlreadyEnded(first.clone())));
    }
    assert_eq!(footprint(&world, &session).await?, before);
    world.finalize(session.id, at(70)).await?;
    let outcome = end(&world, &session, EndRequest::due(), at(80)).await?;
    assert_eq!(outcome, Some(EndOutcome::AlreadyEnded(first)), "nor when it is final");
    audit(&*world.store, &world.org).await
}

pub async fn a_deadline_that_passed_comes_before_who_asks_later(
    backend: &impl Backend,
) -> Result<()> {
    let world = World::new(backend).await?;
    let session = world.opened(1).await?;
    let request = EndRequest {
        note: Some("bye".into()),
        by: Some("key_1".into()),
        ..EndRequest::asked(EndReason::UserEnd)
    };
    let now = START + IDLE;
    let outcome = end(&world, &session, request.clone(), now).await?;
    let deadline = Some(Deadline { kind: DeadlineKind::Idle, at: now });
    let cost = world.agent.price.cost(&session.usage, IDLE);
    let ended = Ended { at: now, reason: EndReason::Idle, deadline, cost };
    assert_eq!(outcome, Some(EndOutcome::Lapsed(ended.clone())));
    let list = async |page| world.store.list_activity(&world.org, None, &page).await;
    let log = every(10, list).await?;
    assert!(log.contains(&Activity::session_ended(&session, &ended, &request)), "{log:?}");

    let other = world.opened(2).await?;
    let outcome = end(&world, &other, EndRequest::asked(EndReason::UserEnd), now - MS).await?;
    assert!(matches!(outcome, Some(EndOutcome::EndedNow(_))), "one moment before: {outcome:?}");
    audit(&*world.store, &world.org).await
}

pub async fn the_timer_ends_what_is_due_with_its_deadline(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let idle = world.opened(1).await?;
    let mut long = world.session(2);
    long.profile.idle_timeout = None;
    long.profile.max_duration = Some(Span::from_secs(600));
    assert_eq!(world.open(&long).await?, OpenOutcome::Opened);
    let now = at(1_000_000);
    let cases = [
        (idle, Deadline { kind: DeadlineKind::Idle, at: START + IDLE }),
        (long, Deadline { kind: DeadlineKind::MaxDuration, at: at(600) }),
    ];
    for (session, deadline) in cases {
        let outcome = end(&world, &session, EndRequest::due(), now).await?;
        let Some(EndOutcome::EndedNow(ended)) = outcome else { panic!("it is due: {outcome:?}") };
        assert_eq!((ended.at, ended.deadline), (now, Some(deadline)));
        assert_eq!(ended.reason, deadline.kind.reason());
    }
    audit(&*world.store, &world.org).await
}

pub async fn a_session_that_is_not_there_cannot_end(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    for request in [EndRequest::due(), EndRequest::asked(EndReason::Operator)] {
        assert_eq!(end(&world, &world.session(1), request, START).await?, None);
    }
    assert_eq!(world.store.steps_of(&world.org, world.session(1).id).await?, []);
    audit(&*world.store, &world.org).await
}
