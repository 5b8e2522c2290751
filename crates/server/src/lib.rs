//! The server around the engine: configuration, command line, logs, connections, start and stop.

pub mod config;
