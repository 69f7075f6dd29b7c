//! Whose certificates are trusted.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ureq::tls::{Certificate, RootCerts};
use webpki_root_certs::TLS_SERVER_ROOT_CERTS;

/// Where the trusted CA certificates (PEM) come from.
#[derive(Debug, Clone, Default)]
pub struct Trust {
    /// `SSL_CERT_FILE`: a bundle instead of the system's.
    pub file: Option<PathBuf>,
    /// `SSL_CERT_DIR`: a folder instead of the system's.
    pub dir: Option<PathBuf>,
    /// Bundles besides all others.
    pub extra: Vec<PathBuf>,
}

/// CA certificates that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrustError {
    /// A file or folder that was named cannot be read as certificates.
    #[error("failed to load CA certificates from `{}`", path.display())]
    Load {
        /// What was named.
        path: PathBuf,
        /// Why not.
        source: Box<dyn Error + Send + Sync>,
    },
    /// A file that was named holds no certificate.
    #[error("expected CA certificates in PEM form in `{}`, found none", path.display())]
    Empty {
        /// What was named.
        path: PathBuf,
    },
}

impl TrustError {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        let kind = match self {
            Self::Load { source, .. } => source.downcast_ref::<io::Error>().map(io::Error::kind),
            Self::Empty { .. } => None,
        };
        match kind {
            Some(io::ErrorKind::NotFound) => "mount it there, or correct the flag or variable that names it",
            Some(io::ErrorKind::PermissionDenied) => "let this user read it",
            _ => "mount the CA's certificate as PEM text, beginning with `-----BEGIN CERTIFICATE-----`",
        }
    }
}

impl Trust {
    /// Loads the certificates: what is named; without `file` and `dir` the system's bundle, and Mozilla's list, built
    /// in, where there is none.
    ///
    /// # Errors
    /// When something that was named gives no certificate.
    pub(crate) fn load(&self) -> Result<RootCerts, TrustError> {
        let found = self.load_on(|| own(&rustls_native_certs::load_native_certs()))?;
        Ok(RootCerts::Specific(Arc::new(found)))
    }

    /// The same, on a system that has these certificates.
    fn load_on(
        &self,
        system: impl FnOnce() -> Vec<Certificate<'static>>,
    ) -> Result<Vec<Certificate<'static>>, TrustError> {
        let mut found = Vec::new();
        if let Some(file) = &self.file {
            found.extend(load_named(file, Some(file), None)?);
        }
        if let Some(dir) = &self.dir {
            found.extend(load_named(dir, None, Some(dir))?);
        }
        if found.is_empty() {
            found = system();
        }
        if found.is_empty() {
            found = TLS_SERVER_ROOT_CERTS.iter().map(|der| Certificate::from_der(der)).collect();
        }
        for file in &self.extra {
            found.extend(load_named(file, Some(file), None)?);
        }
        Ok(found)
    }
}

fn load_named(path: &Path, file: Option<&Path>, dir: Option<&Path>) -> Result<Vec<Certificate<'static>>, TrustError> {
    let mut loaded = rustls_native_certs::load_certs_from_paths(file, dir);
    if !loaded.certs.is_empty() {
        return Ok(own(&loaded));
    }
    let path = path.to_owned();
    Err(if loaded.errors.is_empty() {
        TrustError::Empty { path }
    } else {
        TrustError::Load { path, source: innermost(loaded.errors.swap_remove(0)) }
    })
}

/// The library's error repeats the path and its own cause in its text.
fn innermost(error: rustls_native_certs::Error) -> Box<dyn Error + Send + Sync> {
    match error.kind {
        rustls_native_certs::ErrorKind::Io { inner, .. } => inner.into(),
        rustls_native_certs::ErrorKind::Pem(error) => error.into(),
        other => rustls_native_certs::Error { kind: other, ..error }.into(),
    }
}

fn own(loaded: &rustls_native_certs::CertificateResult) -> Vec<Certificate<'static>> {
    loaded.certs.iter().map(|der| Certificate::from_der(der).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use testkit::Ca;

    #[test]
    fn extra_certificates_stand_besides_all_others() {
        let mut pem = tempfile::NamedTempFile::new().unwrap();
        pem.write_all(Ca::new().pem().as_bytes()).unwrap();
        let file = || pem.path().to_owned();
        let system = || vec![Certificate::from_der(b"of the system")];
        let built_in = TLS_SERVER_ROOT_CERTS.len();
        for (name, file, extra, system, expected) in [
            ("system", None, vec![], system(), 1),
            ("no system", None, vec![], vec![], built_in),
            ("system and extra", None, vec![file()], system(), 2),
            ("no system, extra", None, vec![file()], vec![], built_in + 1),
            ("file in place of system", Some(file()), vec![], system(), 1),
            ("file and extra, no system", Some(file()), vec![file()], vec![], 2),
        ] {
            let trust = Trust { file, dir: None, extra };
            assert_eq!(trust.load_on(|| system).unwrap().len(), expected, "{name}");
        }
    }

    #[test]
    fn named_file_that_gives_no_certificate_is_told_once_and_with_what_to_do() {
        let mut broken = tempfile::NamedTempFile::new().unwrap();
        broken.write_all(b"-----BEGIN CERTIFICATE-----\n").unwrap();
        let empty = tempfile::NamedTempFile::new().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = |path: &Path| Trust { file: Some(path.to_owned()), ..Trust::default() };
        let dir = |path: &Path| Trust { dir: Some(path.to_owned()), ..Trust::default() };
        let extra = |path: &Path| Trust { extra: vec![path.to_owned()], ..Trust::default() };
        let absent = Some("No such file or directory (os error 2)");
        let marker = Some("missing section end marker: [67, 69, 82, 84, 73, 70, 73, 67, 65, 84, 69]");
        for (name, path, named, source, hint) in [
            ("nowhere", Path::new("/nowhere/ca.pem"), &[file, dir, extra][..], absent, "mount it there"),
            ("broken", broken.path(), &[file, extra], marker, "PEM"),
            ("empty", empty.path(), &[file, extra], None, "PEM"),
            ("empty folder", folder.path(), &[dir], None, "PEM"),
        ] {
            for trust in named.iter().map(|naming| naming(path)) {
                let error = trust.load().unwrap_err();
                assert!(error.to_string().contains(&format!("`{}`", path.display())), "{name}: {error}");
                assert_eq!(error.source().map(ToString::to_string).as_deref(), source, "{name}");
                assert!(error.hint().contains(hint), "{name}: {}", error.hint());
                assert!(error.source().is_none_or(|source| source.source().is_none()), "{name}");
            }
        }
    }
}
