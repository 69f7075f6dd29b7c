//! Trees that change while they are packed, and archives that cannot be written.

use std::io::{self, Write};

use tarball::{PackError, pack};

use super::packing;
use super::plot::{Plot, text};

/// Does something to the tree when so many bytes of the archive are written.
struct Meddling<F> {
    after: usize,
    meddle: Option<F>,
}

impl<F: FnOnce()> Write for Meddling<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.after = self.after.saturating_sub(bytes.len());
        if self.after == 0
            && let Some(meddle) = self.meddle.take()
        {
            meddle();
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn packed_while(plot: &Plot, after: usize, meddle: impl FnOnce()) -> Result<(), PackError> {
    let into = Meddling { after, meddle: Some(meddle) };
    pack(&[plot.folder("package")], into, &packing()).map(drop)
}

fn append(plot: &Plot, path: &str) {
    std::fs::File::options().append(true).open(plot.path(path)).unwrap().write_all(b"!").unwrap();
}

#[test]
fn a_file_that_changes_before_or_while_it_is_read_is_told() {
    type Meddle = fn(&Plot);
    let rows: [(&str, usize, Meddle); 7] = [
        ("grows before", 1, |plot| append(plot, "big")),
        ("grows meanwhile", 100_000, |plot| append(plot, "big")),
        ("shrinks meanwhile", 100_000, |plot| {
            std::fs::File::options().write(true).open(plot.path("big")).unwrap().set_len(1_200_000).unwrap();
        }),
        ("same length, other bytes", 100_000, |plot| {
            std::fs::File::options().write(true).open(plot.path("big")).unwrap().write_all(b"!").unwrap();
        }),
        ("replaced", 1, |plot| {
            let dir = plot.dir("");
            dir.create_file("new", tarball::FileMode::Plain).unwrap().write_all(&text(16_000_000, 1)).unwrap();
            dir.rename("new", &dir, "big").unwrap();
        }),
        ("replaced by a link", 1, |plot| {
            plot.dir("").remove_file("big").unwrap();
            plot.dir("").symlink("package.json", "big").unwrap();
        }),
        ("made executable", 1, |plot| {
            let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            std::fs::set_permissions(plot.path("big"), executable).unwrap();
        }),
    ];
    for (name, after, meddle) in rows {
        let plot = Plot::new().file("big", &text(16_000_000, 1));
        let error = packed_while(&plot, after, || meddle(&plot)).unwrap_err();
        assert!(matches!(&error, PackError::Changed { path } if path == "package/big"), "{name}: {error}");
        assert_eq!(error.reason(), "io_error", "{name}");
    }
}

#[test]
fn a_file_that_is_gone_is_named() {
    let plot = Plot::new().file("dist/gone", b"x");
    let error = packed_while(&plot, 1, || plot.dir("dist").remove_file("gone").unwrap()).unwrap_err();
    assert_eq!((error.reason(), error.blame()), ("io_error", integrity::Blame::Host));
    assert_eq!(error.to_string(), "read `package/dist/gone`");
}

#[test]
fn a_manifest_that_is_not_the_one_that_was_shown_is_told() {
    let plot = Plot::new();
    let folder = plot.folder("package");
    let dir = plot.dir("");
    dir.remove_file("package.json").unwrap();
    let other = String::from_utf8(crate::MANIFEST.to_vec()).unwrap().replace("1.0.0", "1.0.1");
    let plot = plot.file("package.json", other.as_bytes());
    let error = pack(&[folder], Vec::new(), &packing()).map(drop).unwrap_err();
    assert!(matches!(error, PackError::Changed { .. }), "{error}");
    drop(plot);
}

#[test]
fn a_full_disk_is_told() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let error = pack(&[Plot::new().folder("package")], Full, &packing()).map(drop).unwrap_err();
    assert_eq!((error.reason(), error.blame()), ("io_error", integrity::Blame::Host));
    assert_eq!(error.hint().unwrap(), "make room on the volume");
}
