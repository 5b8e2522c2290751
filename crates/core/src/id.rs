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

/// A subscription's identity: somebody's wish to hear of what happens in a project.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SubscriptionId(pub Uuid);

impl fmt::Display for SubscriptionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.simple().fmt(f)
    }
}

impl FromStr for SubscriptionId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// A step's identity: its session, its kind and, where it tells a subscriber, which one. Printed as
/// `stp_<session>_<kind>[_<subscription>]`. It is derived, not drawn, so that every node and every
/// restart names the same step alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StepId {
    /// The session that owes the step.
    pub session: SessionId,
    /// What is owed.
    pub kind: StepKind,
    /// Which subscriber it tells. `None`: it tells none, or the agent's own webhook.
    pub target: Option<SubscriptionId>,
}

impl StepId {
    /// The step of a session that tells no subscriber.
    pub const fn own(session: SessionId, kind: StepKind) -> Self {
        Self { session, kind, target: None }
    }

    /// The id of the event this step tells, if it tells one.
    pub fn event_id(&self) -> EventId {
        EventId::new(self.printed("evt_"))
    }

    fn printed(&self, prefix: &str) -> String {
        let (session, kind) = (self.session.0.simple(), self.kind.as_str());
        match self.target {
            None => format!("{prefix}{session}_{kind}"),
            Some(target) => format!("{prefix}{session}_{kind}_{target}"),
        }
    }
}

impl fmt::Display for StepId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.printed("stp_"))
    }
}

/// The text is not a step id.
#[derive(Debug, thiserror::Error)]
#[error("a step id looks like stp_<session>_<kind>[_<subscription>]")]
pub struct BadStepId;

impl StepId {
    /// Reads the id back from either printed form, the step's own or its event's.
    fn parse_after(prefix: &str, text: &str) -> Option<Self> {
        let (session, rest) = text.strip_prefix(prefix)?.split_once('_')?;
        let session = SessionId(Uuid::try_parse(session).ok()?);
        if let Some(kind) = StepKind::parse(rest) {
            return Some(Self::own(session, kind));
        }
        let (kind, target) = rest.rsplit_once('_')?;
        let (kind, target) = (StepKind::parse(kind)?, target.parse().ok()?);
        let id = Self { session, kind, target: Some(target) };
        // One id has one form.
        (id.printed(prefix) == text).then_some(id)
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
        let own = StepId::own(SessionId(Uuid::from_u128(7)), StepKind::NotifyEnded);
        let other = StepId { target: Some(SubscriptionId(Uuid::from_u128(8))), ..own };
        for id in [own, other] {
            assert_eq!(id.to_string().parse::<StepId>().expect("reads back"), id);
            assert_eq!(StepId::of_event(&id.event_id()), Some(id));
            assert!(id.event_id().as_str().parse::<StepId>().is_err());
        }
        assert_ne!(own.event_id(), other.event_id());
        assert!("stp_nonsense".parse::<StepId>().is_err());
        assert!(format!("{own}_").parse::<StepId>().is_err());
        assert!(format!("{own}_8").parse::<StepId>().is_err());
        assert!(other.to_string().replace("_notify", "_NOTIFY").parse::<StepId>().is_err());
    }
}
