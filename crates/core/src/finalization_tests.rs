use super::*;
use crate::{
    analysis::Form,
    id::SessionId,
    ledger::Account,
    money::Price,
    reason::{DeadlineKind, EndReason},
    session::{AgentVersion, Context, SessionState},
    time::Span,
    usage::Usage,
};

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

fn agent() -> Agent {
    serde_json::from_value(serde_json::json!({
        "id": "a",
        "name": "A",
        "model": { "provider": "scripted" },
        "memory": true,
        "price": { "per_1k_tokens": "0.01" },
        "webhook": { "url": "https://hooks.example.com/x" },
    }))
    .expect("an agent")
}

fn session() -> Session {
    Session {
        org: "org".into(),
        id: SessionId(uuid::Uuid::from_u128(1)),
        dialect: "native".into(),
        dialect_id: "s1".into(),
        project: None,
        agent: AgentVersion { id: "a".into(), version: 1 },
        channel: None,
        endpoint: None,
        connection: None,
        person: crate::person::Person::new("ann"),
        profile: Profile {
            idle_timeout: None,
            max_duration: None,
            keep_alive_counts: false,
            agent_finish: crate::profile::AgentFinish::EndsSession,
            notify_ended: NotifyEnded::AtOnce,
            notify_finalized: true,
            hears: Hears::Everything,
            holds_media: false,
            keeps: Keeps::Transcript,
            searchable: false,
            turns: crate::profile::TurnRules::ORDINARY,
        },
        context: Context::default(),
        opened_at: NOW,
        last_activity: NOW,
        last_seen: NOW,
        usage: Usage {
            user_messages: 2,
            total_messages: 4,
            input_tokens: 150,
            output_tokens: 300,
            ..Usage::default()
        },
        held: MicroCredits(10_000),
        messages: 4,
        turns: 2,
        state: SessionState::Active { turn: None },
    }
}

fn closing(session: &Session, agent: &Agent, reason: EndReason) -> Closing {
    closing_among(session, agent, &Surroundings::default(), reason)
}

fn closing_among(
    session: &Session,
    agent: &Agent,
    around: &Surroundings,
    reason: EndReason,
) -> Closing {
    let now = NOW + Span::from_secs(60);
    close(session, (agent, around), (reason, None), &EndRequest::asked(reason), now)
}

#[test]
fn an_end_charges_usage_and_releases_the_hold() {
    let closing = closing(&session(), &agent(), EndReason::UserEnd);
    assert_eq!(closing.ended.cost, MicroCredits(4_500));
    assert_eq!(
        closing.settlement.entries,
        [
            (Account::Balance, MicroCredits(5_500)),
            (Account::Revenue, MicroCredits(4_500)),
            (Account::Held, MicroCredits(-10_000)),
        ]
    );
}

#[test]
fn our_own_failure_is_settled_at_nothing() {
    assert_eq!(closing(&session(), &agent(), EndReason::Failed).ended.cost, MicroCredits::ZERO);
}

#[test]
fn steps_that_need_others_wait() {
    let mut agent = agent();
    agent.keep_transcript = false;
    let mut session = session();
    session.profile.holds_media = true;
    let kinds = |closing: Closing| -> Vec<_> {
        closing.steps.into_iter().map(|step| (step.kind, step.state.as_str())).collect()
    };
    assert_eq!(
        kinds(closing(&session, &agent, EndReason::Idle)),
        [
            (StepKind::ReleaseMedia, "owed"),
            (StepKind::IngestMemory, "owed"),
            (StepKind::NotifyEnded, "owed"),
            (StepKind::NotifyFinalized, "waiting"),
            (StepKind::Purge, "waiting"),
        ]
    );
    agent.analysis = vec![Form { name: "qa".into(), labels: vec![], enabled: true }];
    session.profile.notify_ended = NotifyEnded::AfterAnalysis;
    assert_eq!(
        kinds(closing(&session, &agent, EndReason::Idle))[2..4],
        [(StepKind::Analyze, "owed"), (StepKind::NotifyEnded, "waiting")]
    );
}

#[test]
fn a_silent_session_is_neither_remembered_nor_analysed_but_reported() {
    let mut session = session();
    session.usage = Usage::default();
    let kinds: Vec<_> = closing(&session, &agent(), EndReason::UserEnd)
        .steps
        .into_iter()
        .map(|step| step.kind)
        .collect();
    assert_eq!(kinds, [StepKind::NotifyEnded, StepKind::NotifyFinalized]);
}

#[test]
fn a_lane_is_one_receiver() {
    let closing = closing(&session(), &agent(), EndReason::UserEnd);
    let lane = |kind| closing.steps.iter().find(|s| s.kind == kind).map(|s| s.lane.clone());
    assert_eq!(lane(StepKind::NotifyEnded).as_deref(), Some("hook:hooks.example.com:443"));
    assert_eq!(lane(StepKind::NotifyEnded), lane(StepKind::NotifyFinalized));
}

/// A step that tells no subscriber, where it stands.
fn own(kind: StepKind, state: &StepState) -> Standing {
    Standing { kind, target: None, state: state.clone(), failed: false }
}

fn may_run(kind: StepKind, profile: &Profile, steps: &[Standing]) -> bool {
    is_ready((kind, None), profile, steps)
}

#[test]
fn a_parked_step_holds_the_purge_but_not_the_last_webhook() {
    let parked = StepState::Parked { at: NOW, reason: "gone".into() };
    let done = StepState::Done { at: NOW };
    let profile = session().profile;
    let others = |memory: &StepState| {
        vec![own(StepKind::IngestMemory, memory), own(StepKind::NotifyEnded, &done)]
    };
    assert!(may_run(StepKind::NotifyFinalized, &profile, &others(&parked)));
    assert!(!may_run(StepKind::Purge, &profile, &others(&parked)));
    assert!(may_run(StepKind::Purge, &profile, &others(&done)));
    assert!(!may_run(StepKind::NotifyFinalized, &profile, &others(&StepState::Waiting)));
}

#[test]
fn where_the_api_promises_a_purge_only_its_readers_hold_it() {
    let parked = StepState::Parked { at: NOW, reason: "gone".into() };
    let done = StepState::Done { at: NOW };
    for keeps in [Keeps::Counters, Keeps::Messages] {
        let profile = Profile { keeps, ..session().profile };
        let ready = |memory: &StepState, told: &StepState| {
            let steps = [
                own(StepKind::IngestMemory, memory),
                own(StepKind::NotifyEnded, told),
                own(StepKind::NotifyFinalized, told),
            ];
            may_run(StepKind::Purge, &profile, &steps)
        };
        assert!(ready(&done, &parked) && ready(&done, &done));
        assert!(!ready(&parked, &done), "a reader holds it until it is resumed");
        for underway in [StepState::Waiting, StepState::Owed { due_at: NOW }] {
            assert!(!ready(&done, &underway), "who is being told may still read");
        }
    }
}

#[test]
fn a_dead_receiver_holds_a_promised_purge_only_until_it_has_been_tried_once() {
    let profile = Profile { keeps: Keeps::Counters, ..session().profile };
    let (owed, waiting) = (StepState::Owed { due_at: NOW }, StepState::Waiting);
    let done = StepState::Done { at: NOW };
    let ready = |memory: &StepState, ended: Standing, finalized: Standing| {
        let steps = [own(StepKind::IngestMemory, memory), ended, finalized];
        may_run(StepKind::Purge, &profile, &steps)
    };
    let ended = |failed| Standing { failed, ..own(StepKind::NotifyEnded, &owed) };
    let last = || own(StepKind::NotifyFinalized, &waiting);
    assert!(ready(&done, ended(true), last()), "its last news wait for its other news");
    assert!(!ready(&done, ended(false), last()), "untried");
    assert!(!ready(&owed, ended(true), last()), "a reader");
    let told = own(StepKind::NotifyEnded, &done);
    assert!(!ready(&done, told.clone(), last()), "it may run, and has not");
    let tried = Standing { failed: true, ..own(StepKind::NotifyFinalized, &owed) };
    assert!(ready(&done, told, tried));
    let anothers = SubscriptionId(uuid::Uuid::from_u128(1));
    let another = Standing { target: Some(anothers), ..last() };
    assert!(!ready(&done, ended(true), another), "its receiver is another");
    let kept = [ended(true), last()];
    assert!(!may_run(StepKind::Purge, &session().profile, &kept), "where transcripts are kept");
}

/// A session whose conversation is in the client's keeping, open for an hour, quiet since `quiet`.
fn kept_by_client(messages: u32, quiet: Span) -> Session {
    let mut session = session();
    session.profile.turns.client_keeps = true;
    session.profile.searchable = true;
    session.messages = messages;
    session.usage = Usage { user_messages: messages, ..Usage::default() };
    session.last_activity = NOW + quiet;
    session
}

#[test]
fn a_conversation_in_the_clients_keeping_is_billed_to_its_last_turn() {
    let minute = Price { per_minute: rust_decimal::Decimal::ONE, ..Price::default() };
    let agent = Agent { price: minute, ..agent() };
    let end = |session: &Session| {
        let why = (EndReason::Idle, None);
        let now = NOW + Span::from_secs(86_400);
        let around = Surroundings::default();
        close(session, (&agent, &around), why, &EndRequest::due(), now).ended.cost
    };
    let session = kept_by_client(2, Span::from_secs(120));
    assert_eq!(end(&session), MicroCredits(2_000_000));
    let mut chat = session;
    chat.profile.turns.client_keeps = false;
    assert_eq!(end(&chat), MicroCredits(1_440_000_000), "others last until they end");
}

/// A server that was down acts upon a deadline late; what passed since is nobody's.
#[test]
fn the_time_after_a_deadline_is_not_billed() {
    let minute = Price { per_minute: rust_decimal::Decimal::ONE, ..Price::default() };
    let (agent, around) = (Agent { price: minute, ..agent() }, Surroundings::default());
    let at = NOW + Span::from_secs(120);
    let deadline = Deadline { kind: DeadlineKind::Disconnected, at };
    let (why, late) = ((EndReason::Disconnected, Some(deadline)), NOW + Span::from_secs(86_400));
    let session = Session { opened_at: NOW, ..session() };
    let closing = close(&session, (&agent, &around), why, &EndRequest::due(), late);
    assert_eq!(closing.ended.cost, MicroCredits(2_000_000));
    assert_eq!(closing.ended.at, late, "the record tells when it was decided");
}

#[test]
fn a_conversation_without_its_first_turn_owes_costs_and_tells_nothing() {
    let dear = Price { per_session: rust_decimal::Decimal::ONE, ..Price::default() };
    let agent = Agent { price: dear, ..agent() };
    let closed = closing(&kept_by_client(0, Span::ZERO), &agent, EndReason::Idle);
    assert_eq!((closed.ended.cost, closed.activity), (MicroCredits::ZERO, None));
    assert_eq!((closed.steps, closed.settled), (vec![], true));
    let closed = closing(&kept_by_client(2, Span::ZERO), &agent, EndReason::Idle);
    assert_eq!(closed.ended.cost, MicroCredits(1_000_000));
    assert!(closed.activity.is_some() && closed.steps.len() == 4, "{:?}", closed.steps);
}

fn subscriber(n: u128, events: &[&str]) -> Subscription {
    Subscription {
        id: SubscriptionId(uuid::Uuid::from_u128(n)),
        url: format!("https://{n}.example.com/x").parse().expect("a URL"),
        events: events.iter().map(ToString::to_string).collect(),
        created_at: NOW,
    }
}

#[test]
fn each_subscriber_is_told_what_it_asks_for_by_a_step_of_its_own() {
    let subscribers = vec![
        subscriber(1, &["session.started", "session.ended"]),
        subscriber(2, &["session.finalized", "call.ended"]),
        subscriber(3, &["call.ended"]),
    ];
    let started = opening(&subscribers, NOW);
    assert_eq!(started.len(), 1);
    assert_eq!(
        (started[0].target, started[0].kind),
        (Some(subscribers[0].id), StepKind::NotifyStarted)
    );
    assert_eq!(
        (started[0].lane.as_str(), started[0].state.as_str()),
        ("hook:1.example.com:443", "owed")
    );
    let around = Surroundings { subscribers, begun: Vec::new() };
    let closing = closing_among(&session(), &agent(), &around, EndReason::UserEnd);
    let told: Vec<_> = closing
        .steps
        .iter()
        .filter(|step| step.kind.notifies())
        .map(|step| (step.kind, step.target.map(|id| id.0.as_u128()), step.state.as_str()))
        .collect();
    assert_eq!(
        told,
        [
            (StepKind::NotifyEnded, None, "owed"),
            (StepKind::NotifyEnded, Some(1), "owed"),
            (StepKind::NotifyFinalized, None, "waiting"),
            (StepKind::NotifyFinalized, Some(2), "waiting"),
        ]
    );
}

#[test]
fn the_agents_webhook_hears_what_it_asks_for_or_else_what_the_api_says() {
    let heard = |events: Option<&[&str]>, hears| {
        let (mut agent, mut session) = (agent(), session());
        session.profile.hears = hears;
        let hook = agent.webhook.as_mut().expect("it has one");
        hook.events = events.map(|events| events.iter().map(ToString::to_string).collect());
        let steps = closing(&session, &agent, EndReason::UserEnd).steps.into_iter();
        steps.filter_map(|step| step.kind.event()).collect::<Vec<_>>()
    };
    assert_eq!(heard(None, Hears::Everything), ["session.ended", "session.finalized"]);
    assert_eq!(heard(None, Hears::TheEnd), ["session.ended"]);
    assert_eq!(heard(Some(&["session.finalized"]), Hears::TheEnd), ["session.finalized"]);
    assert_eq!(heard(Some(&[]), Hears::Everything), [""; 0]);
}

#[test]
fn what_the_open_has_owed_counts_for_whether_all_has_settled() {
    let (mut session, mut agent) = (session(), agent());
    (agent.memory, agent.webhook) = (MemoryMode::Off, None);
    session.profile.notify_finalized = true;
    let end = |state: StepState, subscribers: Vec<Subscription>| {
        let target = Some(SubscriptionId(uuid::Uuid::from_u128(1)));
        let started = Standing { target, ..own(StepKind::NotifyStarted, &state) };
        let around = Surroundings { subscribers, begun: vec![started] };
        closing_among(&session, &agent, &around, EndReason::UserEnd)
    };
    let (owed, done) = (StepState::Owed { due_at: NOW }, StepState::Done { at: NOW });
    assert!(end(done.clone(), vec![]).settled);
    assert!(!end(owed.clone(), vec![]).settled, "a subscriber is still to be told of the start");
    let finalized = || vec![subscriber(1, &["session.finalized"])];
    assert_eq!(end(done, finalized()).steps[0].state.as_str(), "owed");
    assert_eq!(end(owed, finalized()).steps[0].state, StepState::Waiting);
}

#[test]
fn what_is_told_to_one_receiver_waits_for_no_other() {
    let owed = StepState::Owed { due_at: NOW };
    let done = StepState::Done { at: NOW };
    let target = Some(SubscriptionId(uuid::Uuid::from_u128(1)));
    let other = Some(SubscriptionId(uuid::Uuid::from_u128(2)));
    let profile = session().profile;
    for told in [StepKind::NotifyStarted, StepKind::NotifyEnded] {
        let steps = [
            own(StepKind::Analyze, &done),
            Standing { target, ..own(told, &owed) },
            Standing { target: other, ..own(StepKind::NotifyEnded, &done) },
            own(StepKind::Purge, &StepState::Waiting),
        ];
        let ready = |target| is_ready((StepKind::NotifyFinalized, target), &profile, &steps);
        assert!(!ready(target), "its own news comes first");
        assert!(ready(other) && ready(None), "another's does not hold it");
    }
    let reads = [own(StepKind::Analyze, &owed)];
    assert!(!is_ready((StepKind::NotifyFinalized, other), &profile, &reads), "the readers do");
}
