//! What is chosen of an image, and what is said where it is not there.

use tarball::{Layout, Limits, UnpackError};
use testkit::Tarball;

use super::{extracted, folder, plugin, tree, unpacked_of};
use crate::MANIFEST;

fn layer() -> Tarball {
    Tarball::new()
}

#[test]
fn a_wrong_folder_is_told_what_the_image_holds() {
    let image = |name: &str| layer().file(format!("{name}/package.json"), MANIFEST);
    let many = (0..30).rev().fold(layer(), |layer, n| layer.file(format!("p{n:02}/package.json"), MANIFEST));
    let twenty: Vec<_> = (0..20).map(|n| format!("`p{n:02}`")).collect();
    let rows: [(&str, &str, Vec<Tarball>, String); 13] = [
        ("no layer", "p", vec![], "nothing".into()),
        ("no entry", "p", vec![layer()], "nothing".into()),
        ("no entry in two layers", "p", vec![layer(), layer()], "nothing".into()),
        ("only the image itself", "p", vec![layer().dir("."), layer()], "nothing".into()),
        ("another name", "q", vec![plugin()], "`p`".into()),
        ("other plugins", "x", vec![image("b"), image("./a")], "`a`, `b`".into()),
        ("no plugin at all", "x", vec![layer().file("b/x", ""), layer().file("a", "")], "`b`, `a`".into()),
        ("very many", "x", vec![many], twenty.join(", ")),
        ("hidden", "p", vec![plugin(), image("q"), layer().file(".wh.p", "")], "`q`".into()),
        ("all hidden", "p", vec![plugin(), layer().file(".wh..wh..opq", "")], "nothing".into()),
        ("too high", "p", vec![image("p/a"), image("p/b")], "`p/a`, `p/b`".into()),
        ("replaced again", "x", vec![image("p"), image("p")], "`p`".into()),
        ("too deep", "p/dist", vec![plugin().file("p/dist/x", "")], "`p`".into()),
    ];
    for (name, wanted, layers, found) in rows {
        let outcome = unpacked_of(&layers, &folder(wanted), &Limits::default());
        assert_eq!(outcome.reason(), "archive_layout", "{name}: {:?}", outcome.result);
        let error = outcome.result.unwrap_err();
        assert_eq!(error.to_string(), format!("expected the plugin in `{wanted}/`, found {found}"), "{name}");
        assert!(error.hint().is_some(), "{name}");
    }
}

#[test]
fn a_folder_without_a_manifest_says_so_where_no_other_has_one() {
    for layers in [
        vec![layer().file("p/index.js", "")],
        vec![layer().file("p/x", ""), layer().file("p/node_modules/x/package.json", MANIFEST)],
        vec![plugin(), layer().file("p/.wh.package.json", "")],
        vec![plugin(), layer().file("p/.wh..wh..opq", "")],
    ] {
        let outcome = unpacked_of(&layers, &folder("p"), &Limits::default());
        let error = outcome.result.unwrap_err();
        assert_eq!(error.to_string(), "expected a `package.json`, found none");
        assert_eq!(error.reason(), "manifest_invalid");
    }
}

#[test]
fn a_package_may_have_layers_too() {
    let lower = layer().file("package/package.json", MANIFEST).file("package/x", "1");
    let outcome = unpacked_of(
        &[lower.clone(), layer().file("package/.wh.x", ""), layer().file("package/y", "2")],
        &Layout::Package,
        &Limits::default(),
    );
    assert_eq!(super::rest(&outcome), tree("y=2"));
    let outcome = unpacked_of(&[lower, layer().file("other/x", "")], &Layout::Package, &Limits::default());
    assert!(matches!(outcome.result, Err(UnpackError::Layout { .. })));
}

#[test]
fn parts_of_an_image_keep_their_paths() {
    let index = || {
        layer()
            .file("dynamic-plugins.default.yaml", "plugins: []")
            .file("./catalog-entities/extensions/all.yaml", "1")
            .symlink("catalog-entities/extensions/same.yaml", "all.yaml")
            .file("catalog-entities/marketplace/all.yaml", "2")
            .file("etc/x", "3")
    };
    let defaults = "dynamic-plugins.default.yaml";
    let extensions = "catalog-entities/extensions";
    let both = "catalog-entities/ catalog-entities/extensions/ catalog-entities/extensions/all.yaml=1 \
        catalog-entities/extensions/same.yaml->all.yaml";
    let top = |layers: Vec<Tarball>| (layers, vec!["d.yaml", "e/f"]);
    for (name, (layers, wanted), expected) in [
        ("a folder", (vec![index()], vec![extensions]), both),
        ("a folder and what is not there", (vec![index()], vec!["missing", extensions, "etc/x/y"]), both),
        ("nothing", (vec![index()], vec![]), ""),
        ("no layer", (vec![], vec![defaults]), ""),
        ("no such name", (vec![index()], vec!["catalog-entities/ext"]), ""),
        ("a file", (vec![index()], vec!["etc/x"]), "etc/ etc/x=3"),
        ("two layers", top(vec![layer().file("d.yaml", "1"), layer().file("e/f/x", "1")]), "d.yaml=1 e/ e/f/ e/f/x=1"),
        ("changed", top(vec![layer().file("d.yaml", "1"), layer().file("d.yaml", "2")]), "d.yaml=2"),
        ("hidden", top(vec![layer().file("d.yaml", "1").file("e/f/x", "1"), layer().file(".wh.e", "")]), "d.yaml=1"),
        ("all hidden", top(vec![layer().file("d.yaml", "1"), layer().file(".wh..wh..opq", "")]), ""),
        ("a file above", top(vec![layer().file("e/f/x", "1"), layer().file("e", "2")]), ""),
        ("a link above", top(vec![layer().file("e/f/x", "1"), layer().symlink("e", "g")]), ""),
        ("a folder above", top(vec![layer().file("e/f/x", "1"), layer().dir("e")]), "e/ e/f/ e/f/x=1"),
        ("links", top(vec![layer().symlink("e/f/l", "../../d.yaml"), layer()]), "e/ e/f/ e/f/l->../../d.yaml"),
        ("a wanted link", top(vec![layer().symlink("e/f", "../g")]), "e/ e/f->../g"),
        ("one in another", (vec![layer().file("e/f/x", "1")], vec!["e", "e/f"]), "e/ e/f/ e/f/x=1"),
        ("a whiteout alone", top(vec![layer().file("e/f/.wh.x", "")]), "e/ e/f/ e/f/.wh.x="),
    ] {
        let (result, found) = extracted(&layers, &wanted);
        assert!(result.is_ok(), "{name}: {result:?}");
        assert_eq!(found, tree(expected), "{name}");
    }
}

#[test]
fn what_is_not_extracted_passes_the_same_checks() {
    for (name, layers) in [
        ("an escaping name", vec![layer().file("../x", "")]),
        ("an absolute link", vec![layer().symlink("x", "/etc")]),
        ("a device", vec![layer().entry(testkit::Entry::special(b'3', "dev"))]),
        ("a path twice", vec![layer().file("x", "").file("x", "")]),
        ("a hard link to nothing", vec![layer().hardlink("x", "y")]),
        ("a link out of the tree", vec![layer().symlink("e/l", "../../x")]),
        ("a hard link out of the parts", vec![layer().file("x", "").hardlink("e/h", "x")]),
        ("through a link", vec![layer().symlink("e/l", "."), layer().file("e/l/x", "")]),
    ] {
        let (result, _) = extracted(&layers, &["e"]);
        assert_eq!(result.map_err(|error| error.reason()), Err("archive_unsafe_entry"), "{name}");
    }
}
