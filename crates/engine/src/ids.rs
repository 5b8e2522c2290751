//! The only source of randomness: ids, key material and jitter. Tests seed it.

use std::sync::{Mutex, PoisonError};

use epilogue_core::{SessionId, Timestamp};
use rand::{Rng, RngCore, SeedableRng, rngs::StdRng};

/// Draws ids and other random values. Safe to share.
#[derive(Debug)]
pub struct Ids {
    rng: Mutex<StdRng>,
}

impl Ids {
    /// Seeded by the operating system.
    pub fn from_os() -> Self {
        Self { rng: Mutex::new(StdRng::from_os_rng()) }
    }

    /// Seeded by a number, so that a run can be repeated.
    pub fn seeded(seed: u64) -> Self {
        Self { rng: Mutex::new(StdRng::seed_from_u64(seed)) }
    }

    fn with<T>(&self, draw: impl FnOnce(&mut StdRng) -> T) -> T {
        // A generator that was interrupted by a panic is as random as before.
        draw(&mut self.rng.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A new session's id.
    pub fn session(&self, now: Timestamp) -> SessionId {
        let random = self.bytes::<10>();
        let millis = u64::try_from(now.as_millis()).unwrap_or_default();
        SessionId(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
    }

    /// Random bytes, fit for keys: the generator is cryptographic.
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.with(|rng| rng.fill_bytes(&mut bytes));
        bytes
    }

    /// A fraction from 0 to 1, for jitter.
    pub fn fraction(&self) -> f64 {
        self.with(Rng::random)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_draws_the_same_ids_in_the_order_of_time() {
        let now = Timestamp::from_millis(1_700_000_000_000);
        let draw = |seed| Ids::seeded(seed).session(now);
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        let ids = Ids::seeded(3);
        let earlier = ids.session(now);
        assert!(earlier < ids.session(Timestamp::from_millis(1_700_000_000_001)));
    }
}
