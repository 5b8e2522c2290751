//! Held against Kaltura Sessions that the vendor's own client for Python (23.10.0) has made, and bent in
//! every way.

use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE, BASE64_URL_SAFE_NO_PAD};
use cbc::cipher::{BlockEncryptMut as _, block_padding::ZeroPadding};

use super::*;

const SECRET: &str = "a1b2c3d4e5f60718293a4b5c6d7e8f90";
const PARTNER: u64 = 12345;
const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const EXPIRY: Timestamp = Timestamp::from_millis(1_800_086_400_000);

const V2_ADMIN: &str = "djJ8MTIzNDV89SlFYkWFLT_cy6jdBFKciiLPoSydNlK9Thisg7yjVkfpuxv2tQhkeVrKWtaTqqsRVXwvUfwxkdHTRycAWeLPie7CioGYh37mAg7or7l0cp5o4gS11JznsXAiMmVhAFWNMK3jMNtfQrZLmIZlJoa6lw==";
const V2_USER: &str = "djJ8MTIzNDV8JCkFNMXQouDBD84swXl18Gc6YnhFPCpJqBXc0bx5E8hRBlre7IRijk3dwsZpXVOG9pC3XXSOoIYq_yqncZ8RcaMQlbtM7_WuRaF5V_ox5UI=";
const V2_UNICODE: &str = "djJ8MTIzNDV85pGk7E06CRO1ggJlBLguIqDBh_SDjAkfxcSWu0F13chLircKbiaSmd26eF-S27rrtfZKzQZc9aTMAtNFdhI0g4r2keIhuUgLPaMQD1b4ySAUl_at9ePwqHvbvqPtwL_H";
const V1_ADMIN: &str = "MTFiNWVjM2RmMjJjYTg5NDVkYzRhY2NhNmNhZWJmYWE5ODkyNjU4YnwxMjM0NTsxMjM0NTsxODAwMDg2NDAwOzI7NDYyMzE7b3BlcmF0b3JAZXhhbXBsZS5jb207ZGlzYWJsZWVudGl0bGVtZW50";
const V1_USER: &str = "NDk5YmE1YTBhMzI0OTJmZWU4MWExZGIyZTJhMzMxOTdjYzM4NzUwZnwxMjM0NTsxMjM0NTsxODAwMDg2NDAwOzA7NDYyMDA7dmlzaXRvcjs=";

fn secret_of(partner: u64) -> Option<SecretString> {
    (partner == PARTNER).then(|| SecretString::from(SECRET))
}

fn read(text: &str) -> Result<Ks, KsError> {
    Ks::read(text, secret_of, NOW)
}

/// A v1 KS over any `info`.
fn v1(info: &[u8]) -> String {
    let digest = Sha1::digest([SECRET.as_bytes(), info].concat());
    let hex = format!("{digest:x}");
    BASE64_STANDARD.encode([hex.as_bytes(), b"|", info].concat())
}

/// A v2 KS over any fields.
fn v2(fields: &str) -> String {
    let rest = [&[7; RANDOM], fields.as_bytes()].concat();
    let plain = [Sha1::digest(&rest).as_slice(), &rest].concat();
    let key = Sha1::digest(SECRET);
    let cipher = cbc::Encryptor::<Aes128>::new_from_slices(&key[..BLOCK], &[0; BLOCK]);
    let sealed = cipher.expect("a key").encrypt_padded_vec_mut::<ZeroPadding>(&plain);
    BASE64_URL_SAFE.encode([format!("v2|{PARTNER}|").as_bytes(), &sealed].concat())
}

#[test]
fn what_the_vendors_client_makes_is_read() {
    for (text, admin, user) in [
        (V2_ADMIN, true, "operator@example.com"),
        (V2_USER, false, "visitor"),
        (V2_UNICODE, true, "Zoë | ünder;"),
        (V1_ADMIN, true, "operator@example.com"),
        (V1_USER, false, "visitor"),
    ] {
        let expected = Ks { partner: PARTNER, admin, user: user.into(), expires_at: EXPIRY };
        assert_eq!(read(text), Ok(expected));
    }
}

#[test]
fn padding_may_be_left_out_and_either_alphabet_used() {
    assert!(read(V2_ADMIN.trim_end_matches('=')).is_ok());
    assert!(read(&V2_ADMIN.replace('_', "/").replace('-', "+")).is_ok());
    assert_eq!(read(&format!("{V2_ADMIN}=")), Err(KsError::Malformed));
    assert_eq!(read(&format!(" {V2_ADMIN}")), Err(KsError::Malformed));
}

#[test]
fn no_bit_of_a_ks_can_be_changed() {
    for text in [V2_ADMIN, V2_USER, V1_ADMIN, V1_USER] {
        let whole = decode(text).expect("base64");
        for place in 0..whole.len() {
            for bit in 0..8 {
                let mut bent = whole.clone();
                bent[place] ^= 1 << bit;
                let found = read(&BASE64_URL_SAFE_NO_PAD.encode(&bent));
                assert!(found.is_err(), "byte {place}, bit {bit} of {text}");
            }
        }
    }
}

#[test]
fn no_part_of_a_ks_is_a_ks() {
    for text in [V2_ADMIN, V1_ADMIN] {
        let whole = decode(text).expect("base64");
        for length in 0..whole.len() {
            let part = BASE64_URL_SAFE_NO_PAD.encode(&whole[..length]);
            assert!(read(&part).is_err(), "{length} bytes of {text}");
        }
        let longer = BASE64_URL_SAFE_NO_PAD.encode([&whole[..], &[0; BLOCK]].concat());
        assert!(read(&longer).is_err());
    }
}

#[test]
fn it_works_until_it_expires_and_not_then() {
    let before = EXPIRY.as_millis() - 1;
    for text in [V2_ADMIN, V1_ADMIN] {
        let at = |millis| Ks::read(text, secret_of, Timestamp::from_millis(millis));
        assert!(at(before).is_ok());
        assert_eq!(at(before + 1), Err(KsError::Expired));
    }
}

#[test]
fn whoever_lacks_the_partners_secret_signs_nothing() {
    let other = |_| Some(SecretString::from("another secret"));
    let nobody = |_| None;
    for text in [V2_ADMIN, V1_ADMIN] {
        assert_eq!(Ks::read(text, other, NOW), Err(KsError::Forged));
        assert_eq!(Ks::read(text, nobody, NOW), Err(KsError::UnknownPartner));
    }
}

#[test]
fn what_is_signed_must_also_make_sense() {
    let e = EXPIRY.as_secs();
    assert!(read(&v2(&format!("_e={e}&_t=2&_u="))).is_ok_and(|ks| ks.admin && ks.user.is_empty()));
    for fields in ["", "_t=2", &format!("_e={e}"), "_e=-1&_t=2", "_e=soon&_t=2", "_e=1e9&_t=2"] {
        assert_eq!(read(&v2(fields)), Err(KsError::Malformed), "{fields}");
    }
    let overflow = format!("_e={}&_t=2", u64::MAX);
    assert_eq!(read(&v2(&overflow)), Err(KsError::Malformed));
    for kind in [-1, 0, 1, 3] {
        assert!(read(&v2(&format!("_e={e}&_t={kind}"))).is_ok_and(|ks| !ks.admin), "{kind}");
    }
    assert!(read(&v1(format!("12345;12345;{e};2").as_bytes())).is_ok());
    for info in ["12345", "12345;12345", &format!("12345;9;{e};2"), &format!("12345;12345;{e};x")] {
        assert_eq!(read(&v1(info.as_bytes())), Err(KsError::Malformed), "{info}");
    }
}

#[test]
fn a_signature_that_was_drawn_out_is_refused() {
    let seen = format!("12345;12345;{};0", EXPIRY.as_secs());
    assert!(read(&v1(seen.as_bytes())).is_ok());
    let drawn_out = [seen.as_bytes(), &[0x80, 0, 0]].concat();
    assert_eq!(read(&v1(&drawn_out)), Err(KsError::Malformed));
}

#[test]
fn a_ks_is_looked_at_up_to_the_limit() {
    let fitting = |pad: usize| {
        v1(format!("12345;12345;{};2;1;u;{}", EXPIRY.as_secs(), "x".repeat(pad)).as_bytes())
    };
    let pad = (0..KS_BYTES_MAX).rev().find(|pad| fitting(*pad).len() <= KS_BYTES_MAX);
    let pad = pad.expect("one that fits");
    assert!(read(&fitting(pad)).is_ok());
    assert_eq!(read(&fitting(pad + 3)), Err(KsError::Malformed));
}

#[test]
fn any_text_is_answered() {
    for text in ["", "v2|", "djJ8", "djJ8fA", "djJ8MTIzNDV8", "MTIzNDU7", "💥", "\0", "===="] {
        assert_eq!(read(text), Err(KsError::Malformed), "{text}");
    }
}
