//! Host and port, in the one form that is compared.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::Fault;

/// Longest host name (RFC 1035, section 2.3.4, without the trailing dot).
const HOST_LIMIT: usize = 253;
/// Longest label of a host name.
const LABEL_LIMIT: usize = 63;
/// The port of https, left out of the canonical form.
const HTTPS_PORT: u16 = 443;

/// A host, lower-case, and a port where it is not 443.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Authority {
    host: String,
    port: Option<u16>,
}

impl Authority {
    /// Parses `host`, `host:port` or `[ipv6]:port`.
    ///
    /// # Errors
    /// Userinfo, an empty or unusual port, and any host that is not plainly a DNS name or an IP address: another
    /// reader could take it for something else.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        if text.contains('@') {
            return Err(Fault::Userinfo);
        }
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, after) = rest.split_once(']').ok_or(Fault::Host)?;
                let ip: Ipv6Addr = host.parse().map_err(|_| Fault::Host)?;
                if ip.to_ipv4_mapped().is_some() {
                    return Err(Fault::Host);
                }
                let port = match after {
                    "" => None,
                    _ => Some(after.strip_prefix(':').ok_or(Fault::Host)?),
                };
                (format!("[{ip}]"), port)
            }
            None => match text.split_once(':') {
                Some((host, port)) => (parse_name(host)?, Some(port)),
                None => (parse_name(text)?, None),
            },
        };
        let port = port.map(parse_port).transpose()?.filter(|&port| port != HTTPS_PORT);
        Ok(Self { host, port })
    }

    /// The host, lower-case; IPv6 addresses in brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port; 443 unless written otherwise.
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(HTTPS_PORT)
    }

    /// This machine itself: an address of the loopback range, or the name `localhost`.
    pub fn is_loopback(&self) -> bool {
        self.host == "localhost"
            || self.host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }

    /// Whether a registry reference could start with this: OCI tools take a first component without dot, port or
    /// `localhost` for a namespace of their default registry.
    pub(crate) fn names_a_registry(&self) -> bool {
        self.port.is_some() || self.host.contains(['.', '[']) || self.host == "localhost"
    }
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.host)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

fn parse_name(host: &str) -> Result<String, Fault> {
    let host = host.to_ascii_lowercase();
    let label_is_plain = |label: &str| {
        (1..=LABEL_LIMIT).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if host.len() > HOST_LIMIT || !host.split('.').all(label_is_plain) {
        return Err(Fault::Host);
    }
    // A last label of digits makes URL readers see an IPv4 address, in forms (decimal, octal, short) that differ.
    let last = host.rsplit('.').next().unwrap_or_default();
    let looks_numeric = last.bytes().all(|b| b.is_ascii_digit()) || last.starts_with("0x");
    if looks_numeric && host.parse::<Ipv4Addr>().is_err() {
        return Err(Fault::Host);
    }
    Ok(host)
}

fn parse_port(port: &str) -> Result<u16, Fault> {
    let plain = !port.is_empty() && !port.starts_with('0') && port.bytes().all(|b| b.is_ascii_digit());
    if plain { port.parse().map_err(|_| Fault::Port) } else { Err(Fault::Port) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_have_one_canonical_form() {
        for (written, canonical) in [
            ("Reg.Example.COM", "reg.example.com"),
            ("reg.example.com:443", "reg.example.com"),
            ("reg.example.com:5000", "reg.example.com:5000"),
            ("127.0.0.1:5000", "127.0.0.1:5000"),
            ("[::1]:5000", "[::1]:5000"),
            ("[0:0:0:0:0:0:0:1]", "[::1]"),
            ("localhost", "localhost"),
        ] {
            assert_eq!(Authority::parse(written).map(|a| a.to_string()), Ok(canonical.to_owned()), "{written}");
        }
    }

    #[test]
    fn ambiguous_hosts_are_refused() {
        for (written, fault) in [
            ("", Fault::Host),
            ("a..b", Fault::Host),
            ("a.example.com.", Fault::Host),
            ("-a.example.com", Fault::Host),
            ("xn--artifacts-.example.com", Fault::Host),
            ("2130706433", Fault::Host),
            ("127.1", Fault::Host),
            ("0127.0.0.1", Fault::Host),
            ("1.2.3.0x7f", Fault::Host),
            ("a%2eb", Fault::Host),
            ("*.example.com", Fault::Host),
            ("[::1", Fault::Host),
            ("[::ffff:127.0.0.1]", Fault::Host),
            ("[fe80::1%25eth0]", Fault::Host),
            ("[::1]x", Fault::Host),
            ("::1", Fault::Host),
            ("a.example.com:", Fault::Port),
            ("a.example.com:0", Fault::Port),
            ("a.example.com:0443", Fault::Port),
            ("a.example.com:99999", Fault::Port),
            ("a.example.com:+80", Fault::Port),
            ("bob@a.example.com", Fault::Userinfo),
        ] {
            assert_eq!(Authority::parse(written), Err(fault), "{written}");
        }
    }
}
