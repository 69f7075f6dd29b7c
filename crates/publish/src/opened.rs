//! A plugin unpacked for looking at.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::sync::{Mutex, PoisonError};

use fetch::Fetched;
use integrity::{Blame, Hashed, Mismatch, Verified};
use tarball::{
    Dir, EntryPath, EntryPathError, Layout, Limits, Manifest, Record, UnpackError, Unpacked, Written, unpack,
};

use crate::FileError;
use crate::file::{artifact_limit, hash_within};

/// What to do when there is no place for temporary files.
pub(crate) const SCRATCH_HINT: &str = "let TMPDIR name a folder with space for the unpacked plugin";

/// A plugin's folder in a place for temporary files, gone when this is dropped.
#[derive(Debug)]
pub struct Opened<'s> {
    scratch: &'s Dir,
    name: String,
    dir: Dir,
    unpacked: Unpacked,
}

/// An artifact that cannot be looked into.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// It is no plugin that a portal would take.
    #[error("failed to unpack the artifact")]
    Unpack {
        /// What is wrong with it.
        source: UnpackError,
    },
    /// The tarball cannot be read, or is larger than an installer takes.
    #[error(transparent)]
    File(#[from] FileError),
    /// It is not the one whose integrity was computed.
    #[error(transparent)]
    Mismatch(#[from] Mismatch),
    /// The selected folder is none that an archive may hold.
    #[error("the selected folder cannot be looked for in an archive")]
    PluginPath(#[source] EntryPathError),
    /// The place for temporary files refused.
    #[error("failed to make a temporary folder")]
    Scratch {
        /// What the system answered.
        source: io::Error,
    },
}

impl OpenError {
    /// The reason code.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Unpack { source } => source.reason(),
            Self::File(error) => error.reason(),
            Self::Mismatch(error) => error.reason(),
            Self::PluginPath(_) => "archive_layout",
            Self::Scratch { .. } => "io_error",
        }
    }

    /// Whose move it is.
    pub fn blame(&self) -> Blame {
        match self {
            Self::Unpack { source } => source.blame(),
            Self::File(error) => error.blame(),
            Self::Mismatch(error) => error.blame(),
            Self::PluginPath(_) => Blame::Operator,
            Self::Scratch { .. } => Blame::Host,
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unpack { source } => source.hint(),
            Self::File(error) => error.hint(),
            Self::Mismatch(_) | Self::PluginPath(_) => None,
            Self::Scratch { .. } => Some(SCRATCH_HINT.to_owned()),
        }
    }
}

impl<'s> Opened<'s> {
    /// Unpacks a tarball below `scratch`, as an installer would. What is unpacked is a copy that nobody else can reach.
    ///
    /// # Errors
    /// A file that changes meanwhile, and anything for which an installer would reject it.
    pub fn tarball(file: &File, scratch: &'s Dir, limits: &Limits) -> Result<Self, OpenError> {
        let spool = scratch.unnamed_file().map_err(|source| OpenError::Scratch { source })?;
        Self::hashed(hash_within(artifact_limit(), file, spool)?, scratch, limits)
    }

    /// Unpacks a tarball that was copied below `scratch`, as an installer would.
    ///
    /// # Errors
    /// Anything for which an installer would reject it.
    pub(crate) fn hashed<R: Read + Seek + Send>(
        hashed: Hashed<R>,
        scratch: &'s Dir,
        limits: &Limits,
    ) -> Result<Self, OpenError> {
        // Nobody has pinned anything yet. What was hashed is what is looked at.
        let integrity = hashed.integrity();
        Self::unpack(&mut hashed.verify(&integrity)?, &Layout::Package, scratch, limits)
    }

    /// Unpacks something published below `scratch`, as an installer would.
    ///
    /// # Errors
    /// Anything for which an installer would reject it.
    pub fn fetched(fetched: Fetched, scratch: &'s Dir, limits: &Limits) -> Result<Self, OpenError> {
        let layout = match &fetched.origin().plugin_path {
            Some(path) => {
                Layout::Folder(EntryPath::parse(path.as_str().as_bytes(), limits).map_err(OpenError::PluginPath)?)
            }
            None => Layout::Package,
        };
        let integrity = fetched.integrity();
        Self::unpack(&mut fetched.verify_pinned(&integrity)?, &layout, scratch, limits)
    }

    fn unpack<R: Read + Seek + Send>(
        artifact: &mut Verified<R>,
        layout: &Layout,
        scratch: &'s Dir,
        limits: &Limits,
    ) -> Result<Self, OpenError> {
        let (name, dir) = create(scratch).map_err(|source| OpenError::Scratch { source })?;
        match unpack(artifact, layout, &dir, limits, &mut Unrecorded) {
            Ok(unpacked) => Ok(Self { scratch, name, dir, unpacked }),
            Err(source) => {
                // The whole of it is thrown away later, with `scratch`.
                let _ = scratch.remove_tree(&name);
                Err(OpenError::Unpack { source })
            }
        }
    }

    /// The plugin's folder.
    pub const fn dir(&self) -> &Dir {
        &self.dir
    }

    /// What its `package.json` says.
    pub const fn manifest(&self) -> &Manifest {
        self.unpacked.manifest()
    }
}

impl Drop for Opened<'_> {
    fn drop(&mut self) {
        // What stays behind goes with `scratch`, at the latest when the machine cleans it.
        let _ = self.scratch.remove_tree(&self.name);
    }
}

/// The names of the folders that this process has made: what a program that is ended early may remove.
static MADE: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// The names of all folders that this process has made to unpack something, whether or not they are still there.
pub fn scratch_names() -> Vec<String> {
    MADE.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Makes a folder of a name that is still free.
fn create(scratch: &Dir) -> io::Result<(String, Dir)> {
    for n in 0_u32.. {
        let name = format!("butler-plugin-{}-{n}", std::process::id());
        match scratch.create_private_dir(&name) {
            Ok(dir) => {
                MADE.lock().unwrap_or_else(PoisonError::into_inner).push(name.clone());
                return Ok((name, dir));
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

struct Unrecorded;

impl Record for Unrecorded {
    fn written(&mut self, _: &Written<'_>) -> io::Result<()> {
        Ok(())
    }
}
