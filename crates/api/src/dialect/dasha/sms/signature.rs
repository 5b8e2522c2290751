//! `X-Twilio-Signature`: HMAC-SHA1, in base64, over the address as Twilio was told it and the form's
//! parameters in the order of their names, under the account's auth token.

use std::collections::{BTreeMap, BTreeSet};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use hmac::{Hmac, Mac as _};
use sha1::Sha1;

/// The parameters of a form, each with its values.
pub(super) type Form = BTreeMap<String, BTreeSet<String>>;

/// Reads a form. A parameter that is there twice with one value counts once, as Twilio counts it.
pub(super) fn form(body: &[u8]) -> Form {
    let mut form = Form::new();
    for (name, value) in url::form_urlencoded::parse(body) {
        form.entry(name.into_owned()).or_default().insert(value.into_owned());
    }
    form
}

/// Whether Twilio signed this. Takes the same time wherever a wrong signature is wrong.
pub(super) fn is_sound(signature: &str, token: &[u8], url: &str, form: &Form) -> bool {
    let Ok(given) = BASE64_STANDARD.decode(signature) else { return false };
    mac(token, url, form).verify_slice(&given).is_ok()
}

fn mac(token: &[u8], url: &str, form: &Form) -> Hmac<Sha1> {
    let mac = <Hmac<Sha1> as hmac::Mac>::new_from_slice(token);
    let mut mac = mac.expect("a key of any length will do");
    mac.update(url.as_bytes());
    for (name, value) in form.iter().flat_map(|(name, all)| all.iter().map(move |v| (name, v))) {
        mac.update(name.as_bytes());
        mac.update(value.as_bytes());
    }
    mac
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "https://mycompany.com/myapp.php?foo=1&bar=2";
    const BODY: &[u8] = b"Digits=1234&To=%2B18005551212&From=%2B14158675309\
        &Caller=%2B14158675309&CallSid=CA1234567890ABCDE";
    /// As Twilio publishes it for the above under the token 12345.
    const SIGNATURE: &str = "RSOYDt4T1cUTdK1PDd93/VVr8B8=";

    #[test]
    fn the_published_example_is_sound() {
        assert!(is_sound(SIGNATURE, b"12345", URL, &form(BODY)));
    }

    #[test]
    fn the_published_example_with_repeated_parameters_is_sound() {
        let body = b"Sid=CA123&SidAccount=AC123&Digits=5678&Digits=1234&Digits=1234";
        assert!(is_sound("IK+Dwps556ElfBT0I3Rgjkr1wJU=", b"12345", URL, &form(body)));
    }

    #[test]
    fn whatever_is_changed_makes_it_unsound() {
        let form_of = |body: &str| form(body.as_bytes());
        let body = std::str::from_utf8(BODY).expect("text");
        assert!(!is_sound(SIGNATURE, b"12346", URL, &form_of(body)));
        assert!(!is_sound(SIGNATURE, b"12345", &URL.replace("https", "http"), &form_of(body)));
        assert!(!is_sound(SIGNATURE, b"12345", URL, &form_of(&body.replace("1234&", "1235&"))));
        assert!(!is_sound(SIGNATURE, b"12345", URL, &form_of(&format!("{body}&More="))));
        for signature in ["", "!", "RSOYDt4T1cUTdK1PDd93/VVr8B8", &SIGNATURE[..20]] {
            assert!(!is_sound(signature, b"12345", URL, &form_of(body)), "{signature}");
        }
    }
}
