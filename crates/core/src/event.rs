//! What happened, as facts: the entries of the activity log.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    id::{AgentId, ProjectId, SessionId, StepId},
    memory::{FactId, fact_name},
    person::{MemoryScope, PersonKey},
    reason::EndRequest,
    session::{Ended, Session},
    subscription::Subscription,
    time::Timestamp,
};

/// One entry of the activity log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Activity {
    /// Unique within the organization; derived from what happened, so that it is recorded once.
    pub id: String,
    /// When.
    pub at: Timestamp,
    /// What, such as `session.ended`.
    pub kind: String,
    /// The session it concerns, if any.
    pub session: Option<SessionId>,
    /// The agent it concerns, if any.
    pub agent: Option<AgentId>,
    /// The credential that did it, if one did.
    pub by: Option<String>,
    /// The particulars.
    pub detail: Value,
}

impl Activity {
    /// A session was opened.
    pub fn session_opened(session: &Session) -> Self {
        Self {
            id: format!("session.opened:{}", session.id.0.simple()),
            at: session.opened_at,
            kind: "session.opened".into(),
            session: Some(session.id),
            agent: Some(session.agent.id.clone()),
            by: None,
            detail: json!({ "channel": session.channel }),
        }
    }

    /// A session ended.
    pub fn session_ended(session: &Session, ended: &Ended, request: &EndRequest) -> Self {
        let mut detail = json!({
            "reason": ended.reason,
            "caused_by": ended.reason.caused_by(),
            "deadline": ended.deadline,
            "cost": ended.cost.to_string(),
            "note": request.note,
        });
        if let Some(channel) = &session.channel {
            detail["channel"] = json!(channel);
        }
        Self {
            id: format!("session.ended:{}", session.id.0.simple()),
            at: ended.at,
            kind: "session.ended".into(),
            session: Some(session.id),
            agent: Some(session.agent.id.clone()),
            by: request.by.clone(),
            detail,
        }
    }

    /// A step was given up on.
    pub fn step_parked(step: StepId, attempt: u32, reason: &str, at: Timestamp) -> Self {
        Self {
            id: format!("step.parked:{step}:{attempt}"),
            at,
            kind: "step.parked".into(),
            session: Some(step.session),
            agent: None,
            by: None,
            detail: json!({ "step": step, "attempt": attempt, "reason": reason }),
        }
    }

    /// Somebody resumed a parked step, or asked for a delivery to be sent again.
    pub fn step_resumed(step: StepId, attempt: u32, by: Option<String>, at: Timestamp) -> Self {
        Self {
            id: format!("step.resumed:{step}:{attempt}"),
            at,
            kind: "step.resumed".into(),
            session: Some(step.session),
            agent: None,
            by,
            detail: json!({ "step": step, "attempt": attempt }),
        }
    }

    /// A key was created or revoked.
    pub fn key(verb: &str, key: &str, by: Option<String>, at: Timestamp) -> Self {
        Self {
            id: format!("key.{verb}:{key}"),
            at,
            kind: format!("key.{verb}"),
            session: None,
            agent: None,
            by,
            detail: json!({ "key": key }),
        }
    }

    /// An agent was written: `verb` is `created`, `updated`, `deleted` or `cloned`. `version` is the
    /// one that was made, or the last one there is.
    pub fn agent(
        verb: &str,
        (agent, version): (&AgentId, u32),
        detail: Value,
        by: Option<String>,
        at: Timestamp,
    ) -> Self {
        Self {
            id: format!("agent.{verb}:{agent}:{version}"),
            at,
            kind: format!("agent.{verb}"),
            session: None,
            agent: Some(agent.clone()),
            by,
            detail,
        }
    }

    /// A place on the web where an agent may be talked to was written, or one of its tokens.
    pub fn integration(
        (verb, agent): (&str, &AgentId),
        key: &str,
        detail: Value,
        by: Option<String>,
        at: Timestamp,
    ) -> Self {
        Self {
            id: format!("integration.{verb}:{key}:{}", at.as_millis()),
            at,
            kind: format!("integration.{verb}"),
            session: None,
            agent: Some(agent.clone()),
            by,
            detail,
        }
    }

    /// Somebody put a fact in the place of another. What either says is not told.
    pub fn fact_corrected(
        scope: &MemoryScope,
        (old, new): (FactId, FactId),
        by: Option<String>,
        at: Timestamp,
    ) -> Self {
        let detail = json!({ "fact": fact_name(scope, new), "supersedes": fact_name(scope, old) });
        let id = format!("memory.fact_corrected:{}", fact_name(scope, new));
        Self::of_memory("memory.fact_corrected", id, detail, by, at)
    }

    /// Somebody deleted a fact. What it said is not told.
    pub fn fact_deleted(
        scope: &MemoryScope,
        fact: FactId,
        by: Option<String>,
        at: Timestamp,
    ) -> Self {
        let name = fact_name(scope, fact);
        let id = format!("memory.fact_deleted:{name}");
        Self::of_memory("memory.fact_deleted", id, json!({ "fact": name }), by, at)
    }

    /// Somebody had a person forgotten. Who that is, is told as the beginning of a digest.
    pub fn person_forgotten(
        person: PersonKey,
        report: &Value,
        by: Option<String>,
        at: Timestamp,
    ) -> Self {
        let who = person.short();
        let id = format!("memory.forgotten:{who}:{}", at.as_millis());
        let detail = json!({ "person": who, "report": report });
        Self::of_memory("memory.forgotten", id, detail, by, at)
    }

    fn of_memory(kind: &str, id: String, detail: Value, by: Option<String>, at: Timestamp) -> Self {
        Self { id, at, kind: kind.into(), session: None, agent: None, by, detail }
    }

    /// Somebody subscribed to a project, or no longer does. The URL may hold secrets and is not told.
    pub fn subscription(
        verb: &str,
        (project, subscription): (&ProjectId, &Subscription),
        by: Option<String>,
        at: Timestamp,
    ) -> Self {
        let id = subscription.id;
        Self {
            id: format!("subscription.{verb}:{id}"),
            at,
            kind: format!("subscription.{verb}"),
            session: None,
            agent: None,
            by,
            detail: json!({
                "project": project, "subscription": id.to_string(), "events": subscription.events,
            }),
        }
    }

    /// Something about text messages: `what` is `carrier`, `number` or `message`.
    pub fn texting(
        (what, verb, key): (&str, &str, &str),
        agent: Option<AgentId>,
        detail: Value,
        by: Option<String>,
        at: Timestamp,
    ) -> Self {
        Self {
            id: format!("{what}.{verb}:{key}:{}", at.as_millis()),
            at,
            kind: format!("{what}.{verb}"),
            session: None,
            agent,
            by,
            detail,
        }
    }

    /// A tool was called in a conversation: what it came to, never what was said.
    pub fn tool_called(
        session: &Session,
        call: (u32, usize, &str),
        failure: Option<&str>,
        at: Timestamp,
    ) -> Self {
        let (turn, number, tool) = call;
        let kind = if failure.is_some() { "tool.failed" } else { "tool.called" };
        Self {
            id: format!("{kind}:{}:{turn}:{number}", session.id.0.simple()),
            at,
            kind: kind.into(),
            session: Some(session.id),
            agent: Some(session.agent.id.clone()),
            by: None,
            detail: json!({ "tool": tool, "turn": turn, "error": failure }),
        }
    }

    /// What finally came of telling a webhook.
    pub fn webhook_told(
        session: &Session,
        (step, attempt): (StepId, u32),
        event: &str,
        failure: Option<&str>,
        at: Timestamp,
    ) -> Self {
        let kind = if failure.is_some() { "webhook.failed" } else { "webhook.delivered" };
        Self {
            id: format!("{kind}:{step}:{attempt}"),
            at,
            kind: kind.into(),
            session: Some(session.id),
            agent: Some(session.agent.id.clone()),
            by: None,
            detail: json!({ "event": event, "attempt": attempt, "error": failure }),
        }
    }
}
