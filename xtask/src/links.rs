//! Links in Markdown: where they stand, where they lead, and which headings they may name.

use std::collections::{BTreeMap, BTreeSet};

/// What the inline links `[text](target)` of a line point to.
pub(crate) fn targets(line: &str) -> impl Iterator<Item = &str> {
    line.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next())
}

/// Whether the target is a file of this repository.
pub(crate) fn is_local(target: &str) -> bool {
    !target.starts_with('#') && !target.contains("://") && !target.starts_with("mailto:")
}

/// The path from the top of the workspace that a link in `file` means.
pub(crate) fn resolve(file: &str, target: &str) -> String {
    let mut path: Vec<_> = file.split('/').collect();
    path.pop();
    for component in target.trim_end_matches('/').split('/') {
        match component {
            "." => {}
            ".." => drop(path.pop()),
            name => path.push(name),
        }
    }
    path.join("/")
}

/// The lines that are not part of a block of code, with their numbers.
pub(crate) fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut is_code = false;
    text.lines().enumerate().filter_map(move |(index, line)| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        (!is_code && !is_fence).then_some((index + 1, line))
    })
}

/// The names of a page's headings, as forges and mdBook make them.
pub(crate) fn anchors(text: &str) -> BTreeSet<String> {
    let mut seen = BTreeMap::new();
    let mut anchors = BTreeSet::new();
    for (_, line) in prose(text).filter(|(_, line)| line.starts_with('#')) {
        let name = anchor(line.trim_start_matches('#').trim());
        let count = seen.entry(name.clone()).or_insert(0);
        anchors.insert(if *count == 0 { name } else { format!("{name}-{count}") });
        *count += 1;
    }
    anchors
}

fn anchor(heading: &str) -> String {
    // Of a link, its text is what counts.
    let text = heading.split("](").enumerate().map(|(at, part)| match part.split_once(')') {
        Some((_, after)) if at > 0 => after,
        _ => part,
    });
    let kept = text.flat_map(str::chars).filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.flat_map(char::to_lowercase).map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_are_named_as_forges_do() {
        for (heading, name) in [
            ("The log", "the-log"),
            ("`butler-plugin-installer check`", "butler-plugin-installer-check"),
            ("What happens if…", "what-happens-if"),
            ("What to pin, and what to allow", "what-to-pin-and-what-to-allow"),
            ("See [the rules](rules.md) twice", "see-the-rules-twice"),
            ("snake_case", "snake_case"),
        ] {
            assert_eq!(anchor(heading), name, "{heading}");
        }
    }

    #[test]
    fn a_heading_that_comes_again_is_counted_and_code_has_none() {
        let text = "# One\n```sh\n# two\n```\n## One\n";
        assert_eq!(anchors(text).into_iter().collect::<Vec<_>>(), ["one", "one-1"]);
    }
}
