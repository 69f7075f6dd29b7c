//! Which proxy a request goes through, by the conventions that clusters rely on.

use std::fmt;
use std::net::IpAddr;

use crate::{Scheme, Url};

/// `HTTPS_PROXY` and `NO_PROXY`. Requests to loopback and in the clear never go through a proxy: who is spoken to over
/// plain http is near, so `HTTP_PROXY` has nothing to decide here.
#[derive(Debug, Clone, Default)]
pub struct ProxyRules {
    https: Option<Proxy>,
    exceptions: Vec<Exception>,
}

/// The proxy to go through.
#[derive(Clone)]
pub(crate) struct Proxy {
    /// All of it, with user and password.
    pub(crate) settings: ureq::Proxy,
    /// Host and port, for messages.
    pub(crate) authority: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Exception {
    Everything,
    /// A name and everything below it, at any port or one.
    Domain(String, Option<u16>),
    Network(IpAddr, u8),
}

/// `HTTPS_PROXY` is no proxy URL. The value is not shown, it may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("`HTTPS_PROXY` must be `http://[user:password@]host:port`, or the same with `https://`")]
pub struct ProxyRulesError;

impl ProxyRules {
    /// Reads the two values: a proxy's URL, and a list of hosts, `.suffixes`, addresses and CIDR networks with commas
    /// between them (`*` for all).
    ///
    /// # Errors
    /// When the proxy's URL cannot be used.
    pub fn parse(https_proxy: Option<&str>, no_proxy: Option<&str>) -> Result<Self, ProxyRulesError> {
        let https = https_proxy.map(str::trim).filter(|url| !url.is_empty());
        if let Some(url) = https {
            let url = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
            let settings = ureq::Proxy::new(&url).map_err(|_| ProxyRulesError)?;
            if !matches!(settings.protocol(), ureq::ProxyProtocol::Http | ureq::ProxyProtocol::Https) {
                return Err(ProxyRulesError);
            }
            let authority = format!("{}:{}", settings.host(), settings.port());
            let https = Some(Proxy { settings, authority });
            return Ok(Self { https, exceptions: exceptions(no_proxy.unwrap_or_default()) });
        }
        Ok(Self::default())
    }

    pub(crate) const fn https(&self) -> Option<&Proxy> {
        self.https.as_ref()
    }

    /// The proxy for a request, if any.
    pub(crate) fn proxy_for(&self, url: &Url) -> Option<&Proxy> {
        if url.is_loopback()
            || url.scheme() == Scheme::Http
            || self.exceptions.iter().any(|exception| exception.covers(url))
        {
            return None;
        }
        self.https.as_ref()
    }
}

fn exceptions(list: &str) -> Vec<Exception> {
    list.split(',').map(str::trim).filter(|item| !item.is_empty()).filter_map(exception).collect()
}

fn exception(item: &str) -> Option<Exception> {
    if item == "*" {
        return Some(Exception::Everything);
    }
    if let Some((network, bits)) = item.split_once('/') {
        let network: IpAddr = network.parse().ok()?;
        return Some(Exception::Network(network, bits.parse().ok()?));
    }
    if let Ok(address) = item.trim_matches(['[', ']']).parse::<IpAddr>() {
        return Some(Exception::Network(address, 128));
    }
    let (name, port) = match item.split_once(':') {
        Some((name, port)) => (name, Some(port.parse().ok()?)),
        None => (item, None),
    };
    let name = name.trim_start_matches('*').trim_start_matches('.');
    (!name.is_empty()).then(|| Exception::Domain(name.to_ascii_lowercase(), port))
}

impl Exception {
    fn covers(&self, url: &Url) -> bool {
        match self {
            Self::Everything => true,
            Self::Domain(name, port) => {
                let below = url.host().strip_suffix(name.as_str()).is_some_and(|p| p.is_empty() || p.ends_with('.'));
                below && port.is_none_or(|port| port == url.port())
            }
            Self::Network(network, bits) => {
                let host = url.host().trim_matches(['[', ']']).parse::<IpAddr>();
                host.is_ok_and(|host| same_network(host, *network, *bits))
            }
        }
    }
}

fn same_network(a: IpAddr, b: IpAddr, bits: u8) -> bool {
    match (a, b) {
        (IpAddr::V4(a), IpAddr::V4(b)) => (a.to_bits() ^ b.to_bits()).leading_zeros() >= u32::from(bits.min(32)),
        (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits() ^ b.to_bits()).leading_zeros() >= u32::from(bits.min(128)),
        _ => false,
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({})", self.authority)
    }
}

impl fmt::Display for ProxyRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.https.is_some() { "by proxy" } else { "direct" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exceptions_follow_the_conventions_of_clusters() {
        let list = "localhost, .svc,example.com,10.0.0.0/8,192.168.1.7,reg.internal:5000,[fd00::]/8,fd00::/8";
        let rules = ProxyRules::parse(Some("http://u:s3cret@proxy.example.net:3128"), Some(list)).unwrap();
        for (url, direct) in [
            ("https://ghcr.io/", false),
            ("https://example.com/", true),
            ("https://sub.example.com/", true),
            ("https://notexample.com/", false),
            ("https://registry.default.svc/", true),
            ("https://10.1.2.3/", true),
            ("https://11.1.2.3/", false),
            ("https://192.168.1.7/", true),
            ("https://192.168.1.8/", false),
            ("https://reg.internal:5000/", true),
            ("https://reg.internal/", false),
            ("https://[fd00::1]/", true),
            ("https://127.0.0.1:5000/", true),
        ] {
            assert_eq!(rules.proxy_for(&Url::parse(url).unwrap()).is_none(), direct, "{url}");
        }
        assert!(!format!("{rules:?} {rules}").contains("s3cret"));
    }

    #[test]
    fn no_proxy_or_a_bad_one_is_told_apart() {
        assert!(ProxyRules::parse(None, Some("*")).unwrap().https.is_none());
        assert!(ProxyRules::parse(Some(" "), None).unwrap().https.is_none());
        for (text, authority) in [
            ("proxy.example.net:3128", Some("proxy.example.net:3128")),
            ("http://u:s3cret@proxy.example.net", Some("proxy.example.net:80")),
            ("HTTPS://u:s3cret@proxy.example.net", Some("proxy.example.net:443")),
            ("http://u:s3cret@[fd00::1]:3128/", Some("[fd00::1]:3128")),
            ("foo://u:s3cret@x", None),
            ("socks5://u:s3cret@x:1080", None),
            ("socks4a://x:1080", None),
            ("socks://x:1080", None),
        ] {
            let found = ProxyRules::parse(Some(text), None);
            assert!(!format!("{found:?}").contains("s3cret"), "{text}");
            let found = found.ok().and_then(|rules| rules.https).map(|proxy| proxy.authority);
            assert_eq!(found.as_deref(), authority, "{text}");
        }
    }
}
