//! An artifact that is ready to be sent.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use integrity::{Algorithm, Blame, Integrity, OciDigest};
use source::Fault;
use tarball::{Dir, Folder, Offences, PackError, Packing, inspect};
use transport::Content;

use crate::file::{artifact_limit, hash_within};
use crate::opened::SCRATCH_HINT;
use crate::plugin::describe;
use crate::{Draft, FileError, Layout, OpenError, Opened, Plugin};

/// An artifact's bytes in a file that nobody else can reach, what they hash to, and what is in them.
#[must_use = "a packed artifact is meant to be published"]
#[derive(Debug, Clone)]
pub struct Packed {
    pub(crate) bytes: Arc<Spooled>,
    pub(crate) contents: Contents,
    pub(crate) integrity: Integrity,
    pub(crate) digest: OciDigest,
    plugins: Vec<Plugin>,
    secrets: Offences,
}

/// What the bytes are for a registry.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Contents {
    /// A plugin's own tarball.
    Package,
    /// The layer of an image.
    Image {
        /// The digest of the tar itself, by which the image's config names it.
        diff_id: OciDigest,
    },
}

/// Why there is nothing to publish.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackedError {
    /// The folders cannot be packed.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// No folder of an image can be named after a plugin.
    #[error("expected a plugin whose folder in an image can be named after it, found `{name}`: {why}")]
    PluginPath {
        /// The plugin's name.
        name: String,
        /// What is wrong with the folder's name.
        why: Fault,
    },
    /// The tarball cannot be read, or is larger than an installer takes.
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
            Self::PluginPath { .. } => "manifest_invalid",
            Self::File(error) => error.reason(),
            Self::Open(error) => error.reason(),
            Self::Scratch { .. } => "io_error",
        }
    }

    /// Whose move it is.
    pub fn blame(&self) -> Blame {
        match self {
            Self::Pack(error) => error.blame(),
            Self::PluginPath { .. } => Blame::Publisher,
            Self::File(error) => error.blame(),
            Self::Open(error) => error.blame(),
            Self::Scratch { .. } => Blame::Host,
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Pack(error) => error.hint(),
            Self::PluginPath { .. } => Some("give the plugin another `name` in its `package.json`".to_owned()),
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
        let (integrity, digest, len) = (packed.integrity(), packed.digest(), packed.len());
        let secrets = packed.secrets().clone();
        let contents = match draft.layout() {
            Layout::Package => Contents::Package,
            Layout::Image => Contents::Image { diff_id: packed.diff_id() },
        };
        let file = packed.into_inner().into_inner().map_err(|error| FileError::from(error.into_error()))?;
        Ok(Self {
            bytes: Arc::new(Spooled { file, len }),
            contents,
            integrity,
            digest,
            plugins: draft.plugins().to_vec(),
            secrets,
        })
    }

    /// Takes a tarball that was packed before, by whomever. It is unpacked into `scratch` on the way: what an installer
    /// would reject, or what would not have been packed here, is not published.
    ///
    /// # Errors
    /// A file that changes meanwhile, or that is no plugin, or that has secrets in it.
    pub fn from_tarball(file: &File, scratch: &Dir, packing: &Packing) -> Result<Self, PackedError> {
        let limits = &packing.limits;
        let refused = |source| PackedError::Scratch { source };
        let spool = scratch.unnamed_file().map_err(refused)?;
        let again = spool.try_clone().map_err(refused)?;
        let hashed = hash_within(artifact_limit(), file, spool)?;
        let integrity = hashed.integrity();
        let digest = hashed.digest(Algorithm::Sha256).ok_or(FileError::Changed)?;
        let opened = Opened::hashed(hashed, scratch, limits)?;
        let described = describe(opened.dir(), limits).map_err(refused)?;
        let folder = Folder::open(opened.dir().try_clone().map_err(refused)?, "package", limits)?;
        let secrets = inspect(&[folder], packing)?.secrets().clone();
        let len = again.metadata().map_err(refused)?.len();
        Ok(Self {
            bytes: Arc::new(Spooled { file: again, len }),
            contents: Contents::Package,
            integrity,
            digest,
            plugins: vec![Plugin::new(opened.manifest(), None, described)],
            secrets,
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

    /// The files with secrets in it, which were allowed.
    pub const fn secrets(&self) -> &Offences {
        &self.secrets
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroUsize;

    use tarball::{Limits, SecretFiles};

    #[test]
    fn a_tarball_that_no_installer_takes_is_not_even_copied() {
        let temp = tempfile::tempdir().unwrap();
        let scratch = Dir::open(temp.path()).unwrap();
        let file = tempfile::tempfile().unwrap();
        file.set_len(artifact_limit() + 1).unwrap();
        let packing =
            Packing { limits: Limits::default(), secret_files: SecretFiles::Refuse, threads: NonZeroUsize::MIN };
        let pushed = Packed::from_tarball(&file, &scratch, &packing).unwrap_err();
        assert_eq!((pushed.reason(), pushed.blame()), ("artifact_too_large", Blame::Publisher));
        let checked = Opened::tarball(&file, &scratch, &packing.limits).unwrap_err();
        assert_eq!((checked.reason(), checked.blame()), ("artifact_too_large", Blame::Publisher));
        assert_eq!(checked.to_string(), "expected an artifact of at most 536870912 bytes, found 536870913");
    }
}
