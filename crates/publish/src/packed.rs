//! An artifact that is ready to be sent.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use integrity::{Algorithm, Blame, Integrity, OciDigest};
use tarball::{Dir, Limits, PackError, Packing};
use transport::Content;

use crate::opened::SCRATCH_HINT;
use crate::plugin::describe;
use crate::{Draft, FileError, Layout, OpenError, Opened, Plugin, hash_file};

/// An artifact's bytes in a file that nobody else can reach, what they hash to, and what is in them.
#[must_use = "a packed artifact is meant to be published"]
#[derive(Debug, Clone)]
pub struct Packed {
    pub(crate) bytes: Arc<Spooled>,
    pub(crate) layout: Layout,
    pub(crate) integrity: Integrity,
    pub(crate) digest: OciDigest,
    /// The digest of the tar itself, as an image's config names its layer.
    pub(crate) diff_id: Option<OciDigest>,
    plugins: Vec<Plugin>,
}

/// Why there is nothing to publish.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackedError {
    /// The folders cannot be packed.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// The tarball cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The tarball is none that a portal would take.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The folder for temporary files refused.
    #[error("failed to copy the tarball into a temporary file")]
    Scratch {
        /// What the system answered.
        source: io::Error,
    },
}

impl PackedError {
    /// The reason code.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Pack(error) => error.reason(),
            Self::File(error) => error.reason(),
            Self::Open(error) => error.reason(),
            Self::Scratch { .. } => "io_error",
        }
    }

    /// Whose move it is.
    pub fn blame(&self) -> Blame {
        match self {
            Self::Pack(error) => error.blame(),
            Self::File(error) => error.blame(),
            Self::Open(error) => error.blame(),
            Self::Scratch { .. } => Blame::Host,
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Pack(error) => error.hint(),
            Self::File(error) => error.hint(),
            Self::Open(error) => error.hint(),
            Self::Scratch { .. } => Some(SCRATCH_HINT.to_owned()),
        }
    }
}

impl Packed {
    /// Packs folders into an empty file without a name.
    ///
    /// # Errors
    /// What [`Draft::pack`] finds.
    pub fn from_draft(draft: &Draft, spool: File, packing: &Packing) -> Result<Self, PackedError> {
        let packed = draft.pack(io::BufWriter::new(spool), packing)?;
        let (integrity, digest, diff_id, len) = (packed.integrity(), packed.digest(), packed.diff_id(), packed.len());
        let file = packed.into_inner().into_inner().map_err(|error| FileError::from(error.into_error()))?;
        Ok(Self {
            bytes: Arc::new(Spooled { file, len }),
            layout: draft.layout(),
            integrity,
            digest,
            diff_id: Some(diff_id),
            plugins: draft.plugins().to_vec(),
        })
    }

    /// Takes a tarball that was packed before. It is unpacked into `scratch` on the way: what an installer would
    /// reject is not published.
    ///
    /// # Errors
    /// A file that changes meanwhile, or that is no plugin.
    pub fn from_tarball(file: &File, scratch: &Dir, limits: &Limits) -> Result<Self, PackedError> {
        let refused = |source| PackedError::Scratch { source };
        let spool = scratch.unnamed_file().map_err(refused)?;
        let again = spool.try_clone().map_err(refused)?;
        let hashed = hash_file(file, spool)?;
        let integrity = hashed.integrity();
        let digest = hashed.digest(Algorithm::Sha256).ok_or(FileError::Changed)?;
        let opened = Opened::hashed(hashed, scratch, limits)?;
        let described = describe(opened.dir(), limits).map_err(refused)?;
        let len = again.metadata().map_err(refused)?.len();
        Ok(Self {
            bytes: Arc::new(Spooled { file: again, len }),
            layout: Layout::Package,
            integrity,
            digest,
            diff_id: None,
            plugins: vec![Plugin::new(opened.manifest(), None, described)],
        })
    }

    /// What an operator pins.
    pub const fn integrity(&self) -> &Integrity {
        &self.integrity
    }

    /// How many bytes are sent.
    pub fn len(&self) -> u64 {
        self.bytes.len
    }

    /// Whether there is no byte at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The plugins in it.
    pub fn plugins(&self) -> &[Plugin] {
        &self.plugins
    }
}

/// The bytes of an artifact, to be read any number of times.
#[derive(Debug)]
pub(crate) struct Spooled {
    file: File,
    len: u64,
}

impl Content for Spooled {
    fn len(&self) -> u64 {
        self.len
    }

    fn open(&self, from: u64) -> io::Result<Box<dyn Read + Send + '_>> {
        Ok(Box::new(Reader { file: &self.file, at: from }))
    }
}

/// Reads at an offset of its own, so that two readers do not disturb each other.
struct Reader<'f> {
    file: &'f File,
    at: u64,
}

impl Read for Reader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read_at(buffer, self.at)?;
        self.at += n as u64;
        Ok(n)
    }
}
