//! What a registry holds.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::sha256_digest;

/// All repositories and the uploads under way.
#[derive(Debug, Default)]
pub(super) struct Store(Mutex<Content>);

#[derive(Debug, Default)]
pub(super) struct Content {
    pub(super) repositories: BTreeMap<String, Repository>,
    pub(super) uploads: BTreeMap<String, Vec<u8>>,
    /// What a forgetful registry remembers of them.
    pub(super) last_chunks: BTreeMap<String, Arc<[u8]>>,
    uploads_begun: usize,
}

#[derive(Debug, Default)]
pub(super) struct Repository {
    pub(super) tags: BTreeMap<String, String>,
    pub(super) manifests: BTreeMap<String, Manifest>,
    pub(super) blobs: BTreeMap<String, Arc<[u8]>>,
}

#[derive(Debug, Clone)]
pub(super) struct Manifest {
    pub(super) bytes: Arc<[u8]>,
    pub(super) content_type: String,
}

impl Store {
    pub(super) fn lock(&self) -> MutexGuard<'_, Content> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn put_blob(&self, repository: &str, bytes: impl Into<Arc<[u8]>>) -> String {
        let bytes = bytes.into();
        let digest = sha256_digest(&bytes);
        self.put_blob_as(repository, &digest, bytes);
        digest
    }

    /// Keeps bytes under a digest that need not be theirs.
    pub(super) fn put_blob_as(&self, repository: &str, digest: &str, bytes: Arc<[u8]>) {
        self.lock().repository(repository).blobs.insert(digest.to_owned(), bytes);
    }

    /// Keeps a manifest under its digest, and under a tag when there is one.
    pub(super) fn put_manifest(&self, repository: &str, tag: Option<&str>, manifest: Manifest) -> String {
        let digest = sha256_digest(&manifest.bytes);
        let mut content = self.lock();
        let repository = content.repository(repository);
        repository.manifests.insert(digest.clone(), manifest);
        if let Some(tag) = tag {
            repository.tags.insert(tag.to_owned(), digest.clone());
        }
        digest
    }

    /// The digest and content that a tag or digest names.
    pub(super) fn manifest(&self, repository: &str, reference: &str) -> Option<(String, Manifest)> {
        let content = self.lock();
        let repository = content.repositories.get(repository)?;
        let digest = repository.tags.get(reference).map_or(reference, String::as_str);
        Some((digest.to_owned(), repository.manifests.get(digest)?.clone()))
    }

    pub(super) fn blob(&self, repository: &str, digest: &str) -> Option<Arc<[u8]>> {
        self.lock().repositories.get(repository)?.blobs.get(digest).cloned()
    }

    pub(super) fn begin_upload(&self) -> String {
        let mut content = self.lock();
        content.uploads_begun += 1;
        let id = format!("upload-{}", content.uploads_begun);
        content.uploads.insert(id.clone(), Vec::new());
        id
    }
}

impl Content {
    pub(super) fn repository(&mut self, name: &str) -> &mut Repository {
        self.repositories.entry(name.to_owned()).or_default()
    }
}
