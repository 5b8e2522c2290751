//! The store behind the engine, for tests of the layers above it. Without this feature they cannot
//! name it, and their code never can.

pub use epilogue_storage::*;
