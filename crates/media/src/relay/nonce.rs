//! Nonces, of which nothing is kept: each carries its time and proves that we made it for this way.
//! A table of them would grow with every address that a flood pretends to come from.

use std::time::{Duration, Instant};

use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

use super::way::Way;

/// How long a nonce may be used. RFC 8656 asks for an hour at most.
pub const NONCE_LASTS: Duration = Duration::from_secs(3600);

/// How many hexadecimal digits of a nonce are its time.
const TIME_DIGITS: usize = 16;
/// How many bytes of the proof a nonce carries.
const PROOF_BYTES: usize = 16;

/// Makes nonces and knows them again.
pub(super) struct Nonces {
    secret: [u8; 32],
    begun: Instant,
}

impl Nonces {
    /// Nonces that only who knows `secret` can make.
    pub(super) const fn new(secret: [u8; 32], begun: Instant) -> Self {
        Self { secret, begun }
    }

    /// A nonce for a way, from now on.
    pub(super) fn make(&self, now: Instant, way: Way) -> String {
        self.made_at(self.age(now), way)
    }

    /// Whether a nonce is one of ours, for this way, and still good.
    pub(super) fn is_good(&self, now: Instant, way: Way, nonce: &str) -> bool {
        let digits = nonce.get(..TIME_DIGITS);
        let Some(made) = digits.and_then(|digits| u64::from_str_radix(digits, 16).ok()) else {
            return false;
        };
        let good = self.made_at(made, way);
        let is_ours = bool::from(good.as_bytes().ct_eq(nonce.as_bytes()));
        is_ours && self.age(now).saturating_sub(made) <= NONCE_LASTS.as_secs()
    }

    fn age(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.begun).as_secs()
    }

    fn made_at(&self, made: u64, way: Way) -> String {
        let mac = <Hmac<Sha256> as hmac::Mac>::new_from_slice(&self.secret);
        let mut mac = mac.expect("a key of any length will do");
        mac.update(&made.to_be_bytes());
        mac.update(&way.to_bytes());
        let proof = mac.finalize().into_bytes();
        let proof = proof.get(..PROOF_BYTES).unwrap_or_default();
        format!("{made:0TIME_DIGITS$x}{}", hex::encode(proof))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{peer::fake_viewer::some_moment, relay::way::Door};

    fn way(port: u16) -> Way {
        Way { door: Door::Udp(0), client: ([10, 0, 0, 1], port).into() }
    }

    #[test]
    fn a_nonce_is_good_for_its_way_and_its_time_alone() {
        let begun = some_moment();
        let nonces = Nonces::new([7; 32], begun);
        let nonce = nonces.make(begun, way(1));
        assert!(nonces.is_good(begun, way(1), &nonce));
        assert!(nonces.is_good(begun + NONCE_LASTS, way(1), &nonce), "for its whole time");
        let too_late = begun + NONCE_LASTS + Duration::from_secs(1);
        assert!(!nonces.is_good(too_late, way(1), &nonce), "it has run out");
        assert!(!nonces.is_good(begun, way(2), &nonce), "another client's");
        assert!(!Nonces::new([8; 32], begun).is_good(begun, way(1), &nonce), "another server's");
        for bad in ["", "0", "é000000000000000", &nonce[..40], &format!("{nonce}0")] {
            assert!(!nonces.is_good(begun, way(1), bad), "{bad}");
        }
        let later = nonce.replacen("0000000000000000", "0000000000000001", 1);
        assert!(!nonces.is_good(begun, way(1), &later), "its time cannot be changed");
    }
}
