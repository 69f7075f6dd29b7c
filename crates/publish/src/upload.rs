//! Handing a tarball to an https server.

mod error;

use std::io::{self, Read};
use std::sync::Arc;

use integrity::HashingWriter;
use source::HttpsUrl;
use transport::{
    Body, Content, Method, Patience, Request, Response, Retry, Secret, Transport, Upload, Url, parse_retry_after,
};

use crate::packed::Spooled;
use crate::progress::Told;
use crate::{Existing, Packed, Progress, Published, ValuesEntry};
pub use error::{UploadError, UploadFailure};

/// The media type of a tarball.
const MEDIA_TYPE: &str = "application/gzip";
/// Bytes read at once.
const CHUNK: usize = 64 * 1024;
/// What is attempted, in words.
const LOOK: &str = "look for";
const UPLOAD: &str = "upload to";

/// How a server takes a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Form {
    /// `PUT` of the file to the URL it can then be had from.
    Put,
    /// `POST` of a `multipart/form-data` form (RFC 7578) with the file in this field. The answer's `Location` says where
    /// it can be had; what becomes of a file that is there is the server's affair.
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

impl Server {
    /// Hands over a tarball. Another file at the URL of a `PUT` is left alone unless `existing` says otherwise: nothing is
    /// sent before the server has said that there is none, and then only for as long as there is none. A server that
    /// does not know that condition (RFC 9110, section 13.1.2) may still replace what came there in between.
    ///
    /// What is handed over has no query: that may hold a secret.
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
        let url = Url::parse(&to.with_query()).map_err(|error| UploadError::new(UPLOAD, to, error.into()))?;
        let delivery = Delivery { server: self, packed, to, url, progress, patience };
        let mut remarks = Vec::new();
        let (place, before) = match (form, existing) {
            (Form::Put, Existing::Refuse) => (to.clone(), delivery.put_where_free()?),
            (Form::Put, Existing::Replace) => {
                delivery.put()?;
                (to.clone(), Place::Free)
            }
            (Form::Multipart { field }, _) => (delivery.post(field, &mut remarks)?, Place::Free),
        };
        let package = format!("https://{}{}", place.authority(), place.path());
        if place.with_query() != package {
            remarks.push(format!(
                "`package` is `{place}` without its query, which may hold a secret: see that it can be downloaded"
            ));
        }
        let entry = ValuesEntry { package: package.clone(), integrity: packed.integrity };
        let references = vec![package];
        let written = match before {
            Place::Free => references.clone(),
            Place::Same => Vec::new(),
        };
        Ok(Published { entries: vec![entry], digest: None, references, written, source: None, remarks })
    }
}

/// What the server says is at the URL. What it does not say for certain is a failure.
enum Place {
    /// Nothing.
    Free,
    /// The same bytes.
    Same,
}

/// A tarball on its way.
struct Delivery<'a> {
    server: &'a Server,
    packed: &'a Packed,
    to: &'a HttpsUrl,
    url: Url,
    progress: &'a Arc<dyn Progress>,
    patience: Patience<'a>,
}

impl Delivery<'_> {
    fn put(&self) -> Result<(), UploadError> {
        let request = self.request(Method::Put, self.tarball());
        self.again(UPLOAD, || self.send(&request)).map(drop)
    }

    /// What was there before.
    fn put_where_free(&self) -> Result<Place, UploadError> {
        match self.again(LOOK, || self.look())? {
            Place::Same => return Ok(Place::Same),
            Place::Free => {}
        }
        let request = self.request(Method::Put, self.tarball()).header("if-none-match", "*");
        let sent = self.again(UPLOAD, || match self.send(&request) {
            Err(UploadFailure::Status { status: 412, .. }) => Err(UploadFailure::Appeared),
            sent => sent.map(drop),
        });
        match sent {
            // It is our file when an earlier try has put it there, though its answer was lost.
            Err(error) if matches!(error.failure, UploadFailure::Appeared) => match self.again(LOOK, || self.look()) {
                Ok(Place::Same) => Ok(Place::Free),
                Err(seen) if seen.reason() == error.reason() => Err(seen),
                Ok(Place::Free) | Err(_) => Err(error),
            },
            sent => sent.map(|()| Place::Free),
        }
    }

    /// Not repeated: a server that has it already may keep it twice.
    fn post(&self, field: &str, remarks: &mut Vec<String>) -> Result<HttpsUrl, UploadError> {
        let (content, media_type) = multipart(self.content(), field, self.packed);
        let body = Body::Upload(Upload::whole(Arc::new(content), media_type));
        let sent = self.send(&self.request(Method::Post, body));
        let response = sent.map_err(|failure| UploadError::new(UPLOAD, self.to, failure))?;
        let location = response.headers().first("location").and_then(|location| self.url.join(location).ok());
        let Some(location) = location.and_then(|url| HttpsUrl::parse(&url.with_query()).ok()) else {
            remarks.push(
                "`package` is a guess: the server did not say where the file can be had (`Location`), so it is the URL \
                 that it was sent to"
                    .to_owned(),
            );
            return Ok(self.to.clone());
        };
        if location.authority() != self.to.authority() {
            remarks.push(format!(
                "`package` is on `{}`: the server at `{}` says that the file can be had there",
                location.authority(),
                self.to.authority()
            ));
        }
        Ok(location)
    }

    fn look(&self) -> Result<Place, UploadFailure> {
        let patience = self.patience;
        let mut response = patience.send(&*self.server.transport, &self.request(Method::Get, Body::Empty))?;
        match response.status() {
            200 => {}
            404 | 410 => return Ok(Place::Free),
            status @ (408 | 429 | 500..=599) => return Err(self.refusal(&response, status)),
            status => return Err(UploadFailure::Unseen { status, with_token: self.server.token.is_some() }),
        }
        let mut hasher = HashingWriter::new(io::sink());
        let mut buffer = vec![0; CHUNK];
        loop {
            patience.check(&self.url)?;
            let n = response.read(&mut buffer)?;
            if n == 0 {
                break;
            }
            if hasher.len() + n as u64 > self.packed.len() {
                return Err(UploadFailure::ExistsLarger);
            }
            // A sink takes everything.
            let _ = io::Write::write_all(&mut hasher, &buffer[..n]);
        }
        let found = hasher.finish().integrity();
        if found == self.packed.integrity { Ok(Place::Same) } else { Err(UploadFailure::Exists { found }) }
    }

    fn content(&self) -> Arc<Told<Spooled>> {
        Arc::new(Told { progress: Arc::clone(self.progress), content: Arc::clone(&self.packed.bytes) })
    }

    fn tarball(&self) -> Body {
        Body::Upload(Upload::whole(self.content(), MEDIA_TYPE))
    }

    fn request(&self, method: Method, body: Body) -> Request {
        let bearer = self.server.token.as_ref().map(|token| Secret::new(format!("Bearer {}", token.expose())));
        Request { method, body, ..Request::get(self.url.clone()) }.authorization(bearer)
    }

    fn again<T>(&self, act: &'static str, once: impl Fn() -> Result<T, UploadFailure>) -> Result<T, UploadError> {
        let waiting = |error: &UploadError, wait| self.progress.waits(error, wait);
        self.server
            .retry
            .run(self.patience, &waiting, || once().map_err(|failure| UploadError::new(act, self.to, failure)))
    }

    fn send(&self, request: &Request) -> Result<Response, UploadFailure> {
        let response = self.patience.send(&*self.server.transport, request)?;
        match response.status() {
            200 | 201 | 202 | 204 => Ok(response),
            status @ 300..=399 => Err(UploadFailure::Redirect { status }),
            status => Err(self.refusal(&response, status)),
        }
    }

    fn refusal(&self, response: &Response, status: u16) -> UploadFailure {
        let wait = response.headers().first("retry-after");
        let retry_after = wait.and_then(|value| parse_retry_after(value, self.patience.clock().now()));
        UploadFailure::Status { status, retry_after, with_token: self.server.token.is_some() }
    }
}

/// The file's name as npm gives it, so that two plugins do not meet under one name: `acme-hello-1.2.3.tgz`.
fn file_name(packed: &Packed) -> String {
    let [plugin] = packed.plugins() else { return "package.tgz".to_owned() };
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-._+".contains(c) { c } else { '-' };
    let name = format!("{}-{}.tgz", plugin.name().trim_start_matches('@'), plugin.version());
    name.chars().map(plain).collect()
}

/// A form with the file as its only field, and its media type.
fn multipart<C: Content>(content: Arc<C>, field: &str, packed: &Packed) -> (Multipart<C>, String) {
    use std::fmt::Write as _;
    // Nobody can make a file that holds a part of its own hash at will.
    let boundary = packed.integrity.as_bytes()[..16].iter().fold("butler-".to_owned(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    });
    let name = file_name(packed);
    let head = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"{field}\"; filename=\"{name}\"\r\n\
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
