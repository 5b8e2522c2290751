//! Under which names clients reach avatars and their relay, and which of these can only be wrong.

use std::net::SocketAddr;

use url::{Host, Url};

use super::Config;

/// The ports at which existing clients look for the relay, whatever it listens on.
const RELAY_PORTS: [u16; 2] = [80, 443];

impl Config {
    /// The host in addresses of media: as configured, or the server's own.
    pub fn media_host(&self) -> &str {
        let own = || self.server.public_url.host_str().unwrap_or_default();
        self.media.public_host.as_deref().unwrap_or_else(own)
    }

    /// The host of the relay: as configured, or that of media.
    pub fn relay_host(&self) -> &str {
        self.media.turn_host.as_deref().unwrap_or_else(|| self.media_host())
    }

    /// What keeps clients elsewhere from the relay, with the remedy. Nothing, where all is for this
    /// machine alone.
    pub fn relay_doubts(&self) -> Vec<String> {
        let own = self.server.public_url.host_str().unwrap_or_default();
        if is_local(own) && is_local(self.media_host()) {
            return Vec::new();
        }
        let mut doubts = Vec::new();
        let host = self.relay_host();
        if is_local(host) {
            doubts.push(format!(
                "clients elsewhere are told that the relay is at {host}: set [media] turn_host to a name \
                 by which they reach it"
            ));
        }
        let listen = &self.media.turn_listen;
        let missing: Vec<_> = RELAY_PORTS.into_iter().filter(|port| !has(listen, *port)).collect();
        if !listen.is_empty() && !missing.is_empty() {
            let missing: Vec<_> = missing.iter().map(ToString::to_string).collect();
            doubts.push(format!(
                "existing clients look for the relay at port {} of {host}: add it to [media] turn_listen, \
                 or have it forwarded there",
                missing.join(" and ")
            ));
        }
        doubts
    }
}

fn has(listen: &[SocketAddr], port: u16) -> bool {
    listen.iter().any(|address| address.port() == port)
}

/// Whether a host is a name or an address that means nothing elsewhere. The host alone counts, as with
/// clients: not what it stands for.
pub fn is_local(host: &str) -> bool {
    let Ok(address) = Url::parse(&format!("http://{host}/")) else { return false };
    match address.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(ip)) => ip.is_loopback() || ip.is_private() || ip.is_link_local(),
        Some(Host::Ipv6(ip)) => {
            ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local()
        }
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{ConfigError, Layers};

    fn read(url: &str, media: &str) -> Result<Config, ConfigError> {
        let text = format!("[server]\npublic_url = '{url}'\n[media]\n{media}");
        Config::checked(&Layers::from_text(Some((Path::new("epilogue.toml"), text)), [])?)
    }

    fn hosts(url: &str, media: &str) -> (String, String) {
        let config = read(url, media).expect("sound");
        let settings = config.kaltura(&"a token secret".into()).expect("settings");
        assert_eq!(settings.relay_host, config.relay_host(), "it is what clients are told");
        assert_eq!(settings.media_host, config.media_host(), "it is what clients are told");
        (settings.media_host, settings.relay_host)
    }

    #[test]
    fn hosts_that_are_not_configured_follow_from_the_public_address() {
        let url = "https://avatars.example.com:8443/below";
        let both = |media: &str, relay: &str| (media.to_owned(), relay.to_owned());
        let own = "avatars.example.com";
        assert_eq!(hosts(url, ""), both(own, own));
        assert_eq!(hosts(url, "public_host = 'm.example'"), both("m.example", "m.example"));
        assert_eq!(hosts(url, "turn_host = 't.example'"), both(own, "t.example"));
        let named = "public_host = 'm.example'\nturn_host = 't.example'";
        assert_eq!(hosts(url, named), both("m.example", "t.example"));
        assert_eq!(hosts("http://[::1]:7400", ""), both("[::1]", "[::1]"));
    }

    #[test]
    fn a_host_is_a_bare_host() {
        for key in ["public_host", "turn_host"] {
            for wrong in ["", " ", "https://a.example", "a.example:80", "::1"] {
                let told = read("http://127.0.0.1", &format!("{key} = '{wrong}'"));
                let told = told.expect_err(wrong).to_string();
                assert!(told.contains(&format!("media.{key} must be a bare host")), "{told}");
            }
            for fine in ["a.example", "203.0.113.7", "[2001:db8::1]"] {
                assert!(read("http://127.0.0.1", &format!("{key} = '{fine}'")).is_ok(), "{fine}");
            }
        }
    }

    #[test]
    fn doubts_about_the_relay_are_told_where_clients_are_elsewhere() {
        let doubts = |url: &str, media: &str| read(url, media).expect("sound").relay_doubts();
        let away = "https://avatars.example.com";
        let ports = "turn_listen = ['0.0.0.0:80', '[::]:443']";
        assert_eq!(doubts(away, ports), [""; 0]);
        assert_eq!(doubts("http://127.0.0.1:7400", ""), [""; 0], "all is on this machine");
        assert_eq!(doubts(away, "turn_listen = []"), [""; 0], "there is another relay");

        let told = doubts(away, "");
        assert!(told.len() == 1 && told[0].contains("port 80 and 443 of avatars.ex"), "{told:?}");
        let told = doubts(away, "turn_listen = ['0.0.0.0:80']");
        assert!(told.len() == 1 && told[0].contains("port 443 of"), "{told:?}");
        for url in [away, "http://127.0.0.1:7400"] {
            let local = format!("{ports}\npublic_host = 'm.example'\nturn_host = 'localhost'");
            let told = doubts(url, &local);
            assert!(told.len() == 1 && told[0].contains("relay is at localhost"), "{told:?}");
        }
    }

    #[test]
    fn hosts_that_mean_nothing_elsewhere_are_known() {
        for local in ["localhost", "127.0.0.1", "10.1.2.3", "192.168.0.1", "[::1]", "[fd00::1]"] {
            assert!(is_local(local), "{local}");
        }
        for fine in ["avatars.example.com", "8.8.8.8", "[2001:db8::1]"] {
            assert!(!is_local(fine), "{fine}");
        }
    }
}
