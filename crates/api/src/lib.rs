//! What is said on the wire: routers, extractors, wire types and error bodies. Decides nothing:
//! every decision is the engine's.

pub mod auth;
pub mod dialect;
pub mod native;
mod state;
pub mod token;
mod wording;

pub use state::{Api, Settings};
pub use wording::Dialects;
