//! The `name` of a package, and the folder it stands for.

use tarball::PackageName;

/// Words of package names.
pub const WORDS: &[&str] = &["@", "/", "-dynamic", "node_modules", "favicon.ico", "..", "~", "%2f"];

/// Longest name npm takes.
const NAME_MAX: usize = 214;

/// Compares what is taken with npm's rules, and looks at the folder.
pub fn target(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let parsed = PackageName::parse(text);
    assert_eq!(parsed.is_ok(), is_name(text), "{text:?}: {parsed:?}");
    let Ok(name) = parsed else { return };
    assert_eq!(name.as_str(), text);

    let folder = name.destination();
    let folder = folder.as_str();
    assert!(!folder.starts_with('.') && folder.len() <= 255, "{folder:?}");
    assert!(folder.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'/' | b'\\')), "{folder:?}");
    // A scope becomes part of the name before its end is looked at.
    let flat = text.trim_start_matches('@').replace('/', "-");
    assert_eq!(folder, format!("{}-dynamic", flat.strip_suffix("-dynamic").unwrap_or(&flat)), "{text:?}");
    if folder.len() <= NAME_MAX {
        let again = PackageName::parse(folder).expect("a folder's name is a package's name");
        assert_eq!(again.destination().as_str(), folder);
    }
}

/// Names with and without scope, right and wrong ones, and the longest.
pub fn seeds() -> Vec<Vec<u8>> {
    let names = [
        "hello",
        "@acme/x",
        "butler.test-dynamic",
        "@a/b-dynamic",
        "a~b_c.d",
        "Hello",
        "@A/b",
        "@a/",
        "@/a",
        "@a/b/c",
        "@a",
        ".x",
        "_x",
        "a..b",
        "@.a/b",
        "@a/.b",
        "node_modules",
        "favicon.ico",
        "a b",
        "a%2fb",
        "é",
        "",
    ];
    let longest = [214, 215].map(|len| "a".repeat(len));
    names.into_iter().map(str::to_owned).chain(longest).map(String::into_bytes).collect()
}

fn is_name(text: &str) -> bool {
    let is_part = |part: &str| {
        !part.is_empty()
            && !part.starts_with(['.', '_'])
            && part.bytes().all(|b| b"abcdefghijklmnopqrstuvwxyz0123456789-._~".contains(&b))
            && !part.contains("..")
    };
    text.len() <= NAME_MAX
        && match text.strip_prefix('@').map(|scoped| scoped.split('/').collect::<Vec<_>>()) {
            Some(parts) => parts.len() == 2 && parts.into_iter().all(is_part),
            None => is_part(text) && text != "node_modules" && text != "favicon.ico",
        }
}
