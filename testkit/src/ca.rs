//! A certificate authority made for one test.

use std::fmt;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// A certificate authority that nobody trusts but the test.
///
/// Clones are the same authority.
#[derive(Clone)]
pub struct Ca(Arc<CertifiedIssuer<'static, KeyPair>>);

/// A server's certificate and its key.
pub struct Leaf {
    /// The certificate, PEM.
    pub certificate: String,
    /// The PKCS #8 key, PEM.
    pub key: String,
    certificate_der: CertificateDer<'static>,
    key_der: Vec<u8>,
}

impl Ca {
    /// A new authority with a key of its own.
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "testkit authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().expect("a key can be made");
        Self(Arc::new(CertifiedIssuer::self_signed(params, key).expect("an authority can be made")))
    }

    /// The authority's own certificate, as a client mounts it.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for these DNS names, and always for `localhost` and `127.0.0.1`.
    pub fn leaf(&self, names: &[&str]) -> Leaf {
        let all = names.iter().copied().chain(["localhost", "127.0.0.1"]).map(str::to_owned).collect::<Vec<_>>();
        self.issue(CertificateParams::new(all).expect("names are DNS names"))
    }

    /// A certificate for exactly these names that ended with the year 2000.
    pub fn expired_leaf(&self, names: &[&str]) -> Leaf {
        let all = names.iter().copied().map(str::to_owned).collect::<Vec<_>>();
        let mut params = CertificateParams::new(all).expect("names are DNS names");
        params.not_after = rcgen::date_time_ymd(2000, 12, 31);
        self.issue(params)
    }

    /// What a server of these names needs to speak TLS; see [`leaf`](Self::leaf).
    pub fn server_config(&self, names: &[&str]) -> Arc<ServerConfig> {
        self.leaf(names).server_config()
    }

    fn issue(&self, mut params: CertificateParams) -> Leaf {
        params.distinguished_name.push(DnType::CommonName, "testkit server");
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate().expect("a key can be made");
        let certificate = params.signed_by(&key, &self.0).expect("a certificate can be signed");
        Leaf {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
            certificate_der: certificate.der().clone(),
            key_der: key.serialize_der(),
        }
    }
}

impl Default for Ca {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Ca {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ca")
    }
}

impl Leaf {
    /// What a server needs to speak TLS 1.2 and 1.3 with this certificate.
    pub fn server_config(&self) -> Arc<ServerConfig> {
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key_der.clone()));
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring has the default versions")
            .with_no_client_auth()
            .with_single_cert(vec![self.certificate_der.clone()], key)
            .expect("the key belongs to the certificate");
        Arc::new(config)
    }
}

impl fmt::Debug for Leaf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Leaf")
    }
}
