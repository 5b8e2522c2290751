//! What a connection holds while it is open, such as its place among those that may be. A socket goes
//! on when the request that it began with is answered, so it keeps the seat.

use std::{any::Any, fmt, sync::Arc};

/// Freed when the last of its holders lets go. The server puts it into each request's extensions.
#[derive(Clone)]
pub struct Seat(Arc<dyn Any + Send + Sync>);

impl Seat {
    /// A seat that is freed by dropping `held`.
    pub fn new(held: impl Any + Send + Sync) -> Self {
        Self(Arc::new(held))
    }
}

impl fmt::Debug for Seat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Seat").field(&Arc::strong_count(&self.0)).finish()
    }
}
