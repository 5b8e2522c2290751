//! Credentials: from what a client sends to whom it acts for.

use epilogue_core::{KeyId, OrgId};
use epilogue_engine::{
    Result,
    records::{Credential, CredentialKind, KeyHash, Role},
};
use http::{HeaderMap, header};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::Api;

/// The longest key that is looked at, in bytes.
pub const KEY_BYTES_MAX: usize = 512;

/// What a key is compared by.
pub fn hash(key: &str) -> KeyHash {
    KeyHash(Sha256::digest(key.as_bytes()).into())
}

/// Someone who acts for an organization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The organization.
    pub org: OrgId,
    /// The key's public name, for the activity log.
    pub key: KeyId,
    /// What the key is for.
    pub kind: CredentialKind,
    /// What it may do.
    pub role: Role,
}

impl From<Credential> for Caller {
    fn from(credential: Credential) -> Self {
        Self {
            org: credential.org,
            key: credential.id,
            kind: credential.kind,
            role: credential.role,
        }
    }
}

impl Caller {
    /// Whether the key may be used from the page that sent the request.
    ///
    /// A secret key has no pages. A widget key works from its domains and their subdomains, and
    /// from `localhost`; without an `Origin` it works nowhere. A project's key is for its project alone.
    pub fn may_come_from(&self, headers: &HeaderMap) -> bool {
        match &self.kind {
            CredentialKind::Secret => true,
            CredentialKind::Project { .. } => false,
            CredentialKind::Widget { domains } => origin_host(headers)
                .is_some_and(|host| host == "localhost" || covered(&host, domains)),
        }
    }
}

fn origin_host(headers: &HeaderMap) -> Option<String> {
    let origin = headers.get(header::ORIGIN)?.to_str().ok()?;
    let host = url::Url::parse(origin).ok()?.host_str()?.to_ascii_lowercase();
    Some(host)
}

/// Whether `host` is one of the domains or below one, at a dot.
fn covered(host: &str, domains: &[String]) -> bool {
    domains.iter().map(|domain| bare(domain)).any(|domain| {
        !domain.is_empty()
            && host
                .strip_suffix(&*domain)
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    })
}

/// A domain as people write it: the scheme, port and path do not count.
fn bare(domain: &str) -> String {
    let domain = domain.trim().to_ascii_lowercase();
    let rest = domain.split_once("://").map_or(domain.as_str(), |(_, rest)| rest);
    rest.split(['/', ':']).next().unwrap_or_default().trim_start_matches("*.").to_owned()
}

/// The token of an `Authorization: Bearer` header: the scheme in any case, exactly one token.
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.trim().split_once(' ')?;
    let token = token.trim();
    let one = !token.is_empty() && !token.contains(char::is_whitespace);
    (scheme.eq_ignore_ascii_case("bearer") && one).then_some(token)
}

impl Api {
    /// Whom a key acts for. `None`: nobody, it is unknown, expired or revoked.
    pub async fn caller(&self, key: &str) -> Result<Option<Caller>> {
        if key.is_empty() || key.len() > KEY_BYTES_MAX {
            return Ok(None);
        }
        let found = self.engine().valid_credential(&hash(key)).await?;
        Ok(found.map(Caller::from))
    }

    /// Whether a key is that of whoever has the data folder.
    pub fn is_operator(&self, key: &str) -> bool {
        let operator = self.settings().operator.as_ref();
        operator.is_some_and(|operator| operator.0.ct_eq(&hash(key).0).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: header::HeaderName, value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().expect("a header value"));
        headers
    }

    #[test]
    fn a_widget_key_works_from_its_domains_and_below_them_at_a_dot() {
        let domains = ["https://Example.com".to_owned(), "shop.test:8080/path".to_owned()];
        let caller = Caller {
            org: "org".into(),
            key: "key".into(),
            kind: CredentialKind::Widget { domains: domains.to_vec() },
            role: Role::Operate,
        };
        let from = |origin: &str| caller.may_come_from(&headers(header::ORIGIN, origin));
        for allowed in [
            "https://example.com",
            "https://www.EXAMPLE.com:8443",
            "http://shop.test",
            "http://localhost:3000",
        ] {
            assert!(from(allowed), "{allowed}");
        }
        for refused in [
            "https://evilexample.com",
            "https://example.com.evil.test",
            "null",
            "not a url",
            "https://test",
        ] {
            assert!(!from(refused), "{refused}");
        }
        assert!(!caller.may_come_from(&HeaderMap::new()));
        let secret = Caller { kind: CredentialKind::Secret, ..caller };
        assert!(secret.may_come_from(&HeaderMap::new()));
    }

    #[test]
    fn a_bearer_is_one_token_after_the_scheme() {
        let read = |value: &str| bearer(&headers(header::AUTHORIZATION, value)).map(str::to_owned);
        assert_eq!(read("Bearer abc"), Some("abc".into()));
        assert_eq!(read("bEARER   abc "), Some("abc".into()));
        for wrong in ["abc", "Bearer", "Bearer ", "Basic abc", "Bearer a b"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
