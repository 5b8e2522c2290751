//! The Kaltura avatar dialect, driven in process. Test names say which row of the contract they hold.

#[allow(dead_code, reason = "what the tests of one API do not use, those of another do")]
#[path = "../support/mod.rs"]
mod support;

mod audio;
mod bad_inputs;
mod client;
mod creates;
mod ends;
mod expiry;
mod fakes;
mod inits;
mod interrupts;
mod keys;
mod order;
mod pages;
mod pipeline;
mod rates;
mod repeats;
mod restarts;
mod rows;
mod says;
mod states;
mod viewers;
