//! Every reason code that the programs can write is explained, and nothing else is.

use audit::Explanation;

use super::{Complaint, File};

/// Where the explanations are.
const EXPLAINED_IN: &str = "crates/audit/src/reasons.txt";
/// Functions that answer with codes.
const CODE_FUNCTIONS: [&str; 3] = ["fn reason(", "fn cause(", "fn code("];
/// What stands before a code elsewhere.
const LEADS: [&str; 5] = ["reason: ", "\"reason\", ", "tell_warning(", "Failure::new(", "of_operator("];
/// Crates whose errors carry the codes: a literal of several words is one there, unless it is named below.
const LIBRARIES: [&str; 9] =
    ["integrity", "source", "config", "tarball", "transport", "oci", "fetch", "install", "publish"];
/// Other literals of several words, by the end of their file's path.
const OTHER_WORDS: [(&str, &[&str]); 8] = [
    ("fetch/src/npm/npmrc.rs", &["npm_config_registry"]),
    ("install/src/state.rs", &["snake_case"]),
    ("oci/src/manifest.rs", &["x86_64"]),
    ("publish/src/push.rs", &["diff_ids"]),
    ("tarball/src/destination.rs", &["node_modules"]),
    ("tarball/src/layout.rs", &["node_modules"]),
    ("tarball/src/package_name.rs", &["node_modules"]),
    ("tarball/src/secret_file.rs", &["id_dsa", "id_ecdsa", "id_ecdsa_sk", "id_ed25519", "id_ed25519_sk", "id_rsa"]),
];

/// Compares the codes in the sources of the crates with those that are explained.
pub(super) fn check(files: &[File]) -> Vec<Complaint> {
    let known: Vec<_> = Explanation::all().map(|explained| explained.code).collect();
    compare(&known, files)
}

fn compare(known: &[&str], files: &[File]) -> Vec<Complaint> {
    let written: Vec<_> = files.iter().filter(|file| is_product(file)).flat_map(codes).collect();
    let unexplained = written
        .iter()
        .filter(|(_, _, code)| !known.contains(code))
        .map(|(path, line, code)| Complaint::at(path, *line, format!("`{code}` is not explained in `{EXPLAINED_IN}`")));
    let unwritten = known
        .iter()
        .filter(|code| !written.iter().any(|(_, _, written)| written == *code))
        .map(|code| Complaint::about(EXPLAINED_IN, format!("nothing says `{code}`")));
    unexplained.chain(unwritten).collect()
}

fn is_product(file: &File) -> bool {
    file.path.starts_with("crates/")
        && file.path.contains("/src/")
        && file.has_extension("rs")
        && !file.path.ends_with("/tests.rs")
}

/// Path, line and text of each code that a file has.
fn codes(file: &File) -> Vec<(&str, usize, &str)> {
    let is_library = file.path.split('/').nth(1).is_some_and(|name| LIBRARIES.contains(&name));
    let others = OTHER_WORDS.iter().find(|(end, _)| file.path.ends_with(end)).map_or(&[][..], |(_, words)| *words);
    let mut codes = Vec::new();
    // The indentation of the function with codes that we are in.
    let mut inside = None;
    let mut previous = "";
    for (number, line) in file.code_lines() {
        let indentation = line.len() - line.trim_start().len();
        if CODE_FUNCTIONS.iter().any(|function| line.contains(function)) {
            inside = Some(indentation);
        }
        for (before, literal) in literals(line) {
            let before = if before.trim().is_empty() { previous } else { before };
            let is_led = LEADS.iter().any(|lead| before.ends_with(lead.trim_end()) || before.ends_with(lead));
            let is_meant = inside.is_some() || is_led || is_library && literal.contains('_');
            if is_meant && looks_like_code(literal) && !others.contains(&literal) {
                codes.push((&*file.path, number, literal));
            }
        }
        if inside == Some(indentation) && line.trim() == "}" {
            inside = None;
        }
        previous = line.trim_end();
    }
    codes
}

/// Each literal of a line, with all that stands before it.
fn literals(line: &str) -> Vec<(&str, &str)> {
    let quotes: Vec<_> = line.match_indices('"').map(|(at, _)| at).collect();
    quotes.chunks_exact(2).filter_map(|pair| Some((line.get(..pair[0])?, line.get(pair[0] + 1..pair[1])?))).collect()
}

fn looks_like_code(literal: &str) -> bool {
    literal.starts_with(|c: char| c.is_ascii_lowercase())
        && literal.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::super::tests::{file, shown};
    use super::*;

    #[test]
    fn codes_that_are_not_explained_and_explanations_of_nothing_are_complaints() {
        let in_function =
            "impl E {\n    fn cause(&self) -> &str {\n        \"tls\"\n    }\n    fn x() { \"word\" }\n}\n";
        let rows: [(&str, &str, &[&str]); 9] = [
            ("crates/oci/src/a.rs", in_function, &["tls"]),
            ("crates/oci/src/a.rs", "fn x() { f(\"io_error\", \"word\", \"two words\") }", &["io_error"]),
            ("crates/installer/src/a.rs", "fn x() { f(\"io_error\") }", &[]),
            ("crates/installer/src/a.rs", "Warning { reason: \"retry\", detail: \"word\" }", &["retry"]),
            ("crates/installer/src/a.rs", "tell_warning(\n    \"retry\",\n    \"word\",\n)", &["retry"]),
            ("crates/install/src/state.rs", "#[serde(rename_all = \"snake_case\")]", &[]),
            ("crates/oci/src/tests.rs", in_function, &[]),
            ("crates/oci/src/a.rs", "#[cfg(test)]\nReason { reason: \"retry\" }", &[]),
            ("xtask/src/a.rs", in_function, &[]),
        ];
        for (path, text, expected) in rows {
            let files = [file(path, text)];
            let found = shown(&compare(&[], &files));
            assert_eq!(found.len(), expected.len(), "{path} {text}: {found:?}");
            for (found, code) in found.iter().zip(expected) {
                assert!(found.contains(&format!("`{code}` is not explained")), "{found}");
            }
            assert!(compare(expected, &files).is_empty(), "{path} {text}");
        }
        assert_eq!(shown(&compare(&["gone"], &[])), [format!("{EXPLAINED_IN}: nothing says `gone`")]);
    }
}
