//! What stands around the chats of the Dasha dialect, driven in process. Test names say which row of
//! the contract they hold.

#[allow(dead_code, reason = "what the tests of one API do not use, those of another do")]
#[path = "../support/mod.rs"]
mod support;

#[allow(dead_code, reason = "the chats' own tests use the rest")]
#[path = "../dasha/client.rs"]
mod client;

mod activity;
mod agent_rules;
mod agents;
mod house;
mod inline;
mod integrations;
mod pipeline;
mod results;
mod tools;
mod webhook_test;
