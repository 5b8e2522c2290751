//! What an ended session owes, in which order, and what its end commits: pure functions.

use crate::{
    agent::{Agent, WebhookSpec},
    event::Activity,
    ledger::Transaction,
    money::MicroCredits,
    profile::{Keeps, NotifyEnded, Profile},
    reason::{Deadline, EndReason, EndRequest},
    session::{Ended, Session},
    step::{StepKind, StepState},
    time::Timestamp,
};

/// The lane of steps that need nothing but our own store.
pub const STORE_LANE: &str = "store";

/// One step of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// Which step.
    pub kind: StepKind,
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

/// The whole plan of a session: every kind of step, owed or not. It follows from what was frozen
/// at open and what was said, so it can be asked for again at any time.
pub fn plan(session: &Session, agent: &Agent) -> Vec<Planned> {
    StepKind::ALL
        .into_iter()
        .map(|kind| Planned { kind, need: need(kind, session, agent) })
        .collect()
}

fn need(kind: StepKind, session: &Session, agent: &Agent) -> Need {
    use Need::NotOwed;
    let profile = &session.profile;
    let silent = session.usage.user_messages == 0;
    let never_was = !session.came_about();
    let store = || Need::Owed { lane: STORE_LANE.to_owned() };
    match kind {
        StepKind::ReleaseMedia if !profile.holds_media => NotOwed("the session holds no media"),
        StepKind::ReleaseMedia => Need::Owed { lane: "media".to_owned() },
        StepKind::IngestMemory if !agent.memory => NotOwed("the agent has no memory"),
        StepKind::IngestMemory if session.person.is_none() => NotOwed("nobody to remember it for"),
        StepKind::IngestMemory if silent => NotOwed("the person said nothing"),
        StepKind::IngestMemory => Need::Owed { lane: "memory".to_owned() },
        StepKind::Analyze if !agent.analysis.iter().any(|form| form.enabled) => {
            NotOwed("the agent has no forms")
        }
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
            Some(webhook) => Need::Owed { lane: hook_lane(webhook) },
            None => NotOwed("the agent has no webhook"),
        },
        StepKind::Purge if keeps_transcript(session, agent) => NotOwed("the transcript is kept"),
        StepKind::RecordResult | StepKind::Purge => store(),
    }
}

/// Whether the transcript stays: where the API keeps it and the agent does not say otherwise.
pub fn keeps_transcript(session: &Session, agent: &Agent) -> bool {
    session.profile.keeps == Keeps::Transcript && agent.keep_transcript
}

fn hook_lane(webhook: &WebhookSpec) -> String {
    format!("hook:{}", authority(&webhook.url))
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

/// Whether `kind` may run, given where the session's other steps stand.
///
/// `purge` destroys what the others read, so it waits until they have settled for good, and a
/// parked one holds it. Where the API itself promises that nothing stays, webhooks hold it only until
/// they are at rest: a dead receiver keeps no conversation, and a notification that is resumed
/// afterwards tells what has stayed. The rest only wait for others to be at rest, so that one parked
/// step does not silence the webhooks.
pub fn is_ready(kind: StepKind, profile: &Profile, others: &[(StepKind, StepState)]) -> bool {
    let mut others = others.iter().filter(|(other, _)| *other != kind);
    match kind {
        StepKind::ReleaseMedia
        | StepKind::IngestMemory
        | StepKind::Analyze
        | StepKind::RecordResult => true,
        StepKind::NotifyEnded => {
            profile.notify_ended != NotifyEnded::AfterAnalysis
                || others.all(|(other, state)| *other != StepKind::Analyze || state.is_at_rest())
        }
        StepKind::NotifyFinalized => {
            others.all(|(other, state)| *other == StepKind::Purge || state.is_at_rest())
        }
        StepKind::Purge if profile.keeps == Keeps::Transcript => {
            others.all(|(_, state)| state.is_settled())
        }
        StepKind::Purge => others
            .all(|(other, state)| state.is_settled() || (other.notifies() && state.is_at_rest())),
    }
}

/// Everything an end commits, together or not at all.
#[derive(Clone, Debug, PartialEq)]
pub struct Closing {
    /// The facts of the end.
    pub ended: Ended,
    /// The session's one settlement.
    pub settlement: Transaction,
    /// The owed steps: kind, lane, and whether they are due at once or wait for another.
    pub steps: Vec<(StepKind, String, StepState)>,
    /// The activity-log entry. `None`: there never was a conversation.
    pub activity: Option<Activity>,
}

/// Closes a session that is to end for `reason`.
pub fn close(
    session: &Session,
    agent: &Agent,
    (reason, deadline): (EndReason, Option<Deadline>),
    request: &EndRequest,
    now: Timestamp,
) -> Closing {
    let ended = Ended { at: now, reason, deadline, cost: cost(session, agent, reason, now) };
    let owed: Vec<_> = plan(session, agent)
        .into_iter()
        .filter_map(|planned| match planned.need {
            Need::Owed { lane } => Some((planned.kind, lane)),
            Need::NotOwed(_) => None,
        })
        .collect();
    let waiting: Vec<_> = owed.iter().map(|(kind, _)| (*kind, StepState::Waiting)).collect();
    let steps = owed.into_iter().map(|(kind, lane)| {
        let ready = is_ready(kind, &session.profile, &waiting);
        (kind, lane, if ready { StepState::Owed { due_at: now } } else { StepState::Waiting })
    });
    Closing {
        settlement: Transaction::settlement(session.id, ended.cost, session.held),
        steps: steps.collect(),
        activity: session.came_about().then(|| Activity::session_ended(session, &ended, request)),
        ended,
    }
}

fn cost(session: &Session, agent: &Agent, reason: EndReason, now: Timestamp) -> MicroCredits {
    if !reason.is_billed() || !session.came_about() {
        return MicroCredits::ZERO;
    }
    agent.price.cost(&session.usage, session.lasted(now))
}

#[cfg(test)]
#[path = "finalization_tests.rs"]
mod tests;
