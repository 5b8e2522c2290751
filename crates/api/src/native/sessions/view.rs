//! A session as the native API shows it.

use epilogue_core::{
    Session, SessionState, Step, StepKind, Usage,
    finalization::{Need, Planned},
    reason::Deadline,
    step::Attempt,
};
use epilogue_engine::records::AnalysisResult;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::super::steps::{AttemptView, StepView};

/// Where a session is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StateWord {
    /// Taking turns.
    Active,
    /// Ended, with steps still owed or parked.
    Finalizing,
    /// Every step has settled.
    Final,
}

/// Which agent, and which version of it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct AgentRef {
    /// The agent.
    pub id: String,
    /// The version the session was opened with, from 1. It does not change with the agent.
    pub version: u32,
}

/// The point after which a session is over by itself.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct DeadlineView {
    /// `idle`, `max_duration` or `disconnected`: the reason of an end by it.
    #[schema(example = "idle")]
    pub kind: &'static str,
    /// When (RFC 3339, UTC).
    pub at: String,
}

impl From<Deadline> for DeadlineView {
    fn from(deadline: Deadline) -> Self {
        Self { kind: deadline.kind.reason().as_str(), at: deadline.at.to_string() }
    }
}

/// How a session ended. Decided once, and never changed.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct EndedView {
    /// When (RFC 3339, UTC).
    pub at: String,
    /// Why: `user_end`, `agent_finish`, `idle`, `max_duration`, `disconnected`, `operator`,
    /// `credits_exhausted` or `failed`.
    #[schema(example = "user_end")]
    pub reason: &'static str,
    /// Who caused it: `user`, `agent`, `timer`, `connection`, `operator`, `billing` or `system`.
    #[schema(value_type = String, example = "user")]
    pub caused_by: epilogue_core::reason::CausedBy,
    /// The deadline that had passed, if one had.
    pub deadline: Option<DeadlineView>,
}

/// What a session has used so far.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct UsageView {
    /// Messages from the person.
    pub user_messages: u32,
    /// Messages of both sides that the person can see, the greeting included.
    pub total_messages: u32,
    /// Tokens in the person's messages (not the whole prompt).
    pub input_tokens: u64,
    /// Tokens the model wrote.
    pub output_tokens: u64,
    /// Tokens of all prompts sent to the model, history and instructions included.
    pub prompt_tokens: u64,
    /// Requests made to the model.
    pub model_calls: u32,
    /// Whether any figure was counted here because the model's endpoint did not say.
    pub estimated: bool,
}

impl From<Usage> for UsageView {
    fn from(usage: Usage) -> Self {
        Self {
            user_messages: usage.user_messages,
            total_messages: usage.total_messages,
            input_tokens: usage.input_tokens,
            output_tokens: usage.output_tokens,
            prompt_tokens: usage.prompt_tokens,
            model_calls: usage.model_calls,
            estimated: usage.estimated,
        }
    }
}

/// One conversation between a person and an agent.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct SessionView {
    /// Its identity, whatever API opened it.
    pub id: String,
    /// Its name in the API that opened it; good wherever an id is.
    pub name: String,
    /// Which API opened it.
    #[schema(example = "native")]
    pub dialect: String,
    /// The project it belongs to, in APIs that have such; null in others.
    pub project: Option<String>,
    /// With which agent.
    pub agent: AgentRef,
    /// Who the agent talks to, normalised; null if nobody said.
    pub person: Option<String>,
    /// Where it is in its life.
    pub state: StateWord,
    /// When it was opened (RFC 3339, UTC).
    pub opened_at: String,
    /// When something last happened that counts for the idle timer.
    pub last_activity_at: String,
    /// When a keep-alive last came, or when it was opened.
    pub last_seen_at: String,
    /// When it ends by itself; null if it has ended, or never does.
    pub deadline: Option<DeadlineView>,
    /// How many turns it has had, the running one included.
    pub turns: u32,
    /// Whether a turn is running.
    pub turn_running: bool,
    /// How many messages its transcript has, tool traffic included.
    pub messages: u32,
    /// How it ended; null while it is open.
    pub ended: Option<EndedView>,
    /// When its last step settled; null until then.
    pub finalized_at: Option<String>,
    /// How many whole seconds it lasted, or has lasted so far.
    pub duration_seconds: u64,
    /// What it has used.
    pub usage: UsageView,
    /// What it cost, in millionths of a credit; null while it is open, and for session tokens.
    pub cost_micro_credits: Option<i64>,
    /// The same in credits, as a decimal.
    #[schema(example = "0.0045")]
    pub cost: Option<String>,
    /// The caller's own data from the open; null if there was none, once it has been purged, and
    /// for session tokens.
    pub metadata: Value,
}

impl SessionView {
    /// The session as it is at `now`.
    pub(in crate::native) fn of(session: &Session, now: epilogue_core::Timestamp) -> Self {
        let ended = session.ended();
        Self {
            id: session.id.to_string(),
            name: session.dialect_id.clone(),
            dialect: session.dialect.to_string(),
            project: session.project.as_ref().map(ToString::to_string),
            agent: AgentRef { id: session.agent.id.to_string(), version: session.agent.version },
            person: session.person.as_ref().map(|person| person.as_str().to_owned()),
            state: match session.state {
                SessionState::Active { .. } => StateWord::Active,
                SessionState::Finalizing(_) => StateWord::Finalizing,
                SessionState::Final { .. } => StateWord::Final,
            },
            opened_at: session.opened_at.to_string(),
            last_activity_at: session.last_activity.to_string(),
            last_seen_at: session.last_seen.to_string(),
            deadline: session.deadline().map(Into::into),
            turns: session.turns,
            turn_running: session.turn_in_flight().is_some(),
            messages: session.messages,
            ended: ended.map(|ended| EndedView {
                at: ended.at.to_string(),
                reason: ended.reason.as_str(),
                caused_by: ended.reason.caused_by(),
                deadline: ended.deadline.map(Into::into),
            }),
            finalized_at: match &session.state {
                SessionState::Final { finalized_at, .. } => Some(finalized_at.to_string()),
                _ => None,
            },
            duration_seconds: session.lasted(now).as_millis() / 1000,
            usage: session.usage.into(),
            cost_micro_credits: ended.map(|ended| ended.cost.0),
            cost: ended.map(|ended| ended.cost.to_string()),
            metadata: session.context.metadata.clone(),
        }
    }

    /// Without what is the organization's own business: for whoever holds a session's token.
    pub(super) fn for_person(self) -> Self {
        Self { cost_micro_credits: None, cost: None, metadata: Value::Null, ..self }
    }
}

/// A session with what its end owed and what came of it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct SessionDetail {
    /// The session.
    #[serde(flatten)]
    pub session: SessionView,
    /// Every kind of step, in the order they run where one needs another.
    pub steps: Vec<PlannedStep>,
    /// The agent's forms, as far as they are filled in.
    pub analysis: Vec<AnalysisView>,
}

/// One kind of step in one session.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct PlannedStep {
    /// Which.
    #[schema(example = "notify_ended")]
    pub kind: &'static str,
    /// `planned`: it will be owed when the session ends, as things stand. `not_owed`: there is
    /// nothing to do, see `reason`. Otherwise the state of the step.
    #[schema(example = "done")]
    pub state: &'static str,
    /// Why it is not owed, was skipped, or is parked.
    pub reason: Option<String>,
    /// The step, once it is owed.
    pub step: Option<StepView>,
    /// Every attempt at it, oldest first.
    pub attempts: Vec<AttemptView>,
}

impl PlannedStep {
    /// What became of a plan, and of the steps that tell subscribers, each behind its own kind's.
    pub(super) fn all(plan: &[Planned], steps: &[(Step, Vec<Attempt>)]) -> Vec<Self> {
        let mut shown = Vec::new();
        for kind in StepKind::ALL {
            let planned = plan.iter().filter(|planned| planned.kind == kind);
            shown.extend(planned.map(|planned| Self::of(planned, steps)));
            let told = steps.iter().filter(|(step, _)| step.kind == kind && step.target.is_some());
            shown.extend(told.map(Self::owed));
        }
        shown
    }

    /// What became of one step of a plan.
    fn of(planned: &Planned, steps: &[(Step, Vec<Attempt>)]) -> Self {
        let own = |step: &Step| step.kind == planned.kind && step.target.is_none();
        if let Some(found) = steps.iter().find(|(step, _)| own(step)) {
            return Self::owed(found);
        }
        let (state, reason) = match &planned.need {
            Need::Owed { .. } => ("planned", None),
            Need::NotOwed(reason) => ("not_owed", Some((*reason).to_owned())),
        };
        let kind = planned.kind.as_str();
        Self { kind, state, reason, step: None, attempts: Vec::new() }
    }

    fn owed((step, attempts): &(Step, Vec<Attempt>)) -> Self {
        let view = StepView::of(step);
        Self {
            kind: step.kind.as_str(),
            state: view.state,
            reason: view.reason.clone(),
            step: Some(view),
            attempts: attempts.iter().map(AttemptView::of).collect(),
        }
    }
}

/// A filled-in form.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct AnalysisView {
    /// Which form.
    pub form: String,
    /// A value for every label; null where it could not be determined.
    pub values: Value,
    /// When it was filled in (RFC 3339, UTC).
    pub at: String,
}

impl AnalysisView {
    /// The form as it is shown.
    pub(in crate::native) fn of(result: &AnalysisResult) -> Self {
        Self { form: result.form.clone(), values: result.values.clone(), at: result.at.to_string() }
    }
}
