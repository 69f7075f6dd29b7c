//! Removing a tree that may be anything: deep, read-only, full of links.

use std::ffi::{OsStr, OsString};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use rustix::fs::{Access, AtFlags, FileType, Mode, OFlags, RawDir, SeekFrom};
use rustix::io::Errno;

use crate::Dir;
use crate::dir::{Kind, component};

/// Bytes of names read from a directory at once.
const NAMES: usize = 8 * 1024;

impl Dir {
    /// Removes `name` and everything below it; nothing of that name is success.
    ///
    /// No link is followed, nothing that is mounted in it is entered, directories that their owner may not write are made
    /// writable, and at most three handles are open at a time however deep the tree is.
    ///
    /// # Errors
    /// What the system answers, after as much was removed as came before it.
    pub fn remove_tree(&self, name: impl AsRef<OsStr>) -> io::Result<()> {
        let name = component(name.as_ref())?;
        match self.kind(name)? {
            None => return Ok(()),
            Some(Kind::Directory) => {}
            Some(Kind::File | Kind::Symlink | Kind::Special) => return gone(self.remove_file(name)),
        }
        let mut here = self.open_writable(name)?;
        let mut above: Vec<(FileId, OsString)> = Vec::new();
        loop {
            if let Some(sub) = here.remove_files()? {
                let below = here.open_writable(&sub)?;
                above.push((here.id()?, sub));
                here = below;
            } else if let Some((id, sub)) = above.pop() {
                here = here.parent(id)?;
                gone(here.remove_dir(&sub))?;
            } else {
                return gone(self.remove_dir(name));
            }
        }
    }

    /// Makes sure that a subdirectory can be moved to another parent: that changes its `..`, and so takes write
    /// permission on itself.
    ///
    /// # Errors
    /// What the system answers, [`io::ErrorKind::PermissionDenied`] when it is somebody else's.
    pub fn make_movable(&self, name: impl AsRef<OsStr>) -> io::Result<()> {
        let dir = self.open_writable(component(name.as_ref())?)?;
        let wanted = Access::WRITE_OK | Access::EXEC_OK;
        Ok(rustix::fs::accessat(dir.fd(), ".", wanted, AtFlags::empty())?)
    }

    /// Removes all that is no directory, until a directory is met or nothing is left.
    fn remove_files(&self) -> io::Result<Option<OsString>> {
        let mut names = [MaybeUninit::uninit(); NAMES];
        loop {
            let mut removed = false;
            rustix::fs::seek(self.fd(), SeekFrom::Start(0))?;
            let mut entries = RawDir::new(self.fd(), &mut names);
            while let Some(entry) = entries.next() {
                let entry = entry?;
                let name = entry.file_name().to_bytes();
                if matches!(name, b"." | b"..") {
                    continue;
                }
                let directory = match entry.file_type() {
                    FileType::Unknown => self.kind(OsStr::from_bytes(name))? == Some(Kind::Directory),
                    known => known == FileType::Directory,
                };
                if directory {
                    return Ok(Some(OsString::from_vec(name.to_vec())));
                }
                gone(rustix::fs::unlinkat(self.fd(), entry.file_name(), AtFlags::empty()).map_err(io::Error::from))?;
                removed = true;
            }
            // Some file systems skip names when others are removed meanwhile: only a pass without finds is the end.
            if !removed {
                return Ok(None);
            }
        }
    }

    /// Opens a subdirectory and lets its owner list, enter and change it.
    fn open_writable(&self, name: &OsStr) -> io::Result<Self> {
        let dir = match self.open_dir(name) {
            Err(error) if Errno::from_io_error(&error) == Some(Errno::ACCESS) => {
                self.unlock(name)?;
                self.open_dir(name)?
            }
            opened => opened?,
        };
        let found = rustix::fs::fstat(dir.fd())?;
        if found.st_dev != rustix::fs::fstat(self.fd())?.st_dev {
            // Somebody has mounted something here: what it holds is not ours to change.
            return Err(Errno::XDEV.into());
        }
        let mode = Mode::from_raw_mode(found.st_mode);
        if !mode.contains(Mode::RWXU) {
            // Not ours: the removal below says so better than this call would.
            let _ = rustix::fs::fchmod(dir.fd(), mode | Mode::RWXU);
        }
        Ok(dir)
    }

    /// Sets the mode of a directory that may not even be opened. The change goes to the inode that was found to be a
    /// directory, by its handle; by name it could hit what a link points to.
    fn unlock(&self, name: &OsStr) -> io::Result<()> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let handle = rustix::fs::openat(self.fd(), name, flags, Mode::empty())?;
        Ok(rustix::fs::chmod(format!("/proc/self/fd/{}", handle.as_raw_fd()), Mode::RWXU)?)
    }

    /// The directory above, provided that it is the one we came from.
    fn parent(&self, expected: FileId) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let parent = Self::from_fd(rustix::fs::openat(self.fd(), "..", flags, Mode::empty())?);
        if parent.id()? == expected {
            Ok(parent)
        } else {
            Err(io::Error::other("the directory was moved while it was being removed"))
        }
    }

    fn id(&self) -> io::Result<FileId> {
        let stat = rustix::fs::fstat(self.fd())?;
        Ok(FileId { device: stat.st_dev, inode: stat.st_ino })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FileId {
    device: u64,
    inode: u64,
}

/// What someone else has removed already is removed.
fn gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FileMode;

    fn root() -> (tempfile::TempDir, Dir) {
        let temp = tempfile::tempdir().unwrap();
        let dir = Dir::open(temp.path()).unwrap();
        (temp, dir)
    }

    #[test]
    fn missing_names_files_and_links_are_removed_alike() {
        let (_temp, dir) = root();
        dir.create_file("file", FileMode::Plain).unwrap();
        dir.symlink("/etc", "link").unwrap();
        for name in ["missing", "file", "link"] {
            dir.remove_tree(name).unwrap();
        }
        assert_eq!(dir.entries().unwrap().count(), 0);
    }

    #[test]
    fn what_links_point_to_stays() {
        let (_temp, dir) = root();
        let kept = dir.create_dir("kept").unwrap();
        kept.create_file("file", FileMode::Plain).unwrap();
        let tree = dir.create_dir("tree").unwrap();
        tree.symlink("../kept", "link").unwrap();
        tree.create_dir("sub").unwrap().symlink("../../kept/file", "link").unwrap();
        dir.remove_tree("tree").unwrap();
        assert_eq!(kept.kind("file").unwrap(), Some(Kind::File));
        assert_eq!(dir.kind("tree").unwrap(), None);
    }

    #[test]
    fn what_is_mounted_in_a_tree_is_neither_entered_nor_removed() {
        let (temp, dir) = root();
        dir.create_dir("tree").unwrap().create_dir("sub").unwrap();
        let at = temp.path().join("tree/sub");
        let mount = |program: &str, arguments: &[&str]| {
            let mut command = std::process::Command::new(program);
            command.args(arguments).arg(&at).stderr(std::process::Stdio::null());
            command.status().is_ok_and(|status| status.success())
        };
        if !mount("mount", &["-t", "tmpfs", "none"]) {
            println!("skipped: nothing can be mounted here");
            return;
        }
        dir.open_dir("tree").unwrap().open_dir("sub").unwrap().create_file("precious", FileMode::Plain).unwrap();
        let error = dir.remove_tree("tree").unwrap_err();
        let kept = dir.open_dir("tree").unwrap().open_dir("sub").unwrap().kind("precious").unwrap();
        assert!(mount("umount", &[]));
        assert_eq!((error.kind(), kept), (io::ErrorKind::CrossesDevices, Some(Kind::File)));
    }

    #[test]
    fn directories_that_nobody_may_enter_are_removed() {
        let (_temp, dir) = root();
        let tree = dir.create_dir("tree").unwrap();
        for mode in [0o000, 0o100, 0o400, 0o555] {
            let name = format!("{mode:03o}");
            let sub = tree.create_dir(&name).unwrap();
            sub.create_file("file", FileMode::Plain).unwrap();
            sub.create_dir("deeper").unwrap().create_file("file", FileMode::Plain).unwrap();
            rustix::fs::fchmod(sub.fd(), Mode::from_raw_mode(mode)).unwrap();
        }
        rustix::fs::fchmod(tree.fd(), Mode::from_raw_mode(0o555)).unwrap();
        dir.remove_tree("tree").unwrap();
        assert_eq!(dir.kind("tree").unwrap(), None);
    }

    #[test]
    fn a_tree_deeper_than_any_path_and_wider_than_one_read_is_removed() {
        let (_temp, dir) = root();
        let mut here = dir.create_dir("tree").unwrap();
        for n in 0..700 {
            here.create_file(format!("a file with quite a long name, number {n}"), FileMode::Plain).unwrap();
            here.create_dir(format!("directory {n}")).unwrap();
        }
        for _ in 0..3000 {
            here = here.create_dir("deep").unwrap();
        }
        dir.remove_tree("tree").unwrap();
        assert_eq!(dir.kind("tree").unwrap(), None);
    }
}
