//! Which addresses are on the public internet. The others are ours or our neighbours', and a
//! customer who could make us call them would look into the operator's own network.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::Host;

/// What is not public in IPv4, by the IANA registry of special-purpose addresses.
const PRIVATE_V4: [(Ipv4Addr, u32); 16] = [
    (Ipv4Addr::UNSPECIFIED, 8),            // this network
    (Ipv4Addr::new(10, 0, 0, 0), 8),       // private
    (Ipv4Addr::new(100, 64, 0, 0), 10),    // shared by a carrier's customers
    (Ipv4Addr::new(127, 0, 0, 0), 8),      // loopback
    (Ipv4Addr::new(168, 63, 129, 16), 32), // the platform address of a large cloud
    (Ipv4Addr::new(169, 254, 0, 0), 16),   // link-local, where clouds keep their metadata
    (Ipv4Addr::new(172, 16, 0, 0), 12),    // private
    (Ipv4Addr::new(192, 0, 0, 0), 24),     // protocol assignments
    (Ipv4Addr::new(192, 0, 2, 0), 24),     // documentation
    (Ipv4Addr::new(192, 88, 99, 0), 24),   // relays of 6to4
    (Ipv4Addr::new(192, 168, 0, 0), 16),   // private
    (Ipv4Addr::new(198, 18, 0, 0), 15),    // benchmarks
    (Ipv4Addr::new(198, 51, 100, 0), 24),  // documentation
    (Ipv4Addr::new(203, 0, 113, 0), 24),   // documentation
    (Ipv4Addr::new(224, 0, 0, 0), 4),      // multicast
    (Ipv4Addr::new(240, 0, 0, 0), 4),      // reserved, and broadcast
];

/// The only part of IPv6 that is given out for the public internet.
const GLOBAL_V6: (Ipv6Addr, u32) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

/// What is not public within it.
const PRIVATE_V6: [(Ipv6Addr, u32); 3] = [
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23), // protocol assignments, Teredo, benchmarks
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32), // documentation
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20), // documentation
];

/// 6to4, whose address carries an IPv4 address in its second and third group.
const SIX_TO_FOUR: (Ipv6Addr, u32) = (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16);

/// Addresses that end in an IPv4 address: mapped, and translated by NAT64.
const EMBEDDING: [(Ipv6Addr, u32); 2] = [
    (Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0), 96),
    (Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96),
];

/// Whether `ip` is on the public internet.
pub fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => !PRIVATE_V4.iter().any(|range| in_v4(ip, *range)),
        IpAddr::V6(ip) => is_public_v6(ip),
    }
}

/// Whether `host`, as written in a URL, may be looked up: names that mean this machine may not.
/// What the other names resolve to is judged when they are resolved.
pub fn may_be_public(host: &Host<&str>) -> bool {
    match host {
        Host::Ipv4(ip) => is_public((*ip).into()),
        Host::Ipv6(ip) => is_public((*ip).into()),
        Host::Domain(name) => {
            let name = name.trim_end_matches('.');
            let last = name.rsplit('.').next().unwrap_or(name);
            !last.eq_ignore_ascii_case("localhost") && !last.eq_ignore_ascii_case("localdomain")
        }
    }
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    let octets = ip.octets();
    if EMBEDDING.iter().any(|range| in_v6(ip, *range)) {
        let [.., a, b, c, d] = octets;
        return is_public(Ipv4Addr::new(a, b, c, d).into());
    }
    if in_v6(ip, SIX_TO_FOUR) {
        let [_, _, a, b, c, d, ..] = octets;
        return is_public(Ipv4Addr::new(a, b, c, d).into());
    }
    in_v6(ip, GLOBAL_V6) && !PRIVATE_V6.iter().any(|range| in_v6(ip, *range))
}

fn in_v4(ip: Ipv4Addr, (network, bits): (Ipv4Addr, u32)) -> bool {
    (ip.to_bits() ^ network.to_bits()) >> (u32::BITS - bits) == 0
}

fn in_v6(ip: Ipv6Addr, (network, bits): (Ipv6Addr, u32)) -> bool {
    (ip.to_bits() ^ network.to_bits()) >> (u128::BITS - bits) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each range by its first and last address, with the public neighbours where it has any.
    const V4: [[&str; 4]; 15] = [
        ["", "0.0.0.0", "0.255.255.255", "1.0.0.0"],
        ["9.255.255.255", "10.0.0.0", "10.255.255.255", "11.0.0.0"],
        ["100.63.255.255", "100.64.0.0", "100.127.255.255", "100.128.0.0"],
        ["126.255.255.255", "127.0.0.0", "127.255.255.255", "128.0.0.0"],
        ["168.63.129.15", "168.63.129.16", "168.63.129.16", "168.63.129.17"],
        ["169.253.255.255", "169.254.0.0", "169.254.255.255", "169.255.0.0"],
        ["172.15.255.255", "172.16.0.0", "172.31.255.255", "172.32.0.0"],
        ["191.255.255.255", "192.0.0.0", "192.0.0.255", "192.0.1.0"],
        ["192.0.1.255", "192.0.2.0", "192.0.2.255", "192.0.3.0"],
        ["192.88.98.255", "192.88.99.0", "192.88.99.255", "192.88.100.0"],
        ["192.167.255.255", "192.168.0.0", "192.168.255.255", "192.169.0.0"],
        ["198.17.255.255", "198.18.0.0", "198.19.255.255", "198.20.0.0"],
        ["198.51.99.255", "198.51.100.0", "198.51.100.255", "198.51.101.0"],
        ["203.0.112.255", "203.0.113.0", "203.0.113.255", "203.0.114.0"],
        ["223.255.255.255", "224.0.0.0", "255.255.255.255", ""],
    ];

    const V6: [[&str; 4]; 4] = [
        ["", "::", "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2000::"],
        ["2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2001::", "2001:1ff:ffff::", "2001:200::"],
        ["2001:db7:ffff::", "2001:db8::", "2001:db8:ffff:ffff::1", "2001:db9::"],
        ["3ffe:ffff::", "3fff::", "3fff:fff:ffff::", "3fff:1000::"],
    ];

    fn public(text: &str) -> bool {
        is_public(text.parse().expect(text))
    }

    #[test]
    fn every_range_is_refused_to_its_borders_and_no_further() {
        for [before, first, last, after] in V4.into_iter().chain(V6) {
            assert!(!public(first), "{first}");
            assert!(!public(last), "{last}");
            for neighbour in [before, after].into_iter().filter(|text| !text.is_empty()) {
                assert!(public(neighbour), "{neighbour}");
            }
        }
    }

    #[test]
    fn beyond_the_public_part_of_ipv6_nothing_is_called() {
        assert!(public("3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"));
        for private in ["::1", "4000::", "5f00::1", "fc00::1", "fd00:ec2::254", "fe80::1"] {
            assert!(!public(private), "{private}");
        }
        for private in ["febf::1", "fec0::1", "ff02::1", "::10.0.0.1", "64:ff9b:1::808:808"] {
            assert!(!public(private), "{private}");
        }
    }

    #[test]
    fn an_embedded_address_counts_as_what_it_is() {
        for [private, good] in [
            ["::ffff:127.0.0.1", "::ffff:8.8.8.8"],
            ["::ffff:169.254.169.254", "::ffff:169.255.0.1"],
            ["64:ff9b::10.1.2.3", "64:ff9b::11.1.2.3"],
            ["2002:c0a8:101::1", "2002:c0a9:101::1"],
            ["2002:7f00:1::", "2002:808:808::"],
        ] {
            assert!(!public(private), "{private}");
            assert!(public(good), "{good}");
        }
    }

    #[test]
    fn hosts_are_judged_however_they_are_written() {
        let judge = |url: &str| {
            let url = url::Url::parse(url).expect(url);
            may_be_public(&url.host().expect("a host"))
        };
        for private in [
            "https://127.0.0.1/",
            "https://2130706433/",
            "https://0x7f.1/",
            "https://0177.0.0.1/",
            "https://127.1:8443/",
            "https://[::1]/",
            "https://[::ffff:10.0.0.1]/",
            "https://[::ffff:a9fe:a9fe]/",
            "https://LOCALHOST/",
            "https://localhost./",
            "https://db.localhost/",
            "https://localhost.localdomain/",
        ] {
            assert!(!judge(private), "{private}");
        }
        for good in [
            "https://example.com/",
            "https://localhost.example.com/",
            "https://notlocalhost/",
            "https://8.8.8.8/",
            "https://[2606:4700::1111]/",
        ] {
            assert!(judge(good), "{good}");
        }
    }
}
