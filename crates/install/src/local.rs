//! Plugins that are no artifact of a server: folders and tarballs of the container, and what git checks out.
//!
//! A folder is packed into a spool and goes the way of every artifact: what is installed has passed the same checks, is
//! a copy, and was never run or linked.

use std::fs::File;
use std::io::{self, Read, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use fetch::{CheckOutLimits, GitFailure, GitProgram, Spool};
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
    /// What checks repositories out.
    pub git: Git,
}

/// Whether there is a git.
#[derive(Debug, Clone, Default)]
pub enum Git {
    /// This one.
    Found(GitProgram),
    /// There is none.
    #[default]
    Missing,
    /// It was not looked for, as no file of the operator names a repository: the process may not start it.
    Unwanted,
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

/// What is at a local path, as it lies there.
pub(crate) enum Place {
    Nothing,
    /// What was installed from it, and still is there.
    Same,
    Folder(Dir),
    Tarball(File),
}

impl Local {
    /// Where a local path leads to, without the dots that may stand in it.
    pub(crate) fn path_of(&self, path: &str) -> PathBuf {
        self.folder.join(path).components().collect()
    }

    /// Looks at a local path, and makes an artifact of what is there unless it is what was installed from there.
    pub(crate) fn look(
        &self,
        path: &LocalPath,
        installed: Option<&Known>,
        (staging, root): (&Staging, &Dir),
        limits: &Limits,
        stop: &Stop,
    ) -> Result<Found, Rejection> {
        match self.find(path, installed, Some(root), stop)? {
            Place::Nothing => Ok(Found::Nothing),
            Place::Same => Ok(Found::Same),
            Place::Folder(folder) => packed(folder, &Promise::Registry, staging, limits).map(Found::Artifact),
            Place::Tarball(mut file) => {
                let hashed = copied(&mut file, spool(staging)?, limits, stop)?;
                let same = installed.is_some_and(|known| is_named(known, &hashed));
                Ok(if same { Found::Same } else { Found::Artifact(hashed) })
            }
        }
    }

    /// Looks at a local path, and makes nothing.
    pub(crate) fn find(
        &self,
        path: &LocalPath,
        installed: Option<&Known>,
        root: Option<&Dir>,
        stop: &Stop,
    ) -> Result<Place, Rejection> {
        let failed = |source| Rejection::Host { act: "read the local package", source };
        let real = match self.folder.join(path.as_str()).canonicalize() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Place::Nothing),
            real => real.map_err(failed)?,
        };
        // A process that the kernel confines could not read it, and one that is not must not do more.
        if !real.starts_with(self.folder.canonicalize().map_err(failed)?) {
            return Err(Rejection::OutOfReach { path: path.to_string() });
        }
        let (Some(parent), Some(name)) = (real.parent(), real.file_name().and_then(|name| name.to_str())) else {
            return Err(failed(io::ErrorKind::InvalidInput.into()));
        };
        let parent = Dir::open(parent).map_err(failed)?;
        let apart = |is_overlapping: Option<io::Result<bool>>| match is_overlapping.transpose().map_err(failed)? {
            Some(true) => Err(Rejection::InRoot { path: path.to_string() }),
            Some(false) | None => Ok(()),
        };
        apart(root.map(|root| parent.is_within(root)))?;
        if parent.kind(name).map_err(failed)? == Some(Kind::Directory) {
            let folder = parent.open_dir(name).map_err(failed)?;
            apart(root.map(|root| root.is_within(&folder)))?;
            if let Some(known) = installed
                && inspect(known, &parent, name, Depth::Content, stop).map_err(failed)? == Condition::Intact
            {
                return Ok(Place::Same);
            }
            return Ok(Place::Folder(folder));
        }
        parent.open_file(name).map(Place::Tarball).map_err(failed)
    }

    /// What checks a repository out.
    pub(crate) fn git_for(&self, spec: &GitSpec) -> Result<&GitProgram, Rejection> {
        let repository = || spec.to_string();
        match &self.git {
            Git::Found(git) => Ok(git),
            Git::Missing => Err(GitFailure::Missing { repository: repository() }.into()),
            Git::Unwanted => Err(GitFailure::Unnamed { repository: repository() }.into()),
        }
    }

    /// Checks a repository out beside what is staged, and makes an artifact of it.
    pub(crate) fn check_out(
        &self,
        spec: &GitSpec,
        promise: &Promise,
        (staging, number, root): (&Staging, usize, &Path),
        limits: &Limits,
        clock: (&dyn Clock, &Stop),
    ) -> Result<Hashed<Spool>, Rejection> {
        let failed = |source| Rejection::Host { act: "make a folder for git", source };
        let git = self.git_for(spec)?;
        let name = Staging::check_out(number);
        let dir = staging.dir().and_then(|dir| dir.create_dir(&name)).map_err(failed)?;
        git.check_out(spec, &staging.path_in(root).join(&name), &of_check_out(limits), clock)?;
        dir.remove_tree(GIT_FOLDER).map_err(failed)?;
        packed(dir, promise, staging, limits)
    }
}

/// Git keeps each file a second time in its own records.
const fn of_check_out(limits: &Limits) -> CheckOutLimits {
    CheckOutLimits { bytes: limits.expanded.saturating_mul(2), entries: limits.entries.saturating_mul(2) }
}

/// The digest by which the state remembers an artifact that nobody names.
pub(crate) fn named<W>(hashed: &Hashed<W>) -> Option<OciDigest> {
    hashed.digest(Algorithm::Sha512)
}

fn is_named<W>(known: &Known, hashed: &Hashed<W>) -> bool {
    known.record.manifest == named(hashed).map(|named| named.to_string())
}

/// Whether a tarball is the one that a plugin was installed from.
pub(crate) fn is_same(known: &Known, tarball: &mut File, limits: &Limits, stop: &Stop) -> Result<bool, Rejection> {
    copied(tarball, io::sink(), limits, stop).map(|hashed| is_named(known, &hashed))
}

fn packed(dir: Dir, promise: &Promise, staging: &Staging, limits: &Limits) -> Result<Hashed<Spool>, Rejection> {
    let spool = spool(staging)?;
    let folder = Folder::open(dir, "package", limits).map_err(Rejection::Pack)?;
    // It stays on this machine.
    let packing = Packing { limits: *limits, secret_files: SecretFiles::Allow, threads: NonZeroUsize::MIN };
    let writer = HashingWriter::new(spool).for_promise(promise);
    let packed = pack(&[folder], writer, &packing).map_err(Rejection::Pack)?;
    Ok(packed.into_inner().finish())
}

fn spool(staging: &Staging) -> Result<Spool, Rejection> {
    staging.spool().map_err(|source| Rejection::Host { act: "make a spool file", source })
}

fn copied<W: Write>(file: &mut File, into: W, limits: &Limits, stop: &Stop) -> Result<Hashed<W>, Rejection> {
    let failed = |source| Rejection::Host { act: "copy the local tarball", source };
    let mut writer = HashingWriter::new(into);
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

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test works with paths")]
mod tests {
    use super::*;
    use crate::site::bytes_of;
    use source::Source;
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::sync::Arc;
    use std::time::Duration;
    use tempfile::TempDir;
    use testkit::Plugin;
    use transport::SystemClock;

    use crate::lock::{RootLock, Waiting};

    /// A folder that `./` means, and a root.
    struct Place {
        local: Local,
        folder: TempDir,
        root: TempDir,
        stop: Stop,
    }

    impl Place {
        fn new() -> Self {
            let (folder, root) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
            let local = Local { folder: folder.path().to_owned(), git: Git::Missing };
            Self { local, folder, root, stop: Stop::new() }
        }

        fn staging(&self) -> Staging {
            let (root, clock) = (Dir::open(self.root.path()).unwrap(), SystemClock::start());
            let waiting = Waiting { holder: "a test", timeout: Duration::ZERO, clock: &clock, stop: &Stop::new() };
            let lock = RootLock::take(&root, &waiting, &mut |_| ()).unwrap();
            Staging::of_this_run(&root, &Arc::new(lock), &clock).unwrap()
        }

        fn look(&self, path: &str, limits: &Limits) -> Result<Found, Rejection> {
            let Ok(Source::Local(path)) = Source::parse_rhdh(path) else { panic!("{path}") };
            let root = Dir::open(self.root.path()).unwrap();
            self.local.look(&path, None, (&self.staging(), &root), limits, &self.stop)
        }

        fn artifact(&self, path: &str) -> Vec<u8> {
            match self.look(path, &Limits::default()).unwrap() {
                Found::Artifact(hashed) => bytes_of(hashed),
                Found::Nothing | Found::Same => panic!("{path}"),
            }
        }

        fn reason(&self, path: &str, limits: &Limits) -> Option<&'static str> {
            self.look(path, limits).err().map(|why| why.reason())
        }

        fn put(&self, path: &str, bytes: &[u8]) {
            let path = self.folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
    }

    #[test]
    fn folder_is_packed_the_same_each_time_whatever_leads_to_it() {
        let place = Place::new();
        place.put("plugin/package.json", br#"{"name":"x","version":"1.0.0","backstage":{"role":"backend-plugin"}}"#);
        place.put("plugin/.env", b"it stays on this machine");
        symlink("plugin", place.folder.path().join("link")).unwrap();
        let packed = place.artifact("./plugin");
        for path in ["./link", "./plugin/"] {
            assert_eq!(place.artifact(path), packed, "{path}");
        }
        place.put("plugin/dist/index.cjs.js", b"");
        assert_ne!(place.artifact("./plugin"), packed);
    }

    #[test]
    fn tarball_is_taken_as_it_is_up_to_what_a_plugin_may_have() {
        let place = Place::new();
        let tarball = Plugin::backend("x").tarball();
        place.put("plugin.tgz", &tarball);
        assert_eq!(place.artifact("./plugin.tgz"), tarball);
        for (less, expected) in [(0, None), (1, Some("io_error"))] {
            let limits = Limits { expanded: tarball.len() as u64 - less, ..Limits::default() };
            assert_eq!(place.reason("./plugin.tgz", &limits), expected);
        }
        place.stop.ask();
        assert_eq!(place.reason("./plugin.tgz", &Limits::default()), Some("interrupted"));
    }

    #[test]
    fn nothing_is_told_from_what_cannot_be_read() {
        let place = Place::new();
        place.put("file", b"");
        symlink("nowhere", place.folder.path().join("dangling")).unwrap();
        symlink("loop", place.folder.path().join("loop")).unwrap();
        for path in ["./none", "./dangling"] {
            assert!(matches!(place.look(path, &Limits::default()), Ok(Found::Nothing)), "{path}");
        }
        for path in ["./loop", "./file/below"] {
            assert_eq!(place.reason(path, &Limits::default()), Some("io_error"), "{path}");
        }
    }

    #[test]
    fn folder_that_is_the_root_or_lies_in_it_or_holds_it_is_rejected() {
        let manifest = br#"{"name":"x","version":"1.0.0","backstage":{"role":"backend-plugin"}}"#;
        let mut place = Place::new();
        place.root = tempfile::tempdir_in(place.folder.path()).unwrap();
        let root = place.root.path().file_name().unwrap().to_str().unwrap().to_owned();
        for file in ["package.json", "in/package.json", "plugin.tgz"] {
            place.put(&format!("{root}/{file}"), manifest);
        }
        place.put(&format!("{root}.beside/package.json"), manifest);
        for (path, expected) in [
            (format!("./{root}"), true),
            (format!("./{root}/in"), true),
            (format!("./{root}/plugin.tgz"), true),
            (format!("./{root}.beside"), false),
        ] {
            let why = place.look(&path, &Limits::default()).err();
            assert_eq!(matches!(why, Some(Rejection::InRoot { .. })), expected, "{path}: {why:?}");
        }
        place.local.folder = place.folder.path().parent().unwrap().to_owned();
        let above = format!("./{}", place.folder.path().file_name().unwrap().to_str().unwrap());
        let why = place.look(&above, &Limits::default()).err();
        assert!(matches!(why, Some(Rejection::InRoot { .. })), "{why:?}");
    }

    #[test]
    fn link_out_of_the_working_folder_is_out_of_reach() {
        let (place, other) = (Place::new(), Place::new());
        other.put("plugin/package.json", b"{}");
        for (name, target) in [("all", other.folder.path()), ("one", &other.folder.path().join("plugin"))] {
            symlink(target, place.folder.path().join(name)).unwrap();
        }
        for path in ["./all/plugin", "./one"] {
            let why = place.look(path, &Limits::default()).err().unwrap();
            let expected = format!("`{path}` leads out of the working folder, and what is there is out of reach");
            assert_eq!((why.to_string(), why.reason()), (expected, "package_invalid"));
            assert!(why.hint().is_some());
        }
    }

    #[test]
    fn repository_without_a_git_is_a_rejection_and_leaves_nothing() {
        let place = Place::new();
        let Ok(Source::Git(spec)) = Source::parse_rhdh("git+https://example.com/repo.git") else { panic!() };
        let staging = place.staging();
        let clock: (&dyn Clock, _) = (&SystemClock::start(), &place.stop);
        let at = (&staging, 0, place.root.path());
        let why = place.local.check_out(&spec, &Promise::Registry, at, &Limits::default(), clock).err().unwrap();
        assert_eq!(why.reason(), GitFailure::Missing { repository: spec.to_string() }.reason());
        assert_eq!(Dir::open(place.root.path()).unwrap().kind(crate::staging::STAGING).unwrap(), None);
    }
}
