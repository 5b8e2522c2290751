//! Who asks: credentials that are good for a time, by the scheme of a shared secret.

use std::sync::Arc;

use epilogue_core::{SessionId, Timestamp};
use secrecy::{ExposeSecret as _, SecretString};
use turn_types::stun::{
    attribute::{AttributeStaticType as _, MessageIntegrity, Nonce, Realm, Username},
    message::{IntegrityAlgorithm, IntegrityKey, LongTermKeyCredentials, Message},
};

use super::{
    Moment,
    answer::{REALM, Refusal},
    guests::Guests,
    nonce::Nonces,
    way::Way,
};

/// What goes with a username, for those who know the secret.
pub type Passwords = Arc<dyn Fn(&str) -> SecretString + Send + Sync>;

/// Somebody who proved to be who they are.
pub(super) struct Visitor {
    pub(super) session: SessionId,
    pub(super) username: String,
    /// When its credentials run out.
    pub(super) until: Timestamp,
    pub(super) key: IntegrityKey,
}

/// Looks at who a request is from.
pub(super) fn identify(
    request: &Message<'_>,
    (moment, way): (Moment, Way),
    nonces: &Nonces,
    guests: &Guests,
    passwords: &Passwords,
) -> Result<Visitor, Refusal> {
    if !request.has_attribute(MessageIntegrity::TYPE) {
        return Err(Refusal::Unauthorized);
    }
    let username = request.attribute::<Username>().map_err(|_| Refusal::BadRequest)?;
    let realm = request.attribute::<Realm>().map_err(|_| Refusal::BadRequest)?;
    let nonce = request.attribute::<Nonce>().map_err(|_| Refusal::BadRequest)?;
    if !nonces.is_good(moment.now, way, nonce.nonce()) {
        return Err(Refusal::StaleNonce);
    }
    let username = username.username();
    let (until, session) = read(username).ok_or(Refusal::Unauthorized)?;
    if realm.realm() != REALM || until <= moment.day || !guests.has(session) {
        return Err(Refusal::Unauthorized);
    }
    let password = passwords(username).expose_secret().to_owned();
    let credentials = LongTermKeyCredentials::new(username.to_owned(), password, REALM.to_owned());
    let key = credentials.make_key(IntegrityAlgorithm::Sha1);
    request.validate_integrity_with_key(&key).map_err(|_| Refusal::Unauthorized)?;
    Ok(Visitor { session, username: username.to_owned(), until, key })
}

/// What a username says: `<seconds since 1970>:<session>`.
fn read(username: &str) -> Option<(Timestamp, SessionId)> {
    let (until, session) = username.split_once(':')?;
    if !until.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let millis = until.parse::<i64>().ok()?.checked_mul(1_000)?;
    Some((Timestamp::from_millis(millis), session.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_username_is_a_time_and_a_session() {
        let session = "018bcfe5-6800-7000-8000-000000000007";
        let (until, found) = read(&format!("1700000000:{session}")).expect("a name");
        assert_eq!((until.as_secs(), found.to_string().as_str()), (1_700_000_000, session));
        let huge = format!("9223372036854775807:{session}");
        for bad in ["", ":", "1700000000", "1700000000:x", &format!("+1:{session}"), &huge] {
            assert_eq!(read(bad), None, "{bad}");
        }
        assert_eq!(read(&format!(":{session}")), None);
    }
}
