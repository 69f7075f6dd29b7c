//! Going through a tree that we have made, whatever its depth, without a handle for each level.

use std::io;

use crate::Dir;
use crate::dir::Kind;
use crate::tree::Tree;

/// A walk through all that is below a folder, names in the order of their bytes. Names that go while it is under way must be those it has told last.
#[derive(Debug)]
pub(crate) struct Walk {
    path: String,
    pending: Vec<Pending>,
}

/// A name that was listed and not told. `above` is the length of its folder's path, which begins the current one.
#[derive(Debug)]
struct Pending {
    above: usize,
    name: Box<str>,
    stage: Stage,
}

#[derive(Debug, Clone, Copy)]
enum Stage {
    Folder,
    Left,
    Other,
}

/// What a walk comes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step<'w> {
    /// All below this folder was told.
    Left(&'w str),
    /// Something that is no folder.
    Found(&'w str),
}

impl Walk {
    /// Through what is below the folder at `top`.
    pub(crate) fn below(top: &str, tree: &mut Tree<'_>) -> io::Result<Self> {
        let mut walk = Self { path: top.to_owned(), pending: Vec::new() };
        walk.list(tree)?;
        Ok(walk)
    }

    /// The next step; `None` at the end.
    pub(crate) fn next(&mut self, tree: &mut Tree<'_>) -> io::Result<Option<Step<'_>>> {
        while let Some(Pending { above, name, stage }) = self.pending.pop() {
            self.path.truncate(above);
            if above > 0 {
                self.path.push('/');
            }
            self.path.push_str(&name);
            match stage {
                Stage::Folder => {
                    self.pending.push(Pending { above, name, stage: Stage::Left });
                    self.list(tree)?;
                }
                Stage::Left => return Ok(Some(Step::Left(&self.path))),
                Stage::Other => return Ok(Some(Step::Found(&self.path))),
            }
        }
        Ok(None)
    }

    fn list(&mut self, tree: &mut Tree<'_>) -> io::Result<()> {
        let (above, from) = (self.path.len(), self.pending.len());
        for entry in tree.dir(&self.path).and_then(Dir::entries)? {
            let (name, kind) = entry?;
            let name = name.into_string().map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?.into_boxed_str();
            let stage = if kind == Kind::Directory { Stage::Folder } else { Stage::Other };
            self.pending.push(Pending { above, name, stage });
        }
        tree.count_listed(self.pending.len() - from);
        self.pending[from..].sort_unstable_by(|a, b| b.name.cmp(&a.name));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FileMode;

    #[test]
    fn each_folder_is_left_after_all_that_is_in_it() {
        let temp = tempfile::tempdir().unwrap();
        let root = Dir::open(temp.path()).unwrap();
        let mut tree = Tree::new(&root);
        let deep = vec!["d"; 40].join("/");
        for path in ["f", "a/f", "a/b/f", &format!("{deep}/f")] {
            tree.make_file(path, FileMode::Plain).unwrap();
        }
        tree.make_dir("empty").unwrap();
        for (top, count) in [("", 4 + 2 + 40 + 1), ("a", 3), ("empty", 0)] {
            let mut walk = Walk::below(top, &mut tree).unwrap();
            let mut told: Vec<String> = Vec::new();
            while let Some(step) = walk.next(&mut tree).unwrap() {
                let (Step::Left(path) | Step::Found(path)) = step;
                let below = format!("{path}/");
                assert_eq!(matches!(step, Step::Found(_)), path.ends_with('f'), "{path}");
                assert!(told.iter().all(|before| !path.starts_with(&format!("{before}/"))), "{below} came too late");
                told.push(path.to_owned());
            }
            assert_eq!(told.len(), count, "{top}: {told:?}");
            if top == "a" {
                assert_eq!(told, ["a/b/f", "a/b", "a/f"]);
            }
        }
    }
}
