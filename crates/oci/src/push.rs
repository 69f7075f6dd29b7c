//! A blob's way into a repository, and the proof that it arrived (distribution-spec, "Pushing blobs").

use std::num::NonZeroU64;
use std::sync::Arc;

use integrity::{Algorithm, OciDigest};
use source::OciReference;
use transport::{
    Body, Cause, Content, Method, Patience, Request, Response, TransportError, Upload, Url, percent_encoded,
};

use crate::artifact::EMPTY;
use crate::client::named_digest;
use crate::conversation::{Conversation, Redirects};
use crate::error::Act;
use crate::token::with_query;
use crate::{Client, Failure, OciError, words};

/// What bytes are while they travel; their own media type stands in the manifest.
const OCTETS: &str = "application/octet-stream";

/// What a manifest says about a blob (image-spec, "Content Descriptors").
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobDescriptor {
    /// What its bytes are.
    pub media_type: String,
    /// The digest of its bytes.
    pub digest: OciDigest,
    /// How many bytes it has.
    pub size: u64,
}

/// Bytes to be stored in a repository.
#[derive(Clone)]
pub struct Blob {
    /// What they are.
    pub descriptor: BlobDescriptor,
    /// The bytes themselves. A file that is sent is read here: this is the place to count what has left.
    pub content: Arc<dyn Content>,
}

/// How a blob is sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PushOptions {
    /// Most bytes of one request; without it a blob goes in one.
    pub chunk: Option<NonZeroU64>,
    /// Another repository of the same registry, from which the blob is taken over where it is there.
    pub mount_from: Option<String>,
}

/// How a blob came to be where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// It had been there before.
    Existed,
    /// The registry took it over from another repository.
    Mounted,
    /// It was sent.
    Sent,
}

/// A blob that lies in a repository: asked for it by its digest, after the fact, the registry has it, with the right
/// size. The bytes are not read back: where the registry names no digest of its own (`Docker-Content-Digest`), the size
/// is all that is proved of them.
///
/// Only [`Client::push_blob`] makes one, and an [`Artifact`](crate::Artifact) is made of nothing else.
///
/// ```compile_fail,E0451
/// fn forge(descriptor: oci::BlobDescriptor, repository: String) -> oci::Stored {
///     oci::Stored { descriptor, repository, how: oci::How::Existed }
/// }
/// ```
///
/// ```
/// use transport::Patience;
///
/// fn prove(
///     client: &oci::Client,
///     to: &source::OciReference,
///     blob: &oci::Blob,
///     patience: Patience<'_>,
/// ) -> Result<oci::Stored, oci::OciError> {
///     client.push_blob(to, blob, &oci::PushOptions::default(), patience)
/// }
/// ```
#[must_use = "a blob is stored to be named in a manifest"]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    descriptor: BlobDescriptor,
    /// `registry/repository`.
    repository: String,
    how: How,
}

impl Blob {
    /// A small blob in memory.
    pub fn of_bytes(media_type: &str, bytes: Vec<u8>) -> Self {
        let digest = OciDigest::of(Algorithm::Sha256, &bytes);
        let descriptor = BlobDescriptor { media_type: media_type.to_owned(), digest, size: Content::len(&bytes) };
        Self { descriptor, content: Arc::new(bytes) }
    }

    /// The config that says nothing (image-spec, manifest, "Guidance for an Empty Descriptor").
    pub fn empty_config() -> Self {
        Self::of_bytes(EMPTY, b"{}".to_vec())
    }
}

impl std::fmt::Debug for Blob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Blob").field("descriptor", &self.descriptor).finish_non_exhaustive()
    }
}

impl Stored {
    /// What a manifest says about it.
    pub const fn descriptor(&self) -> &BlobDescriptor {
        &self.descriptor
    }

    /// How it came there.
    pub const fn how(&self) -> How {
        self.how
    }

    /// Where it is: `registry/repository`.
    pub(crate) fn repository(&self) -> &str {
        &self.repository
    }
}

impl Client {
    /// Stores a blob in the reference's repository, unless it is there, and asks the registry for it afterwards. A
    /// second try of the same begins with asking, too. What the answers prove: see [`Stored`].
    ///
    /// # Errors
    /// Whatever the registry answers; an upload that would leave the registry's own origin; a blob of another size or
    /// named digest than was sent, or of a size that the registry does not say; and the end of patience.
    pub fn push_blob(
        &self,
        to: &OciReference,
        blob: &Blob,
        options: &PushOptions,
        patience: Patience<'_>,
    ) -> Result<Stored, OciError> {
        let how = Push { client: self, to, blob, options, patience }.run();
        let how = how.map_err(|why| self.error(Act::PushBlob, to, why))?;
        Ok(Stored { descriptor: blob.descriptor.clone(), repository: repository_of(to), how })
    }
}

/// Where a reference leads, without what it picks there.
pub(crate) fn repository_of(reference: &OciReference) -> String {
    format!("{}/{}", reference.registry(), reference.repository())
}

/// One blob on its way.
struct Push<'a> {
    client: &'a Client,
    to: &'a OciReference,
    blob: &'a Blob,
    options: &'a PushOptions,
    patience: Patience<'a>,
}

/// An upload that the registry has begun.
struct Begun {
    /// Where the bytes go.
    at: Url,
    /// The least size of a chunk, except the last.
    least_chunk: Option<u64>,
}

impl Begun {
    fn read(answer: &Response) -> Result<Self, Failure> {
        let missing = || Failure::Shape { what: "an upload without a `Location`".to_owned() };
        let at = location(answer)?.ok_or_else(missing)?;
        let least_chunk = answer.headers().first("oci-chunk-min-length").and_then(|least| least.parse().ok());
        Ok(Self { at, least_chunk })
    }
}

impl Push<'_> {
    fn run(&self) -> Result<How, Failure> {
        let pushing = Conversation::push(self.client, self.to, None, self.patience);
        match self.look(&pushing) {
            Ok(()) => return Ok(How::Existed),
            Err(Failure::NotFound { .. } | Failure::StoredOther { .. }) => {}
            Err(other) => return Err(other),
        }
        if let Some(from) = self.options.mount_from.as_deref().filter(|from| *from != self.to.repository()) {
            let mounting = Conversation::push(self.client, self.to, Some(from), self.patience);
            let query = format!(
                "?mount={}&from={}",
                percent_encoded(&self.blob.descriptor.digest.to_string()),
                percent_encoded(from)
            );
            match begin(&mounting, &query) {
                Ok(answer) if answer.status() == 201 => {
                    mounting.drain(answer);
                    return self.prove(&mounting).map(|()| How::Mounted);
                }
                Ok(answer) => return self.send(&mounting, answer),
                // A repository that one may not read is none to take blobs from; the blob can still be sent.
                Err(Failure::Unauthorized { .. } | Failure::Forbidden { .. } | Failure::NotFound { .. }) => {}
                Err(other) => return Err(other),
            }
        }
        self.send(&pushing, begin(&pushing, "")?)
    }

    /// Asks for the blob, which must be there as it is here.
    fn look(&self, conversation: &Conversation<'_>) -> Result<(), Failure> {
        let BlobDescriptor { digest, size, .. } = &self.blob.descriptor;
        let request = Request::get(conversation.url(&format!("blobs/{digest}"))?);
        let head = Request { method: Method::Head, ..request.clone() };
        let told = match conversation.ask(head, "blob", Redirects::AnyHttps) {
            Ok(answer) => self.told_size(&answer)?,
            Err(failure) if failure.is_about_method() => None,
            Err(failure) => return Err(failure),
        };
        let found = match told {
            Some(found) => found,
            None => self.look_inside(conversation, request)?,
        };
        if found == *size {
            return Ok(());
        }
        let server = conversation.registry.to_string();
        Err(Failure::StoredOther { server, expected: bytes(*size), found: bytes(found) })
    }

    /// The size of the blob as the head of a `GET` tells it; its body is not read.
    fn look_inside(&self, conversation: &Conversation<'_>, request: Request) -> Result<u64, Failure> {
        let is_empty = self.blob.descriptor.size == 0;
        let request = if is_empty { request } else { request.header("range", "bytes=0-0") };
        match conversation.ask(request, "blob", Redirects::AnyHttps) {
            Ok(answer) => {
                let unknown = || Failure::UnknownSize { server: answer.url().authority() };
                self.told_size(&answer)?.ok_or_else(unknown)
            }
            // There is no first byte.
            Err(Failure::Status { status: 416, .. }) => Ok(0),
            Err(other) => Err(other),
        }
    }

    /// The size of the blob, if an answer tells it. A digest that it tells must be the blob's.
    fn told_size(&self, answer: &Response) -> Result<Option<u64>, Failure> {
        expect_digest(answer, &self.blob.descriptor.digest)?;
        if answer.status() != 206 {
            return Ok(answer.content_length());
        }
        let range = answer.headers().first("content-range");
        Ok(range.and_then(|range| range.strip_prefix("bytes ")?.split_once('/')?.1.parse().ok()))
    }

    /// The same afterwards, when nothing else will do.
    fn prove(&self, conversation: &Conversation<'_>) -> Result<(), Failure> {
        self.look(conversation).map_err(|failure| match failure {
            Failure::NotFound { server, .. } => {
                let expected = format!("`{}`", self.blob.descriptor.digest);
                Failure::StoredOther { server, expected, found: "nothing".to_owned() }
            }
            other => other,
        })
    }

    /// Sends the bytes to where the registry's answer wants them.
    fn send(&self, conversation: &Conversation<'_>, answer: Response) -> Result<How, Failure> {
        let begun = Begun::read(&answer)?;
        conversation.drain(answer);
        let BlobDescriptor { digest, size, .. } = &self.blob.descriptor;
        if self.blob.content.len() != *size {
            return Err(Failure::Transport(TransportError::new(&begun.at, Cause::Content)));
        }
        let chunk = self.options.chunk.map(NonZeroU64::get).filter(|chunk| chunk < size);
        let (at, body) = match chunk {
            None => (begun.at, self.part(0, *size)),
            Some(chunk) => (self.send_chunks(conversation, begun, chunk)?, Body::Empty),
        };
        let closing = with_query(&at, &format!("digest={}", percent_encoded(&digest.to_string())));
        let closing = closing.ok_or_else(|| denied(&at, "its URL is malformed"))?;
        let answer = conversation.ask(written(Method::Put, closing, body), "upload", Redirects::None)?;
        expect_digest(&answer, digest)?;
        conversation.drain(answer);
        self.prove(conversation).map(|()| How::Sent)
    }

    /// Sends all bytes in chunks. Answers where the upload is closed.
    fn send_chunks(&self, conversation: &Conversation<'_>, begun: Begun, chunk: u64) -> Result<Url, Failure> {
        let refused = |server, least_chunk| Failure::ChunkRefused { server, size: chunk, least: least_chunk };
        if begun.least_chunk.is_some_and(|least| chunk < least) {
            return Err(refused(begun.at.authority(), begun.least_chunk));
        }
        let (mut at, mut from) = (begun.at, 0);
        while from < self.blob.descriptor.size {
            let len = chunk.min(self.blob.descriptor.size - from);
            let last = from + len - 1;
            let request = written(Method::Patch, at.clone(), self.part(from, len));
            let request = request.header("content-range", format!("{from}-{last}"));
            let answer = conversation.ask(request, "upload", Redirects::None).map_err(|failure| match failure {
                Failure::Status { server, status: 416, .. } => refused(server, begun.least_chunk),
                other => other,
            })?;
            expect_range(&answer, last)?;
            at = location(&answer)?.unwrap_or(at);
            conversation.drain(answer);
            from += len;
        }
        Ok(at)
    }

    fn part(&self, from: u64, len: u64) -> Body {
        let content = Arc::clone(&self.blob.content);
        Body::Upload(Upload { content, from, len, media_type: OCTETS.to_owned() })
    }
}

/// Asks for an upload. It has no body, so that a login is asked for here and not when there is much to send.
fn begin(conversation: &Conversation<'_>, query: &str) -> Result<Response, Failure> {
    let url = conversation.url(&format!("blobs/uploads/{query}"))?;
    conversation.ask(written(Method::Post, url, Body::Empty), "repository", Redirects::None)
}

fn written(method: Method, url: Url, body: Body) -> Request {
    Request { method, body, ..Request::get(url) }
}

/// Where the registry wants the bytes. It must be a place of its own: whoever else it names would get them, and the
/// login with them.
fn location(answer: &Response) -> Result<Option<Url>, Failure> {
    let Some(location) = answer.headers().first("location") else { return Ok(None) };
    match answer.url().join(location) {
        Ok(at) if at.origin() == answer.url().origin() => Ok(Some(at)),
        Ok(at) => Err(denied(answer.url(), &format!("`{}` is another server", at.origin()))),
        Err(error) => Err(denied(answer.url(), &error.to_string())),
    }
}

fn denied(by: &Url, why: &str) -> Failure {
    Failure::LocationDenied { server: by.authority(), why: words::shown(why) }
}

/// The digest that an answer names, if any, which must be this one.
pub(crate) fn expect_digest(answer: &Response, expected: &OciDigest) -> Result<Option<OciDigest>, Failure> {
    match named_digest(answer)? {
        Some(found) if found != *expected => Err(stored_other(answer, format!("`{expected}`"), format!("`{found}`"))),
        named => Ok(named),
    }
}

/// What the registry has of an upload, if it says so, must end with this byte.
fn expect_range(answer: &Response, last: u64) -> Result<(), Failure> {
    let Some(range) = answer.headers().first("range") else { return Ok(()) };
    let found: Option<(u64, u64)> = range
        .trim_start_matches("bytes=")
        .split_once('-')
        .and_then(|(first, last)| Some((first.parse().ok()?, last.parse().ok()?)));
    match found {
        Some((0, found)) if found == last => Ok(()),
        Some((first, found)) => Err(stored_other(answer, format!("bytes 0-{last}"), format!("bytes {first}-{found}"))),
        None => Err(Failure::Shape { what: "a `Range` that is none".to_owned() }),
    }
}

fn stored_other(answer: &Response, expected: String, found: String) -> Failure {
    Failure::StoredOther { server: answer.url().authority(), expected, found }
}

fn bytes(count: u64) -> String {
    format!("{count} bytes")
}
