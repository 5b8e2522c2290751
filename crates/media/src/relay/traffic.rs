//! What goes into the relay, and what comes out.

use std::{net::SocketAddr, time::Instant};

use epilogue_core::{SessionId, Timestamp};

use super::way::Way;

/// A moment by both clocks: the one that paces, and the time of day, which credentials run out by.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// By the clock that only goes forward.
    pub now: Instant,
    /// The time of day.
    pub day: Timestamp,
}

/// What came from a client for us.
#[derive(Debug, PartialEq, Eq)]
pub struct Inward {
    /// Whose avatar it sees.
    pub session: SessionId,
    /// Where it seems to come from.
    pub from: SocketAddr,
    /// What it is.
    pub bytes: Vec<u8>,
}

/// What comes out.
#[derive(Debug, Default)]
pub struct RelayOutputs {
    /// For clients: a datagram or a frame each.
    pub outward: Vec<(Way, Vec<u8>)>,
    /// For us.
    pub inward: Vec<Inward>,
    /// Connections that are to be closed, once what was sent before is under way.
    pub closed: Vec<Way>,
}
