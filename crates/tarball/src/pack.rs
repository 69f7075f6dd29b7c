//! From a plugin's folder to a reproducible archive.

use std::fs::File;
use std::io::{self, Read, Write};
use std::num::NonZeroUsize;

use integrity::{Algorithm, DigestWriter, Hashed, HashingWriter, Integrity, OciDigest};

use crate::error::Exceeded;
use crate::gzip::Gzip;
use crate::header::padding;
use crate::status::Status;
use crate::survey::{ItemContent, Survey, Surveyed, Trail};
use crate::tree::Tree;
use crate::writer::{self, Entry};
use crate::{Folder, Limits, Offences, PackError};

/// Bytes read from a file at once.
const CHUNK: usize = 128 * 1024;

/// How to pack.
#[derive(Debug, Clone, Copy)]
pub struct Packing {
    /// What an installer takes at most.
    pub limits: Limits,
    /// What becomes of files with secrets.
    pub secret_files: SecretFiles,
    /// Threads that compress, at most four of them. Their number does not change the archive.
    pub threads: NonZeroUsize,
}

/// What becomes of files that look as if they held secrets: `.env`, `.npmrc`, `.git`, private keys and the like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretFiles {
    /// They are a reason not to pack.
    Refuse,
    /// They are packed like others, and told: everyone who can read the archive has them.
    Allow,
}

/// An archive that is written to its end, and what it is known by.
#[must_use = "a packed plugin is meant to be published"]
#[derive(Debug)]
pub struct Packed<W> {
    inner: W,
    integrity: Integrity,
    digest: OciDigest,
    diff_id: OciDigest,
    len: u64,
    entries: u64,
    unpacked_len: u64,
    secrets: Offences,
}

impl<W> Packed<W> {
    /// The sha512 of the archive: what an operator pins.
    pub const fn integrity(&self) -> Integrity {
        self.integrity
    }

    /// The sha256 of the archive: what a registry names the blob.
    pub const fn digest(&self) -> OciDigest {
        self.digest
    }

    /// The sha256 of the tar stream before compression (OCI image-spec, config, "Layer `DiffID`").
    pub const fn diff_id(&self) -> OciDigest {
        self.diff_id
    }

    /// Bytes of the archive.
    pub const fn len(&self) -> u64 {
        self.len
    }

    /// Whether the archive has no byte at all, which it always has.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Entries in it: files, folders and links.
    pub const fn entries(&self) -> u64 {
        self.entries
    }

    /// Bytes of all files in it.
    pub const fn unpacked_len(&self) -> u64 {
        self.unpacked_len
    }

    /// The files with secrets in it; none unless they are [allowed](SecretFiles::Allow).
    pub const fn secrets(&self) -> &Offences {
        &self.secrets
    }

    /// What the archive was written to.
    pub fn into_inner(self) -> W {
        self.inner
    }
}

/// Folders that could be packed, and were not.
///
/// Only [`inspect`] makes one:
///
/// ```compile_fail,E0451
/// fn forge(secrets: tarball::Offences) -> tarball::Inspected {
///     tarball::Inspected { secrets }
/// }
/// ```
///
/// ```
/// # use tarball::{Folder, Inspected, PackError, Packing};
/// fn prove(folder: Folder, packing: &Packing) -> Result<Inspected, PackError> {
///     tarball::inspect(&[folder], packing)
/// }
/// ```
#[must_use = "secrets that were allowed are to be told"]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspected {
    secrets: Offences,
}

impl Inspected {
    /// The files with secrets in them; none unless they are [allowed](SecretFiles::Allow).
    pub const fn secrets(&self) -> &Offences {
        &self.secrets
    }
}

/// Walks through `folders` as [`pack`] does before it writes, and refuses what it refuses: for a plugin that someone
/// else packed, once it is unpacked.
///
/// # Errors
/// Those of [`pack`], except that nothing is compressed and so no ratio known.
pub fn inspect(folders: &[Folder], packing: &Packing) -> Result<Inspected, PackError> {
    let Survey { secrets, .. } = Survey::of(folders, packing)?;
    Ok(Inspected { secrets })
}

/// Packs `folders` into one gzipped tar: each with its files, folders and links below its own path.
///
/// The bytes follow from the names, the contents and the execute bits of the files, and from nothing else: names are
/// sorted, times, owners and modes are fixed, a hard link is one more file. Hidden files are packed, ignore files
/// mean nothing. The whole tree is walked before the first byte is written.
///
/// # Errors
/// [`PackError::Refused`] names all entries that an installer would not take, or that hold secrets. Nothing is followed
/// and nothing left out to make a tree fit. What was written before another error is no archive.
pub fn pack<W: Write>(folders: &[Folder], mut into: W, packing: &Packing) -> Result<Packed<W>, PackError> {
    let survey = Survey::of(folders, packing)?;
    let artifact = HashingWriter::with(Algorithm::Sha256, &mut into);
    let mut gzip = Gzip::new(artifact, packing.threads).map_err(PackError::write)?;
    let mut archive = Archive { tar: DigestWriter::new(&mut gzip), buffer: vec![0; CHUNK].into_boxed_slice() };
    for surveyed in &survey.folders {
        archive.folder(surveyed)?;
    }
    archive.write(&writer::END)?;
    debug_assert_eq!(archive.tar.len(), survey.tar_len, "the survey counted other bytes");
    let diff_id = archive.tar.finish().into();
    let mut artifact = gzip.finish().map_err(PackError::write)?;
    artifact.flush().map_err(PackError::write)?;
    let artifact = artifact.finish();
    if survey.tar_len > packing.limits.by_ratio(artifact.len()) {
        return Err(Exceeded::Ratio { max: packing.limits.ratio }.into());
    }
    let (integrity, digest, len) = (artifact.integrity(), sha256(&artifact), artifact.len());
    drop(artifact);
    let Survey { entries, files_len: unpacked_len, secrets, .. } = survey;
    Ok(Packed { inner: into, integrity, digest, diff_id, len, entries, unpacked_len, secrets })
}

struct Archive<W> {
    tar: DigestWriter<W>,
    buffer: Box<[u8]>,
}

impl<W: Write> Archive<W> {
    fn folder(&mut self, surveyed: &Surveyed<'_>) -> Result<(), PackError> {
        let top = surveyed.folder.top();
        for path in surveyed.above.iter().copied().chain([top]) {
            self.write(&writer::headers(path, Entry::Directory))?;
        }
        let mut tree = Tree::new(surveyed.folder.dir());
        let mut trail = Trail::new(top);
        for item in &surveyed.items {
            trail.back_to(item.depth);
            trail.enter(&item.name);
            if let ItemContent::File(status) = &item.content {
                let file = tree.open_file(trail.within()).map_err(|source| unreadable(&trail, source))?;
                self.write(&writer::headers(trail.path(), item.entry()))?;
                self.file(file, status, &trail)?;
            } else {
                self.write(&writer::headers(trail.path(), item.entry()))?;
            }
        }
        Ok(())
    }

    /// The bytes of a file that is, before and after, what the survey saw.
    fn file(&mut self, mut file: File, seen: &Status, trail: &Trail) -> Result<(), PackError> {
        let unchanged = |file: &File| match Status::of_file(file) {
            Ok(status) if status == *seen => Ok(()),
            Ok(_) => Err(PackError::changed(trail.path())),
            Err(source) => Err(unreadable(trail, source)),
        };
        unchanged(&file)?;
        let mut left = seen.len();
        while left > 0 {
            let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(self.buffer.len());
            match file.read(&mut self.buffer[..wanted]) {
                Ok(0) => return Err(PackError::changed(trail.path())),
                Ok(n) => {
                    self.tar.write_all(&self.buffer[..n]).map_err(PackError::write)?;
                    left -= n as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(unreadable(trail, source)),
            }
        }
        unchanged(&file)?;
        let zeros = usize::try_from(padding(seen.len())).unwrap_or_default();
        self.write(&writer::END[..zeros])
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), PackError> {
        self.tar.write_all(bytes).map_err(PackError::write)
    }
}

fn unreadable(trail: &Trail, source: io::Error) -> PackError {
    // The survey saw a regular file here.
    match source.kind() {
        io::ErrorKind::InvalidInput | io::ErrorKind::NotADirectory => PackError::changed(trail.path()),
        _ => PackError::host("read", trail.path(), source),
    }
}

fn sha256<W>(hashed: &Hashed<W>) -> OciDigest {
    hashed.digest(Algorithm::Sha256).expect("a writer that was made with sha256 computes it")
}
