//! Where a webhook may go: `https`, to the public Internet. Anything else would let a consumer make us call addresses
//! inside our network (server-side request forgery). The name is checked before the call, and every address that it resolves to when
//! connecting, so that a change of the name in between gains nothing; redirects are not followed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Reason for refusing an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused(pub String);

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refused {}

/// Checks the text of an address.
///
/// # Errors
/// Fault.
pub fn check(address: &str) -> Result<http::Uri, Refused> {
    let refuse = |why: &str| Err(Refused(format!("a webhook's address {why}")));
    let Ok(uri) = address.parse::<http::Uri>() else { return refuse("must be a URL") };
    if uri.scheme_str() != Some("https") {
        return refuse("must begin with https://");
    }
    let Some(authority) = uri.authority() else { return refuse("must name a host") };
    if authority.as_str().contains('@') {
        return refuse("must not hold credentials");
    }
    if authority.port_u16().is_some_and(|port| port != 443 && port != 8443) {
        return refuse("must use port 443 or 8443");
    }
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    if let Ok(ip) = host.parse::<IpAddr>() {
        return if is_public(ip) { Ok(uri) } else { refuse("must be on the public Internet") };
    }
    // `0x7f.1`, `2130706433`, `127.1`: forms of IPv4 that some resolvers take. A top-level domain begins with a letter.
    let last = host.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
    if !host.contains('.') || !last.starts_with(|first: char| first.is_ascii_alphabetic()) {
        return refuse("must name a public host");
    }
    let inner = ["localhost", "local", "internal", "intranet", "lan", "home", "corp", "arpa", "onion", "test", "invalid"];
    if inner.contains(&last.to_ascii_lowercase().as_str()) {
        return refuse("must name a public host");
    }
    Ok(uri)
}

/// Whether an address is one that anybody on the Internet can have (IANA's special-purpose registries: everything
/// with a special purpose is refused, embedded IPv4 is checked as IPv4).
pub fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    let special = matches!(
        (a, b, c),
        (0 | 10 | 127 | 224.., ..)
            | (100, 64..=127, _)
            | (169, 254, _)
            | (172, 16..=31, _)
            | (192, 0, 0 | 2)
            | (192, 31, 196)
            | (192, 52, 193)
            | (192, 88, 99)
            | (192, 168, _)
            | (192, 175, 48)
            | (198, 18..=19, _)
            | (198, 51, 100)
            | (203, 0, 113)
    );
    !special
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    let segments = ip.segments();
    let embedded = |high: u16, low: u16| is_public_v4(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)));
    match segments {
        // NAT64 and 6to4 carry an IPv4 address that a gateway would go to.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => embedded(high, low),
        [0x2002, high, low, ..] => embedded(high, low),
        // Only 2000::/3 is given out; of it 2001::/23 (Teredo, ORCHID ...), documentation and 3fff::/20 are not.
        [0x2001, second, ..] => second >= 0x200 && second != 0xdb8,
        [0x3fff, second, ..] => second > 0xfff,
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inner_doors_are_refused() {
        for address in [
            "http://hooks.example.com/",
            "https://localhost/",
            "https://metadata.google.internal/",
            "https://printer.local/",
            "https://intranet/",
            "https://127.0.0.1/",
            "https://127.1/",
            "https://2130706433/",
            "https://0x7f000001/",
            "https://0177.0.0.1/",
            "https://169.254.169.254/latest/meta-data",
            "https://10.1.2.3/",
            "https://100.100.100.200/",
            "https://[::1]/",
            "https://[fd00:ec2::254]/",
            "https://[::ffff:169.254.169.254]/",
            "https://[64:ff9b::a9fe:a9fe]/",
            "https://[2002:7f00:1::]/",
            "https://user:secret@hooks.example.com/",
            "https://hooks.example.com:22/",
            "file:///etc/passwd",
            "hooks.example.com",
            "https:///x",
        ] {
            assert!(check(address).is_err(), "{address}");
        }
    }

    #[test]
    fn public_hosts_are_accepted() {
        for address in [
            "https://hooks.example.com/a?b=c",
            "https://hooks.example.com:8443/",
            "https://8.8.8.8/",
            "https://[2606:4700::1111]/",
        ] {
            assert!(check(address).is_ok(), "{address}");
        }
    }

    #[test]
    fn every_special_block_is_refused_at_both_ends() {
        let blocks = ["0.0.0.0", "0.255.255.255", "100.64.0.0", "100.127.255.255", "172.16.0.0", "172.31.255.255", "198.18.0.0"];
        let more =
            ["198.19.255.255", "224.0.0.1", "255.255.255.255", "::", "fe80::1", "fec0::1", "ff02::1", "2001:db8::1", "2001::1"];
        for ip in blocks.iter().chain(&more) {
            assert!(!is_public(ip.parse().unwrap()), "{ip}");
        }
        for ip in [
            "1.0.0.1",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.0.1",
            "172.32.0.0",
            "198.17.0.1",
            "223.255.255.1",
            "2001:4860::8",
        ] {
            assert!(is_public(ip.parse().unwrap()), "{ip}");
        }
    }
}
