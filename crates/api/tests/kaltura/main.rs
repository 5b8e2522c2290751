//! The Kaltura avatar dialect, driven in process. Test names say which row of the contract they hold:
//! `s2_3_` is its section 2.3, `seed_` the vendor's page on ends, and `i5_` what bad input gets.
//!
//! | Section | Here | Elsewhere |
//! |---|---|---|
//! | 1 credentials | `keys`, `creates`, `order` | `crates/api/src/dialect/kaltura/ks_tests.rs`: both layouts as the vendor's client makes them |
//! | 2 endpoints, errors, order of checks | `rows`, `order`, and a module for each call | |
//! | 2.4 what is in a recording | `audio` | `crates/media/src/sound/tests.rs`; over the real stage `crates/server/src/stage_tests.rs` |
//! | 2.8 pages | `pages` | |
//! | 3 states, timers | `states`, `expiry`, `restarts` | |
//! | 4 WHEP, offers, answers | `viewers`, `inits` | `crates/media/src/peer/tests.rs`, `crates/media/src/peer/offer_tests.rs`; by a browser `crates/server/tests/it/avatar` |
//! | 5 no events of this API's own | `pipeline` | |
//! | 6 numbers | `states`, `expiry`, `viewers` | 512×512 and idle pictures at once: `crates/media/src/avatar/tests.rs`, `crates/media/src/hall/tests.rs` |
//! | 7, 8 open questions | `rows`, `rates`, `inits`, `order` | |
//! | hostile datagrams, viewers that never come | | `crates/media/src/hall/hostile_tests.rs`, `crates/media/src/hall/tests.rs` |

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
