//! What is done: opening, holding and ending sessions, and finishing what an end owes.
//!
//! One use case per file under [`session`], one durable step per file under `step`, and one
//! [`worker`] that runs them. The engine knows the ports it needs (models, webhooks, memory, media,
//! wording) and none of the things behind them: it names no vendor's API and no web framework.

mod agents;
pub mod client_tool;
pub mod clock;
mod engine;
mod error;
mod history;
pub mod ids;
pub mod inbox;
mod integrations;
mod lanes;
pub mod limits;
pub mod llm;
mod lookup;
pub mod media;
pub mod memory;
pub mod metrics;
mod projects;
mod query;
pub mod records;
mod search;
pub mod secret;
pub mod session;
pub mod speech;
mod step;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod tool;
pub mod webhook;
pub mod wording;
pub mod worker;

pub use engine::{Engine, Parts};
pub use error::{Error, Result};
pub use limits::{Limits, StepPolicies};
pub use query::{Health, Why};
