//! Plugins that are no artifact of a server: folders and tarballs of the container, and what git checks out.
//!
//! A folder is packed into a spool and goes the way of every artifact: what is installed has passed the same checks, is
//! a copy, and was never run or linked.

use std::fs::File;
use std::io::{self, Read, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use fetch::{GitFailure, GitProgram, Spool};
use integrity::{Algorithm, Hashed, HashingWriter, OciDigest, Promise};
use source::{GitSpec, LocalPath};
use tarball::{Dir, Folder, Kind, Limits, Packing, SecretFiles, pack};
use transport::{Clock, Stop};

use crate::Rejection;
use crate::inspect::{Condition, Depth, inspect};
use crate::staging::Staging;
use crate::state::Known;

/// Bytes read at once.
const CHUNK: usize = 128 * 1024;
/// What a check-out has besides the plugin.
const GIT_FOLDER: &str = ".git";

/// Where plugins come from that no server is asked for.
#[derive(Debug, Clone, Default)]
pub struct Local {
    /// The folder that `./` means.
    pub folder: PathBuf,
    /// The git that checks repositories out; `None` where there is none.
    pub git: Option<GitProgram>,
}

/// What is at a local path.
pub(crate) enum Found {
    /// Nothing.
    Nothing,
    /// What was installed from it, and still is there.
    Same,
    /// A plugin, as an artifact's bytes.
    Artifact(Hashed<Spool>),
}

impl Local {
    /// Looks at a local path, and makes an artifact of what is there unless it is what was installed from there.
    pub(crate) fn look(
        &self,
        path: &LocalPath,
        installed: Option<&Known>,
        staging: &Staging,
        limits: &Limits,
        stop: &Stop,
    ) -> Result<Found, Rejection> {
        let failed = |source| Rejection::Host { act: "read the local package", source };
        let real = match self.folder.join(path.as_str()).canonicalize() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
            real => real.map_err(failed)?,
        };
        let (Some(parent), Some(name)) = (real.parent(), real.file_name().and_then(|name| name.to_str())) else {
            return Err(failed(io::ErrorKind::InvalidInput.into()));
        };
        let parent = Dir::open(parent).map_err(failed)?;
        if parent.kind(name).map_err(failed)? == Some(Kind::Directory) {
            if let Some(known) = installed
                && inspect(known, &parent, name, Depth::Content, stop).map_err(failed)? == Condition::Intact
            {
                return Ok(Found::Same);
            }
            return packed(parent.open_dir(name).map_err(failed)?, &Promise::Registry, staging, limits)
                .map(Found::Artifact);
        }
        let hashed = copied(&mut parent.open_file(name).map_err(failed)?, staging, limits, stop)?;
        let same =
            installed.is_some_and(|known| known.record.manifest == named(&hashed).map(|named| named.to_string()));
        Ok(if same { Found::Same } else { Found::Artifact(hashed) })
    }

    /// Checks a repository out beside what is staged, and makes an artifact of it.
    pub(crate) fn check_out(
        &self,
        spec: &GitSpec,
        promise: &Promise,
        (staging, number, root): (&Staging, usize, &Path),
        limits: &Limits,
        (clock, stop): (&dyn Clock, &Stop),
    ) -> Result<Hashed<Spool>, Rejection> {
        let failed = |source| Rejection::Host { act: "make a folder for git", source };
        let git = self.git.as_ref().ok_or_else(|| GitFailure::Missing { repository: spec.to_string() })?;
        let name = Staging::check_out(number);
        let dir = staging.dir().and_then(|dir| dir.create_dir(&name)).map_err(failed)?;
        git.check_out(spec, &staging.path_in(root).join(&name), clock, stop)?;
        dir.remove_tree(GIT_FOLDER).map_err(failed)?;
        packed(dir, promise, staging, limits)
    }
}

/// The digest by which the state remembers an artifact that nobody names.
pub(crate) fn named(hashed: &Hashed<Spool>) -> Option<OciDigest> {
    hashed.digest(Algorithm::Sha512)
}

fn packed(dir: Dir, promise: &Promise, staging: &Staging, limits: &Limits) -> Result<Hashed<Spool>, Rejection> {
    let spool = staging.spool().map_err(|source| Rejection::Host { act: "make a spool file", source })?;
    let folder = Folder::open(dir, "package", limits).map_err(Rejection::Pack)?;
    // It stays on this machine.
    let packing = Packing { limits: *limits, secret_files: SecretFiles::Allow, threads: NonZeroUsize::MIN };
    let writer = HashingWriter::new(spool).for_promise(promise);
    let packed = pack(&[folder], writer, &packing).map_err(Rejection::Pack)?;
    Ok(packed.into_inner().finish())
}

fn copied(file: &mut File, staging: &Staging, limits: &Limits, stop: &Stop) -> Result<Hashed<Spool>, Rejection> {
    let failed = |source| Rejection::Host { act: "copy the local tarball", source };
    let mut writer = HashingWriter::new(staging.spool().map_err(failed)?);
    let mut buffer = vec![0; CHUNK];
    loop {
        if stop.is_asked() {
            return Err(Rejection::Interrupted);
        }
        match file.read(&mut buffer).map_err(failed)? {
            0 => return Ok(writer.finish()),
            n if writer.len() + n as u64 > limits.expanded => {
                return Err(failed(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than a plugin may be")));
            }
            n => writer.write_all(&buffer[..n]).map_err(failed)?,
        }
    }
}
