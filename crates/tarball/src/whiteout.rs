//! Whiteouts: how a layer says that something of the layers below it is gone.

use crate::EntryPath;
use crate::entry_path::split;
use crate::error::Unsafe;
use crate::reader::EntryKind;

/// What marks a name (OCI image specification, "Image Layer Filesystem Changeset", "Whiteouts").
const PREFIX: &str = ".wh.";
/// The name that makes its folder opaque.
const OPAQUE: &str = ".wh..wh..opq";

/// What a layer hides of those below it, by its path in the image; the empty path is all of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Whiteout {
    pub(crate) path: String,
    pub(crate) part: Part,
}

/// How much of what is at a path gives way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// What is there, unless it is a folder.
    Other,
    /// What is there, and all below it.
    Whole,
    /// What is below it.
    Content,
}

impl Whiteout {
    /// What an entry hides, if it is a whiteout.
    pub(crate) fn of(path: &EntryPath, kind: &EntryKind) -> Result<Option<Self>, Unsafe> {
        let (parent, name) = split(path.as_str());
        if parent.split('/').any(|name| name.starts_with(PREFIX)) {
            return Err(Unsafe::Whiteout);
        }
        let Some(hidden) = name.strip_prefix(PREFIX) else { return Ok(None) };
        if !matches!(kind, EntryKind::File { len: 0, .. }) {
            return Err(Unsafe::Whiteout);
        }
        if name == OPAQUE {
            return Ok(Some(Self { path: parent.to_owned(), part: Part::Content }));
        }
        // No file has such a name, and `..` would hide what is above the folder.
        if matches!(hidden, "" | "." | "..") || hidden.starts_with(PREFIX) {
            return Err(Unsafe::Whiteout);
        }
        let path = if parent.is_empty() { hidden.to_owned() } else { format!("{parent}/{hidden}") };
        Ok(Some(Self { path, part: Part::Whole }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;

    const EMPTY: EntryKind = EntryKind::File { executable: false, len: 0 };

    fn of(path: &str, kind: &EntryKind) -> Result<Option<(String, Part)>, Unsafe> {
        let path = EntryPath::parse(path.as_bytes(), &Limits::default()).unwrap();
        Whiteout::of(&path, kind).map(|found| found.map(|whiteout| (whiteout.path, whiteout.part)))
    }

    #[test]
    fn an_empty_file_with_the_prefix_hides_its_neighbour_or_its_folder() {
        for (path, hidden) in [
            ("a", None),
            ("a.wh.", None),
            ("a/.wha", None),
            (".wh.a", Some(("a", Part::Whole))),
            ("./d/.wh.a", Some(("d/a", Part::Whole))),
            ("d/.wh....", Some(("d/...", Part::Whole))),
            ("d/e/.wh..wh..opq", Some(("d/e", Part::Content))),
            (".wh..wh..opq", Some(("", Part::Content))),
        ] {
            let hidden = hidden.map(|(path, part)| (path.to_owned(), part));
            assert_eq!(of(path, &EMPTY), Ok(hidden), "{path}");
        }
    }

    #[test]
    fn everything_else_with_the_prefix_is_refused() {
        for path in [".wh.", ".wh..", ".wh...", "d/.wh...", ".wh..wh.plnk", ".wh..wh..opq2", ".wh.d/x", "d/.wh.e/f/g"] {
            assert_eq!(of(path, &EMPTY), Err(Unsafe::Whiteout), "{path}");
        }
        for kind in [
            EntryKind::File { executable: false, len: 1 },
            EntryKind::Directory,
            EntryKind::Symlink { target: b"x".to_vec() },
            EntryKind::HardLink { target: b"x".to_vec() },
        ] {
            for path in ["d/.wh.x", "d/.wh..wh..opq"] {
                assert_eq!(of(path, &kind), Err(Unsafe::Whiteout), "{path}: {kind:?}");
            }
        }
    }
}
