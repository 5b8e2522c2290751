//! How many, and how long.

use std::time::Duration;

/// How many allocations there are at once. Browsers make one for each way that they know.
pub const ALLOCATIONS_MAX: usize = 4_096;
/// How many allocations a session has at once.
pub const ALLOCATIONS_PER_SESSION_MAX: usize = 32;
/// How many clients without a connection are known who have no allocation. Beyond, the one who has been
/// there longest must begin anew.
pub const STRANGERS_MAX: usize = 4_096;
/// How many connections there are at once.
pub const CONNECTIONS_MAX: usize = 1_024;
/// How many connections there are from one address at once.
pub const CONNECTIONS_PER_ADDRESS_MAX: usize = 64;
/// How long a client may be without an allocation.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// How long a connection may be silent. Viewers write every few seconds.
pub const SILENCE: Duration = Duration::from_mins(2);

/// How many.
#[derive(Clone, Copy, Debug)]
pub struct RelayLimits {
    /// See [`ALLOCATIONS_MAX`].
    pub allocations: usize,
    /// See [`ALLOCATIONS_PER_SESSION_MAX`].
    pub allocations_per_session: usize,
    /// See [`STRANGERS_MAX`].
    pub strangers: usize,
    /// See [`CONNECTIONS_MAX`].
    pub connections: usize,
    /// See [`CONNECTIONS_PER_ADDRESS_MAX`].
    pub connections_per_address: usize,
}

impl Default for RelayLimits {
    fn default() -> Self {
        Self {
            allocations: ALLOCATIONS_MAX,
            allocations_per_session: ALLOCATIONS_PER_SESSION_MAX,
            strangers: STRANGERS_MAX,
            connections: CONNECTIONS_MAX,
            connections_per_address: CONNECTIONS_PER_ADDRESS_MAX,
        }
    }
}
