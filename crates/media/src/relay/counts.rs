//! What the relay has done, in numbers.

/// Numbers since the start, and what is there now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RelayCounts {
    /// Allocations that there are now.
    pub allocations: usize,
    /// Connections that there are now.
    pub connections: usize,
    /// Allocations that were made.
    pub allocated: u64,
    /// Requests that were refused, those apart that were only asked to prove who they are from.
    pub refused: u64,
    /// Of these, those that would have reached what is not ours.
    pub forbidden: u64,
    /// Credentials that were shown and are not good, or not any more.
    pub bad_credentials: u64,
    /// Connections that were refused.
    pub connections_refused: u64,
    /// Datagrams and frames that came in.
    pub received: u64,
    /// Of these, those that mean nothing here.
    pub meaningless: u64,
    /// Datagrams that were handed on to us.
    pub inward: u64,
    /// How large they were together.
    pub inward_bytes: u64,
    /// Datagrams that were handed on to clients.
    pub outward: u64,
    /// How large they were together.
    pub outward_bytes: u64,
    /// Of what was for clients, what was dropped: they were too slow, or gone.
    pub dropped: u64,
}
