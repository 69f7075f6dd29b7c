//! The same archive unpacked by GNU tar and by us gives the same tree.

use std::collections::BTreeMap;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use crate::{MANIFEST, list, outcome};

#[expect(clippy::disallowed_methods, reason = "a plain tree for another program to pack")]
fn plugin(root: &Path) {
    let at = root.join("package");
    std::fs::create_dir_all(at.join("node_modules/.bin")).unwrap();
    std::fs::create_dir_all(at.join(format!("dist/{}/{}", "long".repeat(30), "name".repeat(30)))).unwrap();
    std::fs::write(at.join("package.json"), MANIFEST).unwrap();
    std::fs::write(at.join("dist/ünï cödé.js"), vec![b'x'; 70_000]).unwrap();
    std::fs::write(at.join(format!("dist/{}/{}/f", "long".repeat(30), "name".repeat(30))), b"deep").unwrap();
    std::fs::write(at.join("node_modules/cli.js"), b"#!/usr/bin/env node").unwrap();
    std::fs::set_permissions(at.join("node_modules/cli.js"), std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::hard_link(at.join("package.json"), at.join("dist/again.json")).unwrap();
    symlink("../cli.js", at.join("node_modules/.bin/cli")).unwrap();
    symlink(format!("dist/{}/missing", "long".repeat(30)), at.join("far")).unwrap();
}

fn tar(arguments: &[&str], folder: &Path) {
    let status = Command::new("tar").arg("-C").arg(folder).args(arguments).status().unwrap();
    assert!(status.success(), "tar {arguments:?}");
}

#[test]
fn gnu_tar_and_we_unpack_the_same_tree() {
    let temp = tempfile::tempdir().unwrap();
    plugin(temp.path());
    for format in ["gnu", "oldgnu", "pax", "posix"] {
        let packed = temp.path().join("packed.tgz");
        let archive = packed.to_str().unwrap();
        tar(&["-cz", "--mode=u=rwX,go=rX", "--format", format, "-f", archive, "package"], temp.path());

        let theirs = tempfile::tempdir().unwrap();
        tar(&["-xpz", "-f", archive, "--strip-components=1"], theirs.path());
        let mut expected = BTreeMap::new();
        list(theirs.path(), "", &mut expected);

        let ours = outcome(&std::fs::read(&packed).unwrap());
        assert_eq!(ours.reason(), "accepted", "{format}: {:?}", ours.result);
        assert_eq!(ours.tree, expected, "{format}");
        expected.retain(|_, shown| !shown.ends_with('/'));
        assert_eq!(ours.told, expected, "{format}");
    }
}
