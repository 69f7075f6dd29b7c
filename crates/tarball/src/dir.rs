//! A directory handle: the only way this workspace changes a plugin root.

use std::ffi::{OsStr, OsString};
use std::fs::{File, Permissions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::fs::{Access, AtFlags, FileType, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use crate::status::Status;

/// Bits of a directory we make: everyone may read, the owner may write.
const DIRECTORY: Mode = Mode::from_raw_mode(0o755);
/// Names tried for a temporary file where the file system has no unnamed ones.
const UNNAMED_TRIES: u32 = 1024;
/// Most directories above one that are looked at; a path can name no more.
const MOST_ABOVE: u32 = 4096;

/// An open directory. Every method takes names of one component and resolves them beneath this very directory,
/// whatever its path has become; no method follows a symlink.
///
/// A name that is empty, `.`, `..`, or has a `/` or NUL in it answers [`io::ErrorKind::InvalidInput`].
#[derive(Debug)]
pub struct Dir(OwnedFd);

/// What a name in a directory stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A directory.
    Directory,
    /// A regular file.
    File,
    /// A symbolic link, wherever it points.
    Symlink,
    /// A device, socket or pipe.
    Special,
}

/// Permissions of a file we make, the same whatever the umask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileMode {
    /// `0644`.
    Plain,
    /// `0755`.
    Executable,
    /// `0600`: for secrets.
    Private,
}

impl FileMode {
    const fn bits(self) -> Mode {
        match self {
            Self::Plain => Mode::from_raw_mode(0o644),
            Self::Executable => Mode::from_raw_mode(0o755),
            Self::Private => Mode::from_raw_mode(0o600),
        }
    }
}

impl From<FileMode> for Permissions {
    fn from(mode: FileMode) -> Self {
        Self::from_mode(mode.bits().as_raw_mode())
    }
}

/// Permission bits that the umask is known to let through.
///
/// The umask cannot be read without changing it for all threads, so it is learned from what was created; then files
/// need no further call.
#[derive(Debug)]
pub(crate) struct Umask {
    passes: Mode,
}

impl Umask {
    pub(crate) const fn unknown() -> Self {
        Self { passes: Mode::empty() }
    }
}

impl Dir {
    /// Opens the directory at `path`. The one place where a path comes in.
    ///
    /// # Errors
    /// What the system answers; a symlink or a file at `path` is [`io::ErrorKind::NotADirectory`].
    pub fn open(path: &Path) -> io::Result<Self> {
        // A trailing slash would make the kernel follow a link at the end after all.
        open_directory(rustix::fs::CWD, path.components().as_path().as_os_str())
    }

    /// A second handle to the same directory.
    ///
    /// # Errors
    /// What the system answers.
    pub fn try_clone(&self) -> io::Result<Self> {
        self.0.try_clone().map(Self)
    }

    /// Opens a subdirectory.
    ///
    /// # Errors
    /// What the system answers; a symlink or a file of that name is [`io::ErrorKind::NotADirectory`].
    pub fn open_dir(&self, name: impl AsRef<OsStr>) -> io::Result<Self> {
        open_directory(&self.0, component(name.as_ref())?)
    }

    /// Makes a subdirectory of mode `0755`, which inherits the group where this directory says so (setgid).
    ///
    /// # Errors
    /// What the system answers, [`io::ErrorKind::AlreadyExists`] among it.
    pub fn create_dir(&self, name: impl AsRef<OsStr>) -> io::Result<Self> {
        self.make_dir(name.as_ref(), &mut Umask::unknown())
    }

    /// Makes a subdirectory of mode `0700`: nobody else sees what is in it.
    ///
    /// # Errors
    /// What the system answers, [`io::ErrorKind::AlreadyExists`] among it.
    pub fn create_private_dir(&self, name: impl AsRef<OsStr>) -> io::Result<Self> {
        let name = component(name.as_ref())?;
        rustix::fs::mkdirat(&self.0, name, Mode::RWXU)?;
        open_directory(&self.0, name)
    }

    /// Makes an empty file and opens it for writing.
    ///
    /// # Errors
    /// What the system answers; anything of that name, a symlink too, is [`io::ErrorKind::AlreadyExists`].
    pub fn create_file(&self, name: impl AsRef<OsStr>, mode: FileMode) -> io::Result<File> {
        self.make_file(name.as_ref(), mode, &mut Umask::unknown())
    }

    /// Opens a regular file for reading and writing, or makes an empty one: what a lock needs.
    ///
    /// # Errors
    /// What the system answers; anything but a regular file is [`io::ErrorKind::InvalidInput`].
    pub fn open_or_create_file(&self, name: impl AsRef<OsStr>, mode: FileMode) -> io::Result<File> {
        let name = name.as_ref();
        match self.make(name, OFlags::RDWR, mode, &mut Umask::unknown()) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => self.open_regular(name, OFlags::RDWR),
            created => created,
        }
    }

    /// Opens a regular file for reading.
    ///
    /// # Errors
    /// What the system answers; anything but a regular file is [`io::ErrorKind::InvalidInput`].
    pub fn open_file(&self, name: impl AsRef<OsStr>) -> io::Result<File> {
        self.open_regular(name.as_ref(), OFlags::RDONLY)
    }

    /// A file for reading and writing that has no name and is gone with its last handle.
    ///
    /// # Errors
    /// What the system answers.
    pub fn unnamed_file(&self) -> io::Result<File> {
        let own = Mode::RUSR | Mode::WUSR;
        match rustix::fs::openat(&self.0, ".", OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC, own) {
            Ok(file) => return Ok(file.into()),
            // No O_TMPFILE: told so, taken for a directory opened for writing, or stopped by a layered file system.
            Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL | Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::RDWR | OFlags::CLOEXEC;
        for n in 0..UNNAMED_TRIES {
            let name = format!(".unnamed-{n}");
            match rustix::fs::openat(&self.0, &name, flags, own) {
                Ok(file) => {
                    rustix::fs::unlinkat(&self.0, &name, AtFlags::empty())?;
                    return Ok(file.into());
                }
                Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(Errno::EXIST.into())
    }

    /// Gives a file that has no name one in this directory; the file must be on the same file system.
    ///
    /// # Errors
    /// What the system answers: [`io::ErrorKind::AlreadyExists`], or [`io::ErrorKind::NotFound`] for a file that had a
    /// name before, as [`unnamed_file`](Self::unnamed_file) makes it where it must, and without `/proc`.
    pub fn name_file(&self, unnamed: &File, name: impl AsRef<OsStr>) -> io::Result<()> {
        let open = format!("/proc/self/fd/{}", unnamed.as_raw_fd());
        let name = component(name.as_ref())?;
        Ok(rustix::fs::linkat(rustix::fs::CWD, open, &self.0, name, AtFlags::SYMLINK_FOLLOW)?)
    }

    /// Asks whether names can be made and removed here, without doing so.
    ///
    /// # Errors
    /// Why not.
    pub fn admits_changes(&self) -> io::Result<()> {
        let changes = Access::WRITE_OK | Access::EXEC_OK;
        match rustix::fs::accessat(&self.0, ".", changes, AtFlags::EACCESS) {
            // An old kernel cannot tell; whoever makes the first name will.
            Err(Errno::NOSYS | Errno::INVAL) => Ok(()),
            answer => Ok(answer?),
        }
    }

    /// What `name` stands for; `None` when there is nothing.
    ///
    /// # Errors
    /// What the system answers.
    pub fn kind(&self, name: impl AsRef<OsStr>) -> io::Result<Option<Kind>> {
        match rustix::fs::statat(&self.0, component(name.as_ref())?, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(Kind::of(FileType::from_raw_mode(stat.st_mode)))),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    pub(crate) fn status(&self, name: &OsStr) -> io::Result<Status> {
        Ok(Status::of(&rustix::fs::statat(&self.0, component(name)?, AtFlags::SYMLINK_NOFOLLOW)?))
    }

    /// Whether this directory is another one or lies in it, by what both are and not by what their paths say.
    ///
    /// # Errors
    /// What the system answers.
    pub fn is_within(&self, other: &Self) -> io::Result<bool> {
        let id = |dir: &OwnedFd| rustix::fs::fstat(dir).map(|stat| (stat.st_dev, stat.st_ino));
        let (outer, mut dir) = (id(&other.0)?, self.0.try_clone()?);
        let mut found = id(&dir)?;
        let above = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        for _ in 0..MOST_ABOVE {
            if found == outer {
                return Ok(true);
            }
            dir = rustix::fs::openat(&dir, "..", above, Mode::empty())?;
            let below = std::mem::replace(&mut found, id(&dir)?);
            // Nothing is above the system's own root.
            if found == below {
                return Ok(false);
            }
        }
        Err(Errno::LOOP.into())
    }

    /// Who may do what in this directory.
    ///
    /// # Errors
    /// What the system answers.
    pub fn permissions(&self) -> io::Result<Permissions> {
        Ok(Permissions::from_mode(rustix::fs::fstat(&self.0)?.st_mode))
    }

    /// The names in this directory, read as the iterator goes; the caller decides how many it takes.
    ///
    /// # Errors
    /// What the system answers.
    pub fn entries(&self) -> io::Result<Entries<'_>> {
        Ok(Entries { dir: self, stream: rustix::fs::Dir::read_from(&self.0)? })
    }

    /// Gives the regular file `name` a second name in `to`.
    ///
    /// # Errors
    /// What the system answers, [`io::ErrorKind::AlreadyExists`] among it.
    pub fn hard_link(&self, name: impl AsRef<OsStr>, to: &Self, new: impl AsRef<OsStr>) -> io::Result<()> {
        let (name, new) = (component(name.as_ref())?, component(new.as_ref())?);
        Ok(rustix::fs::linkat(&self.0, name, &to.0, new, AtFlags::empty())?)
    }

    /// Makes a symlink whose text is `target`, unchecked.
    ///
    /// # Errors
    /// What the system answers, [`io::ErrorKind::AlreadyExists`] among it.
    pub fn symlink(&self, target: impl AsRef<OsStr>, name: impl AsRef<OsStr>) -> io::Result<()> {
        Ok(rustix::fs::symlinkat(target.as_ref(), &self.0, component(name.as_ref())?)?)
    }

    /// The text of a symlink.
    ///
    /// # Errors
    /// What the system answers; anything but a symlink is [`io::ErrorKind::InvalidInput`].
    pub fn read_link(&self, name: impl AsRef<OsStr>) -> io::Result<OsString> {
        let target = rustix::fs::readlinkat(&self.0, component(name.as_ref())?, Vec::new())?;
        Ok(OsString::from_vec(target.into_bytes()))
    }

    /// Removes a file or symlink.
    ///
    /// # Errors
    /// What the system answers, [`io::ErrorKind::NotFound`] and [`io::ErrorKind::IsADirectory`] among it.
    pub fn remove_file(&self, name: impl AsRef<OsStr>) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.0, component(name.as_ref())?, AtFlags::empty())?)
    }

    /// Removes an empty directory.
    ///
    /// # Errors
    /// What the system answers, [`io::ErrorKind::DirectoryNotEmpty`] among it.
    pub fn remove_dir(&self, name: impl AsRef<OsStr>) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.0, component(name.as_ref())?, AtFlags::REMOVEDIR)?)
    }

    /// Moves `name` to `to`; a file there is replaced, a directory only if empty.
    ///
    /// # Errors
    /// What the system answers.
    pub fn rename(&self, name: impl AsRef<OsStr>, to: &Self, new: impl AsRef<OsStr>) -> io::Result<()> {
        let (name, new) = (component(name.as_ref())?, component(new.as_ref())?);
        Ok(rustix::fs::renameat(&self.0, name, &to.0, new)?)
    }

    /// Moves `name` to `to`, where nothing of that name may be.
    ///
    /// # Errors
    /// What the system answers, [`io::ErrorKind::AlreadyExists`] among it; `EINVAL` or `ENOSYS` where the file
    /// system or kernel cannot do it.
    pub fn rename_noreplace(&self, name: impl AsRef<OsStr>, to: &Self, new: impl AsRef<OsStr>) -> io::Result<()> {
        self.rename_with(name.as_ref(), to, new.as_ref(), RenameFlags::NOREPLACE)
    }

    /// Swaps two names in one step; both exist before and after.
    ///
    /// # Errors
    /// What the system answers; `EINVAL` or `ENOSYS` where the file system or kernel cannot do it.
    pub fn exchange(&self, name: impl AsRef<OsStr>, to: &Self, other: impl AsRef<OsStr>) -> io::Result<()> {
        self.rename_with(name.as_ref(), to, other.as_ref(), RenameFlags::EXCHANGE)
    }

    /// Waits until the names in this directory are on stable storage.
    ///
    /// # Errors
    /// What the system answers.
    pub fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::fsync(&self.0)?)
    }

    /// Waits until everything on this directory's file system is on stable storage.
    ///
    /// # Errors
    /// What the system answers, failed writes of others among it.
    pub fn sync_file_system(&self) -> io::Result<()> {
        Ok(rustix::fs::syncfs(&self.0)?)
    }

    pub(crate) fn make_dir(&self, name: &OsStr, umask: &mut Umask) -> io::Result<Self> {
        let name = component(name)?;
        rustix::fs::mkdirat(&self.0, name, DIRECTORY)?;
        let dir = open_directory(&self.0, name)?;
        settle(&dir.0, DIRECTORY, umask)?;
        Ok(dir)
    }

    pub(crate) fn make_file(&self, name: &OsStr, mode: FileMode, umask: &mut Umask) -> io::Result<File> {
        self.make(name, OFlags::WRONLY, mode, umask)
    }

    pub(crate) fn fd(&self) -> &OwnedFd {
        &self.0
    }

    pub(crate) fn from_fd(fd: OwnedFd) -> Self {
        Self(fd)
    }

    fn make(&self, name: &OsStr, access: OFlags, mode: FileMode, umask: &mut Umask) -> io::Result<File> {
        let flags = access | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.0, component(name)?, flags, mode.bits())?;
        settle(&file, mode.bits(), umask)?;
        Ok(file.into())
    }

    fn open_regular(&self, name: &OsStr, access: OFlags) -> io::Result<File> {
        let not_regular = || io::Error::new(io::ErrorKind::InvalidInput, "not a regular file");
        // Without O_NONBLOCK a pipe of that name would hold us until someone writes to it.
        let flags = access | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = match rustix::fs::openat(&self.0, component(name)?, flags, Mode::empty()) {
            Ok(file) => file,
            Err(Errno::LOOP | Errno::ISDIR | Errno::NXIO) => return Err(not_regular()),
            Err(error) => return Err(error.into()),
        };
        match Kind::of(FileType::from_raw_mode(rustix::fs::fstat(&file)?.st_mode)) {
            Kind::File => Ok(file.into()),
            Kind::Directory | Kind::Symlink | Kind::Special => Err(not_regular()),
        }
    }

    fn rename_with(&self, name: &OsStr, to: &Self, new: &OsStr, flags: RenameFlags) -> io::Result<()> {
        Ok(rustix::fs::renameat_with(&self.0, component(name)?, &to.0, component(new)?, flags)?)
    }
}

impl Kind {
    pub(crate) fn of(file_type: FileType) -> Self {
        match file_type {
            FileType::Directory => Self::Directory,
            FileType::RegularFile => Self::File,
            FileType::Symlink => Self::Symlink,
            _ => Self::Special,
        }
    }
}

/// The names in a directory and what they stand for, in no order, without `.` and `..`.
#[derive(Debug)]
pub struct Entries<'d> {
    dir: &'d Dir,
    stream: rustix::fs::Dir,
}

impl Iterator for Entries<'_> {
    type Item = io::Result<(OsString, Kind)>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let entry = match self.stream.next()? {
                Ok(entry) => entry,
                Err(error) => return Some(Err(error.into())),
            };
            let name = entry.file_name().to_bytes();
            if matches!(name, b"." | b"..") {
                continue;
            }
            let name = OsString::from_vec(name.to_vec());
            if entry.file_type() != FileType::Unknown {
                return Some(Ok((name, Kind::of(entry.file_type()))));
            }
            match self.dir.kind(&name) {
                Ok(Some(kind)) => return Some(Ok((name, kind))),
                // Removed since it was listed.
                Ok(None) => {}
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

/// Proves that a name has one component, so that the kernel resolves nothing but this name.
pub(crate) fn component(name: &OsStr) -> io::Result<&OsStr> {
    let bytes = name.as_bytes();
    if matches!(bytes, b"" | b"." | b"..") || bytes.iter().any(|byte| matches!(byte, b'/' | 0)) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "a name must be one path component"));
    }
    Ok(name)
}

fn open_directory(at: impl AsFd, name: &OsStr) -> io::Result<Dir> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match rustix::fs::openat(at, name, flags, Mode::empty()) {
        Ok(fd) => Ok(Dir(fd)),
        Err(Errno::LOOP) => Err(Errno::NOTDIR.into()),
        Err(error) => Err(error.into()),
    }
}

/// Makes the mode of something just created the wanted one, with as few calls as the umask allows.
fn settle(made: &OwnedFd, wanted: Mode, umask: &mut Umask) -> io::Result<()> {
    if umask.passes.contains(wanted) {
        return Ok(());
    }
    let found = Mode::from_raw_mode(rustix::fs::fstat(made)?.st_mode);
    if found & (Mode::RWXU | Mode::RWXG | Mode::RWXO) == wanted {
        umask.passes |= wanted;
        return Ok(());
    }
    // The setgid bit came from the parent and carries the volume's group further down.
    Ok(rustix::fs::fchmod(made, wanted | (found & Mode::SGID))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Seek, Write};
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    fn root() -> (tempfile::TempDir, Dir) {
        let temp = tempfile::tempdir().unwrap();
        let dir = Dir::open(temp.path()).unwrap();
        (temp, dir)
    }

    #[test]
    fn a_directory_lies_within_what_is_above_it_whatever_its_path_says() {
        let (temp, dir) = root();
        let deeper = dir.create_dir("below").unwrap().create_dir("deeper").unwrap();
        let (_other, other) = root();
        assert!(deeper.is_within(&dir).unwrap() && dir.is_within(&dir).unwrap());
        assert!(!dir.is_within(&deeper).unwrap() && !other.is_within(&dir).unwrap());
        let system = Dir::open(Path::new("/")).unwrap();
        assert!(deeper.is_within(&system).unwrap() && !system.is_within(&dir).unwrap());
        dir.rename("below", &other, "moved").unwrap();
        assert!(deeper.is_within(&other).unwrap() && !deeper.is_within(&dir).unwrap());
        drop(temp);
    }

    #[test]
    fn a_name_of_more_than_one_component_is_refused_everywhere() {
        let (_temp, dir) = root();
        for name in ["", ".", "..", "a/b", "/etc", "a\0"] {
            let invalid = |result: io::Result<()>, act: &str| {
                assert_eq!(result.unwrap_err().kind(), io::ErrorKind::InvalidInput, "{act} {name:?}");
            };
            invalid(dir.open_dir(name).map(drop), "open_dir");
            invalid(dir.create_dir(name).map(drop), "create_dir");
            invalid(dir.create_file(name, FileMode::Plain).map(drop), "create_file");
            invalid(dir.open_file(name).map(drop), "open_file");
            invalid(dir.open_or_create_file(name, FileMode::Plain).map(drop), "open_or_create_file");
            invalid(dir.kind(name).map(drop), "kind");
            invalid(dir.symlink("x", name), "symlink");
            invalid(dir.read_link(name).map(drop), "read_link");
            invalid(dir.hard_link(name, &dir, "x"), "hard_link");
            invalid(dir.hard_link("x", &dir, name), "hard_link");
            invalid(dir.remove_file(name), "remove_file");
            invalid(dir.remove_dir(name), "remove_dir");
            invalid(dir.remove_tree(name), "remove_tree");
            invalid(dir.rename("x", &dir, name), "rename");
            invalid(dir.rename_noreplace(name, &dir, "x"), "rename_noreplace");
            invalid(dir.exchange("x", &dir, name), "exchange");
        }
    }

    #[test]
    fn links_are_never_followed() {
        let (temp, dir) = root();
        let outside = tempfile::tempdir().unwrap();
        dir.create_file("file", FileMode::Plain).unwrap();
        dir.symlink(outside.path(), "dir").unwrap();
        dir.symlink("file", "link").unwrap();
        assert_eq!(dir.open_dir("dir").unwrap_err().kind(), io::ErrorKind::NotADirectory);
        assert_eq!(dir.open_file("link").unwrap_err().kind(), io::ErrorKind::InvalidInput);
        assert_eq!(dir.open_or_create_file("link", FileMode::Plain).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        assert_eq!(dir.create_file("link", FileMode::Plain).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(dir.kind("link").unwrap(), Some(Kind::Symlink));
        assert_eq!(dir.read_link("link").unwrap(), "file");
        for path in ["dir", "dir/", "dir/."] {
            let error = Dir::open(&temp.path().join(path)).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::NotADirectory, "{path}");
        }
    }

    #[test]
    fn only_regular_files_open() {
        let (temp, dir) = root();
        dir.create_dir("dir").unwrap();
        rustix::fs::mknodat(dir.fd(), "pipe", FileType::Fifo, Mode::RWXU, 0).unwrap();
        drop(std::os::unix::net::UnixListener::bind(temp.path().join("socket")).unwrap());
        for name in ["dir", "pipe", "socket"] {
            assert_eq!(dir.open_file(name).unwrap_err().kind(), io::ErrorKind::InvalidInput, "{name}");
        }
        assert_eq!(dir.kind("pipe").unwrap(), Some(Kind::Special));
        assert_eq!(dir.kind("missing").unwrap(), None);
    }

    #[test]
    fn a_setgid_directory_passes_the_bit_on() {
        let (temp, dir) = root();
        std::fs::set_permissions(temp.path(), std::fs::Permissions::from_mode(0o2775)).unwrap();
        dir.create_dir("sub").unwrap();
        dir.create_file("run", FileMode::Executable).unwrap();
        dir.create_file("text", FileMode::Plain).unwrap();
        let mode = |name| std::fs::metadata(temp.path().join(name)).unwrap().mode() & 0o7777;
        assert_eq!((mode("sub"), mode("run"), mode("text")), (0o2755, 0o755, 0o644));
    }

    #[test]
    fn a_masked_mode_is_set_afterwards() {
        let (temp, dir) = root();
        let made = rustix::fs::openat(dir.fd(), "masked", OFlags::CREATE | OFlags::WRONLY, Mode::from_raw_mode(0o600))
            .unwrap();
        let mut umask = Umask::unknown();
        settle(&made, FileMode::Executable.bits(), &mut umask).unwrap();
        assert_eq!(std::fs::metadata(temp.path().join("masked")).unwrap().mode() & 0o7777, 0o755);
        assert!(umask.passes.is_empty(), "a masked bit was taken for one that passes");
    }

    #[test]
    fn an_unnamed_file_reads_back_and_leaves_no_name() {
        let (_temp, dir) = root();
        let mut file = dir.unnamed_file().unwrap();
        file.write_all(b"bytes").unwrap();
        file.rewind().unwrap();
        let mut read = String::new();
        file.read_to_string(&mut read).unwrap();
        assert_eq!(read, "bytes");
        assert_eq!(dir.entries().unwrap().count(), 0);
    }

    #[test]
    fn a_lock_file_is_made_once_and_opened_again() {
        let (_temp, dir) = root();
        dir.open_or_create_file("lock", FileMode::Plain).unwrap().write_all(b"holder").unwrap();
        let mut holder = String::new();
        dir.open_or_create_file("lock", FileMode::Plain).unwrap().read_to_string(&mut holder).unwrap();
        assert_eq!(holder, "holder");
    }

    #[test]
    fn names_move_and_swap_between_directories() {
        let (_temp, dir) = root();
        let sub = dir.create_dir("sub").unwrap();
        dir.create_dir("old").unwrap().create_file("1", FileMode::Plain).unwrap();
        sub.create_dir("new").unwrap().create_file("2", FileMode::Plain).unwrap();
        dir.exchange("old", &sub, "new").unwrap();
        assert_eq!(dir.open_dir("old").unwrap().kind("2").unwrap(), Some(Kind::File));
        assert_eq!(sub.open_dir("new").unwrap().kind("1").unwrap(), Some(Kind::File));
        let taken = dir.rename_noreplace("old", &sub, "new").unwrap_err();
        assert_eq!(taken.kind(), io::ErrorKind::AlreadyExists);
        dir.rename("old", &sub, "moved").unwrap();
        sub.sync().unwrap();
        let mut names: Vec<_> = sub.entries().unwrap().map(Result::unwrap).collect();
        names.sort_by(|a, b| a.0.cmp(&b.0));
        assert_eq!(names, [("moved".into(), Kind::Directory), ("new".into(), Kind::Directory)]);
    }
}
