//! `[server]`: where it listens and what it is called from outside.

use std::{net::SocketAddr, ops::RangeInclusive};

use serde::Deserialize;
use url::Url;

use super::{path::KeyPath, report::Report};

/// How long a drain may take, in seconds.
const DRAIN_S: RangeInclusive<u64> = 0..=3600;

/// `[server]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerConfig {
    /// The address to listen on.
    pub listen: SocketAddr,
    /// How clients reach the server.
    pub public_url: Url,
    /// The origins of pages that may call it; `*` any.
    pub cors_origins: Vec<String>,
    /// Seconds that requests in flight get to finish when the server is told to stop.
    pub drain_s: u64,
}

impl ServerConfig {
    pub(super) fn check(&self, at: &KeyPath, report: &mut Report) {
        report.service_url(at.key("public_url"), &self.public_url);
        report.within(at.key("drain_s"), &self.drain_s, &DRAIN_S);
        for (index, origin) in self.cors_origins.iter().enumerate() {
            if origin != "*" && !is_origin(origin) {
                report.fail(
                    at.key("cors_origins").index(index),
                    "must be \"*\" or an origin, such as \"https://example.com\"",
                );
            }
        }
    }
}

/// Scheme, host and port, and nothing after them.
fn is_origin(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| {
        url.origin().is_tuple() && url.origin().ascii_serialization().eq_ignore_ascii_case(text)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_has_no_path() {
        assert!(is_origin("https://example.com"));
        assert!(is_origin("http://localhost:5173"));
        for bad in ["https://example.com/", "https://example.com/a", "example.com", "", "null"] {
            assert!(!is_origin(bad), "{bad}");
        }
    }
}
