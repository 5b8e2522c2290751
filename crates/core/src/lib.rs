//! What a conversation session is: its states, its end, what it owes afterwards and what it costs.
//!
//! Pure rules. Nothing here performs I/O, waits, or asks what time it is: `now` is always an
//! argument, and every decision is a function from facts to facts. The backends in
//! `epilogue-storage` call these functions inside their transactions, so the rules are written once.

pub mod agent;
pub mod analysis;
pub mod connection;
pub mod endpoint;
pub mod event;
pub mod finalization;
pub mod id;
pub mod integration;
pub mod ledger;
pub mod memory;
pub mod message;
pub mod money;
pub mod open_calls;
pub mod origin;
pub mod overlay;
pub mod person;
pub mod profile;
pub mod reason;
pub mod retry;
pub mod session;
pub mod staging;
pub mod step;
pub mod subscription;
pub mod texting;
pub mod time;
pub mod upload;
pub mod usage;
pub mod variable_spec;
pub mod variables;

pub use agent::Agent;
pub use connection::Connection;
pub use endpoint::EndpointKey;
pub use id::{
    AgentId, ConnectionId, Dialect, EventId, KeyId, NodeId, OrgId, ProjectId, SessionId, StepId,
    SubscriptionId,
};
pub use memory::MemoryMode;
pub use message::{Message, Role};
pub use money::{MicroCredits, Price};
pub use overlay::AgentOverlay;
pub use person::{MemoryScope, Person, PersonKey};
pub use profile::Profile;
pub use reason::{EndCause, EndReason, EndRequest};
pub use session::{EndOutcome, Ended, Session, SessionState};
pub use staging::Staging;
pub use step::{Step, StepKind, StepState};
pub use subscription::Subscription;
pub use time::{Span, Timestamp};
pub use usage::Usage;
