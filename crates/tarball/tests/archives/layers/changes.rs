//! What a layer does to those below it.

use std::cell::Cell;
use std::io;

use tarball::{Dir, Limits, Record, Written, unpack_layers};
use testkit::{Entry, Tarball};

use super::{folder, plugin, rest, tree, unpacked, unpacked_of};
use crate::{MANIFEST, assert_is_told, verified};

fn layer() -> Tarball {
    Tarball::new()
}

#[test]
fn what_is_above_takes_the_place_of_what_is_below() {
    let lower = || plugin().dir("p/d").file("p/d/x", "1").file("p/d/y", "1").file("p/f", "1").symlink("p/l", "f");
    for (name, layers, expected) in [
        ("nothing", vec![lower(), layer()], "d/ d/x=1 d/y=1 f=1 l->f"),
        ("beside", vec![lower(), layer().file("p/d/z", "2")], "d/ d/x=1 d/y=1 d/z=2 f=1 l->f"),
        ("a file over a file", vec![lower(), layer().file("p/f", "2")], "d/ d/x=1 d/y=1 f=2 l->f"),
        ("three files", vec![lower(), layer().file("p/f", "2"), layer().file("p/f", "3")], "d/ d/x=1 d/y=1 f=3 l->f"),
        ("a folder over itself", vec![lower(), layer().dir("p/d")], "d/ d/x=1 d/y=1 f=1 l->f"),
        ("a file over a folder", vec![lower(), layer().file("p/d", "2")], "d=2 f=1 l->f"),
        ("a file over a link", vec![lower(), layer().file("p/l", "2")], "d/ d/x=1 d/y=1 f=1 l=2"),
        ("a link over a file", vec![lower(), layer().symlink("p/f", "d")], "d/ d/x=1 d/y=1 f->d l->f"),
        ("a link over a folder", vec![lower(), layer().symlink("p/d", "f")], "d->f f=1 l->f"),
        ("a link over a link", vec![lower(), layer().symlink("p/l", "d")], "d/ d/x=1 d/y=1 f=1 l->d"),
        ("a folder over a file", vec![lower(), layer().dir("p/f").file("p/f/z", "2")], "d/ d/x=1 d/y=1 f/ f/z=2 l->f"),
        ("a folder over a link", vec![lower(), layer().dir("p/l").file("p/l/z", "2")], "d/ d/x=1 d/y=1 f=1 l/ l/z=2"),
        (
            "there and back",
            vec![lower(), layer().file("p/d", "2"), layer().dir("p/d"), layer().file("p/d/x", "3")],
            "d/ d/x=3 f=1 l->f",
        ),
        ("links below a folder", vec![lower().symlink("p/d/l", "x"), layer().file("p/d", "2")], "d=2 f=1 l->f"),
        ("a dot in front", vec![lower(), layer().file("./p/f", "2")], "d/ d/x=1 d/y=1 f=2 l->f"),
    ] {
        let outcome = unpacked(&layers);
        assert_eq!(outcome.reason(), "accepted", "{name}: {:?}", outcome.result);
        assert_eq!(rest(&outcome), tree(expected), "{name}");
    }
}

#[test]
fn a_whiteout_hides_what_is_below_and_nothing_of_its_own_layer() {
    let lower = || plugin().dir("p/d").dir("p/d/e").file("p/d/e/x", "1").file("p/d/y", "1").symlink("p/d/l", "y");
    for (name, layers, expected) in [
        ("a file", vec![lower(), layer().file("p/d/.wh.y", "")], "d/ d/e/ d/e/x=1 d/l->y"),
        ("a link", vec![lower(), layer().file("p/d/.wh.l", "")], "d/ d/e/ d/e/x=1 d/y=1"),
        ("a folder", vec![lower(), layer().file("p/.wh.d", "")], ""),
        ("nothing", vec![lower(), layer().file("p/d/.wh.z", "").file("p/z/.wh.z", "")], "d/ d/e/ d/e/x=1 d/l->y d/y=1"),
        ("below a file", vec![lower(), layer().file("p/d/y/.wh.z", "")], "d/ d/e/ d/e/x=1 d/l->y d/y=1"),
        ("what is two layers below", vec![lower(), layer(), layer().file("p/d/.wh.e", "")], "d/ d/l->y d/y=1"),
        ("and a later one brings it back", vec![lower(), layer().file("p/.wh.d", ""), layer().file("p/d", "3")], "d=3"),
        ("only one of a prefix", vec![lower().file("p/d2", "1"), layer().file("p/.wh.d", "")], "d2=1"),
        (
            "a link beside one of a prefix",
            vec![plugin().symlink("p/d/l", "x").symlink("p/d-l", "x"), layer().file("p/.wh.d", "")],
            "d-l->x",
        ),
        ("first, then its own", vec![lower(), layer().file("p/.wh.d", "").dir("p/d").file("p/d/y", "2")], "d/ d/y=2"),
        ("its own, then it", vec![lower(), layer().dir("p/d").file("p/d/y", "2").file("p/.wh.d", "")], "d/ d/y=2"),
        (
            "its own without a folder, then it",
            vec![lower(), layer().file("p/d/e/z", "2").file("p/.wh.d", "")],
            "d/ d/e/ d/e/z=2",
        ),
        (
            "its own link, then it",
            vec![lower(), layer().symlink("p/d/e/z", "x").file("p/.wh.d", "")],
            "d/ d/e/ d/e/z->x",
        ),
        (
            "its own file of that name",
            vec![lower(), layer().file("p/d/y", "2").file("p/d/.wh.y", "")],
            "d/ d/e/ d/e/x=1 d/l->y d/y=2",
        ),
        ("opaque", vec![lower(), layer().file("p/d/.wh..wh..opq", "")], "d/"),
        ("opaque, deeper", vec![lower(), layer().file("p/d/e/.wh..wh..opq", "")], "d/ d/e/ d/l->y d/y=1"),
        (
            "opaque, then its own",
            vec![lower(), layer().file("p/d/.wh..wh..opq", "").file("p/d/e/z", "2")],
            "d/ d/e/ d/e/z=2",
        ),
        (
            "its own, then opaque",
            vec![lower(), layer().file("p/d/e/z", "2").file("p/d/.wh..wh..opq", "")],
            "d/ d/e/ d/e/z=2",
        ),
        (
            "opaque where a file is",
            vec![lower(), layer().file("p/d/y/.wh..wh..opq", "")],
            "d/ d/e/ d/e/x=1 d/l->y d/y=1",
        ),
        (
            "in the lowest layer",
            vec![lower().file("p/d/.wh.y", "").file("p/.wh..wh..opq", ""), layer()],
            "d/ d/e/ d/e/x=1 d/l->y d/y=1",
        ),
        ("of the folder above", vec![lower(), layer().file(".wh.p", "").file("p/package.json", MANIFEST)], ""),
        ("its own, then of the folder above", vec![lower(), plugin().file("p/z", "2").file(".wh.p", "")], "z=2"),
        ("everything", vec![lower(), layer().file(".wh..wh..opq", "").file("p/package.json", MANIFEST)], ""),
        (
            "beside the plugin",
            vec![lower().file("q/x", ""), layer().file(".wh.q", "").file("q/.wh.x", "")],
            "d/ d/e/ d/e/x=1 d/l->y d/y=1",
        ),
    ] {
        let outcome = unpacked(&layers);
        assert_eq!(outcome.reason(), "accepted", "{name}: {:?}", outcome.result);
        assert_eq!(rest(&outcome), tree(expected), "{name}");
    }
}

/// The entries of an image made by buildah: three steps, the names in order, whiteouts where the names were.
#[test]
fn what_another_builder_packs_becomes_its_own_tree() {
    let wh = |name: &str| Entry::file(name, "").mode(0);
    let first = plugin().file("p/!first", "z").dir("p/d").file("p/d/x", "1").file("p/d/y", "1").file("p/f", "1");
    let first = first.hardlink("p/h", "p/d/x").dir("p/m").dir("p/m/.bin").symlink("p/m/.bin/x", "../x/cli.js");
    let first = first.dir("p/m/x").executable("p/m/x/cli.js", "#!").dir("q").file("q/x", "hi");
    let second = layer().dir("p").dir("p/d").entry(wh("p/d/.wh.x")).file("p/d/z", "2").dir("p/f").file("p/f/in", "2");
    let third = layer().dir("p").dir("p/d").file("p/d/only", "3").entry(wh("p/d/.wh.y")).entry(wh("p/d/.wh.z"));
    let third = third.dir("p/m").dir("p/m/.bin").entry(wh("p/m/.bin/.wh.x")).symlink("p/m/link", "x/cli.js");
    let outcome = unpacked(&[first, second.file("p/hy", "1"), third.file("q", "3")]);
    let mut found = rest(&outcome);
    assert!(found.remove("m/x/cli.js").is_some_and(|shown| shown.ends_with(" 755")));
    assert_eq!(found, tree("!first=z d/ d/only=3 f/ f/in=2 h=1 hy=1 m/ m/.bin/ m/link->x/cli.js m/x/"));
}

#[test]
fn a_single_layer_has_nothing_to_hide() {
    let outcome = unpacked(&[plugin().file("p/x", "1").file("p/.wh.x", "2")]);
    assert_eq!(rest(&outcome), tree("x=1 .wh.x=2"));
}

#[test]
fn a_hard_link_is_another_name_of_what_was_there_when_its_layer_came() {
    let lower = || plugin().file("p/x", "1");
    for (name, layers, expected) in [
        ("of the layer below", vec![lower(), layer().hardlink("p/h", "p/x")], "x=1 h=1"),
        ("of its own layer", vec![lower(), layer().file("p/x", "2").hardlink("p/h", "p/x")], "x=2 h=2"),
        ("changed above", vec![lower().hardlink("p/h", "p/x"), layer().file("p/x", "2")], "x=2 h=1"),
        ("hidden above", vec![lower().hardlink("p/h", "p/x"), layer().file("p/.wh.x", "")], "h=1"),
        ("hidden above, from below", vec![lower(), layer().hardlink("p/h", "p/x"), layer().file("p/.wh.x", "")], "h=1"),
        ("in a row", vec![lower(), layer().hardlink("p/h", "p/x"), layer().hardlink("p/i", "p/h")], "x=1 h=1 i=1"),
        ("over a file", vec![lower().file("p/y", "3"), layer().hardlink("p/y", "p/x")], "x=1 y=1"),
        ("over a folder", vec![lower().file("p/d/y", "3"), layer().hardlink("p/d", "p/x")], "x=1 d=1"),
        ("over a link", vec![lower().symlink("p/l", "y"), layer().hardlink("p/l", "p/x")], "x=1 l=1"),
        (
            "beside the plugin",
            vec![lower().file("q/x", ""), layer().hardlink("q/h", "q/x").hardlink("q/i", "p/x")],
            "x=1",
        ),
    ] {
        let outcome = unpacked(&layers);
        assert_eq!(outcome.reason(), "accepted", "{name}: {:?}", outcome.result);
        assert_eq!(rest(&outcome), tree(expected), "{name}");
    }
}

#[test]
fn what_layers_must_not_do_is_unsafe() {
    let lower = || plugin().file("p/d/x", "1").file("p/f", "1").symlink("p/l", "d");
    let odd = |entry: Entry| vec![lower(), layer().entry(entry)];
    for (name, layers) in [
        ("through a link of the layer below", vec![lower(), layer().file("p/l/x", "2")]),
        ("a link through one", vec![lower(), layer().symlink("p/l/x", "y")]),
        ("a hard link through one", vec![lower(), layer().hardlink("p/l/x", "p/f")]),
        ("a folder through one", vec![lower(), layer().dir("p/l/e")]),
        ("through a link that is hidden later", {
            vec![lower(), layer().file("p/l/x", "2"), layer().file("p/.wh.l", "")]
        }),
        ("a link over its own folder, hidden later", {
            vec![lower(), layer().file("p/d/y", "2").symlink("p/d", "f"), layer().file("p/.wh.d", "")]
        }),
        ("through one of two layers below", vec![lower(), layer(), layer().file("p/l/y/z", "2")]),
        ("below a file of the layer below", vec![lower(), layer().file("p/f/x", "2")]),
        ("a path twice", vec![lower(), layer().file("p/f", "2").file("p/f", "3")]),
        ("a path twice, below", vec![lower().file("p/f", "2"), layer()]),
        ("a file over its own folder", vec![lower(), layer().file("p/d/y", "2").file("p/d", "3")]),
        ("a link over its own folder", vec![lower(), layer().file("p/d/y", "2").symlink("p/d", "f")]),
        ("a folder over its own file", vec![lower(), layer().file("p/d", "2").dir("p/d")]),
        ("below its own file", vec![lower(), layer().file("p/d", "2").file("p/d/y", "3")]),
        ("a link twice", vec![lower(), layer().symlink("p/l", "f").symlink("p/l", "f")]),
        ("a whiteout twice", vec![lower(), layer().file("p/.wh.f", "").file("p/.wh.f", "")]),
        ("a path twice beside the plugin", vec![lower(), layer().file("q", "2").file("q", "3")]),
        ("a hard link to a hidden file", vec![lower(), layer().file("p/.wh.f", "").hardlink("p/h", "p/f")]),
        (
            "a hard link to a file hidden before",
            vec![lower(), layer().file("p/.wh.f", ""), layer().hardlink("p/h", "p/f")],
        ),
        ("a hard link to a later layer", vec![lower().hardlink("p/h", "p/z"), layer().file("p/z", "2")]),
        ("a hard link to a link", vec![lower(), layer().hardlink("p/h", "p/l")]),
        ("a hard link over its own target", vec![lower(), layer().hardlink("p/f", "p/f")]),
        ("a hard link over the folder of its target", vec![lower(), layer().hardlink("p/d", "p/d/x")]),
        ("a hard link to what is beside the plugin", vec![lower().file("q", ""), layer().hardlink("p/h", "q")]),
        ("a whiteout of nothing", odd(Entry::file("p/.wh.", ""))),
        ("a whiteout of the folder", odd(Entry::file("p/d/.wh..", ""))),
        ("a whiteout of the folder above", odd(Entry::file("p/d/.wh...", ""))),
        ("a whiteout with content", odd(Entry::file("p/.wh.f", "x"))),
        ("a whiteout that is a folder", odd(Entry::dir("p/.wh.f"))),
        ("a whiteout that is a link", odd(Entry::link(b'2', "p/.wh.f", "x"))),
        ("a whiteout that is a hard link", odd(Entry::link(b'1', "p/.wh.f", "p/f"))),
        ("something in a whiteout", odd(Entry::file("p/.wh.d/x", ""))),
        ("an unknown mark", odd(Entry::file("p/.wh..wh.aufs", ""))),
        ("a whiteout beside the plugin that is a folder", odd(Entry::dir(".wh.q"))),
        ("the plugin's folder becomes a file", vec![lower(), layer().file("p", "2")]),
        ("a device", odd(Entry::special(b'3', "p/dev"))),
        ("an escaping link", vec![lower(), layer().symlink("p/d/l", "../../x")]),
        ("a link that a later layer lets escape", {
            vec![lower().dir("p/d/e").symlink("p/up", "d/e/../../x"), layer().symlink("p/d/e", ".")]
        }),
        ("an absolute link that is hidden later", vec![lower().symlink("p/a", "/x"), layer().file("p/.wh.a", "")]),
    ] {
        let outcome = unpacked(&layers);
        assert_eq!(outcome.reason(), "archive_unsafe_entry", "{name}: {:?}", outcome.result);
        assert_is_told(name, &outcome.result.unwrap_err());
    }
}

#[test]
fn only_the_links_of_the_final_tree_are_proved() {
    let lower = plugin().symlink("p/l", "../x");
    for above in [layer().file("p/.wh.l", ""), layer().file("p/l", ""), layer().symlink("p/l", "x")] {
        let outcome = unpacked(&[lower.clone(), above]);
        assert_eq!(outcome.reason(), "accepted", "{:?}", outcome.result);
    }
    assert_eq!(unpacked(&[lower, layer()]).reason(), "archive_unsafe_entry");
}

#[test]
fn relative_links_within_the_plugin_stay_whatever_the_names_begin_with() {
    for dot in ["", "./"] {
        let bin = |target| {
            let name = |rest: &str| format!("{dot}p/{rest}");
            let modules = Tarball::new().executable(name("node_modules/x/cli.js"), "#!");
            let plugin = Tarball::new().file(name("package.json"), MANIFEST);
            [plugin, modules, Tarball::new().symlink(name("node_modules/.bin/x"), target)]
        };
        let together = |layers: &[Tarball]| {
            let bodies = layers.iter().map(|layer| layer.clone().ending([]).tar());
            vec![Tarball::new().raw_header(bodies.collect::<Vec<_>>().concat())]
        };
        for (target, reason) in [
            ("../x/cli.js", "accepted"),
            ("./../x/./cli.js", "accepted"),
            ("../../package.json", "accepted"),
            ("../../../p/package.json", "archive_unsafe_entry"),
            ("../../../q/x", "archive_unsafe_entry"),
        ] {
            for layers in [bin(target).to_vec(), together(&bin(target))] {
                let outcome = unpacked(&layers);
                assert_eq!(outcome.reason(), reason, "{dot}: {target}, {} layers", layers.len());
                if reason == "accepted" {
                    assert_eq!(outcome.tree["node_modules/.bin/x"], format!("-> {target}"));
                    assert!(outcome.tree["node_modules/x/cli.js"].ends_with(" 755"));
                }
            }
        }
    }
}

#[test]
fn layers_can_be_stopped_at_every_step() {
    struct Patient(Cell<u32>);
    impl Record for Patient {
        fn written(&mut self, _: &Written<'_>) -> io::Result<()> {
            Ok(())
        }
        fn stopped(&self) -> bool {
            self.0.set(self.0.get().saturating_sub(1));
            self.0.get() == 0
        }
    }
    let layers = [plugin().file("p/x", "1"), layer().file("p/.wh.x", "").file("p/y", "2").symlink("p/l", "y")];
    let mut layers = layers.map(|layer| verified(&layer.gzip()));
    let mut reasons: Vec<_> = (1..100)
        .map(|patience| {
            let temp = tempfile::tempdir().unwrap();
            let into = Dir::open(temp.path()).unwrap();
            let mut record = Patient(Cell::new(patience));
            let result = unpack_layers(&mut layers, &folder("p"), &into, &Limits::default(), &mut record);
            result.err().map_or("", |error| error.reason())
        })
        .collect();
    reasons.dedup();
    assert_eq!(reasons, ["interrupted", ""]);
}

#[test]
fn limits_hold_for_all_layers_together() {
    let all = Limits::default();
    let entries = [plugin(), layer().file("p/a", ""), layer().file("p/.wh.a", "").file("q", "")];
    let files = [plugin(), layer().file("p/a", "x".repeat(600)), layer().file("p/a", "x".repeat(600))];
    let zeros = [plugin(), layer().file("p/a", vec![0; 100_000]), layer().file("p/a", vec![0; 100_000])];
    let out = |layers: &[Tarball]| layers.iter().map(|layer| layer.tar().len() as u64).sum::<u64>();
    let expanded = out(&files);
    let ratio = out(&zeros).div_ceil(zeros.iter().map(|layer| layer.gzip().len() as u64).sum());
    let strict = Limits { ratio_from: 0, ..all };
    let linked = [plugin(), layer().symlink("p/l", "abc"), layer().symlink("p/l", "abc")];
    let walked = [plugin(), layer().symlink("p/l", "a/b"), layer().symlink("p/m", "a/b")];
    let hard = [plugin(), layer().hardlink("p/h", "p/package.json")];
    let bytes = 2 * MANIFEST.len() as u64;
    // Each of `a` and `b` is looked for and made, and `a` is opened again.
    let opened = [plugin().file("p/a/x", ""), layer().file("p/b/x", ""), layer().file("p/a/y", "")];
    // Looked for, made, and opened for the list of two names.
    let listed = [plugin().file("p/d/x", "").file("p/d/y", ""), layer().file("p/.wh.d", "")];
    let rows: [(&str, &[_], Limits, Limits); 8] = [
        ("entries", &entries, Limits { entries: 5, ..all }, Limits { entries: 4, ..all }),
        ("expanded", &files, Limits { expanded, ..all }, Limits { expanded: expanded - 1, ..all }),
        ("ratio", &zeros, Limits { ratio, ..strict }, Limits { ratio: ratio - 1, ..strict }),
        ("symlinks", &linked, Limits { symlinks: 2 * 68, ..all }, Limits { symlinks: 2 * 68 - 1, ..all }),
        ("symlink steps", &walked, Limits { symlink_steps: 4, ..all }, Limits { symlink_steps: 3, ..all }),
        ("hard links", &hard, Limits { expanded: out(&hard), ..all }, Limits { expanded: bytes - 1, ..all }),
        ("listed", &listed, Limits { opened: 5, ..all }, Limits { opened: 4, ..all }),
        ("opened", &opened, Limits { opened: 5, ..all }, Limits { opened: 4, ..all }),
    ];
    for (name, layers, at, past) in rows {
        let at = unpacked_of(layers, &folder("p"), &at);
        assert_eq!(at.reason(), "accepted", "{name}: {:?}", at.result);
        let past = unpacked_of(layers, &folder("p"), &past);
        assert_eq!(past.reason(), "archive_limit_exceeded", "{name}: {:?}", past.result);
    }
}
