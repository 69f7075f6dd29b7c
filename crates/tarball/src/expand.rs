//! The gzip layer: exactly one member, checked to its last byte (RFC 1952).

use std::io::{self, BufRead, BufReader, Read};
use std::ops::Range;

use flate2::bufread::GzDecoder;

use crate::error::{Exceeded, Malformed};
use crate::header::BLOCK;
use crate::{Limits, UnpackError};

/// Bytes read from the artifact at once.
const COMPRESSED: usize = 64 * 1024;
/// Bytes expanded at once. The last 32 KiB are copied aside each time.
const EXPANDED: usize = 256 * 1024;
/// Bytes that one byte of deflate can expand to at the very most.
const DEFLATE_MAX: u64 = 1032;

/// Bytes that may go in before any come out, and beyond those that do: more are only needed by blocks made to be empty.
const IDLE: u64 = 1024 * 1024;
/// Deflate grows what it cannot compress by far less than one byte in so many.
const GROWTH: u64 = 64;

/// The expanded bytes of an artifact. The end is told only after checksum, length and the end of the artifact itself
/// were proved.
pub(crate) struct Expanded<'l, R> {
    gzip: GzDecoder<BufReader<Rationed<R>>>,
    stopped: &'l dyn Fn() -> bool,
    buffer: Box<[u8]>,
    unread: Range<usize>,
    ended: bool,
    out: u64,
    allowed: u64,
    exceeded: Exceeded,
    possible: u64,
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

impl<'l, R: Read> Expanded<'l, R> {
    /// `compressed` is the length of the artifact in bytes. Each time some of it is expanded, `stopped` is asked.
    pub(crate) fn new(artifact: R, compressed: u64, limits: &Limits, stopped: &'l dyn Fn() -> bool) -> Self {
        let by_ratio = limits.by_ratio(compressed);
        let exceeded = if by_ratio < limits.expanded {
            Exceeded::Ratio { max: limits.ratio }
        } else {
            Exceeded::Expanded { max: limits.expanded }
        };
        let rationed = Rationed { from: artifact, given: 0, allowed: 0 };
        Self {
            gzip: GzDecoder::new(BufReader::with_capacity(COMPRESSED, rationed)),
            stopped,
            buffer: vec![0; EXPANDED].into_boxed_slice(),
            unread: 0..0,
            ended: false,
            out: 0,
            allowed: by_ratio.min(limits.expanded),
            exceeded,
            possible: compressed.saturating_mul(DEFLATE_MAX),
        }
    }

    /// More bytes than this cannot come out, whatever a header claims.
    pub(crate) const fn possible(&self) -> u64 {
        self.possible
    }

    /// Fills `into`; fewer bytes mean the end of the stream.
    pub(crate) fn read(&mut self, into: &mut [u8]) -> Result<usize, UnpackError> {
        let mut filled = 0;
        while filled < into.len() && self.refill()? {
            let n = self.unread.len().min(into.len() - filled);
            into[filled..filled + n].copy_from_slice(&self.buffer[self.unread.start..self.unread.start + n]);
            self.unread.start += n;
            filled += n;
        }
        Ok(filled)
    }

    /// The next bytes as they are, at most `max` of them and at least one; none mean the end of the stream.
    pub(crate) fn piece(&mut self, max: u64) -> Result<&[u8], UnpackError> {
        if max == 0 || !self.refill()? {
            return Ok(&[]);
        }
        let start = self.unread.start;
        self.unread.start += usize::try_from(max).unwrap_or(usize::MAX).min(self.unread.len());
        Ok(&self.buffer[start..self.unread.start])
    }

    /// Passes over `len` bytes; a smaller answer means the end of the stream.
    pub(crate) fn skip(&mut self, len: u64) -> Result<u64, UnpackError> {
        let mut skipped = 0;
        loop {
            match self.piece(len - skipped)? {
                [] => return Ok(skipped),
                passed => skipped += passed.len() as u64,
            }
        }
    }

    /// Passes over all that is left, which must be zeros.
    pub(crate) fn only_zeros_left(&mut self) -> Result<(), UnpackError> {
        while self.refill()? {
            if self.buffer[self.unread.clone()].chunks(BLOCK).any(|chunk| *chunk != [0; BLOCK][..chunk.len()]) {
                return Err(Malformed::AfterEnd.into());
            }
            self.unread = 0..0;
        }
        Ok(())
    }

    /// Makes sure that there is an unread byte; `false` at the end.
    fn refill(&mut self) -> Result<bool, UnpackError> {
        if !self.unread.is_empty() {
            return Ok(true);
        }
        if self.ended {
            return Ok(false);
        }
        if (self.stopped)() {
            return Err(UnpackError::Stopped);
        }
        self.gzip.get_mut().get_mut().allowed = self.out + self.out / GROWTH + IDLE;
        let n = retried(|| self.gzip.read(&mut self.buffer)).map_err(unreadable)?;
        if n == 0 {
            if retried(|| self.gzip.get_mut().fill_buf().map(<[u8]>::len)).map_err(unreadable)? > 0 {
                return Err(Malformed::AfterGzip.into());
            }
            self.ended = true;
        }
        self.out += n as u64;
        if self.out > self.allowed {
            return Err(self.exceeded.clone().into());
        }
        self.unread = 0..n;
        Ok(n > 0)
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
