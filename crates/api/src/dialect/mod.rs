//! The vendors' APIs, one module each. What differs in wording is there; what differs in behaviour
//! is the profile each gives the sessions it opens.

pub mod dasha;
pub mod kaltura;
pub mod pathors;
pub mod talkifai;
