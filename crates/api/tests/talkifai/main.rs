//! The TalkifAI dialect, driven in process. Test names say which row of the contract they hold.

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
