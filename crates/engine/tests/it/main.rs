//! The whole engine over the real store, in simulated time. What lies outside (models, receivers
//! of webhooks, a memory that fails) is a fake that the test drives, and is called one.

mod analysis;
mod answers;
mod deferred_calls;
mod drain;
mod expiry;
mod graph;
mod graph_alone;
mod graphiti;
mod keyed_turns;
mod leases;
mod memory;
mod races;
mod races_calls;
mod races_told;
mod races_work;
mod saved_variables;
mod stages;
mod subscribers;
mod support;
mod tools;
mod turns;
mod webhooks;
mod with_reply;
