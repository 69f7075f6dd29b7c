//! Uploads, and the ways in which registries go wrong about them (distribution-spec, "Pushing blobs").

use std::sync::Arc;

use super::auth::Action;
use super::serve::{Service, error};
use crate::{Reply, Request, sha256_digest};

/// How a registry takes uploads.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Uploads {
    /// In one piece or in chunks, at a relative `Location`.
    #[default]
    Plain,
    /// At an absolute `Location` with a query, which has to be kept.
    Absolute,
    /// At a `Location` on this origin, whoever listens there.
    At(String),
    /// Of several chunks it keeps the last, and answers as if it kept all.
    LastChunkOnly,
    /// It keeps other bytes, and says their digest.
    OtherBytes,
    /// 413 for a body of more bytes than this.
    BodyLimit(usize),
    /// 416 for a chunk of other sizes than these; the least one is announced in `OCI-Chunk-Min-Length`.
    ChunkSize {
        /// The least size.
        least: usize,
        /// The greatest size.
        most: usize,
    },
    /// 405 for any chunk.
    WholeOnly,
}

impl Service {
    pub(super) fn begin_upload(&self, request: &Request, name: &str) -> Reply {
        if !request.query_values("digest").is_empty() {
            return self.finish_upload(request, name, &request.body);
        }
        if let Some(mounted) = self.mount(request, name) {
            return mounted;
        }
        let id = self.store.begin_upload();
        let reply = Reply::status(202).header("location", &self.upload_url(request, name, &id)).header("range", "0-0");
        match self.uploads {
            Uploads::ChunkSize { least, .. } => reply.header("oci-chunk-min-length", &least.to_string()),
            _ => reply,
        }
    }

    pub(super) fn continue_upload(&self, request: &Request, name: &str, id: &str) -> Reply {
        if self.uploads == Uploads::Absolute && request.query_values("state") != ["made"] {
            return error(404, "BLOB_UPLOAD_UNKNOWN", "the query of the location must be kept");
        }
        let chunked = request.method == "PATCH";
        let size = request.body.len();
        match self.uploads {
            Uploads::BodyLimit(limit) if size > limit => return Reply::status(413),
            Uploads::WholeOnly if chunked => return error(405, "UNSUPPORTED", "no chunks"),
            Uploads::ChunkSize { least, most } if chunked && !(least..=most).contains(&size) => {
                return error(416, "BLOB_UPLOAD_INVALID", "no chunks of this size");
            }
            _ => {}
        }
        let mut content = self.store.lock();
        let Some(upload) = content.uploads.get_mut(id) else {
            return error(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry");
        };
        let start = request.header("content-range").and_then(|range| range.split('-').next()?.parse().ok());
        if start.is_some_and(|start: usize| start != upload.len()) {
            return error(416, "BLOB_UPLOAD_INVALID", "a chunk must begin where the one before it ended");
        }
        upload.extend_from_slice(&request.body);
        let last = upload.len().saturating_sub(1);
        if chunked {
            if self.uploads == Uploads::LastChunkOnly {
                content.last_chunks.insert(id.to_owned(), Arc::clone(&request.body));
            }
            let location = self.upload_url(request, name, id);
            return Reply::status(202).header("location", &location).header("range", &format!("0-{last}"));
        }
        let whole = content.uploads.remove(id).unwrap_or_default();
        let kept = content.last_chunks.remove(id);
        drop(content);
        let reply = self.finish_upload(request, name, &whole);
        if let Some(kept) = kept {
            self.store.put_blob_as(name, &sha256_digest(&whole), kept);
        }
        reply
    }

    fn finish_upload(&self, request: &Request, name: &str, bytes: &[u8]) -> Reply {
        let mut digest = sha256_digest(bytes);
        if request.query_values("digest") != [digest.as_str()] {
            return error(400, "DIGEST_INVALID", "provided digest did not match uploaded content");
        }
        if self.uploads == Uploads::OtherBytes {
            digest = self.store.put_blob(name, &b"other bytes"[..]);
        } else {
            self.store.put_blob(name, bytes);
        }
        created(name, &digest)
    }

    /// Takes a blob over, where it is and where who asks may read it.
    fn mount(&self, request: &Request, name: &str) -> Option<Reply> {
        let (digest, from) = (request.query_values("mount"), request.query_values("from"));
        let (digest, from) = (digest.first()?, from.first()?);
        self.gate.check(request, Some((from, Action::Pull))).ok()?;
        let bytes = self.store.blob(from, digest)?;
        self.store.put_blob(name, bytes);
        Some(created(name, digest))
    }

    fn upload_url(&self, request: &Request, name: &str, id: &str) -> String {
        let path = format!("/v2/{name}/blobs/uploads/{id}");
        match &self.uploads {
            Uploads::Absolute => format!("{}{path}?state=made", request.origin),
            Uploads::At(origin) => format!("{origin}{path}"),
            _ => path,
        }
    }
}

fn created(name: &str, digest: &str) -> Reply {
    Reply::status(201).header("location", &format!("/v2/{name}/blobs/{digest}")).header("docker-content-digest", digest)
}
