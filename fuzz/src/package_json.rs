//! A plugin's `package.json`: three strings, as any other reader would find them.

use std::io::Write as _;
use std::path::Path;

use serde_json::Value;
use tarball::{Dir, FileMode, Limits, read_manifest};

use crate::json;

/// Words of a `package.json`.
pub const WORDS: &[&str] =
    &["\"name\":", "\"version\":", "\"backstage\":", "\"role\":", "backend-plugin", "\\u0000", "{}"];

/// Compares with a reader of whole documents.
pub fn target(bytes: &[u8]) {
    let memory = Path::new("/dev/shm");
    let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    let folder = folder.expect("a temporary folder can be made");
    let dir = Dir::open(folder.path()).expect("it can be opened");
    let mut file = dir.create_file("package.json", FileMode::Plain).expect("it takes a file");
    file.write_all(bytes).expect("the file takes bytes");
    let limits = Limits { manifest: 2 * 1024, ..Limits::default() };
    match read_manifest(&dir, &limits) {
        Ok(manifest) => {
            assert!(bytes.len() <= 2 * 1024);
            let document: Value = serde_json::from_slice(bytes).expect("another reader takes it, too");
            assert_eq!(json::members(&document), json::colons(bytes), "a key stands twice");
            assert_eq!(document["name"], manifest.name().as_str());
            assert_eq!(document["version"], manifest.version());
            assert_eq!(document["backstage"]["role"], manifest.role());
            assert!(!manifest.version().chars().any(char::is_control));
            assert!(
                !manifest.role().is_empty() && manifest.role().bytes().all(|b| b.is_ascii_lowercase() || b == b'-')
            );
        }
        Err(error) => {
            assert_eq!(error.reason(), "manifest_invalid", "{error:?}");
            let chain = integrity::Chain(&error).to_string();
            assert!(chain.len() < 1024 && !chain.contains(char::is_control), "{chain:?}");
        }
    }
}

/// One good document, and some that are not.
pub fn seeds() -> Vec<Vec<u8>> {
    let good = r#"{"name":"@a/b","version":"1.0.0","backstage":{"role":"backend-plugin"},"x":[1,null,true,-2.5e3]}"#;
    let twice = good.replace("\"x\"", "\"\\u006eame\"");
    let documents = [good.to_owned(), twice, good.replace("@a/b", "../x"), "[".repeat(200), "{\"a\":{\"a\":1}}".into()];
    documents.into_iter().map(String::into_bytes).collect()
}
