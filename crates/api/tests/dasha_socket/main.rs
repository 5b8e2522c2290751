//! The chat of a page over a WebSocket, driven by an ordinary client library over loopback. Test names
//! say which row of section 7 of the contract they hold.

#[allow(dead_code, reason = "what the tests of one API do not use, those of another do")]
#[path = "../support/mod.rs"]
mod support;

#[allow(dead_code, reason = "the chats' own tests use the rest")]
#[path = "../dasha/client.rs"]
mod client;

mod ends;
mod frames;
mod grace;
mod handshake;
mod limits;
mod page;
mod tools;
mod turns;
