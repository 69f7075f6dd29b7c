//! What is sent, as often as it takes: an exchange may have to be repeated, with a login or after a failure.

use std::fmt;
use std::io::{self, Read};
use std::sync::Arc;

/// Bytes that can be read any number of times: a file's, a document's.
pub trait Content: Send + Sync {
    /// How many bytes there are.
    fn len(&self) -> u64;

    /// Whether there is no byte at all.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Reads from byte `from` on to the end.
    ///
    /// # Errors
    /// When the bytes cannot be had.
    fn open(&self, from: u64) -> io::Result<Box<dyn Read + Send + '_>>;
}

impl Content for Vec<u8> {
    fn len(&self) -> u64 {
        self.as_slice().len() as u64
    }

    fn open(&self, from: u64) -> io::Result<Box<dyn Read + Send + '_>> {
        let rest = usize::try_from(from).ok().and_then(|from| self.get(from..));
        Ok(Box::new(rest.unwrap_or_default()))
    }
}

/// One range of a [`Content`], as the body of a request.
#[derive(Clone)]
pub struct Upload {
    /// Where the bytes come from.
    pub content: Arc<dyn Content>,
    /// The first of them.
    pub from: u64,
    /// How many of them.
    pub len: u64,
    /// What they are, for `Content-Type`.
    pub media_type: String,
}

impl Upload {
    /// All of it.
    pub fn whole(content: Arc<dyn Content>, media_type: impl Into<String>) -> Self {
        let len = content.len();
        Self { content, from: 0, len, media_type: media_type.into() }
    }
}

impl fmt::Debug for Upload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Upload({} bytes from {} on, {})", self.len, self.from, self.media_type)
    }
}

/// Exactly the announced bytes, or an error. What went wrong is kept, because the library that reads from here cannot
/// tell an error of ours from one of the connection's, and would wait for missing bytes for ever.
pub(crate) struct Announced<'a> {
    inner: Box<dyn Read + Send + 'a>,
    left: u64,
    /// Whether there must be nothing behind the announced bytes.
    is_last: bool,
    fault: Option<io::Error>,
}

impl<'a> Announced<'a> {
    pub(crate) fn open(upload: &'a Upload) -> io::Result<Self> {
        let end = upload.from.checked_add(upload.len);
        let is_last = end == Some(upload.content.len());
        Ok(Self { inner: upload.content.open(upload.from)?, left: upload.len, is_last, fault: None })
    }

    /// What went wrong on this side.
    pub(crate) fn into_fault(self) -> Option<io::Error> {
        self.fault
    }

    fn fill(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = read(&mut self.inner, buffer)?;
        if n == 0 {
            let text = format!("{} bytes less than announced", self.left);
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, text));
        }
        self.left = self.left.saturating_sub(n as u64);
        // Looked at before the last bytes are handed out: a server that gets them takes the body for whole.
        if self.left == 0 && self.is_last && read(&mut self.inner, &mut [0])? > 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "more bytes than announced"));
        }
        Ok(n)
    }
}

impl Read for Announced<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        if most == 0 {
            return Ok(0);
        }
        self.fill(&mut buffer[..most]).map_err(|fault| {
            let kind = fault.kind();
            self.fault = Some(fault);
            kind.into()
        })
    }
}

fn read(from: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match from.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}
