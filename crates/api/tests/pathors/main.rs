//! The Pathors dialect, driven in process. Test names say which row of the contract they hold.

#[allow(dead_code, reason = "what the tests of one API do not use, those of another do")]
#[path = "../support/mod.rs"]
mod support;

mod access;
mod agent;
#[allow(dead_code, reason = "what the tests of one topic do not use, those of another do")]
mod chat;
#[allow(dead_code, reason = "what the tests of one topic do not use, those of another do")]
mod client;
mod completions;
mod completions_faults;
mod completions_sessions;
mod completions_stream;
mod completions_tools;
mod creates;
mod ends;
mod evaluation;
mod gone;
mod history;
mod payloads;
mod queries;
mod readings;
mod searches;
mod stats;
mod sunsets;
mod terminates;
mod variables;
mod webhooks;
