//! Identities. Each has its own type, so that one can never be passed where another is meant.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::step::StepKind;

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Takes the text as it is; whoever reads it from outside checks its form.
            pub fn new(text: impl Into<Arc<str>>) -> Self {
                Self(text.into())
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self::new(text)
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self::new(text)
            }
        }
    };
}

text_id! {
    /// An organization (a tenant). Named by its operator, for example `org_acme`.
    OrgId
}
text_id! {
    /// An agent within its organization.
    AgentId
}
text_id! {
    /// A project within its organization: in APIs that have such, what sessions and keys belong to.
    ProjectId
}
text_id! {
    /// Which vendor's API opened a session. A label the core stores and never interprets.
    Dialect
}
text_id! {
    /// A credential's public name: never the secret itself.
    KeyId
}
text_id! {
    /// One running server process. A restart is a new node.
    NodeId
}
text_id! {
    /// One connection that a session lives by. A client that comes back has another.
    ConnectionId
}
text_id! {
    /// One fact told to a webhook. The same on every attempt, restart, node and replay.
    EventId
}

/// A session's identity in the core, whatever dialect opened it. Version 7: ordered by time, so
/// that recent sessions lie together on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SessionId(pub Uuid);

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for SessionId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// A step's identity: its session and its kind, printed as `stp_<session>_<kind>`. It is derived,
/// not drawn, so that every node and every restart names the same step alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StepId {
    /// The session that owes the step.
    pub session: SessionId,
    /// What is owed.
    pub kind: StepKind,
}

impl StepId {
    /// The id of the event this step tells, if it tells one.
    pub fn event_id(&self) -> EventId {
        EventId::new(format!("evt_{}_{}", self.session.0.simple(), self.kind.as_str()))
    }
}

impl fmt::Display for StepId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "stp_{}_{}", self.session.0.simple(), self.kind.as_str())
    }
}

/// The text is not a step id.
#[derive(Debug, thiserror::Error)]
#[error("a step id looks like stp_<session>_<kind>")]
pub struct BadStepId;

impl StepId {
    /// Reads the id back from either printed form, the step's own or its event's.
    fn parse_after(prefix: &str, text: &str) -> Option<Self> {
        let (session, kind) = text.strip_prefix(prefix)?.split_once('_')?;
        Some(Self {
            session: SessionId(Uuid::try_parse(session).ok()?),
            kind: StepKind::parse(kind)?,
        })
    }

    /// The step that tells the event with this id.
    pub fn of_event(event: &EventId) -> Option<Self> {
        Self::parse_after("evt_", event.as_str())
    }
}

impl FromStr for StepId {
    type Err = BadStepId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse_after("stp_", text).ok_or(BadStepId)
    }
}

impl Serialize for StepId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn step_and_event_ids_read_back() {
        let id = StepId { session: SessionId(Uuid::from_u128(7)), kind: StepKind::NotifyEnded };
        assert_eq!(id.to_string().parse::<StepId>().expect("reads back"), id);
        assert_eq!(StepId::of_event(&id.event_id()), Some(id));
        assert!("stp_nonsense".parse::<StepId>().is_err());
        assert!(id.event_id().as_str().parse::<StepId>().is_err());
    }
}
