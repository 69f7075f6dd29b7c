//! Other programs that unpack the same archives.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::list;

/// Who reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reader {
    GnuTar,
    BsdTar,
    Python,
}

impl Reader {
    /// Whether two trees have the same at a path. Python gives a hard link's mode to the file.
    pub(super) fn agrees(self, ours: Option<&String>, theirs: Option<&String>) -> bool {
        let content = |shown: &String| shown.trim_end_matches(EXECUTABLE).to_owned();
        ours == theirs || self == Self::Python && ours.map(content) == theirs.map(content)
    }
}

/// What stands behind the content of a file with any execute bit.
const EXECUTABLE: &str = " executable";

/// Paths in the plugin, and what is there.
pub(super) type Seen = BTreeMap<String, String>;

/// Unpacks each archive of a folder into one beside it, in one process: starting an interpreter takes longer than that.
const PYTHON: &str = "
import sys, tarfile
for archive in sys.argv[1:]:
    try:
        with tarfile.open(archive, 'r:gz') as tar:
            tar.extractall(archive + '.python', filter='fully_trusted')
    except Exception as error:
        print(archive, repr(error), file=sys.stderr)
";

/// A folder of archives. What comes of each is compared, not what a program says about it.
pub(super) struct Readers {
    folder: tempfile::TempDir,
    archives: usize,
}

impl Readers {
    pub(super) fn new() -> Self {
        let memory = Path::new("/dev/shm");
        let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        Self { folder: folder.unwrap(), archives: 0 }
    }

    /// Adds an archive and returns its number.
    #[expect(clippy::disallowed_methods, reason = "a plain file for other programs to read")]
    pub(super) fn add(&mut self, artifact: &[u8]) -> usize {
        let number = self.archives;
        self.archives += 1;
        std::fs::write(self.path(number), artifact).unwrap();
        number
    }

    /// What each of the readers made of each archive.
    pub(super) fn read(&self) -> [(Reader, Vec<Seen>); 3] {
        [
            (Reader::GnuTar, self.unpacked_by("tar")),
            (Reader::BsdTar, self.unpacked_by("bsdtar")),
            (Reader::Python, self.unpacked_by_python()),
        ]
    }

    fn path(&self, number: usize) -> PathBuf {
        self.folder.path().join(format!("{number}.tgz"))
    }

    fn unpacked_by(&self, program: &str) -> Vec<Seen> {
        (0..self.archives)
            .map(|number| {
                let into = self.folder(number, program);
                let mut command = Command::new(program);
                command.args(["-x", "-p", "-z", "--no-same-owner", "-f"]).arg(self.path(number)).arg("-C").arg(&into);
                run(command);
                seen(&into)
            })
            .collect()
    }

    fn unpacked_by_python(&self) -> Vec<Seen> {
        let archives: Vec<_> = (0..self.archives).collect();
        // A command line has an end.
        for some in archives.chunks(1000) {
            let mut python = Command::new("python3");
            python.args(["-c", PYTHON]).args(some.iter().map(|number| self.path(*number)));
            run(python);
        }
        archives.into_iter().map(|number| seen(&self.folder(number, "python"))).collect()
    }

    #[expect(clippy::disallowed_methods, reason = "a plain folder for other programs to fill")]
    fn folder(&self, number: usize, suffix: &str) -> PathBuf {
        let folder = self.path(number).with_extension(format!("tgz.{suffix}"));
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }
}

fn run(mut command: Command) {
    // Names are UTF-8 to all of them then.
    command.env("LC_ALL", "C.UTF-8").stdout(Stdio::null()).stderr(Stdio::null());
    command.status().unwrap_or_else(|error| panic!("`{}`: {error}", command.get_program().display()));
}

/// What is in `package`, and removes it: it may be large.
#[expect(clippy::disallowed_methods, reason = "folders of other programs")]
fn seen(folder: &Path) -> Seen {
    run({
        // A folder may have been unpacked so that nobody may look into it.
        let mut chmod = Command::new("chmod");
        chmod.args(["-R", "u+rwX"]).arg(folder);
        chmod
    });
    let mut listed = BTreeMap::new();
    if folder.join("package").is_dir() {
        list(&folder.join("package"), "", &mut listed);
    }
    std::fs::remove_dir_all(folder).unwrap();
    listed.into_iter().map(|(path, shown)| (path, comparable(&shown))).collect()
}

/// Without modes, but for whether a file may be executed at all.
pub(super) fn comparable(shown: &str) -> String {
    match shown.rsplit_once(' ') {
        _ if shown.ends_with('/') => "folder".to_owned(),
        Some((content, mode)) if !content.starts_with("->") => {
            let executable = u32::from_str_radix(mode, 8).unwrap() & 0o111 != 0;
            format!("{content}{}", if executable { EXECUTABLE } else { "" })
        }
        _ => shown.to_owned(),
    }
}
