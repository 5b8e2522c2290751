//! The server around the engine: configuration, command line, logs, connections, start and stop.

pub mod cli;
mod client;
pub mod commands;
pub mod config;
pub mod data;
pub mod exit;
pub mod http;
pub mod lifecycle;
mod relay;
pub mod running;
mod stage;
pub mod telemetry;
pub mod wiring;
