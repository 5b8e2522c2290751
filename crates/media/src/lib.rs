//! What is heard and seen: the live connections a session holds on this node, and what goes over
//! those that carry pictures and sound (`docs/media.md`).

pub mod avatar;
mod connections;
pub mod peer;
pub mod picture;
pub mod sound;

pub use connections::{Connection, Connections};
