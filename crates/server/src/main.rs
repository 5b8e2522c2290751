//! The `epilogue` binary.

fn main() {}
