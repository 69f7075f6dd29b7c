//! A file that others read at any time, written anew: they find the old one or the new one, whole.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// Everybody may read it, as the portal is another user.
const MODE: u32 = 0o644;

/// Puts a file with these bytes in the place of the file at `path`, a link itself included. A device or a pipe is left: it
/// is the machine's, or somebody reads from it; so is a link to another folder, as those in `/dev` to a process's streams.
#[expect(clippy::disallowed_methods, reason = "the operator names the file, and nothing hostile lies beside it")]
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidFilename)?;
    if fs::metadata(path).is_ok_and(|found| !found.is_file()) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "expected a file or nothing there, found something else",
        ));
    }
    if fs::read_link(path).is_ok_and(|target| target.components().count() > 1) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "expected a file or nothing there, found a link to another folder",
        ));
    }
    let beside = path.with_file_name(format!(".{}.{}", name.to_string_lossy(), std::process::id()));
    // A run that was killed may have left it: in containers the number is often the same.
    drop(fs::remove_file(&beside));
    let written = write_new(&beside, bytes).and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        drop(fs::remove_file(&beside));
    }
    written
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(MODE).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test works with paths")]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn file_or_link_is_replaced_and_nothing_is_left_beside() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("other"), "untouched").unwrap();
        symlink("other", at("report")).unwrap();
        fs::write(at(&format!(".report.{}", std::process::id())), "left").unwrap();
        for text in ["first", "2"] {
            replace(&at("report"), text.as_bytes()).unwrap();
            assert!(at("report").symlink_metadata().unwrap().is_file());
            assert_eq!(fs::read_to_string(at("report")).unwrap(), text);
        }
        assert_eq!(fs::read_to_string(at("other")).unwrap(), "untouched");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn what_cannot_be_replaced_is_left_and_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let taken = folder.path().join("taken");
        fs::create_dir(&taken).unwrap();
        replace(&taken, b"x").unwrap_err();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        replace(&folder.path().join("none/report"), b"x").unwrap_err();
        replace(Path::new("/"), b"x").unwrap_err();
    }

    #[test]
    fn device_or_pipe_is_left_and_a_link_to_one() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let _listener = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        symlink("/dev/null", at("device")).unwrap();
        symlink("socket", at("link")).unwrap();
        for name in ["socket", "device", "link"] {
            let before = at(name).symlink_metadata().unwrap().file_type();
            replace(&at(name), b"x").unwrap_err();
            assert_eq!(at(name).symlink_metadata().unwrap().file_type(), before, "{name}");
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
    }

    #[test]
    fn link_to_another_folder_is_left_as_a_stream_of_a_process_is_one() {
        let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (link, file) = (folder.path().join("stdout"), other.path().join("redirected"));
        fs::write(&file, "log").unwrap();
        symlink(&file, &link).unwrap();
        replace(&link, b"x").unwrap_err();
        assert_eq!((fs::read_link(&link).unwrap(), fs::read_to_string(&file).unwrap()), (file, "log".to_owned()));
    }
}
