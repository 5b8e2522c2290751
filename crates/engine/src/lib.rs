//! What is done: opening, holding and ending sessions, and finishing what an end owes.

pub mod clock;
pub mod ids;
pub mod llm;
pub mod secret;
pub mod tool;
pub mod webhook;
