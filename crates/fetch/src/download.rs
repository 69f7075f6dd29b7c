//! From an open body to hashed bytes: limits, stalls, and going on where a connection broke off.

use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use integrity::{Algorithm, Hashed, HashingWriter, Promise};
use oci::Descriptor;
use transport::{Cause, Patience, Response, Retryable as _, TransportError};

use crate::{FetchError, FetchLimits, Server, Spool, TransferFailure};

/// Bytes read at once.
const CHUNK: usize = 64 * 1024;

/// A transfer that may take several answers to complete.
pub(crate) struct Download<'a> {
    pub(crate) package: &'a str,
    server: Server,
    /// What a registry promised; other servers promise nothing.
    pub(crate) descriptor: Option<&'a Descriptor>,
    pub(crate) limits: &'a FetchLimits,
    promise: &'a Promise,
    pub(crate) patience: Patience<'a>,
    writer: Option<HashingWriter<Spool>>,
    received: Option<&'a AtomicU64>,
    /// Whether parts may be asked for: not of a server that gave the whole when it was asked for one.
    gives_parts: bool,
}

impl<'a> Download<'a> {
    pub(crate) fn into_spool(
        package: &'a str,
        server: Server,
        descriptor: Option<&'a Descriptor>,
        limits: &'a FetchLimits,
        promise: &'a Promise,
        patience: Patience<'a>,
        spool: Spool,
    ) -> Self {
        let writer = Some(HashingWriter::with(algorithm(descriptor), spool).for_promise(promise));
        Self { package, server, descriptor, limits, promise, patience, writer, received: None, gives_parts: true }
    }

    /// Adds all bytes that come to a number.
    pub(crate) fn counted_by(self, received: &'a AtomicU64) -> Self {
        Self { received: Some(received), ..self }
    }

    /// Where the next answer should begin: behind the bytes that are there already.
    pub(crate) fn offset(&self) -> u64 {
        self.writer.as_ref().filter(|_| self.gives_parts).map_or(0, HashingWriter::len)
    }

    /// Forgets what is there already: the next answer should begin at the first byte.
    pub(crate) fn start_over(&mut self) -> Result<(), FetchError> {
        self.writer = self.writer.take().map(|writer| self.emptied(writer)).transpose()?;
        Ok(())
    }

    /// Takes an answer's body. After an error that is worth another try, [`offset`](Self::offset) says from where.
    pub(crate) fn take(&mut self, response: Response) -> Result<Hashed<Spool>, FetchError> {
        let mut writer = self.writer.take().ok_or_else(|| self.transfer(TransferFailure::WrongRange))?;
        match response.status() {
            206 if !writer.is_empty() && response.is_rest_from(writer.len()) => {}
            206 => return Err(self.transfer(TransferFailure::WrongRange)),
            // A server that knows no ranges starts over, and so do the hashes.
            _ => {
                self.gives_parts &= writer.is_empty();
                writer = self.emptied(writer)?;
            }
        }
        let cut = ends_with_its_connection(&response).then(|| TransportError::new(response.url(), Cause::Truncated));
        let announced = response.content_length().map_or(0, |left| left.saturating_add(writer.len()));
        self.check_size(announced)?;
        let is_whole = |len| self.descriptor.is_some_and(|descriptor| descriptor.size == len);
        let is_short = |len| self.descriptor.is_some_and(|descriptor| descriptor.size > len);
        let copied = match (self.copy(response, &mut writer), cut) {
            (Ok(()), Some(cut)) if is_short(writer.len()) => Err(self.transfer(TransferFailure::Transport(cut))),
            (copied, _) => copied,
        };
        match copied {
            Ok(()) => self.finish(writer),
            // What breaks behind the last promised byte spoils nothing, and there is nothing left to ask for.
            Err(error) if error.is_transient() && is_whole(writer.len()) => self.finish(writer),
            Err(error) => {
                self.writer = Some(writer);
                Err(error)
            }
        }
    }

    fn emptied(&self, writer: HashingWriter<Spool>) -> Result<HashingWriter<Spool>, FetchError> {
        if writer.is_empty() {
            return Ok(writer);
        }
        let spool = writer.abandon().clear().map_err(|source| self.spool_error(source))?;
        Ok(HashingWriter::with(algorithm(self.descriptor), spool).for_promise(self.promise))
    }

    fn copy(&self, mut response: Response, writer: &mut HashingWriter<Spool>) -> Result<(), FetchError> {
        let mut buffer = vec![0; CHUNK];
        let mut pace = Pace { since: self.patience.clock().uptime(), bytes: 0 };
        let broken = |error| self.transfer(TransferFailure::Transport(error));
        loop {
            self.patience.check(response.url()).map_err(broken)?;
            let n = response.read(&mut buffer).map_err(broken)?;
            if n == 0 {
                return Ok(());
            }
            if let Some(received) = self.received {
                received.fetch_add(n as u64, Ordering::Relaxed);
            }
            writer.write_all(&buffer[..n]).map_err(|source| self.spool_error(source))?;
            self.check_size(writer.len())?;
            self.check_pace(&mut pace, n as u64)?;
        }
    }

    fn check_pace(&self, pace: &mut Pace, bytes: u64) -> Result<(), FetchError> {
        let window = self.limits.stall_time;
        let least = self.limits.stall_bytes_per_second.saturating_mul(window.as_secs());
        pace.bytes += bytes;
        let now = self.patience.clock().uptime();
        if now.saturating_sub(pace.since) < window {
            return Ok(());
        }
        if pace.bytes < least {
            return Err(self.transfer(TransferFailure::Stalled { bytes: least, seconds: window.as_secs() }));
        }
        *pace = Pace { since: now, bytes: 0 };
        Ok(())
    }

    /// Compares a number of bytes, announced or come, with what may come at most.
    fn check_size(&self, found: u64) -> Result<(), FetchError> {
        if found > self.limits.artifact_bytes {
            let (package, limit) = (self.package.to_owned(), self.limits.artifact_bytes);
            return Err(FetchError::TooLarge { package, limit, found });
        }
        match self.descriptor {
            Some(descriptor) if found > descriptor.size => {
                Err(self.transfer(TransferFailure::Size { expected: descriptor.size, found }))
            }
            _ => Ok(()),
        }
    }

    fn finish(&self, writer: HashingWriter<Spool>) -> Result<Hashed<Spool>, FetchError> {
        let hashed = writer.finish();
        let Some(descriptor) = self.descriptor else { return Ok(hashed) };
        if hashed.len() != descriptor.size {
            return Err(self.transfer(TransferFailure::Size { expected: descriptor.size, found: hashed.len() }));
        }
        match hashed.digest(descriptor.digest.algorithm()) {
            Some(found) if found == descriptor.digest => Ok(hashed),
            found => Err(self.transfer(TransferFailure::Digest {
                expected: descriptor.digest.to_string(),
                found: found.map_or_else(|| "none".to_owned(), |found| found.to_string()),
            })),
        }
    }

    fn transfer(&self, source: TransferFailure) -> FetchError {
        FetchError::Transfer { package: self.package.to_owned(), server: self.server, source }
    }

    fn spool_error(&self, source: std::io::Error) -> FetchError {
        FetchError::Spool { package: self.package.to_owned(), source }
    }
}

/// The algorithm that a transfer is hashed with besides the one of integrities.
fn algorithm(descriptor: Option<&Descriptor>) -> Algorithm {
    descriptor.map_or(Algorithm::Sha512, |descriptor| descriptor.digest.algorithm())
}

/// Whether nothing but the connection's end says where a body ends (RFC 9112, section 6.3), which a cut looks like.
fn ends_with_its_connection(response: &Response) -> bool {
    response.content_length().is_none() && response.headers().first("transfer-encoding").is_none()
}

/// Bytes since a moment.
struct Pace {
    since: Duration,
    bytes: u64,
}
