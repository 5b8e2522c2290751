//! Kaltura avatar sessions. What is here so far: the credential that creates them.

pub mod ks;
