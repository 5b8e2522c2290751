//! Questions that change nothing: how the server is, and why a session ended.

use epilogue_core::{
    OrgId, Session, SessionId, SessionState, Span, Timestamp,
    event::Activity,
    finalization::{self, Planned},
    reason::{Deadline, DeadlineKind},
};
use epilogue_storage::{PageRequest, SessionName};

use crate::{Engine, Result, memory::Condition, metrics::Snapshot};

/// How many entries of the activity log an explanation carries.
const ACTIVITY_MAX: u32 = 50;

/// How the server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// Whether the store answers.
    pub store: Result<(), String>,
    /// How long the oldest owed step has been owed, if that is longer than it should be.
    pub stuck: Option<Span>,
    /// How many steps are parked.
    pub parked: u64,
    /// Whether the server is shutting down.
    pub draining: bool,
}

impl Health {
    /// Whether it should be sent work.
    pub const fn is_ready(&self) -> bool {
        self.store.is_ok() && !self.draining
    }
}

/// Why a session ended, or why it has not.
#[derive(Clone, Debug)]
pub struct Why {
    /// The session.
    pub session: Session,
    /// The whole answer in one sentence.
    pub sentence: String,
    /// The deadline that applies, while it is open.
    pub deadline: Option<Deadline>,
    /// What the log says of it, latest first.
    pub activity: Vec<Activity>,
}

impl Engine {
    /// How the server is.
    pub async fn health(&self) -> Health {
        let steps = self.store().step_census().await.inspect_err(|error| {
            let error: &dyn std::error::Error = error;
            tracing::error!(error, "the store does not answer");
        });
        let oldest = steps.as_ref().ok().and_then(|steps| steps.oldest_owed_at);
        let age = oldest.map(|since| self.now().since(since));
        Health {
            parked: steps.as_ref().map_or(0, |steps| steps.parked),
            stuck: age.filter(|age| *age > self.limits().stuck_after),
            store: steps.map(drop).map_err(|error| error.to_string()),
            draining: self.is_draining(),
        }
    }

    /// What is counted at this moment.
    pub async fn snapshot(&self) -> Result<Snapshot> {
        let sessions = self.store().session_census().await?;
        let steps = self.store().step_census().await?;
        let now = self.now();
        let oldest_step = steps.oldest_owed_at.map_or(Span::ZERO, |since| now.since(since));
        let inbox = self.store().inbox_census().await?;
        let uploads = self.store().upload_census().await?;
        let memory_stalled = matches!(self.memory_condition(), Condition::Stalled { .. });
        let commits = self.store().commit_stats();
        let (stage, tasks) = (self.on_stage().await, self.inner.tasks.len());
        Ok(Snapshot {
            sessions,
            steps,
            oldest_step,
            inbox,
            uploads,
            memory_stalled,
            commits,
            stage,
            tasks,
        })
    }

    /// How memory is, as far as it depends on others.
    pub fn memory_condition(&self) -> Condition {
        self.inner.parts.memory.condition()
    }

    /// What a session owes or does not owe at its end, and why not. Whom else it tells is known when
    /// it ends.
    pub async fn plan_of(&self, session: &Session) -> Result<Vec<Planned>> {
        let agent = self.agent_of(&session.org, &session.agent).await?;
        Ok(finalization::plan(session, &agent, &[]))
    }

    /// Why a session ended. `None`: this organization has no such session.
    pub async fn why(&self, org: &OrgId, id: SessionId) -> Result<Option<Why>> {
        let Some(session) = self.find(org, &SessionName::Id(id)).await? else { return Ok(None) };
        let page = PageRequest::first(ACTIVITY_MAX);
        let activity = self.store().list_activity(org, Some(id), &page).await?.items;
        let sentence = sentence(&session, self.now());
        Ok(Some(Why { deadline: session.deadline(), sentence, activity, session }))
    }
}

fn sentence(session: &Session, now: Timestamp) -> String {
    match (&session.state, session.deadline()) {
        (SessionState::Active { turn: Some(turn) }, _) => {
            format!("It is open, and turn {} is running.", turn.number)
        }
        (SessionState::Active { turn: None }, Some(deadline)) if deadline.at <= now => format!(
            "It is past its {} deadline of {} and is about to be ended.",
            deadline.kind.reason().as_str(),
            deadline.at
        ),
        (SessionState::Active { turn: None }, Some(deadline)) => format!(
            "It is open; it was last active at {} and ends by itself at {} ({}).",
            session.last_activity,
            deadline.at,
            deadline.kind.reason().as_str()
        ),
        (SessionState::Active { turn: None }, None) if session.connection.is_some() => {
            "It is open for as long as its connection stands.".to_owned()
        }
        (SessionState::Active { turn: None }, None) => {
            "It is open and never ends by itself.".to_owned()
        }
        (SessionState::Finalizing(ended) | SessionState::Final { ended, .. }, _) => {
            let why = match ended.deadline {
                Some(Deadline { kind: DeadlineKind::Disconnected, at })
                    if session.profile.holds_media =>
                {
                    format!(
                        ": the server that showed it was gone; it was last heard of at {at}, and it \
                         was ended {} ms after that",
                        ended.at.since(at).as_millis()
                    )
                }
                Some(Deadline { kind: DeadlineKind::Disconnected, at }) => format!(
                    ": its connection was lost{}, nobody came back to it until {at}, and it was \
                     ended {} ms after that",
                    since(session),
                    ended.at.since(at).as_millis()
                ),
                Some(deadline) => format!(
                    ": its last activity was at {}, so its deadline was {}, and it was ended {} ms \
                     after that",
                    session.last_activity,
                    deadline.at,
                    ended.at.since(deadline.at).as_millis()
                ),
                None => String::new(),
            };
            format!(
                "It ended at {} for the reason `{}`{why}. It cost {} credits.",
                ended.at,
                ended.reason.as_str(),
                ended.cost
            )
        }
    }
}

/// Since when a session was without its connection.
fn since(session: &Session) -> String {
    let lost_at = session.connection.as_ref().and_then(|connection| connection.lost_at);
    lost_at.map_or_else(String::new, |lost_at| format!(" at {lost_at}"))
}
