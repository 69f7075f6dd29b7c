//! Certificates that vouch for one host and no other (containers-certs.d(5)).

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use source::Authority;
use transport::{HttpClient, Request, Response, Transport, TransportError};

use crate::SurroundingsError;
use crate::file::{Whose, if_there, list};

/// Most hosts that have certificates of their own: each gets a client of its own.
const HOST_LIMIT: usize = 64;
/// Most files that lie there for one host.
const FILE_LIMIT: usize = 64;

/// A client for all hosts, and one for each that has CA certificates of its own.
#[derive(Debug)]
pub struct HostClients {
    for_all: HttpClient,
    /// By host, with its port where that is not 443.
    of_host: BTreeMap<String, HttpClient>,
}

impl HostClients {
    pub(crate) const fn of(for_all: HttpClient) -> Self {
        Self { for_all, of_host: BTreeMap::new() }
    }

    pub(crate) fn add(&mut self, host: String, client: HttpClient) {
        self.of_host.insert(host, client);
    }
}

impl Transport for HostClients {
    fn send(&self, request: &Request, within: Duration) -> Result<Response, TransportError> {
        self.of_host.get(&request.url.authority()).unwrap_or(&self.for_all).send(request, within)
    }
}

/// The CA certificates of each host. A client's own certificate and key may lie beside them, and are not looked at.
pub(crate) fn host_certificates(
    home: Option<PathBuf>,
    etc: &Path,
) -> Result<BTreeMap<String, Vec<PathBuf>>, SurroundingsError> {
    let home = home.map(|containers| (containers, Whose::Home));
    let system = [etc.join("containers"), etc.join("docker")].map(|folder| (folder, Whose::System));
    let mut found = BTreeMap::new();
    for (folder, whose) in home.into_iter().chain(system) {
        for folder in listed(&folder.join("certs.d"), HOST_LIMIT, whose)? {
            let host = folder.file_name().and_then(OsStr::to_str).and_then(|name| Authority::parse(name).ok());
            let Some(host) = host.map(|host| host.to_string()).filter(|host| !found.contains_key(host)) else {
                continue;
            };
            if folder.is_dir() {
                let mut files = listed(&folder, FILE_LIMIT, whose)?;
                files.retain(|file| file.extension() == Some(OsStr::new("crt")));
                found.insert(host, files);
            }
        }
    }
    found.retain(|_, files| !files.is_empty());
    Ok(found)
}

fn listed(folder: &Path, limit: usize, whose: Whose) -> Result<Vec<PathBuf>, SurroundingsError> {
    let listed = if_there(list(folder, limit), whose);
    let listed = listed.map_err(|source| SurroundingsError::CertificateFolder { path: folder.to_owned(), source })?;
    Ok(listed.unwrap_or_default())
}
