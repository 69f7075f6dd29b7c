//! The expanded bytes of an artifact, piece by piece. Those of a large one are expanded ahead by a thread of their own,
//! while whoever asked for them hashes and writes what came before.

use std::io::Read;
use std::ops::Range;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::{Builder, Scope};

use crate::UnpackError;
use crate::error::Malformed;
use crate::header::BLOCK;
use crate::inflate::Inflater;

/// Bytes expanded at once. The last 32 KiB are copied aside each time.
const EXPANDED: usize = 256 * 1024;
/// Buffers that are under way where a thread works ahead: one there, one here, one between.
const AHEAD: usize = 3;
/// Bytes of a compressed artifact from which a thread is worth it.
const LARGE: u64 = 1024 * 1024;
/// Bytes that one byte of deflate can expand to at the very most.
const DEFLATE_MAX: u64 = 1032;

/// The expanded bytes of an artifact, up to an end that was proved to be one.
pub(crate) struct Expanded<'s> {
    source: Source<'s>,
    stopped: &'s dyn Fn() -> bool,
    buffer: Box<[u8]>,
    unread: Range<usize>,
    ended: bool,
    out: u64,
    possible: u64,
}

/// Where they come from.
enum Source<'s> {
    Here(Box<Fill<'s>>),
    Ahead { full: Receiver<Result<Full, UnpackError>>, empty: Sender<Box<[u8]>> },
}

/// [`Inflater::fill`].
type Fill<'s> = dyn FnMut(&mut [u8]) -> Result<usize, UnpackError> + 's;
/// A buffer, and how much of it counts.
type Full = (Box<[u8]>, usize);

impl<'s> Expanded<'s> {
    /// `compressed` is the length of the artifact in bytes. Each time some of it is expanded, `stopped` is asked.
    pub(crate) fn new<'e, R: Read + Send + 's>(
        inflater: Inflater<R>,
        compressed: u64,
        stopped: &'s dyn Fn() -> bool,
        scope: &'s Scope<'s, 'e>,
    ) -> Self {
        let source = match compressed {
            LARGE.. => ahead(inflater, scope),
            _ => here(inflater),
        };
        let buffer = vec![0; EXPANDED].into_boxed_slice();
        let possible = compressed.saturating_mul(DEFLATE_MAX);
        Self { source, stopped, buffer, unread: 0..0, ended: false, out: 0, possible }
    }

    /// More bytes than this cannot come out, whatever a header claims.
    pub(crate) const fn possible(&self) -> u64 {
        self.possible
    }

    /// Bytes that came out so far.
    pub(crate) const fn out(&self) -> u64 {
        self.out
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
        let n = match &mut self.source {
            Source::Here(fill) => fill(&mut self.buffer)?,
            Source::Ahead { full, empty } => {
                let (buffer, n) = full.recv().unwrap_or(Err(UnpackError::Stopped))?;
                // At the end nobody fills it any more.
                drop(empty.send(std::mem::replace(&mut self.buffer, buffer)));
                n
            }
        };
        self.out += n as u64;
        self.ended = n == 0;
        self.unread = 0..n;
        Ok(n > 0)
    }
}

fn here<'s, R: Read + 's>(mut inflater: Inflater<R>) -> Source<'s> {
    Source::Here(Box::new(move |buffer| inflater.fill(buffer)))
}

fn ahead<'s, 'e, R: Read + Send + 's>(inflater: Inflater<R>, scope: &'s Scope<'s, 'e>) -> Source<'s> {
    let (filled, full) = sync_channel(AHEAD);
    let (empty, emptied) = channel();
    // Handed over once there is somebody to take it: what a thread that cannot be started was given is lost.
    let (give, take) = channel::<Inflater<R>>();
    let work = move || {
        if let Ok(inflater) = take.recv() {
            fill_all(inflater, &emptied, &filled);
        }
    };
    if Builder::new().name("inflate".to_owned()).spawn_scoped(scope, work).is_err() {
        return here(inflater);
    }
    for _ in 1..AHEAD {
        drop(empty.send(vec![0; EXPANDED].into_boxed_slice()));
    }
    drop(give.send(inflater));
    Source::Ahead { full, empty }
}

/// Goes on until the end, a failure, or nobody gives buffers any more.
fn fill_all<R: Read>(
    mut inflater: Inflater<R>,
    emptied: &Receiver<Box<[u8]>>,
    filled: &SyncSender<Result<Full, UnpackError>>,
) {
    while let Ok(mut buffer) = emptied.recv() {
        let result = inflater.fill(&mut buffer);
        let is_last = !matches!(result, Ok(1..));
        if filled.send(result.map(|n| (buffer, n))).is_err() || is_last {
            return;
        }
    }
}
