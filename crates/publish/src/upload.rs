//! Handing a tarball to an https server.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use integrity::{Blame, HashingWriter, Integrity};
use source::HttpsUrl;
use transport::{
    Body, Content, Method, Patience, Request, Response, Retry, Retryable, Secret, Transport, TransportError, Upload,
    Url, parse_retry_after,
};

use crate::progress::Told;
use crate::{Existing, Packed, Progress, Published, ValuesEntry};

/// The media type of a tarball.
const MEDIA_TYPE: &str = "application/gzip";
/// The name that a form gives the file.
const FILE_NAME: &str = "package.tgz";
/// Bytes read at once.
const CHUNK: usize = 64 * 1024;

/// How a server takes a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Form {
    /// `PUT` of the file to the URL it can then be had from.
    Put,
    /// `POST` of a `multipart/form-data` form (RFC 7578) with the file in this field. The answer's `Location` says where
    /// it can be had.
    Multipart {
        /// The field's name: letters, digits, `-`, `_` and `.`.
        field: String,
    },
}

/// A server to hand a tarball to.
pub struct Server {
    /// What performs the exchange.
    pub transport: Arc<dyn Transport>,
    /// How often to try.
    pub retry: Retry,
    /// The bearer token (RFC 6750) that it wants.
    pub token: Option<Secret>,
}

/// A tarball that was not taken.
#[derive(Debug, thiserror::Error)]
#[error("failed to {act} `{url}`")]
pub struct UploadError {
    act: &'static str,
    url: String,
    #[source]
    failure: UploadFailure,
}

/// Why.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UploadFailure {
    /// No usable answer.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The server says no.
    #[error("the server answered {status}{}", if *.with_token { "" } else { ", and no token was given" })]
    Status {
        /// Its status.
        status: u16,
        /// When to try again.
        retry_after: Option<Duration>,
        /// Whether it was asked with a token.
        with_token: bool,
    },
    /// The server points elsewhere. A token and a plugin are not handed to whoever a server names.
    #[error("the server answered {status}, a redirect, which is not followed when something is sent")]
    Redirect {
        /// Its status.
        status: u16,
    },
    /// Another file is there already.
    #[error("expected nothing there, found a file with `{found}`")]
    Exists {
        /// What it hashes to.
        found: Integrity,
    },
    /// A larger file is there already.
    #[error("expected nothing there, found a larger file")]
    ExistsLarger,
}

impl UploadError {
    /// The reason code.
    pub const fn reason(&self) -> &'static str {
        match &self.failure {
            UploadFailure::Exists { .. } | UploadFailure::ExistsLarger => "tag_exists",
            UploadFailure::Transport(_) | UploadFailure::Status { .. } | UploadFailure::Redirect { .. } => {
                "push_failed"
            }
        }
    }

    /// Whose move it is.
    pub const fn blame(&self) -> Blame {
        match &self.failure {
            UploadFailure::Exists { .. } | UploadFailure::ExistsLarger => Blame::Publisher,
            UploadFailure::Status { status: 401 | 403 | 404 | 405 | 413, .. } => Blame::Operator,
            UploadFailure::Transport(_) | UploadFailure::Status { .. } | UploadFailure::Redirect { .. } => {
                Blame::Network
            }
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        let text = match &self.failure {
            UploadFailure::Transport(error) => return error.cause().hint().map(str::to_owned),
            UploadFailure::Exists { .. } | UploadFailure::ExistsLarger => {
                "publish under a new name, or replace it with `--force` if no portal pins it"
            }
            UploadFailure::Status { status: 401 | 403, with_token: false, .. } => {
                "give a token with `--token-file` or `--token-stdin`"
            }
            UploadFailure::Status { status: 401 | 403, .. } => "use a token that may write there",
            UploadFailure::Status { status: 405, .. } => {
                "try `--form put` or `--form multipart`, as the server's manual says"
            }
            UploadFailure::Status { status: 404, .. } => "check the URL",
            UploadFailure::Status { status: 413, .. } => "the server, or a proxy before it, takes no file of this size",
            UploadFailure::Redirect { .. } => "give the URL that it redirects to, if you trust it",
            UploadFailure::Status { .. } => return None,
        };
        Some(text.to_owned())
    }
}

impl Retryable for UploadError {
    fn is_transient(&self) -> bool {
        match &self.failure {
            UploadFailure::Transport(error) => error.cause().is_transient(),
            UploadFailure::Status { status, .. } => matches!(status, 408 | 429 | 500..),
            UploadFailure::Redirect { .. } | UploadFailure::Exists { .. } | UploadFailure::ExistsLarger => false,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match &self.failure {
            UploadFailure::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

impl Server {
    /// Hands over a tarball. Another file at the URL of a `PUT` is left alone unless `existing` says otherwise.
    ///
    /// # Errors
    /// What the server answers.
    pub fn upload(
        &self,
        packed: &Packed,
        to: &HttpsUrl,
        form: &Form,
        existing: Existing,
        progress: &Arc<dyn Progress>,
        patience: Patience<'_>,
    ) -> Result<Published, UploadError> {
        let failed = |act, failure| UploadError { act, url: to.to_string(), failure };
        let url = Url::parse(&to.with_query()).map_err(|_| {
            failed("upload to", UploadFailure::Status { status: 400, retry_after: None, with_token: false })
        })?;
        let waiting = |error: &UploadError, wait| progress.waits(error, wait);
        let content = Arc::new(Told { progress: Arc::clone(progress), content: Arc::clone(&packed.bytes) });
        let place = match form {
            Form::Put => {
                let is_there = existing == Existing::Refuse
                    && self.retry.run(patience, &waiting, || {
                        self.is_there(&url, packed, patience).map_err(|failure| failed("look for", failure))
                    })?;
                if !is_there {
                    let body = Body::Upload(Upload::whole(content, MEDIA_TYPE));
                    let request = self.request(Method::Put, &url, body);
                    self.retry.run(patience, &waiting, || {
                        self.send(&request, patience).map_err(|failure| failed("upload to", failure))
                    })?;
                }
                to.to_string()
            }
            Form::Multipart { field } => {
                let (content, media_type) = multipart(content, field, packed);
                let body = Body::Upload(Upload::whole(Arc::new(content), media_type));
                let request = self.request(Method::Post, &url, body);
                // Not repeated: a server that has it already may keep it twice.
                let response = self.send(&request, patience).map_err(|failure| failed("upload to", failure))?;
                let location = response.headers().first("location").and_then(|location| url.join(location).ok());
                let location = location.and_then(|url| HttpsUrl::parse(&url.with_query()).ok());
                location.as_ref().unwrap_or(to).to_string()
            }
        };
        let entry = ValuesEntry { package: place.clone(), integrity: packed.integrity };
        Ok(Published { entries: vec![entry], digest: None, references: vec![place], source: None })
    }

    fn request(&self, method: Method, url: &Url, body: Body) -> Request {
        let bearer = self.token.as_ref().map(|token| Secret::new(format!("Bearer {}", token.expose())));
        Request { method, body, ..Request::get(url.clone()) }.authorization(bearer)
    }

    fn send(&self, request: &Request, patience: Patience<'_>) -> Result<Response, UploadFailure> {
        let response = patience.send(&*self.transport, request)?;
        match response.status() {
            200 | 201 | 202 | 204 => Ok(response),
            status @ 300..400 => Err(UploadFailure::Redirect { status }),
            status => Err(self.refusal(&response, status, patience)),
        }
    }

    fn refusal(&self, response: &Response, status: u16, patience: Patience<'_>) -> UploadFailure {
        let wait = response.headers().first("retry-after");
        let retry_after = wait.and_then(|value| parse_retry_after(value, patience.clock().now()));
        UploadFailure::Status { status, retry_after, with_token: self.token.is_some() }
    }

    /// Whether the same bytes are at `url` already; other bytes there are a failure.
    fn is_there(&self, url: &Url, packed: &Packed, patience: Patience<'_>) -> Result<bool, UploadFailure> {
        let mut response = patience.send(&*self.transport, &self.request(Method::Get, url, Body::Empty))?;
        match response.status() {
            200 => {}
            status @ (408 | 429 | 500..) => return Err(self.refusal(&response, status, patience)),
            // What cannot be seen may still be written: the upload's own answer decides.
            _ => return Ok(false),
        }
        let mut hasher = HashingWriter::new(io::sink());
        let mut buffer = vec![0; CHUNK];
        loop {
            patience.check(url)?;
            let n = response.read(&mut buffer)?;
            if n == 0 {
                break;
            }
            if hasher.len() + n as u64 > packed.len() {
                return Err(UploadFailure::ExistsLarger);
            }
            // A sink takes everything.
            let _ = io::Write::write_all(&mut hasher, &buffer[..n]);
        }
        let found = hasher.finish().integrity();
        if found == packed.integrity { Ok(true) } else { Err(UploadFailure::Exists { found }) }
    }
}

/// A form with the file as its only field, and its media type.
fn multipart<C: Content>(content: Arc<C>, field: &str, packed: &Packed) -> (Multipart<C>, String) {
    use std::fmt::Write as _;
    // Nobody can make a file that holds a part of its own hash at will.
    let boundary = packed.integrity.as_bytes()[..16].iter().fold("butler-".to_owned(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    });
    let head = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"{field}\"; filename=\"{FILE_NAME}\"\r\n\
         Content-Type: {MEDIA_TYPE}\r\n\r\n"
    );
    let tail = format!("\r\n--{boundary}--\r\n");
    let form = Multipart { head: head.into_bytes(), content, tail: tail.into_bytes() };
    (form, format!("multipart/form-data; boundary={boundary}"))
}

struct Multipart<C> {
    head: Vec<u8>,
    content: Arc<C>,
    tail: Vec<u8>,
}

impl<C: Content> Content for Multipart<C> {
    fn len(&self) -> u64 {
        self.head.len() as u64 + self.content.len() + self.tail.len() as u64
    }

    fn open(&self, from: u64) -> io::Result<Box<dyn Read + Send + '_>> {
        let whole = Content::open(&self.head, 0)?.chain(self.content.open(0)?).chain(self.tail.as_slice());
        let mut rest: Box<dyn Read + Send + '_> = Box::new(whole);
        io::copy(&mut (&mut rest).take(from), &mut io::sink())?;
        Ok(rest)
    }
}
