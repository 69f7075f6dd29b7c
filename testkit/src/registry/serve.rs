//! The endpoints of the OCI distribution specification, pull and push.

use std::io::{Cursor, Read};
use std::sync::Arc;

use serde_json::json;

use super::auth::{Action, Gate};
use super::store::{Manifest, Store};
use super::upload::Uploads;
use crate::{Reply, Request, sha256_digest};

/// What the servers of one registry share.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) store: Store,
    pub(super) gate: Gate,
    pub(super) ranges: Ranges,
    pub(super) uploads: Uploads,
    /// Scheme and host of the object storage that blobs are fetched from.
    pub(super) storage: Option<String>,
}

/// What a registry does with a `Range` header on a blob.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Ranges {
    /// 206 and the range (RFC 9110, section 14).
    #[default]
    Honoured,
    /// 200 and everything, as if it had not been asked.
    Ignored,
}

impl Service {
    pub(super) fn answer(&self, request: &Request) -> Reply {
        if self.gate.is_own_realm(request) {
            return self.gate.token(request);
        }
        let Some(route) = Route::parse(&request.path) else { return error(404, "UNSUPPORTED", "no such endpoint") };
        let reads = matches!(request.method.as_str(), "GET" | "HEAD");
        let action = if reads { Action::Pull } else { Action::Push };
        if let Err(refusal) = self.gate.check(request, route.repository().map(|name| (name, action))) {
            return refusal;
        }
        match (route, request.method.as_str()) {
            (Route::Base, _) if reads => Reply::ok().json(&json!({})),
            (Route::Tags(name), _) if reads => self.tags(name),
            (Route::Manifest(name, reference), _) if reads => self.manifest(request, name, reference),
            (Route::Manifest(name, reference), "PUT") => self.put_manifest(request, name, reference),
            (Route::Blob(name, digest), _) if reads => self.blob(request, name, digest),
            (Route::Uploads(name), "POST") => self.begin_upload(request, name),
            (Route::Upload(name, id), "PATCH" | "PUT") => self.continue_upload(request, name, id),
            _ => error(405, "UNSUPPORTED", "no such method here"),
        }
    }

    /// The object storage: URLs of its own, which are signed, and nobody's credentials.
    pub(super) fn store_answer(&self, request: &Request) -> Reply {
        let authorization = request.header("authorization");
        assert!(
            authorization.is_none(),
            "credentials were sent to the object storage: {} {}",
            request.method,
            request.path
        );
        if request.query_values("signature") != ["made"] {
            return Reply::status(403);
        }
        let found = request.path.strip_prefix('/').and_then(|path| path.rsplit_once('/'));
        match found.and_then(|(name, digest)| self.store.blob(name, digest)) {
            Some(bytes) => ranged(request, self.ranges, bytes),
            None => Reply::status(404),
        }
    }

    fn tags(&self, name: &str) -> Reply {
        match self.store.lock().repositories.get(name) {
            Some(repository) => {
                Reply::ok().json(&json!({ "name": name, "tags": repository.tags.keys().collect::<Vec<_>>() }))
            }
            None => error(404, "NAME_UNKNOWN", "repository name not known to registry"),
        }
    }

    fn manifest(&self, request: &Request, name: &str, reference: &str) -> Reply {
        if !self.store.lock().repositories.contains_key(name) {
            return error(404, "NAME_UNKNOWN", "repository name not known to registry");
        }
        let Some((digest, manifest)) = self.store.manifest(name, reference) else {
            return error(404, "MANIFEST_UNKNOWN", "manifest unknown");
        };
        // Registries hide a manifest from a client that does not ask for its type.
        let mut accepted = request.headers.iter().filter(|(key, _)| key == "accept").flat_map(|(_, v)| v.split(','));
        let accepts = |range: &str| {
            let range = range.split(';').next().unwrap_or_default().trim();
            range == "*/*" || range == manifest.content_type
        };
        if !accepted.any(accepts) {
            return error(404, "MANIFEST_UNKNOWN", "the accept header does not support this manifest's type");
        }
        Reply::ok()
            .header("content-type", &manifest.content_type)
            .header("docker-content-digest", &digest)
            .body(manifest.bytes)
    }

    fn put_manifest(&self, request: &Request, name: &str, reference: &str) -> Reply {
        let Some(content_type) = request.header("content-type") else {
            return error(400, "MANIFEST_INVALID", "a content type is required");
        };
        let by_digest = reference.contains(':');
        if by_digest && reference != sha256_digest(&request.body) {
            return error(400, "DIGEST_INVALID", "provided digest did not match uploaded content");
        }
        let manifest = Manifest { bytes: Arc::clone(&request.body), content_type: content_type.to_owned() };
        let digest = self.store.put_manifest(name, (!by_digest).then_some(reference), manifest);
        Reply::status(201)
            .header("location", &format!("/v2/{name}/manifests/{digest}"))
            .header("docker-content-digest", &digest)
    }

    fn blob(&self, request: &Request, name: &str, digest: &str) -> Reply {
        let Some(bytes) = self.store.blob(name, digest) else {
            return error(404, "BLOB_UNKNOWN", "blob unknown to registry");
        };
        match &self.storage {
            Some(storage) if request.method == "GET" => {
                Reply::redirect(307, &format!("{storage}/{name}/{digest}?signature=made"))
            }
            _ => ranged(request, self.ranges, bytes).header("docker-content-digest", digest),
        }
    }
}

enum Route<'a> {
    Base,
    Tags(&'a str),
    Manifest(&'a str, &'a str),
    Blob(&'a str, &'a str),
    Uploads(&'a str),
    Upload(&'a str, &'a str),
}

impl<'a> Route<'a> {
    fn parse(path: &'a str) -> Option<Self> {
        let rest = path.strip_prefix("/v2/").or_else(|| (path == "/v2").then_some(""))?;
        if rest.is_empty() {
            return Some(Self::Base);
        }
        if let Some(name) = rest.strip_suffix("/tags/list") {
            return Some(Self::Tags(name));
        }
        if let Some(name) = rest.strip_suffix("/blobs/uploads/").or_else(|| rest.strip_suffix("/blobs/uploads")) {
            return Some(Self::Uploads(name));
        }
        let (before, last) = rest.rsplit_once('/')?;
        if let Some(name) = before.strip_suffix("/blobs/uploads") {
            return Some(Self::Upload(name, last));
        }
        if let Some(name) = before.strip_suffix("/blobs") {
            return Some(Self::Blob(name, last));
        }
        before.strip_suffix("/manifests").map(|name| Self::Manifest(name, last))
    }

    fn repository(&self) -> Option<&'a str> {
        match self {
            Self::Base => None,
            Self::Tags(name)
            | Self::Manifest(name, _)
            | Self::Blob(name, _)
            | Self::Uploads(name)
            | Self::Upload(name, _) => Some(name),
        }
    }
}

/// An error in the form of distribution-spec, "Error Codes".
pub(super) fn error(status: u16, code: &str, message: &str) -> Reply {
    Reply::status(status).json(&json!({ "errors": [{ "code": code, "message": message }] }))
}

fn ranged(request: &Request, ranges: Ranges, bytes: Arc<[u8]>) -> Reply {
    let reply = Reply::ok().header("content-type", "application/octet-stream");
    let len = bytes.len() as u64;
    let asked = request.header("range").filter(|_| ranges == Ranges::Honoured);
    let Some(asked) = asked.and_then(|value| value.strip_prefix("bytes=")?.split_once('-')) else {
        return reply.body(bytes);
    };
    let first: Option<u64> = asked.0.parse().ok().filter(|first| *first < len);
    let last = if asked.1.is_empty() { Some(u64::MAX) } else { asked.1.parse().ok() }
        .map(|last: u64| last.min(len.saturating_sub(1)));
    let (Some(first), Some(last)) = (first, last.filter(|last| first.is_some_and(|first| first <= *last))) else {
        return Reply::status(416).header("content-range", &format!("bytes */{len}"));
    };
    let mut body = Cursor::new(bytes);
    body.set_position(first);
    let part = last - first + 1;
    Reply::status(206)
        .header("content-type", "application/octet-stream")
        .header("content-range", &format!("bytes {first}-{last}/{len}"))
        .stream(body.take(part), part)
}
