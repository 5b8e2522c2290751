//! Kaltura Sessions (KS): what a partner's backend signs with its admin secret, checked here without
//! asking anybody. Both published layouts are read; contract section 1.

use aes::Aes128;
use base64::{
    Engine as _,
    alphabet::{STANDARD, URL_SAFE},
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use cbc::cipher::{BlockDecryptMut as _, KeyIvInit as _, block_padding::NoPadding};
use epilogue_core::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use sha1::{Digest as _, Sha1};
use subtle::ConstantTimeEq as _;

/// The longest KS that is looked at, in bytes. Real ones have a few hundred.
pub const KS_BYTES_MAX: usize = 4 * 1024;

/// How many bytes SHA-1 makes.
const DIGEST: usize = 20;
/// How many random bytes stand before the fields of a v2 KS.
const RANDOM: usize = 16;
/// A block of AES, and the part of the secret's digest that is the key.
const BLOCK: usize = 16;

/// The type of a session that may do everything.
const ADMIN: i64 = 2;

/// Padding may be there or not; bits past the end may not, so that each KS is written in one way.
const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);

/// A KS that was signed with its partner's secret and has not expired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ks {
    /// Whose it is.
    pub partner: u64,
    /// Whether it is of the type that may create avatar sessions.
    pub admin: bool,
    /// The user it was made for; may be empty.
    pub user: String,
    /// When it stops working.
    pub expires_at: Timestamp,
}

/// Why a text is no valid KS. The caller is told nothing of it but that it is so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KsError {
    /// It has neither layout.
    #[error("it is not a Kaltura Session")]
    Malformed,
    /// Nobody here knows the partner's secret.
    #[error("the partner is not configured")]
    UnknownPartner,
    /// It was not signed with the partner's secret, or was changed since.
    #[error("its signature is wrong")]
    Forged,
    /// Its time has passed.
    #[error("it has expired")]
    Expired,
}

/// A KS before its signature is looked at.
struct Sealed {
    partner: u64,
    layout: Layout,
}

enum Layout {
    /// `v1`: a hexadecimal digest and the text that it signs.
    Signed { digest: Vec<u8>, info: String },
    /// `v2`: encrypted fields with their digest.
    Encrypted(Vec<u8>),
}

impl Ks {
    /// Reads a KS and checks it with the secret of the partner that it names.
    pub fn read(
        text: &str,
        secret_of: impl FnOnce(u64) -> Option<SecretString>,
        now: Timestamp,
    ) -> Result<Self, KsError> {
        let sealed = Sealed::read(text).ok_or(KsError::Malformed)?;
        let secret = secret_of(sealed.partner).ok_or(KsError::UnknownPartner)?;
        let ks = match &sealed.layout {
            Layout::Signed { digest, info } => signed(sealed.partner, digest, info, &secret),
            Layout::Encrypted(bytes) => encrypted(sealed.partner, bytes, &secret),
        }?;
        if ks.expires_at <= now { Err(KsError::Expired) } else { Ok(ks) }
    }
}

impl Sealed {
    fn read(text: &str) -> Option<Self> {
        if text.len() > KS_BYTES_MAX {
            return None;
        }
        let bytes = decode(text)?;
        let Some(rest) = bytes.strip_prefix(b"v2|") else {
            return Self::read_v1(&bytes);
        };
        let bar = rest.iter().position(|byte| *byte == b'|')?;
        let partner = number(str::from_utf8(&rest[..bar]).ok()?)?;
        Some(Self { partner, layout: Layout::Encrypted(rest[bar + 1..].to_vec()) })
    }

    /// A digest of the secret with the text after it could be drawn out by whoever has seen one, but
    /// only with bytes that are no text: such a one is refused.
    fn read_v1(bytes: &[u8]) -> Option<Self> {
        let (digest, info) = str::from_utf8(bytes).ok()?.split_once('|')?;
        let partner = number(info.split(';').next()?)?;
        let digest = hex_digest(digest)?;
        Some(Self { partner, layout: Layout::Signed { digest, info: info.to_owned() } })
    }
}

/// The alphabet of URLs, as all clients write v2, or the usual one, as they write v1.
fn decode(text: &str) -> Option<Vec<u8>> {
    let url = GeneralPurpose::new(&URL_SAFE, LENIENT);
    let usual = GeneralPurpose::new(&STANDARD, LENIENT);
    url.decode(text).or_else(|_| usual.decode(text)).ok()
}

fn hex_digest(text: &str) -> Option<Vec<u8>> {
    let lower = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if text.len() != 2 * DIGEST || !lower {
        return None;
    }
    let pairs = text.as_bytes().chunks(2).map(|pair| str::from_utf8(pair).ok());
    pairs.map(|pair| u8::from_str_radix(pair?, 16).ok()).collect()
}

/// Plain digits: no sign, no space.
fn number(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// `info` is `partner;partner;expiry;type;rand;user;privileges`.
fn signed(partner: u64, digest: &[u8], info: &str, secret: &SecretString) -> Result<Ks, KsError> {
    let mut sha = Sha1::new();
    sha.update(secret.expose_secret());
    sha.update(info);
    if !bool::from(sha.finalize().as_slice().ct_eq(digest)) {
        return Err(KsError::Forged);
    }
    let fields: Vec<_> = info.split(';').collect();
    let [_, again, expiry, kind, ..] = fields[..] else { return Err(KsError::Malformed) };
    if number(again) != Some(partner) {
        return Err(KsError::Malformed);
    }
    let user = fields.get(5).copied().unwrap_or_default().to_owned();
    build(partner, kind, expiry, user).ok_or(KsError::Malformed)
}

/// The plain text is a digest, random bytes and URL-encoded fields, padded with zeros to whole blocks.
fn encrypted(partner: u64, bytes: &[u8], secret: &SecretString) -> Result<Ks, KsError> {
    let key = Sha1::digest(secret.expose_secret());
    let cipher = cbc::Decryptor::<Aes128>::new_from_slices(&key[..BLOCK], &[0; BLOCK]);
    let cipher = cipher.map_err(|_| KsError::Malformed)?;
    let plain = cipher.decrypt_padded_vec_mut::<NoPadding>(bytes);
    let plain = plain.map_err(|_| KsError::Malformed)?;
    let (digest, rest) = plain.split_at_checked(DIGEST).ok_or(KsError::Malformed)?;
    let padding = rest.iter().rev().take_while(|byte| **byte == 0).count();
    if padding >= BLOCK {
        return Err(KsError::Forged);
    }
    let signed = &rest[..rest.len() - padding];
    if !bool::from(Sha1::digest(signed).as_slice().ct_eq(digest)) {
        return Err(KsError::Forged);
    }
    let fields = signed.get(RANDOM..).ok_or(KsError::Malformed)?;
    let (mut expiry, mut kind, mut user) = (None, None, String::new());
    for (name, value) in url::form_urlencoded::parse(fields) {
        match &*name {
            "_e" => expiry = Some(value.into_owned()),
            "_t" => kind = Some(value.into_owned()),
            "_u" => user = value.into_owned(),
            _ => {}
        }
    }
    let (Some(kind), Some(expiry)) = (kind, expiry) else { return Err(KsError::Malformed) };
    build(partner, &kind, &expiry, user).ok_or(KsError::Malformed)
}

fn build(partner: u64, kind: &str, expiry: &str, user: String) -> Option<Ks> {
    let admin = kind.parse::<i64>().ok()? == ADMIN;
    let seconds = i64::try_from(number(expiry)?).ok()?;
    let expires_at = Timestamp::from_millis(seconds.checked_mul(1000)?);
    Some(Ks { partner, admin, user, expires_at })
}

#[cfg(test)]
#[path = "ks_tests.rs"]
mod tests;
