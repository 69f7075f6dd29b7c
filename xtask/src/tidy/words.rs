//! What no file may say: it would be true on one machine only.

use super::{Complaint, File};

/// Folders of some machine, and hosts of package registries, which each reader's own client knows better.
/// Every word is in two pieces, as this file must not complain about itself.
const FORBIDDEN: [(&str, &str); 9] = [
    ("/wor", "k/"),
    ("/roo", "t/"),
    ("/home", "/"),
    ("registry.npm", "js.org"),
    ("index.crates", ".io"),
    ("static.crates", ".io"),
    ("pypi", ".org"),
    ("pythonhosted", ".org"),
    ("deb.debian", ".org"),
];

/// The one file that may name one: where npm's packages are when nobody says so is a fact of the product.
const DEFAULT_REGISTRY: (&str, &str) = ("crates/fetch/src/npm/npmrc.rs", "npm");

/// Checks every line of every file.
pub(super) fn check(files: &[File]) -> Vec<Complaint> {
    files.iter().flat_map(check_file).collect()
}

fn check_file(file: &File) -> Vec<Complaint> {
    let words = FORBIDDEN.map(|(start, end)| start.to_owned() + end);
    let (path, name) = DEFAULT_REGISTRY;
    let is_forbidden = |word: &&String| file.path != path || !word.contains(name);
    let find = |(index, line): (usize, &str)| {
        let word = words.iter().filter(is_forbidden).find(|word| line.contains(word.as_str()))?;
        Some(Complaint::at(&file.path, index + 1, format!("`{word}` is true on one machine only")))
    };
    file.text.lines().enumerate().filter_map(find).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{file, shown};
    use super::*;

    #[test]
    fn each_forbidden_word_is_a_complaint_with_its_line() {
        for (start, end) in FORBIDDEN {
            let text = format!("fine\nsee {start}{end}x\n");
            assert_eq!(
                shown(&check(&[file("README.md", &text)])),
                [format!("README.md:2: `{start}{end}` is true on one machine only")]
            );
        }
        let host = FORBIDDEN[3].0.to_owned() + FORBIDDEN[3].1;
        assert!(check(&[file(DEFAULT_REGISTRY.0, &host)]).is_empty());
        assert_eq!(check(&[file("crates/fetch/src/npm.rs", &host)]).len(), 1);
        assert_eq!(check(&[file(DEFAULT_REGISTRY.0, &(FORBIDDEN[4].0.to_owned() + FORBIDDEN[4].1))]).len(), 1);
        assert!(check(&[file("README.md", "the root of `crates.io`, and /workspace\n")]).is_empty());
    }
}
