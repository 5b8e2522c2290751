//! What clients carry for us, or the store keeps, and neither can read nor change: sealed with a key that is derived from
//! the secret behind session tokens.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use chacha20poly1305::{
    KeyInit as _, XChaCha20Poly1305, XNonce,
    aead::{Aead as _, Payload},
};
use hmac::{Hmac, Mac as _};
use sha2::Sha256;

/// How many bytes a nonce has: enough that random ones never meet.
pub const NONCE_BYTES: usize = 24;

/// The longest sealed text that is looked at, in bytes.
pub const SEALED_BYTES_MAX: usize = 16 * 1024;

/// Seals and opens.
#[derive(Clone)]
pub struct Seal {
    cipher: XChaCha20Poly1305,
}

impl Seal {
    /// The seal for one purpose, under this secret. What one purpose has sealed no other opens.
    pub fn new(secret: &[u8], purpose: &str) -> Self {
        let derived = <Hmac<Sha256> as hmac::Mac>::new_from_slice(secret);
        let mut derived = derived.expect("a key of any length will do");
        derived.update(purpose.as_bytes());
        let key = derived.finalize().into_bytes();
        Self { cipher: XChaCha20Poly1305::new(&key) }
    }

    /// Seals `text` for whoever says `context` when it is opened.
    pub fn seal(&self, nonce: [u8; NONCE_BYTES], text: &[u8], context: &[u8]) -> Option<String> {
        let payload = Payload { msg: text, aad: context };
        let sealed = self.cipher.encrypt(XNonce::from_slice(&nonce), payload).ok()?;
        Some(BASE64_URL_SAFE_NO_PAD.encode([&nonce[..], &sealed].concat()))
    }

    /// What was sealed in this context. `None`: nothing that was, or it has been changed.
    pub fn open(&self, sealed: &str, context: &[u8]) -> Option<Vec<u8>> {
        if sealed.len() > SEALED_BYTES_MAX {
            return None;
        }
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let (nonce, sealed) = bytes.split_at_checked(NONCE_BYTES)?;
        let payload = Payload { msg: sealed, aad: context };
        self.cipher.decrypt(XNonce::from_slice(nonce), payload).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_in_its_place_and_nowhere_else() {
        let seal = Seal::new(b"secret", "state");
        let sealed = seal.seal([7; NONCE_BYTES], b"text", b"org").expect("sealed");
        assert_eq!(seal.open(&sealed, b"org").as_deref(), Some(&b"text"[..]));
        assert_eq!(seal.open(&sealed, b"another"), None);
        assert_eq!(Seal::new(b"secret", "other").open(&sealed, b"org"), None);
        assert_eq!(Seal::new(b"another", "state").open(&sealed, b"org"), None);
    }

    #[test]
    fn a_changed_byte_anywhere_opens_nothing() {
        let seal = Seal::new(b"secret", "state");
        let sealed = seal.seal([7; NONCE_BYTES], b"text", b"org").expect("sealed");
        for place in 0..sealed.len() {
            let mut changed = sealed.clone().into_bytes();
            changed[place] = if changed[place] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).expect("text");
            assert_eq!(seal.open(&changed, b"org"), None, "{place}");
        }
        for short in ["", "AAAA", "!", &sealed[..sealed.len() - 4]] {
            assert_eq!(seal.open(short, b"org"), None, "{short}");
        }
    }

    #[test]
    fn length_at_the_limit_and_one_past_it() {
        let seal = Seal::new(b"secret", "state");
        let overhead = NONCE_BYTES + 16;
        let fits = vec![0; SEALED_BYTES_MAX / 4 * 3 - overhead];
        let sealed = seal.seal([7; NONCE_BYTES], &fits, b"").expect("sealed");
        assert_eq!(sealed.len(), SEALED_BYTES_MAX);
        assert!(seal.open(&sealed, b"").is_some());
        let sealed = seal.seal([7; NONCE_BYTES], &[&fits[..], &[0]].concat(), b"").expect("sealed");
        assert!(seal.open(&sealed, b"").is_none());
    }
}
