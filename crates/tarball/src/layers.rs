//! What lower layers have put on disk gives way to what is above them.

use std::io;

use crate::dir::Kind;
use crate::links::Links;
use crate::tree::Tree;
use crate::walk::{Step, Walk};
use crate::whiteout::Part;

/// Removes this part of what is at `place`, the empty place being the whole tree, except what is to be kept and the
/// folders above that.
pub(crate) fn clear(
    tree: &mut Tree<'_>,
    links: &mut Links,
    place: &str,
    part: Part,
    kept: impl Fn(&str) -> bool,
) -> io::Result<()> {
    if part != Part::Other {
        links.forget_below(place, &kept);
    }
    let goes = part != Part::Content && !kept(place);
    if goes {
        links.forget(place);
    }
    match (tree.kind(place)?, part) {
        (None, _) | (Some(Kind::Directory), Part::Other) => {}
        (Some(Kind::Directory), Part::Whole | Part::Content) => {
            let mut walk = Walk::below(place, tree)?;
            while let Some(step) = walk.next(tree)? {
                match step {
                    Step::Left(path) | Step::Found(path) if kept(path) => {}
                    Step::Left(path) => tree.remove_if_empty(path)?,
                    Step::Found(path) => tree.remove_file(path)?,
                }
            }
            if goes {
                tree.remove_if_empty(place)?;
            }
        }
        (Some(_), _) if goes => tree.remove_file(place)?,
        (Some(_), _) => {}
    }
    Ok(())
}
