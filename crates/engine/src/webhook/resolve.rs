//! Name resolution that gives out public addresses alone. The guard sits here because what is
//! judged is then exactly what is connected to: a name cannot change its mind in between.

use std::{
    error::Error,
    io,
    net::{IpAddr, SocketAddr},
};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::Url;

use super::{WebhookError, address};

/// Whether addresses in the operator's own network may be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guard {
    /// Only the public internet.
    PublicOnly,
    /// Everything: for development and tests.
    Open,
}

impl Guard {
    /// Judges what a URL itself says; a literal address never comes past the resolver. Gives the host.
    pub fn check(self, url: &Url) -> Result<String, WebhookError> {
        let known = match url.scheme() {
            "https" => true,
            "http" => self == Self::Open,
            _ => false,
        };
        let Some(host) = url.host().filter(|_| known) else {
            return Err(WebhookError::Scheme(url.scheme().to_owned()));
        };
        if self == Self::PublicOnly && !address::may_be_public(&host) {
            return Err(WebhookError::PrivateAddress { host: host.to_string() });
        }
        Ok(host.to_string())
    }

    fn lets(self, ip: IpAddr) -> bool {
        self == Self::Open || address::is_public(ip)
    }
}

/// Every address of a name is private.
#[derive(Debug, thiserror::Error)]
#[error("there is no public address")]
struct NoPublicAddress;

/// The look-up failed.
#[derive(Debug, thiserror::Error)]
#[error("the look-up failed")]
struct LookupFailed(#[source] io::Error);

/// The operating system's resolver behind the guard.
#[derive(Clone, Copy, Debug)]
pub struct GuardedResolver(pub Guard);

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = self.0;
        Box::pin(async move {
            // The port is the URL's, which the connector fills in.
            let found = tokio::net::lookup_host((name.as_str(), 0)).await.map_err(LookupFailed)?;
            let allowed = permitted(guard, found)?;
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

/// Those addresses that may be connected to; an error if none of them may.
fn permitted(
    guard: Guard,
    found: impl Iterator<Item = SocketAddr>,
) -> Result<Vec<SocketAddr>, NoPublicAddress> {
    let allowed: Vec<_> = found.filter(|address| guard.lets(address.ip())).collect();
    if allowed.is_empty() { Err(NoPublicAddress) } else { Ok(allowed) }
}

/// What a failed request means: told by the types among its causes, never by their words.
pub fn failure(error: reqwest::Error, host: &str) -> WebhookError {
    // The URL may carry secrets, and errors are logged.
    let error = error.without_url();
    let host = host.to_owned();
    if has_cause::<NoPublicAddress>(&error) {
        WebhookError::PrivateAddress { host }
    } else if has_cause::<LookupFailed>(&error) {
        WebhookError::Unresolved { host, source: error.into() }
    } else if error.is_connect() {
        WebhookError::NotConnected(error.into())
    } else {
        WebhookError::Unreachable(error.into())
    }
}

/// Whether a request failed because a name led to private addresses alone.
pub fn is_private(error: &reqwest::Error) -> bool {
    has_cause::<NoPublicAddress>(error)
}

fn has_cause<E: Error + 'static>(error: &(dyn Error + 'static)) -> bool {
    std::iter::successors(Some(error), |&error| error.source()).any(<dyn Error>::is::<E>)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|ip| SocketAddr::new(ip.parse().expect("an address"), 0)).collect()
    }

    fn given_out(guard: Guard, texts: &[&str]) -> Option<Vec<SocketAddr>> {
        permitted(guard, addresses(texts).into_iter()).ok()
    }

    #[test]
    fn of_mixed_addresses_only_the_public_ones_are_given_out() {
        let mixed = ["10.0.0.1", "8.8.8.8", "::1", "2606:4700::1111"];
        let public = addresses(&["8.8.8.8", "2606:4700::1111"]);
        assert_eq!(given_out(Guard::PublicOnly, &mixed), Some(public));
        assert_eq!(given_out(Guard::PublicOnly, &["10.0.0.1", "::1"]), None);
        assert_eq!(given_out(Guard::Open, &mixed), Some(addresses(&mixed)));
    }

    #[tokio::test]
    async fn a_name_that_resolves_to_this_machine_is_refused() {
        let resolve = |guard| GuardedResolver(guard).resolve("localhost".parse().expect("a name"));
        let Err(refusal) = resolve(Guard::PublicOnly).await else { panic!("it was given out") };
        assert!(refusal.is::<NoPublicAddress>());
        assert!(resolve(Guard::Open).await.is_ok_and(|mut found| found.next().is_some()));
    }

    /// A fake resolver that finds nothing, without a name server.
    struct NothingFound;

    impl Resolve for NothingFound {
        fn resolve(&self, _: Name) -> Resolving {
            let cause = io::Error::new(io::ErrorKind::NotFound, "no such name");
            Box::pin(std::future::ready(Err(LookupFailed(cause).into())))
        }
    }

    #[tokio::test]
    async fn a_name_that_does_not_resolve_is_told_apart_and_the_url_is_hidden() {
        let client = reqwest::Client::builder().no_proxy().dns_resolver(NothingFound).build();
        let sent = client.expect("a client").get("https://nowhere.invalid/?token=secret").send();
        let meaning = failure(sent.await.expect_err("no address"), "nowhere.invalid");
        let WebhookError::Unresolved { host, source } = meaning else { panic!("{meaning:?}") };
        assert_eq!(host, "nowhere.invalid");
        assert!(!format!("{source:?} {source}").contains("secret"));
    }
}
