//! The gzip layer: exactly one member, checked to its last byte (RFC 1952).

use std::io::{self, BufRead, BufReader, Read};

use flate2::bufread::GzDecoder;

use crate::error::{Exceeded, Malformed};
use crate::{Limits, UnpackError};

/// Bytes read from the artifact at once.
const COMPRESSED: usize = 64 * 1024;
/// Bytes that may go in before any come out, and beyond those that do: more are only needed by blocks made to be empty.
const IDLE: u64 = 1024 * 1024;
/// Deflate grows what it cannot compress by far less than one byte in so many.
const GROWTH: u64 = 64;

/// Expands an artifact. The end is told only after checksum, length and the end of the artifact itself were proved.
pub(crate) struct Inflater<R> {
    gzip: GzDecoder<BufReader<Rationed<R>>>,
    out: u64,
    allowed: u64,
    exceeded: Exceeded,
}

/// A reader that gives no more than it is allowed to.
struct Rationed<R> {
    from: R,
    given: u64,
    allowed: u64,
}

impl<R: Read> Read for Rationed<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.given > self.allowed {
            let why = "expected something to come out of the deflate stream, found blocks without content";
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
        let n = self.from.read(into)?;
        self.given += n as u64;
        Ok(n)
    }
}

impl<R: Read> Inflater<R> {
    /// `compressed` is the length of the artifact in bytes.
    pub(crate) fn new(artifact: R, compressed: u64, limits: &Limits) -> Self {
        let by_ratio = limits.by_ratio(compressed);
        let exceeded = if by_ratio < limits.expanded {
            Exceeded::Ratio { max: limits.ratio }
        } else {
            Exceeded::Expanded { max: limits.expanded }
        };
        let rationed = Rationed { from: artifact, given: 0, allowed: 0 };
        let gzip = GzDecoder::new(BufReader::with_capacity(COMPRESSED, rationed));
        Self { gzip, out: 0, allowed: by_ratio.min(limits.expanded), exceeded }
    }

    /// Expands some bytes into `buffer`; none are the end.
    pub(crate) fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, UnpackError> {
        self.gzip.get_mut().get_mut().allowed = self.out + self.out / GROWTH + IDLE;
        let n = retried(|| self.gzip.read(buffer)).map_err(unreadable)?;
        if n == 0 && retried(|| self.gzip.get_mut().fill_buf().map(<[u8]>::len)).map_err(unreadable)? > 0 {
            return Err(Malformed::AfterGzip.into());
        }
        self.out += n as u64;
        if self.out > self.allowed {
            return Err(self.exceeded.clone().into());
        }
        Ok(n)
    }
}

fn retried<T>(mut read: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match read() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

/// Tells bytes that are no gzip from a disk that cannot be read.
fn unreadable(error: io::Error) -> UnpackError {
    match error.kind() {
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
            UnpackError::Gzip { source: error }
        }
        _ => UnpackError::Artifact { source: error },
    }
}
