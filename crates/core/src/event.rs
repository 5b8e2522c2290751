//! What happened, as facts: the entries of the activity log.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    id::{SessionId, StepId},
    reason::EndRequest,
    session::{Ended, Session},
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
    /// The credential that did it, if one did.
    pub by: Option<String>,
    /// The particulars.
    pub detail: Value,
}

impl Activity {
    /// A session ended.
    pub fn session_ended(session: &Session, ended: &Ended, request: &EndRequest) -> Self {
        Self {
            id: format!("session.ended:{}", session.id.0.simple()),
            at: ended.at,
            kind: "session.ended".into(),
            session: Some(session.id),
            by: request.by.clone(),
            detail: json!({
                "reason": ended.reason,
                "caused_by": ended.reason.caused_by(),
                "deadline": ended.deadline,
                "cost": ended.cost.to_string(),
                "note": request.note,
            }),
        }
    }

    /// A step was given up on.
    pub fn step_parked(step: StepId, attempt: u32, reason: &str, at: Timestamp) -> Self {
        Self {
            id: format!("step.parked:{step}:{attempt}"),
            at,
            kind: "step.parked".into(),
            session: Some(step.session),
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
            by,
            detail: json!({ "key": key }),
        }
    }
}
