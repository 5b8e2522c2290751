//! The Twilio SMS channel of the Dasha dialect, driven in process against a stand-in for Twilio. Test
//! names say which row of the contract's section 8 they hold.

#[allow(dead_code, reason = "what the tests of one API do not use, those of another do")]
#[path = "../support/mod.rs"]
mod support;

#[allow(dead_code, reason = "the chats' own tests use the rest")]
#[path = "../dasha/client.rs"]
mod client;

mod forgeries;
mod inbound;
mod numbers;
mod order;
mod providers;
mod replies;
mod retries;
mod texting;
mod words;
