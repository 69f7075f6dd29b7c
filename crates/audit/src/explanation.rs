//! What each reason code means, in general; the `hint` of a record is about the one case.

use std::fmt::Write as _;

/// Blocks of a code, whose move it is, what happened and what to do; a line with `= ` opens a group. One text is
/// smaller in a program than a table of its pieces.
const REASONS: &str = include_str!("reasons.txt");

/// A reason code of the log, explained to whoever reads it there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Explanation {
    /// The value of `reason=` or `cause=`.
    pub code: &'static str,
    /// What it belongs to, and behind a colon where it is written.
    pub group: &'static str,
    /// Names of [`Blame`](crate::Blame), with `or` between them where the record says which; or `nobody`.
    pub whose: &'static str,
    /// What happened.
    pub what: &'static str,
    /// What to do.
    pub fix: &'static str,
}

impl Explanation {
    /// All of them, group by group.
    ///
    /// ```
    /// let mut all = audit::Explanation::all();
    /// assert!(all.any(|explained| explained.code == "integrity_mismatch" && explained.whose == "operator"));
    /// ```
    pub fn all() -> impl Iterator<Item = Self> {
        let mut group = "";
        REASONS.split("\n\n").filter_map(move |block| {
            if let Some(title) = block.strip_prefix("= ") {
                group = title;
                return None;
            }
            let mut lines = block.lines();
            let mut next = || lines.next();
            Some(Self { code: next()?, group, whose: next()?, what: next()?, fix: next()? })
        })
    }
}

/// The reference page of all reason codes, in Markdown.
pub fn reasons_page() -> String {
    let mut page = "# Reasons\n\nWhat each `reason=` and `cause=` of the log means; `butler-plugin-installer explain REASON` says the \
        same. The `hint` of a line is about that one case, and comes first.\n\nWhose move it is, as in `blame=`:\n\n\
        | `blame=` | who that is |\n| --- | --- |\n\
        | `operator` | whoever writes the list and mounts secrets, CAs and volumes |\n\
        | `publisher` | whoever built or published the plugin |\n\
        | `network` | the network, or a server; trying again later may help |\n\
        | `host` | this machine: file system, kernel, limits |\n\
        | `bug` | us |\n"
        .to_owned();
    let mut group = "";
    for explained in Explanation::all() {
        if explained.group != group {
            group = explained.group;
            let (title, place) = group.split_once(": ").unwrap_or((group, ""));
            // Writing to a String cannot fail.
            let _ = write!(page, "\n## {title}\n\nWhere it stands: {place}.\n");
        }
        let Explanation { code, whose, what, fix, .. } = explained;
        let _ = write!(page, "\n### {code}\n\n{what}\n\n- Whose move: {whose}\n- What to do: {fix}\n");
    }
    page
}
