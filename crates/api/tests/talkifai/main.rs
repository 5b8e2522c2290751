//! The TalkifAI dialect, driven in process. Test names say which row of the contract they hold.

#[allow(dead_code, reason = "what the tests of one API do not use, those of another do")]
#[path = "../support/mod.rs"]
mod support;

mod bad_tokens;
mod client;
mod end;
mod history;
mod limits;
mod messages;
mod open;
mod pages;
mod stream;
mod webhook;
