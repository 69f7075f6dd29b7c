//! Telling someone how far a transfer is.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use integrity::OciDigest;
use source::OciReference;
use transport::Content;

/// Is told how publishing goes on. Threads may tell it.
pub trait Progress: Send + Sync {
    /// An artifact begins to be sent, from its first byte; possibly once more.
    fn begins(&self, bytes: u64);

    /// So many more bytes have left.
    fn advances(&self, bytes: u64);

    /// A tag was written; where it had pointed elsewhere, it has moved from there.
    fn tagged(&self, reference: &OciReference, from: Option<&OciDigest>);

    /// Something failed and is tried again after a wait.
    fn waits(&self, failure: &dyn std::error::Error, wait: Duration);
}

/// Content that tells what is read of it.
pub(crate) struct Told<C: ?Sized> {
    pub(crate) progress: Arc<dyn Progress>,
    pub(crate) content: Arc<C>,
}

impl<C: Content + ?Sized> Content for Told<C> {
    fn len(&self) -> u64 {
        self.content.len()
    }

    fn open(&self, from: u64) -> io::Result<Box<dyn Read + Send + '_>> {
        if from == 0 {
            self.progress.begins(self.len());
        }
        Ok(Box::new(Counted { progress: &*self.progress, inner: self.content.open(from)? }))
    }
}

struct Counted<'p> {
    progress: &'p dyn Progress,
    inner: Box<dyn Read + Send + 'p>,
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.progress.advances(n as u64);
        Ok(n)
    }
}
