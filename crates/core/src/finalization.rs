//! What an ended session owes, in which order, and what its end commits: pure functions.

use crate::{
    agent::{Agent, WebhookSpec},
    event::Activity,
    id::SubscriptionId,
    ledger::Transaction,
    memory::MemoryMode,
    money::MicroCredits,
    profile::{Hears, Keeps, NotifyEnded, Profile},
    reason::{Deadline, EndReason, EndRequest},
    session::{Ended, Session},
    step::{Step, StepKind, StepState},
    subscription::{self, Subscription},
    time::Timestamp,
};

/// The lane of steps that need nothing but our own store.
pub const STORE_LANE: &str = "store";

/// One step of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// Which step.
    pub kind: StepKind,
    /// Which subscriber it tells, if it tells one.
    pub target: Option<SubscriptionId>,
    /// Whether it is owed.
    pub need: Need,
}

/// Whether a step is owed, and if not, why not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Need {
    /// It is, through this lane.
    Owed {
        /// See [`crate::step::Step::lane`].
        lane: String,
    },
    /// It is not: nothing to do, and this is why.
    NotOwed(&'static str),
}

/// The whole plan of an end: every kind of step it can owe, owed or not, and one for each subscriber
/// that is to be told. But for the subscribers it follows from what was frozen at open and what was
/// said, so it can be asked for again at any time.
pub fn plan(session: &Session, agent: &Agent, subscribers: &[Subscription]) -> Vec<Planned> {
    let at_the_end = StepKind::ALL.into_iter().filter(|kind| *kind != StepKind::NotifyStarted);
    let mut plan = Vec::new();
    for kind in at_the_end {
        plan.push(Planned { kind, target: None, need: need(kind, session, agent) });
        if session.came_about() {
            plan.extend(told(kind, subscribers));
        }
    }
    plan
}

/// The steps that tell an event to those who subscribe to it.
fn told(kind: StepKind, subscribers: &[Subscription]) -> impl Iterator<Item = Planned> {
    let asking = subscribers.iter().filter(move |subscriber| subscriber.asks_for(kind));
    asking.map(move |subscriber| Planned {
        kind,
        target: Some(subscriber.id),
        need: Need::Owed { lane: hook_lane(&subscriber.url) },
    })
}

/// What a session owes from its open on.
pub fn opening(subscribers: &[Subscription], now: Timestamp) -> Vec<OwedStep> {
    let told = told(StepKind::NotifyStarted, subscribers);
    told.filter_map(|planned| planned.owed(StepState::Owed { due_at: now })).collect()
}

impl Planned {
    /// The step, if it is owed.
    fn owed(self, state: StepState) -> Option<OwedStep> {
        let Self { kind, target, need: Need::Owed { lane } } = self else { return None };
        Some(OwedStep { kind, target, lane, state })
    }
}

fn need(kind: StepKind, session: &Session, agent: &Agent) -> Need {
    use Need::NotOwed;
    let profile = &session.profile;
    let silent = is_silent(session);
    let never_was = !session.came_about();
    let store = || Need::Owed { lane: STORE_LANE.to_owned() };
    match kind {
        StepKind::NotifyStarted => NotOwed("only subscribers are told"),
        StepKind::ReleaseMedia if !profile.holds_media => NotOwed("the session holds no media"),
        StepKind::ReleaseMedia => Need::Owed { lane: "media".to_owned() },
        StepKind::IngestMemory if agent.memory == MemoryMode::ReadOnly => {
            NotOwed("the agent's memory is read-only")
        }
        StepKind::IngestMemory if !agent.memory.learns() => NotOwed("the agent has no memory"),
        StepKind::IngestMemory if session.person.is_none() => NotOwed("nobody to remember it for"),
        StepKind::IngestMemory if silent => NotOwed("the person said nothing"),
        StepKind::IngestMemory => Need::Owed { lane: "memory".to_owned() },
        StepKind::Analyze if !asks(agent) => NotOwed("the agent has no forms"),
        StepKind::Analyze if silent => NotOwed("the person said nothing"),
        StepKind::Analyze => Need::Owed { lane: model_lane(agent) },
        StepKind::RecordResult | StepKind::NotifyEnded | StepKind::NotifyFinalized if never_was => {
            NotOwed("there never was a conversation")
        }
        StepKind::RecordResult if !profile.searchable => {
            NotOwed("this API has no search of conversations")
        }
        StepKind::NotifyEnded if profile.notify_ended == NotifyEnded::Never => {
            NotOwed("this API has no such event")
        }
        StepKind::NotifyFinalized if !profile.notify_finalized => {
            NotOwed("this API has no such event")
        }
        StepKind::NotifyEnded | StepKind::NotifyFinalized => match &agent.webhook {
            Some(webhook) if !hears(webhook, kind, profile) => {
                NotOwed("the agent's webhook does not ask for this event")
            }
            Some(webhook) => Need::Owed { lane: hook_lane(&webhook.url) },
            None => NotOwed("the agent has no webhook"),
        },
        StepKind::Purge if keeps_transcript(session, agent) => NotOwed("the transcript is kept"),
        StepKind::RecordResult | StepKind::Purge => store(),
    }
}

/// Whether there is nothing to remember or to ask about. Of an avatar, the lines that it was given are
/// the conversation: the person is only seen to watch.
const fn is_silent(session: &Session) -> bool {
    if session.profile.holds_media {
        session.usage.total_messages == 0
    } else {
        session.usage.user_messages == 0
    }
}

/// Whether anything is asked about the agent's conversations once they are over.
fn asks(agent: &Agent) -> bool {
    agent.analysis.iter().any(|form| form.enabled) || !agent.variables.is_empty()
}

/// Whether the transcript stays: where the API keeps it and the agent does not say otherwise.
pub fn keeps_transcript(session: &Session, agent: &Agent) -> bool {
    session.profile.keeps == Keeps::Transcript && agent.keep_transcript
}

/// Whether the agent's own webhook is told an event: as it says, or else as the API does.
fn hears(webhook: &WebhookSpec, kind: StepKind, profile: &Profile) -> bool {
    match &webhook.events {
        Some(events) => subscription::asks_for(events, kind),
        None => profile.hears == Hears::Everything || kind == StepKind::NotifyEnded,
    }
}

fn hook_lane(url: &url::Url) -> String {
    format!("hook:{}", authority(url))
}

fn model_lane(agent: &Agent) -> String {
    match (&agent.model.base_url, &agent.model.vendor) {
        (Some(url), _) => format!("model:{}", authority(url)),
        (None, Some(vendor)) => format!("model:listed:{vendor}"),
        (None, None) => "model:scripted".to_owned(),
    }
}

fn authority(url: &url::Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port_or_known_default().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// Where one of a session's steps stands, as far as others wait for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Which step.
    pub kind: StepKind,
    /// Which subscriber it tells, if it tells one.
    pub target: Option<SubscriptionId>,
    /// Where it stands.
    pub state: StepState,
    /// Whether an attempt at it has failed since it was owed or resumed.
    pub failed: bool,
}

impl Standing {
    /// One that has not been tried.
    fn untried(step: &OwedStep) -> Self {
        Self { kind: step.kind, target: step.target, state: step.state.clone(), failed: false }
    }
}

impl From<&Step> for Standing {
    fn from(step: &Step) -> Self {
        Self {
            kind: step.kind,
            target: step.target,
            state: step.state.clone(),
            failed: step.failures > 0,
        }
    }
}

/// Whether the step of this kind and receiver may run, given where the session's steps stand.
///
/// `purge` destroys what the others read, so it waits until they have settled for good, and a
/// parked one holds it; see `holds` for where the API itself promises that nothing stays. The rest only
/// wait for others to be at rest, so that one parked step does not silence the webhooks; and what is
/// told to one receiver never waits for another.
pub fn is_ready(
    (kind, target): (StepKind, Option<SubscriptionId>),
    profile: &Profile,
    steps: &[Standing],
) -> bool {
    let mut others = steps.iter().filter(|other| other.kind != kind);
    match kind {
        StepKind::NotifyStarted
        | StepKind::ReleaseMedia
        | StepKind::IngestMemory
        | StepKind::Analyze
        | StepKind::RecordResult => true,
        StepKind::NotifyEnded => {
            profile.notify_ended != NotifyEnded::AfterAnalysis
                || others.all(|other| other.kind != StepKind::Analyze || other.state.is_at_rest())
        }
        StepKind::NotifyFinalized => others.all(|other| {
            let is_anothers = other.kind.notifies() && other.target != target;
            other.kind == StepKind::Purge || is_anothers || other.state.is_at_rest()
        }),
        StepKind::Purge if profile.keeps == Keeps::Transcript => {
            others.all(|other| other.state.is_settled())
        }
        StepKind::Purge => !others.any(|other| holds(other, steps)),
    }
}

/// Whether a step holds a purge that the API itself promises. Readers do until they have settled,
/// notifications only until they have been tried once: a dead receiver keeps no conversation. Their
/// words are on record by then, and are told again as they are; what was never put on record is told
/// of what has stayed.
fn holds(step: &Standing, steps: &[Standing]) -> bool {
    if !step.kind.notifies() {
        return !step.state.is_settled();
    }
    // The last news for a receiver that is down wait for its other news.
    let is_in_vain = |other: &Standing| {
        let is_same = other.kind != step.kind && other.target == step.target;
        is_same && other.kind.notifies() && other.failed && !other.state.is_at_rest()
    };
    let waits_in_vain = step.kind == StepKind::NotifyFinalized
        && step.state == StepState::Waiting
        && steps.iter().any(is_in_vain);
    !(step.state.is_at_rest() || step.failed || waits_in_vain)
}

/// A step that a decision writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwedStep {
    /// Which step.
    pub kind: StepKind,
    /// Which subscriber it tells, if it tells one.
    pub target: Option<SubscriptionId>,
    /// See [`crate::step::Step::lane`].
    pub lane: String,
    /// Whether it is due at once or waits for another.
    pub state: StepState,
}

/// What an end finds of its session's project.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// Who subscribes to the project at the moment of the end.
    pub subscribers: Vec<Subscription>,
    /// Where the steps stand that the open has owed.
    pub begun: Vec<Standing>,
}

/// Everything an end commits, together or not at all.
#[derive(Clone, Debug, PartialEq)]
pub struct Closing {
    /// The facts of the end.
    pub ended: Ended,
    /// The session's one settlement.
    pub settlement: Transaction,
    /// The owed steps.
    pub steps: Vec<OwedStep>,
    /// Whether nothing is to be done any more, so that the session is final at once.
    pub settled: bool,
    /// The activity-log entry. `None`: there never was a conversation.
    pub activity: Option<Activity>,
}

/// Closes a session that is to end for `reason`.
pub fn close(
    session: &Session,
    (agent, around): (&Agent, &Surroundings),
    (reason, deadline): (EndReason, Option<Deadline>),
    request: &EndRequest,
    now: Timestamp,
) -> Closing {
    let cost = cost((session, agent), (reason, deadline), now);
    let ended = Ended { at: now, reason, deadline, cost };
    let plan = plan(session, agent, &around.subscribers).into_iter();
    let mut steps: Vec<_> = plan.filter_map(|planned| planned.owed(StepState::Waiting)).collect();
    let mut all = around.begun.clone();
    all.extend(steps.iter().map(Standing::untried));
    for step in &mut steps {
        if is_ready((step.kind, step.target), &session.profile, &all) {
            step.state = StepState::Owed { due_at: now };
        }
    }
    Closing {
        settlement: Transaction::settlement(session.id, ended.cost, session.held),
        settled: all.iter().all(|step| step.state.is_settled()),
        steps,
        activity: session.came_about().then(|| Activity::session_ended(session, &ended, request)),
        ended,
    }
}

fn cost(
    (session, agent): (&Session, &Agent),
    (reason, deadline): (EndReason, Option<Deadline>),
    now: Timestamp,
) -> MicroCredits {
    if !reason.is_billed() || !session.came_about() {
        return MicroCredits::ZERO;
    }
    agent.price.cost(&session.usage, session.lasts_until(now, deadline))
}

#[cfg(test)]
#[path = "finalization_tests.rs"]
mod tests;
