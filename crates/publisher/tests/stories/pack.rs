//! `pack`: a folder becomes a tarball, always the same one.

use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::Command;
use std::time::{Duration, SystemTime};

use testkit::sri;

use crate::desk::{Desk, done};

#[test]
fn integrity_alone_is_on_standard_output() {
    let desk = Desk::new();
    let run = desk.run(&["pack"]).exits(0);
    let tarball = fs::read(desk.path("package.tgz")).unwrap();
    assert_eq!(run.stdout, format!("{}\n", sri(&tarball)));
    assert!(run.stderr.contains("`package.tgz`"), "{}", run.stderr);
    assert_eq!(desk.path("package.tgz").metadata().unwrap().permissions().mode() & 0o777, 0o644);
    assert!(!desk.names(".").iter().any(|name| name.contains("part")));
}

#[test]
fn packing_over_an_older_tarball_replaces_it() {
    let desk = Desk::new();
    desk.write("out/p.tgz", "old");
    let first = desk.run(&["pack", "dist-dynamic", "-o", "out/p.tgz"]).exits(0).stdout;
    assert_eq!(desk.names("out"), ["p.tgz"]);
    assert_eq!(desk.run(&["pack", "dist-dynamic/", "--output", "out/p.tgz"]).exits(0).stdout, first);
}

#[test]
fn times_modes_masks_users_and_order_change_nothing() {
    let desk = Desk::new();
    let expected = desk.run(&["pack"]).exits(0).stdout;
    // The same files, made in another order, at another time, under another mask and with other owners.
    let other = Desk::new();
    done(Command::new("sh").current_dir(other.path(".")).args([
        "-c",
        "umask 077; mv dist-dynamic old; mkdir dist-dynamic; cd old; \
         find . -type f | sort -r | while read -r f; do mkdir -p \"../dist-dynamic/$(dirname \"$f\")\"; cat \"$f\" > \"../dist-dynamic/$f\"; done; \
         mkdir ../dist-dynamic/dist/empty ../dist-dynamic/node_modules/.bin; cp -P node_modules/.bin/is-even ../dist-dynamic/node_modules/.bin/; \
         chmod 700 ../dist-dynamic/node_modules/is-even/cli.js; chown -R 1234:4321 ../dist-dynamic || test $(id -u) != 0; cd ..; rm -r old",
    ]));
    let past = SystemTime::UNIX_EPOCH + Duration::from_secs(1);
    File::open(other.path("dist-dynamic/dist/index.cjs.js")).unwrap().set_modified(past).unwrap();
    for threads in ["1", "2", "3", "7"] {
        assert_eq!(other.run(&["pack", "--threads", threads]).exits(0).stdout, expected, "{threads} threads");
    }
}

#[test]
fn gnu_tar_finds_everything_below_package() {
    let desk = Desk::new();
    desk.run(&["pack"]).exits(0);
    let listed = done(Command::new("tar").current_dir(desk.path(".")).args(["tzf", "package.tgz"]));
    insta::assert_snapshot!(listed, @r"
    package/
    package/.gitignore
    package/dist/
    package/dist/.config-schema.json
    package/dist/empty/
    package/dist/index.cjs.js
    package/node_modules/
    package/node_modules/.bin/
    package/node_modules/.bin/is-even
    package/node_modules/is-even/
    package/node_modules/is-even/cli.js
    package/node_modules/is-even/package.json
    package/package.json
    ");
}

#[test]
fn a_folder_without_an_export_is_told_what_to_do() {
    let desk = Desk::new();
    fs::remove_dir_all(desk.path("dist-dynamic")).unwrap();
    desk.run(&["pack"]).exits(1).says("`dist-dynamic`").says("rhdh-cli plugin export");
    fs::create_dir(desk.path("dist-dynamic")).unwrap();
    desk.run(&["pack"]).exits(1).says("error[manifest_invalid]: dist-dynamic: expected a `package.json`, found none");
    assert_eq!(desk.names("."), ["dist-dynamic", "home", "tmp"], "nothing half-written is left");
}

#[test]
fn a_failed_pack_leaves_the_older_tarball_alone() {
    let desk = Desk::new();
    desk.write("package.tgz", "old");
    symlink("/etc/passwd", desk.path("dist-dynamic/passwd")).unwrap();
    desk.run(&["pack"]).exits(1).says("error[pack_unsafe_entry]").says("passwd");
    assert_eq!(desk.read("package.tgz"), "old");
    assert_eq!(desk.names("."), ["dist-dynamic", "home", "package.tgz", "tmp"]);
}

#[test]
fn an_output_that_cannot_be_written_is_named() {
    let desk = Desk::new();
    desk.run(&["pack", "-o", "missing/p.tgz"]).exits(1).says("error[io_error]: failed to write `missing/p.tgz`");
}

#[test]
fn a_tarball_does_not_go_into_the_folder_it_is_made_of() {
    let desk = Desk::new();
    desk.run(&["pack", "dist-dynamic", "-o", "dist-dynamic/dist/p.tgz"]).exits(2).says("in the folder that is packed");
    let inside = |command: &mut Command| -> std::process::Output {
        command.current_dir(desk.path("dist-dynamic")).output().unwrap()
    };
    assert_eq!(inside(&mut desk.command(&["pack", "."])).status.code(), Some(2));
    assert_eq!(inside(&mut desk.command(&["pack", ".", "-o", "../p.tgz"])).status.code(), Some(0));
}
