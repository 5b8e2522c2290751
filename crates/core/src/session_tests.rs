use proptest::prelude::*;

use super::*;
use crate::profile::{AgentFinish, Hears, Keeps, NotifyEnded, TurnRules};

const OPENED: Timestamp = Timestamp::from_millis(1_700_000_000_000);
const IDLE: Span = Span::from_secs(1800);
const LONGEST: Span = Span::from_secs(7200);

/// A session opened at [`OPENED`] with an idle timeout and a maximum duration.
pub(crate) fn session() -> Session {
    Session {
        org: "org".into(),
        id: SessionId(uuid::Uuid::from_u128(1)),
        dialect: "native".into(),
        dialect_id: "s1".into(),
        project: None,
        agent: AgentVersion { id: "agent".into(), version: 1 },
        channel: None,
        endpoint: None,
        connection: None,
        person: Person::new("ann"),
        profile: Profile {
            idle_timeout: Some(IDLE),
            max_duration: Some(LONGEST),
            keep_alive_counts: false,
            agent_finish: AgentFinish::EndsSession,
            notify_ended: NotifyEnded::AtOnce,
            notify_finalized: true,
            hears: Hears::Everything,
            holds_media: false,
            keeps: Keeps::Transcript,
            searchable: false,
            turns: TurnRules::ORDINARY,
        },
        context: Context::default(),
        opened_at: OPENED,
        last_activity: OPENED,
        last_seen: OPENED,
        usage: Usage::default(),
        held: MicroCredits::ZERO,
        messages: 0,
        turns: 0,
        state: SessionState::Active { turn: None },
    }
}

fn ended(reason: EndReason) -> Ended {
    Ended { at: OPENED, reason, deadline: None, cost: MicroCredits::ZERO }
}

fn in_flight(lease_until: Timestamp) -> SessionState {
    SessionState::Active { turn: Some(TurnInFlight { number: 1, node: "n".into(), lease_until }) }
}

#[test]
fn the_idle_timer_runs_out_at_its_deadline_and_not_before() {
    let session = session();
    let deadline = OPENED + IDLE;
    assert!(session.is_live(deadline - Span::from_millis(1)));
    assert!(!session.is_live(deadline));
    assert_eq!(
        session.end(&EndCause::Due, deadline - Span::from_millis(1)),
        EndVerdict::NotDue { due_at: Some(deadline) }
    );
    let passed = Deadline { kind: DeadlineKind::Idle, at: deadline };
    assert_eq!(
        session.end(&EndCause::Due, deadline),
        EndVerdict::End { reason: EndReason::Idle, deadline: Some(passed) }
    );
}

#[test]
fn nobody_lasts_longer_than_to_the_deadline_it_ended_by() {
    let late = OPENED + LONGEST + LONGEST;
    let at = |kind, after| Some(Deadline { kind, at: OPENED + after });
    for (deadline, lasted) in [
        (None, late.since(OPENED)),
        (at(DeadlineKind::Idle, IDLE), IDLE),
        (at(DeadlineKind::MaxDuration, LONGEST), LONGEST),
    ] {
        let ended = Ended { at: late, deadline, ..ended(EndReason::Idle) };
        let session = Session { state: SessionState::Finalizing(ended), ..session() };
        assert_eq!(session.lasted(late + IDLE), lasted);
    }
    assert_eq!(session().lasted(OPENED + IDLE), IDLE, "so far");
}

#[test]
fn a_deadline_that_passed_comes_before_whoever_asks_later() {
    let verdict =
        session().end(&EndCause::Asked(EndReason::UserEnd), OPENED + IDLE + Span::from_secs(1));
    assert!(matches!(verdict, EndVerdict::End { reason: EndReason::Idle, .. }));
}

#[test]
fn a_turn_in_flight_holds_the_idle_timer_but_not_the_maximum_duration() {
    let mut session = session();
    session.state = in_flight(OPENED + IDLE + Span::from_secs(60));
    assert!(session.is_live(OPENED + IDLE + Span::from_secs(59)));
    assert!(!session.is_live(OPENED + IDLE + Span::from_secs(60)));
    session.state = in_flight(OPENED + LONGEST + Span::from_secs(60));
    let deadline = session.lapsed(OPENED + LONGEST).expect("lapsed");
    assert_eq!(deadline.kind, DeadlineKind::MaxDuration);
}

#[test]
fn a_keep_alive_counts_only_where_the_profile_says_so() {
    let mut session = session();
    session.last_seen = OPENED + Span::from_secs(1000);
    assert!(!session.is_live(OPENED + IDLE));
    session.profile.keep_alive_counts = true;
    assert!(session.is_live(OPENED + IDLE));
}

#[test]
fn one_turn_at_a_time_and_an_abandoned_one_is_passed_over() {
    let mut session = session();
    assert_eq!(session.may_begin_turn(OPENED), BeginVerdict::Begin(1));
    session.turns = 1;
    let lease_until = OPENED + Span::from_secs(60);
    session.state = in_flight(lease_until);
    assert!(matches!(session.may_begin_turn(OPENED), BeginVerdict::Busy(_)));
    assert_eq!(session.may_begin_turn(lease_until), BeginVerdict::Begin(2));
    assert_eq!(session.may_finish_turn(1), FinishVerdict::Record);
    assert_eq!(session.may_finish_turn(2), FinishVerdict::Superseded);
}

#[test]
fn nothing_is_written_past_the_fence() {
    let mut session = session();
    let end = ended(EndReason::UserEnd);
    session.state = SessionState::Finalizing(end.clone());
    assert_eq!(session.may_finish_turn(1), FinishVerdict::Fenced(end.clone()));
    assert_eq!(session.may_begin_turn(OPENED), BeginVerdict::Over(end.clone()));
    assert_eq!(session.deadline(), None);
    session.state = SessionState::Final { ended: end.clone(), finalized_at: OPENED };
    assert_eq!(session.may_finish_turn(1), FinishVerdict::Fenced(end));
}

proptest! {
    /// Whatever is asked, in whatever order, the first end stays and no later verdict differs.
    #[test]
    fn the_first_end_wins(asks in prop::collection::vec((0_usize..9, 0_u64..10_000), 1..20)) {
        let mut session = session();
        let mut first = None;
        let mut now = OPENED;
        for (ask, wait) in asks {
            now = now + Span::from_secs(wait);
            let cause = EndReason::ALL.get(ask).map_or(EndCause::Due, |r| EndCause::Asked(*r));
            match session.end(&cause, now) {
                EndVerdict::End { reason, deadline } => {
                    prop_assert!(first.is_none());
                    prop_assert!(deadline.is_none_or(|d| d.at <= now && d.kind.reason() == reason));
                    let end = Ended { at: now, reason, deadline, cost: MicroCredits::ZERO };
                    session.state = SessionState::Finalizing(end.clone());
                    first = Some(end);
                }
                EndVerdict::AlreadyEnded(end) => prop_assert_eq!(Some(end), first.clone()),
                EndVerdict::NotDue { due_at } => {
                    prop_assert!(first.is_none());
                    prop_assert!(due_at.is_some_and(|at| at > now));
                }
            }
        }
    }
}

/// A session that lives on past its deadline until the timer comes.
fn living_on() -> Session {
    let mut session = session();
    session.profile.max_duration = None;
    session.profile.turns.overdue = Overdue::LivesOn;
    session
}

#[test]
fn where_it_lives_on_a_session_is_due_strictly_after_its_deadline() {
    let (session, deadline) = (living_on(), OPENED + IDLE);
    let passed = Deadline { kind: DeadlineKind::Idle, at: deadline };
    let just_after = deadline + Span::from_millis(1);
    assert_eq!(session.due_at(), Some(just_after));
    assert_eq!(session.lapsed(deadline), None);
    assert_eq!(session.lapsed(just_after), Some(passed));
    assert_eq!(
        session.end(&EndCause::Due, deadline),
        EndVerdict::NotDue { due_at: Some(just_after) }
    );
    assert_eq!(
        session.end(&EndCause::Due, just_after),
        EndVerdict::End { reason: EndReason::Idle, deadline: Some(passed) }
    );
}

#[test]
fn where_it_lives_on_an_overdue_session_takes_turns_and_ends_as_it_is_asked() {
    let (session, late) = (living_on(), OPENED + IDLE + IDLE);
    assert!(session.is_live(late));
    assert_eq!(session.may_begin_turn(late), BeginVerdict::Begin(1));
    assert_eq!(
        session.end(&EndCause::Asked(EndReason::UserEnd), late),
        EndVerdict::End { reason: EndReason::UserEnd, deadline: None }
    );
}

#[test]
fn where_it_lives_on_a_turn_in_flight_holds_the_timer_too() {
    let lease = OPENED + IDLE + IDLE;
    let session = Session { state: in_flight(lease), ..living_on() };
    let due_at = Some(lease + Span::from_millis(1));
    assert_eq!(session.end(&EndCause::Due, lease), EndVerdict::NotDue { due_at });
}
