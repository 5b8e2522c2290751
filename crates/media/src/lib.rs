//! What is heard and seen: the live connections a session holds on this node, and what goes over
//! those that carry pictures and sound (`docs/media.md`).

pub mod avatar;
pub mod clock;
mod connections;
pub mod driver;
#[cfg(test)]
mod figures;
pub mod hall;
#[cfg(test)]
mod hostile;
mod net;
pub mod peer;
pub mod performance;
pub mod picture;
pub mod relay;
pub mod sound;

pub use connections::{Connection, Connections};
