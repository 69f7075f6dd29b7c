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
    allowance: Allowance,
}

/// How many bytes may come out of an artifact, or are left to come out of the next of its layers.
#[derive(Debug, Clone)]
pub(crate) struct Allowance {
    bytes: u64,
    exceeded: Exceeded,
}

impl Allowance {
    /// `compressed` is the length of all layers in bytes.
    pub(crate) fn of(compressed: u64, limits: &Limits) -> Self {
        let by_ratio = limits.by_ratio(compressed);
        let exceeded = if by_ratio < limits.expanded {
            Exceeded::Ratio { max: limits.ratio }
        } else {
            Exceeded::Expanded { max: limits.expanded }
        };
        Self { bytes: by_ratio.min(limits.expanded), exceeded }
    }

    /// What is left of it after `out` bytes.
    pub(crate) const fn spend(&mut self, out: u64) {
        self.bytes = self.bytes.saturating_sub(out);
    }
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
    pub(crate) fn new(artifact: R, allowance: Allowance) -> Self {
        let rationed = Rationed { from: artifact, given: 0, allowed: 0 };
        Self { gzip: GzDecoder::new(BufReader::with_capacity(COMPRESSED, rationed)), out: 0, allowance }
    }

    /// Expands some bytes into `buffer`; none are the end.
    pub(crate) fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, UnpackError> {
        self.gzip.get_mut().get_mut().allowed = self.out + self.out / GROWTH + IDLE;
        let n = retried(|| self.gzip.read(buffer)).map_err(unreadable)?;
        if n == 0 && retried(|| self.gzip.get_mut().fill_buf().map(<[u8]>::len)).map_err(unreadable)? > 0 {
            return Err(Malformed::AfterGzip.into());
        }
        self.out += n as u64;
        if self.out > self.allowance.bytes {
            return Err(self.allowance.exceeded.clone().into());
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
