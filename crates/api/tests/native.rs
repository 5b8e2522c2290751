//! The native API over a real engine on SQLite, under simulated time: the router in process, with a
//! scripted model and a fake receiver of webhooks.

mod native_support;

#[path = "native/access.rs"]
mod access;
#[path = "native/books.rs"]
mod books;
#[path = "native/ends.rs"]
mod ends;
#[path = "native/erasures.rs"]
mod erasures;
#[path = "native/examples.rs"]
mod examples;
#[path = "native/finalization.rs"]
mod finalization;
#[path = "native/keys.rs"]
mod keys;
#[path = "native/lists.rs"]
mod lists;
#[path = "native/memory.rs"]
mod memory;
#[path = "native/opens.rs"]
mod opens;
#[path = "native/problems.rs"]
mod problems;
#[path = "native/rates.rs"]
mod rates;
#[path = "native/tenants.rs"]
mod tenants;
#[path = "native/turns.rs"]
mod turns;
#[path = "native/watching.rs"]
mod watching;
