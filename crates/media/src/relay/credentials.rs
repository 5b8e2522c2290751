//! Credentials that are good for a time, by the scheme of a shared secret.

use std::sync::Arc;

use epilogue_core::{SessionId, Timestamp};
use secrecy::{ExposeSecret as _, SecretString};
use turn_types::stun::{
    attribute::{Realm, Username},
    message::{LongTermCredentials, Message, MessageIntegrityCredentials},
};

use super::{Guests, Moment};

/// The realm that the relay's credentials are for.
pub const REALM: &str = "epilogue";

/// What goes with a username, for those who know the secret.
pub type Passwords = Arc<dyn Fn(&str) -> SecretString + Send + Sync>;

/// Somebody who may use the relay, if they know the password.
#[derive(Clone)]
pub(super) struct Visitor {
    pub(super) session: SessionId,
    pub(super) username: String,
    pub(super) password: SecretString,
    /// When the credentials run out.
    pub(super) until: Timestamp,
}

impl Visitor {
    /// Who a request says that it is from, if it may be: their session is shown, and their time not over.
    pub(super) fn named_in(
        request: &Message<'_>,
        moment: Moment,
        guests: &Guests,
        passwords: &Passwords,
    ) -> Option<Self> {
        let username = request.attribute::<Username>().ok()?;
        let username = username.username();
        let (until, session) = read(username)?;
        let is_ours = request.attribute::<Realm>().is_ok_and(|realm| realm.realm() == REALM);
        let (username, password) = (username.to_owned(), passwords(username));
        let visitor = Self { session, username, password, until };
        (is_ours && visitor.is_welcome(moment, guests)).then_some(visitor)
    }

    /// Whether their session is shown, and their time not over.
    pub(super) fn is_welcome(&self, moment: Moment, guests: &Guests) -> bool {
        self.until > moment.day && guests.has(self.session)
    }

    /// What proves it.
    pub(super) fn credentials(&self) -> MessageIntegrityCredentials {
        let password = self.password.expose_secret().to_owned();
        let credentials = LongTermCredentials::new(self.username.clone(), password);
        credentials.to_key(REALM.to_owned()).into()
    }
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
        let bad = ["", ":", "1700000000", "1700000000:x", &format!("+1:{session}"), &huge];
        for bad in bad.into_iter().chain([&*format!(":{session}")]) {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
