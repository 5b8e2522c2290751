//! The Kaltura avatar dialect, driven in process. Test names say which row of the contract they hold.

#[allow(dead_code, reason = "what the tests of one API do not use, those of another do")]
#[path = "../support/mod.rs"]
mod support;

mod audio;
mod client;
mod creates;
mod ends;
mod expiry;
mod fakes;
mod inits;
mod interrupts;
mod order;
mod pages;
mod pipeline;
mod repeats;
mod restarts;
mod says;
mod viewers;
