//! Plugins in archives: those that a portal takes, and those that no installer unpacks.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

use std::io::{self, Cursor, Write as _};

use contract::{Checked, check, collisions, rejected};
use integrity::HashingWriter;
use serde_json::json;
use tarball::{Dir, Layout, Limits, Record, UnpackError, Unpacked, Written, unpack};
use testkit::{Entry, Plugin, Tarball, gzip, sri};

/// Wants to know nothing about the files.
struct Unrecorded;

impl Record for Unrecorded {
    fn written(&mut self, _: &Written<'_>) -> io::Result<()> {
        Ok(())
    }
}

/// Unpacks into a folder of its own.
fn unpacked(bytes: &[u8], limits: &Limits) -> (tempfile::TempDir, Dir, Result<Unpacked, UnpackError>) {
    let mut hash = HashingWriter::new(Cursor::new(Vec::new()));
    hash.write_all(bytes).unwrap();
    let mut artifact = hash.finish().verify(&sri(bytes).parse().unwrap()).unwrap();
    let temp = tempfile::tempdir().unwrap();
    let dir = Dir::open(temp.path()).unwrap();
    let result = unpack(&mut artifact, &Layout::Package, &dir, limits, &mut Unrecorded);
    (temp, dir, result)
}

fn refused(bytes: &[u8], limits: &Limits) -> Checked {
    let (_temp, _, result) = unpacked(bytes, limits);
    rejected("plugin.tgz", &result.unwrap_err()).unwrap()
}

#[test]
fn plugins_of_the_testkit_have_no_findings() {
    let limits = Limits::default();
    for (name, plugin) in [("backend", Plugin::backend("hello-backend")), ("frontend", Plugin::frontend("@acme/hello"))]
    {
        let (_temp, dir, result) = unpacked(&plugin.tarball(), &limits);
        let checked = check(name, &dir, &limits).unwrap();
        assert_eq!(checked.findings(), [], "{name}");
        assert_eq!(checked.destination(), Some(&result.unwrap().manifest().name().destination()), "{name}");
    }
}

#[test]
fn an_archive_is_rejected_by_the_rule_that_its_folder_breaks() {
    let all = Limits::default();
    let plugin = || Plugin::backend("hello");
    let good = || plugin().archive();
    let lone = |text: &str| Tarball::new().file("package/package.json", text);
    let rows = [
        ("package-json-missing", Some("package.json"), Tarball::new().file("package/x", ""), all),
        ("package-json-missing", Some("package.json"), Tarball::new().dir("package/package.json"), all),
        ("package-json-invalid", Some("package.json"), lone("{"), all),
        ("package-json-invalid", Some("package.json"), good(), Limits { manifest: 10, ..all }),
        ("name-invalid", Some("package.json"), lone("{}"), all),
        ("name-invalid", Some("package.json"), plugin().field("name", json!("../x")).archive(), all),
        ("version-invalid", Some("package.json"), lone(r#"{"name":"x"}"#), all),
        ("version-invalid", Some("package.json"), plugin().field("version", json!("")).archive(), all),
        ("role-invalid", Some("package.json"), lone(r#"{"name":"x","version":"1"}"#), all),
        ("role-invalid", Some("package.json"), plugin().field("backstage", json!({ "role": "A" })).archive(), all),
        ("entries-limit", None, good(), Limits { entries: 1, ..all }),
        ("entries-limit", None, good().symlink("package/l", "x"), Limits { symlinks: 1, ..all }),
        ("file-limit", Some("x"), good().file("package/x", vec![0; 10_000]), Limits { file: 9_999, ..all }),
        ("expanded-limit", None, good(), Limits { expanded: 1024, ..all }),
        ("expanded-limit", None, good(), Limits { ratio: 1, ratio_from: 0, ..all }),
        ("path-limit", Some("a/b/c/d"), good().file("package/a/b/c/d", ""), Limits { depth: 4, ..all }),
        (
            "path-limit",
            Some("xxxxxxxxxxxxxxxxxxxx"),
            good().dir("package/xxxxxxxxxxxxxxxxxxxx"),
            Limits { path: 26, ..all },
        ),
        ("name-unsafe", Some("a\\\\b"), good().file("package/a\\b", ""), all),
        ("name-unsafe", Some("a\\nb"), good().file("package/a\nb", ""), all),
        ("link-stray", Some("l"), good().symlink("package/l", "../../x"), all),
        ("link-stray", Some("a/l"), good().symlink("package/a/l", "/etc/passwd"), all),
        ("link-stray", Some("l"), good().symlink("package/l", "l"), all),
        ("link-stray", None, good().symlink("package/l", "a/b/c"), Limits { symlink_steps: 2, ..all }),
        ("special-file", Some("d"), good().entry(Entry::special(b'3', "package/d")), all),
        ("special-file", Some("p"), good().entry(Entry::special(b'6', "package/p")), all),
        ("archive-invalid", Some("v"), good().entry(Entry::special(b'V', "package/v")), all),
        ("archive-invalid", Some("package.json"), good().file("package/package.json", ""), all),
        ("archive-invalid", Some("package.json/x"), good().file("package/package.json/x", ""), all),
        ("archive-invalid", Some("h"), good().hardlink("package/h", "package/none"), all),
        ("archive-invalid", None, good().file("../x", ""), all),
        ("archive-invalid", None, good().file("/x", ""), all),
        ("archive-invalid", None, plugin().archive_under("dist-dynamic"), all),
        ("archive-invalid", None, Tarball::new(), all),
        ("archive-invalid", None, good().ending(b""), all),
        ("archive-invalid", None, good().entry(Entry::file("package/x", "").checksum(1)), all),
    ];
    for (rule, path, archive, limits) in rows {
        let checked = refused(&archive.gzip(), &limits);
        let [finding] = checked.findings() else { panic!("{rule}: {checked:?}") };
        assert_eq!((finding.rule.id, finding.path.as_deref()), (rule, path), "{}", finding.message);
        assert_eq!((checked.plugin(), &*finding.plugin), ("plugin.tgz", "plugin.tgz"));
    }
}

#[test]
fn an_archive_that_is_no_gzip_is_invalid() {
    let good = Plugin::backend("hello").tarball();
    for (name, bytes) in [
        ("text", b"<html></html>".to_vec()),
        ("empty", Vec::new()),
        ("cut", good[..good.len() / 2].to_vec()),
        ("a tar alone", Plugin::backend("hello").archive().tar()),
        ("two members", [&good[..], &gzip(b"")].concat()),
        ("no tar", gzip(&[b'x'; 2048])),
    ] {
        let checked = refused(&bytes, &Limits::default());
        assert_eq!(checked.findings()[0].rule.id, "archive-invalid", "{name}");
        assert_eq!(checked.findings()[0].path, None, "{name}");
    }
}

#[test]
fn a_rejected_archive_is_told_beside_other_plugins() {
    let (_temp, dir, _) = unpacked(&Plugin::backend("hello").tarball(), &Limits::default());
    let good = check("good", &dir, &Limits::default()).unwrap();
    let checked = [refused(b"", &Limits::default()), good, refused(b"", &Limits::default())];
    assert_eq!(collisions(&checked), []);
    assert_eq!(checked[0].destination(), None);
}

#[test]
fn a_json_error_names_its_line() {
    let archive = Tarball::new().file("package/package.json", "{\n  \"name\": \"x\",\n}");
    assert_eq!(refused(&archive.gzip(), &Limits::default()).findings()[0].line, Some(3));
}

#[test]
fn faults_of_this_machine_are_no_findings() {
    let source = || io::Error::from(io::ErrorKind::StorageFull);
    for error in [
        UnpackError::Stopped,
        UnpackError::Artifact { source: source() },
        UnpackError::Host { doing: "create", path: "x".to_owned(), source: source() },
        UnpackError::Manifest(tarball::ManifestError::Io { source: source() }),
    ] {
        assert_eq!(rejected("plugin.tgz", &error), None, "{error}");
    }
}
