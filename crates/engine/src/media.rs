//! Live media: a port. What streams, peers and sockets a session holds is known elsewhere.

use async_trait::async_trait;
use epilogue_core::SessionId;

/// Stops media and frees what it held.
#[async_trait]
pub trait MediaPlane: Send + Sync {
    /// Releases whatever `session` holds on this node. Returns how many things that were.
    async fn release(&self, session: SessionId) -> usize;
}
