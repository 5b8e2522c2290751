//! Standard Webhooks signatures: HMAC-SHA256 over `id.timestamp.body`, one per secret, so that a
//! receiver is served by the old secret and the new one while it changes over.

use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose::STANDARD},
};
use epilogue_core::{EventId, Timestamp};
use hmac::{Hmac, Mac};
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use sha2::Sha256;

/// What a secret of the scheme begins with; base64 of the key follows.
const SECRET_PREFIX: &str = "whsec_";

/// Reads secrets with and without their padding, as people paste them.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The value of `webhook-signature`: `v1,<base64>` per secret, separated by spaces, newest first.
/// `None`: there is no usable secret, so there is nothing to sign with.
pub fn signature(
    secrets: &[SecretString],
    id: &EventId,
    at: Timestamp,
    body: &str,
) -> Option<String> {
    let at = at.as_secs().to_string();
    let signed = [id.as_str(), ".", &at, ".", body];
    let each = keys(secrets).map(|key| format!("v1,{}", STANDARD.encode(mac(&key, &signed))));
    Some(each.collect::<Vec<_>>().join(" ")).filter(|all| !all.is_empty())
}

/// `sha256=<hex>` over the body alone, by the newest secret. `None`: there is no usable one.
pub fn body_signature(secrets: &[SecretString], body: &str) -> Option<String> {
    let key = keys(secrets).next()?;
    Some(format!("sha256={}", hex::encode(mac(&key, &[body]))))
}

/// The secrets as keys. An empty one is left out: anybody could sign with it.
fn keys(secrets: &[SecretString]) -> impl Iterator<Item = SecretSlice<u8>> {
    secrets.iter().map(key).filter(|key| !key.expose_secret().is_empty())
}

/// `whsec_<base64>` is decoded; anything else, badly written base64 included, is the key itself.
fn key(secret: &SecretString) -> SecretSlice<u8> {
    let text = secret.expose_secret();
    let decoded = text.strip_prefix(SECRET_PREFIX).and_then(|encoded| LENIENT.decode(encoded).ok());
    decoded.unwrap_or_else(|| text.as_bytes().to_vec()).into()
}

#[expect(clippy::expect_used, reason = "HMAC pads or hashes a key of any length")]
fn mac(key: &SecretSlice<u8>, parts: &[&str]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.expose_secret()).expect("a key of any length");
    for part in parts {
        mac.update(part.as_bytes());
    }
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use standardwebhooks::Webhook;

    use super::*;

    const BODY: &str = r#"{"event":"session.ended","name":"Zoë"}"#;
    const NEW: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
    const OLD: &str = "a former secret, not base64";
    const AT: Timestamp = Timestamp::from_millis(1_700_000_000_999);

    fn secrets(texts: &[&str]) -> Vec<SecretString> {
        texts.iter().map(|text| SecretString::from(*text)).collect()
    }

    fn signed(texts: &[&str]) -> Option<String> {
        signature(&secrets(texts), &EventId::from("evt_1"), AT, BODY)
    }

    #[test]
    fn the_reference_library_signs_alike() {
        let reference = Webhook::new(NEW).expect("a secret");
        let expected = reference.sign("evt_1", 1_700_000_000, BODY.as_bytes()).expect("signed");
        assert_eq!(signed(&[NEW]), Some(expected));
        let raw = Webhook::from_bytes(OLD.as_bytes().to_vec()).expect("a secret");
        let expected = raw.sign("evt_1", 1_700_000_000, BODY.as_bytes()).expect("signed");
        assert_eq!(signed(&[OLD]), Some(expected));
    }

    #[test]
    fn every_secret_signs_newest_first() {
        let both = signed(&[NEW, OLD]).expect("signed");
        let each = [signed(&[NEW]).expect("signed"), signed(&[OLD]).expect("signed")];
        assert_eq!(both, each.join(" "));
    }

    #[test]
    fn the_signature_covers_id_time_and_body() {
        let with = |id: &str, at, body| signature(&secrets(&[NEW]), &EventId::from(id), at, body);
        let first = with("evt_1", AT, BODY);
        assert_eq!(first, with("evt_1", Timestamp::from_millis(1_700_000_000_000), BODY));
        assert_ne!(first, with("evt_2", AT, BODY));
        assert_ne!(first, with("evt_1", Timestamp::from_millis(1_700_000_001_000), BODY));
        assert_ne!(first, with("evt_1", AT, "{}"));
    }

    #[test]
    fn without_a_usable_secret_nothing_is_signed() {
        assert_eq!(signed(&[]), None);
        assert_eq!(signed(&["", "whsec_"]), None);
        assert_eq!(signed(&["", NEW]), signed(&[NEW]));
        assert_eq!(body_signature(&secrets(&[""]), BODY), None);
    }

    #[test]
    fn a_secret_is_read_with_or_without_padding() {
        assert_eq!(signed(&["whsec_c2VjcmV0cw=="]), signed(&["whsec_c2VjcmV0cw"]));
        assert_eq!(signed(&["whsec_c2VjcmV0cw"]), signed(&["secrets"]));
    }

    #[test]
    fn the_body_signature_is_the_published_hmac() {
        // The second test case of RFC 4231.
        let by = secrets(&["Jefe", NEW]);
        assert_eq!(
            body_signature(&by, "what do ya want for nothing?").as_deref(),
            Some("sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
        );
    }
}
