//! The Pathors dialect, driven in process. Test names say which row of the contract they hold.

#[allow(dead_code, reason = "what the tests of one API do not use, those of another do")]
#[path = "../support/mod.rs"]
mod support;

mod access;
mod agent;
#[allow(dead_code, reason = "what the tests of one topic do not use, those of another do")]
mod client;
mod creates;
mod ends;
mod evaluation;
mod payloads;
mod queries;
mod searches;
mod sunsets;
mod terminates;
mod variables;
mod webhooks;
