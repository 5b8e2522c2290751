//! The Dasha dialect, driven in process. Test names say which row of the contract they hold.

#[allow(dead_code, reason = "what the tests of one API do not use, those of another do")]
#[path = "../support/mod.rs"]
mod support;

mod access;
mod client;
mod completion;
mod completion_again;
mod ends;
mod life;
mod lists;
mod opens;
mod races;
mod turns;
mod variables;
