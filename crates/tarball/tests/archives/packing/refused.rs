//! Trees that are not packed, each for its reason.

use std::os::unix::net::UnixListener;

use rustix::fs::{CWD, FileType, Mode};
use tarball::{Folder, Limits, Offences, PackError, Packed, Packing, SecretFiles, inspect};

use super::plot::{Plot, text};
use super::{packed, packed_with, packing};
use crate::{outcome, outcome_of};

fn refused(plot: &Plot) -> PackError {
    packed_with(plot, &packing()).map(Packed::into_inner).unwrap_err()
}

fn allowing() -> Packing {
    Packing { secret_files: SecretFiles::Allow, ..packing() }
}

fn named(offences: &Offences) -> Vec<&str> {
    offences.named().map(|(path, _)| path).collect()
}

#[test]
fn a_folder_needs_a_usable_manifest() {
    let rows = [
        ("missing", Plot::bare()),
        ("a folder", Plot::bare().folder_at("package.json")),
        ("a link", Plot::bare().file("x", crate::MANIFEST).symlink("package.json", "x")),
        ("not JSON", Plot::bare().file("package.json", b"nope")),
        ("one level down", Plot::bare().file("dist-dynamic/package.json", crate::MANIFEST)),
    ];
    for (name, plot) in rows {
        let error = Folder::open(plot.dir(""), "package", &Limits::default()).unwrap_err();
        assert_eq!(error.reason(), "manifest_invalid", "{name}: {error}");
    }
}

#[test]
fn links_that_leave_the_tree_are_refused_and_not_followed() {
    let chain = (0..50).fold(Plot::new(), |plot, n| plot.symlink(&format!("l{n}"), &format!("l{}", n + 1)));
    let rows = [
        ("absolute", "l", Plot::new().symlink("l", "/etc/passwd")),
        ("absolute, to itself", "l", { Plot::new().symlink("l", "/") }),
        ("parent", "l", Plot::new().symlink("l", "..")),
        ("parent of a parent", "a/l", Plot::new().symlink("a/l", "../../x")),
        ("out and in again", "l", Plot::new().symlink("l", "../package/package.json")),
        ("by way of a link", "out", Plot::new().symlink("a/b/up", "../..").symlink("out", "a/b/up/../x")),
        ("dangling, and out", "l", Plot::new().symlink("l", "not/there/../../..")),
        ("loop", "l", Plot::new().symlink("l", "l")),
        ("loop of two", "m", Plot::new().symlink("l", "m").symlink("m", "l")),
        ("endless", "l0", chain),
        ("backslash", "l", Plot::new().symlink("l", "a\\b")),
        ("newline", "l", Plot::new().symlink("l", "a\nb")),
    ];
    for (name, link, plot) in rows {
        let error = refused(&plot);
        assert_eq!(error.reason(), "pack_unsafe_entry", "{name}: {error}");
        assert!(error.to_string().contains(&format!("`package/{link}` (")), "{name}: {error}");
    }
}

#[test]
fn sockets_pipes_and_devices_are_refused() {
    let plot = Plot::new().folder_at("dist");
    drop(UnixListener::bind(plot.path("dist/socket")).unwrap());
    rustix::fs::mknodat(CWD, plot.path("pipe"), FileType::Fifo, Mode::RWXU, 0).unwrap();
    let error = refused(&plot);
    assert_eq!(error.reason(), "pack_unsafe_entry");
    for name in ["`package/dist/socket`", "`package/pipe`"] {
        assert!(error.to_string().contains(name), "{error}");
    }
}

#[test]
fn names_that_an_installer_refuses_are_refused() {
    let deep = vec!["d"; 64].join("/");
    let long = vec!["d".repeat(200); 6].join("/");
    let rows = [
        ("backslash", "a\\\\b", Plot::new().file("a\\b", b"")),
        ("newline", "a\\nb", Plot::new().file("a\nb", b"")),
        ("escape", "a\\u{1b}b", Plot::new().file("sub/a\x1bb/c", b"")),
        ("too deep", "d/d/d", Plot::new().folder_at(&deep)),
        ("too long", "dddddd", Plot::new().folder_at(&long)),
    ];
    for (name, said, plot) in rows {
        let error = refused(&plot);
        assert_eq!(error.reason(), "pack_unsafe_entry", "{name}: {error}");
        assert!(error.to_string().contains(said), "{name}: {error}");
    }
    let plot = Plot::new();
    let latin1 = std::os::unix::ffi::OsStringExt::from_vec(b"a\xe9b".to_vec());
    let latin1: std::ffi::OsString = latin1;
    plot.dir("").create_dir(latin1).unwrap();
    assert_eq!(refused(&plot).reason(), "pack_unsafe_entry");
}

#[test]
fn secret_files_are_named_and_packed_on_demand_only() {
    let plot = Plot::new()
        .file(".env", b"TOKEN=x")
        .file(".env.example", b"TOKEN=")
        .file("node_modules/x/.npmrc", b"")
        .file("keys/id_rsa", b"")
        .file("keys/id_rsa.bak", b"-----BEGIN OPENSSH PRIVATE KEY-----\n")
        .file("server.key", b"-----BEGIN RSA PRIVATE KEY-----\n")
        .file("server.pem", b"-----BEGIN CERTIFICATE-----\n")
        .symlink(".netrc", "README")
        .folder_at("x.env")
        .file("README", b"put `-----BEGIN PRIVATE KEY-----` into a file\n");
    let error = refused(&plot);
    assert_eq!(error.reason(), "pack_secret_file");
    let PackError::Refused { offences } = &error else { panic!("{error}") };
    let secret = [".env", ".netrc", "keys/id_rsa", "keys/id_rsa.bak", "node_modules/x/.npmrc", "server.key"];
    assert_eq!(named(offences), secret.map(|name| format!("package/{name}")));
    assert!(named(offences).iter().all(|name| error.to_string().contains(name)), "{error}");
    let packed = packed_with(&plot, &allowing()).unwrap();
    assert_eq!(packed.secrets(), offences);
    assert_eq!(outcome(&packed.into_inner()).tree, plot.tree());
}

#[test]
fn a_plugin_without_secrets_names_none() {
    let plot = Plot::new().file("README", b"");
    assert_eq!(packed_with(&plot, &allowing()).unwrap().secrets().count(), 0);
    assert_eq!(packed_with(&plot, &packing()).unwrap().secrets().count(), 0);
}

#[test]
fn a_repository_is_one_secret_whatever_is_in_it() {
    let plot = Plot::new()
        .file(".git/config", b"[remote]")
        .file(".git/objects/.env", b"")
        .file(".git/hooks/key", b"-----BEGIN PRIVATE KEY-----\n")
        .file("sub/.git", b"gitdir: ../../.git/modules/sub");
    let small = Packing { limits: Limits { entries: 7, ..Limits::default() }, ..packing() };
    for packing in [packing(), small] {
        let error = packed_with(&plot, &packing).map(Packed::into_inner).unwrap_err();
        let PackError::Refused { offences } = &error else { panic!("{error}") };
        assert_eq!(named(offences), ["package/.git", "package/sub/.git"]);
    }
    let packed = packed_with(&plot, &allowing()).unwrap();
    assert_eq!(named(packed.secrets()), ["package/.git", "package/sub/.git"]);
    assert_eq!(outcome(&packed.into_inner()).tree, plot.tree());
}

#[test]
fn a_key_is_looked_for_in_the_first_mebibyte() {
    let at =
        |offset: usize| Plot::new().file("x", &[&vec![b'\n'; offset][..], b"-----BEGIN PRIVATE KEY-----"].concat());
    let key = "-----BEGIN PRIVATE KEY-----".len();
    assert_eq!(refused(&at(1024 * 1024 - key)).reason(), "pack_secret_file");
    assert_eq!(packed(&at(1024 * 1024 - key + 1)).secrets().count(), 0);
}

#[test]
fn inspecting_refuses_what_packing_refuses_and_names_what_is_allowed() {
    let inspected = |plot: &Plot, packing: &Packing| inspect(&[plot.folder("package")], packing);
    let limited = Packing { limits: Limits { entries: 1, ..Limits::default() }, ..packing() };
    for (reason, plot, packing) in [
        ("pack_secret_file", Plot::new().file(".env", b""), packing()),
        ("pack_unsafe_entry", Plot::new().symlink("l", "/"), allowing()),
        ("archive_limit_exceeded", Plot::new(), limited),
    ] {
        let error = inspected(&plot, &packing).unwrap_err();
        assert_eq!(error.reason(), reason, "{error}");
    }
    let plot = Plot::new().file(".env", b"");
    assert_eq!(named(inspected(&plot, &allowing()).unwrap().secrets()), ["package/.env"]);
    assert_eq!(inspected(&Plot::new(), &packing()).unwrap().secrets().count(), 0);
}

#[test]
fn all_offences_are_told_at_once() {
    let plot = (0..100).fold(Plot::new(), |plot, n| plot.file(&format!("{n}/.env"), b""));
    let error = refused(&plot.symlink("out", "/"));
    assert_eq!(error.reason(), "pack_unsafe_entry");
    assert!(error.to_string().contains("found 101 entries"), "{error}");
    assert!(error.to_string().ends_with(" and 69 more"), "{error}");
}

/// Whoever packs and whoever installs, with the same limits: both say yes, or both say no.
#[test]
fn a_tree_is_packed_exactly_if_an_installer_takes_it() {
    let all = Limits::default();
    let bytes = crate::MANIFEST.len() as u64;
    let three = Plot::new().file("a", b"").folder_at("b");
    let file = Plot::new().file("a", &text(1000, 1));
    let links = Plot::new().symlink("l", "abc").symlink("m", "abc");
    let walk = Plot::new().symlink("l", "a/b/../c");
    let zeros = Plot::new().file("zeros", &vec![0; 100_000]);
    let tar_len = 3 * 512 + 512 + 1024 + 1024;
    let len = packed(&zeros).len();
    let zeros_len: u64 = 3 * 512 + 512 + 100_352 + 1024;
    let ratio = zeros_len.div_ceil(len);
    let rows = [
        ("entries", &three, Limits { entries: 4, ..all }, Limits { entries: 3, ..all }),
        ("file", &file, Limits { file: 1000, ..all }, Limits { file: 999, ..all }),
        ("expanded", &file, Limits { expanded: tar_len, ..all }, Limits { expanded: tar_len - 1, ..all }),
        ("symlinks", &links, Limits { symlinks: 2 * 68, ..all }, Limits { symlinks: 2 * 68 - 1, ..all }),
        ("symlink steps", &walk, Limits { symlink_steps: 4, ..all }, Limits { symlink_steps: 3, ..all }),
        ("ratio", &zeros, Limits { ratio, ratio_from: 0, ..all }, Limits { ratio: ratio - 1, ratio_from: 0, ..all }),
        (
            "ratio from",
            &zeros,
            Limits { ratio: 1, ratio_from: zeros_len, ..all },
            Limits { ratio: 1, ratio_from: zeros_len - 1, ..all },
        ),
        ("manifest", &file, Limits { manifest: bytes, ..all }, Limits { manifest: bytes - 1, ..all }),
    ];
    for (name, plot, at, past) in rows {
        let artifact = packed(plot).into_inner();
        let installs = |limits| outcome_of(&artifact, &tarball::Layout::Package, limits).reason();
        let packs = |limits| {
            let result = packed_with(plot, &Packing { limits, ..packing() });
            result.as_ref().map_or_else(PackError::reason, |_| "accepted")
        };
        assert_eq!((packs(at), installs(&at)), ("accepted", "accepted"), "{name}");
        assert_ne!(packs(past), "accepted", "{name}");
        assert_eq!(packs(past), installs(&past), "{name}");
    }
}
