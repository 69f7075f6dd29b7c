//! `ref://name` and `{{inherit}}`.

use super::*;

const DIGEST: &str = "sha256:0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a";

#[test]
fn a_name_stands_for_an_included_image() {
    let pinned = format!("- {{package: 'oci://quay.io/o/x@{DIGEST}!p', enabled: false}}");
    check(&[
        (
            "by digest",
            &pinned,
            "- {package: 'ref://x', enabled: true}",
            Ok(&[&format!("on oci://quay.io/o/x@{DIGEST}!p")]),
        ),
        ("still off", &pinned, "- {package: 'ref://x'}", Ok(&[&format!("off oci://quay.io/o/x@{DIGEST}!p")])),
        (
            "without path",
            "- {package: 'oci://quay.io/o/x:1'}",
            "- {package: 'ref://x'}",
            Ok(&["on oci://quay.io/o/x:1"]),
        ),
        (
            "first of two",
            "- {package: 'oci://quay.io/o/x:1!a'}\n- {package: 'oci://quay.io/o/x:1!b'}",
            "- {package: 'ref://x', enabled: false}",
            Ok(&["off oci://quay.io/o/x:1!a", "on oci://quay.io/o/x:1!b"]),
        ),
        (
            "unknown",
            &pinned,
            "- {package: 'ref://y'}",
            Err("cannot resolve `ref://y`: no included plugin has that name"),
        ),
        ("unknown and off", &pinned, "- {package: 'ref://y', enabled: false}", Err("cannot resolve `ref://y`")),
        ("part of a name", &pinned, "- {package: 'ref://o/x'}", Err("cannot resolve `ref://o/x`")),
        ("local", "- {package: './x'}", "- {package: 'ref://x'}", Err("cannot resolve `ref://x`")),
        (
            "npm",
            &format!("- {{package: 'x@1', integrity: {SRI}}}"),
            "- {package: 'ref://x'}",
            Err("cannot resolve `ref://x`"),
        ),
        (
            "of the main file",
            "",
            "- {package: 'oci://quay.io/o/x:1!p'}\n- {package: 'ref://x'}",
            Err("cannot resolve `ref://x`"),
        ),
        ("empty", &pinned, "- {package: 'ref://'}", Err("invalid `ref://` reference: empty plugin name")),
        ("empty but for a path", &pinned, "- {package: 'ref://!p'}", Err("empty plugin name")),
        ("in an included file", "- {package: 'ref://x'}", "", Err("stands in an included file")),
        ("twice", &pinned, "- {package: 'ref://x'}\n- {package: 'ref://x'}", Err("duplicate")),
    ]);
}

#[test]
fn a_name_with_a_path_is_told_how_to_write_both() {
    for package in ["ref://x!p", "ref://y!p"] {
        let main = format!("- {{package: '{package}'}}");
        let problems = plan("- {package: 'oci://quay.io/o/x:1!p'}", &main).unwrap_err();
        let said = format!("dynamic-plugins.yaml:3:13 cannot resolve `{package}`: `ref://` takes no `!path`");
        assert_eq!(complaints(&problems), [said]);
        let name = package.replace("ref://", "").replace("!p", "");
        assert_eq!(problems.hint(), Some(&*format!("write `oci://HOST/…/{name}:{{{{inherit}}}}!p`")));
    }
    let problems = plan("", "- {package: 'ref://bob:s3!cret@x'}").unwrap_err();
    assert_eq!(problems.hint(), Some("write `oci://HOST/…/NAME:{{inherit}}!PATH`"));
    assert!(!problems.render("").contains("s3"), "{}", problems.render(""));
}

#[test]
fn a_version_is_inherited_by_the_images_name() {
    let x1 = "- {package: 'oci://quay.io/o/x:1!p'}";
    let x1_off = "- {package: 'oci://quay.io/o/x:1!p', enabled: false}";
    let two = "- {package: 'oci://quay.io/o/x:1!a'}\n- {package: 'oci://quay.io/o/x:1!b'}";
    let versions = "- {package: 'oci://quay.io/o/x:1!a'}\n- {package: 'oci://quay.io/o/x:2!b'}";
    let pinned = format!("- {{package: 'oci://quay.io/o/x@{DIGEST}!p'}}");
    let elsewhere = "oci://mirror.example.com:5000/other/x:{{inherit}}";
    let ask = |rest: &str| format!("- {{package: '{elsewhere}{rest}}}");
    let two_images =
        "- {package: 'oci://quay.io/o/x:1!p', enabled: false}\n- {package: 'oci://quay.io/q/x:2!p', enabled: false}";
    let on_and_off = "- {package: 'oci://quay.io/o/x:1!p', enabled: false}\n- {package: 'oci://quay.io/q/x:2!p'}";
    check(&[
        (
            "missing",
            "",
            &ask("'"),
            Err("cannot resolve `oci://mirror.example.com:5000/other/x:{{inherit}}`: no included plugin has that name"),
        ),
        ("missing, with path", "", &ask("!p'"), Err("no included plugin has that name")),
        ("missing, with path and off", "", &ask("!p', enabled: false"), Err("no included plugin has that name")),
        ("missing and off", "", &ask("', enabled: false"), Ok(&[])),
        ("missing and disabled", "", &ask("', disabled: true"), Ok(&[])),
        ("another name", "- {package: 'oci://quay.io/o/xx:1!p'}", &ask("'"), Err("no included plugin has that name")),
        (
            "of the main file",
            "",
            &format!("{x1}\n- {{package: 'oci://quay.io/o/x:{{{{inherit}}}}!p'}}"),
            Err("no included plugin has that name"),
        ),
        ("the only path", x1, &ask("'"), Ok(&["on oci://quay.io/o/x:1!p"])),
        ("the same path", x1, &ask("!p'"), Ok(&["on oci://quay.io/o/x:1!p"])),
        ("another path", x1, &ask("!q'"), Ok(&["on oci://quay.io/o/x:1!p", "on oci://quay.io/o/x:1!q"])),
        ("by digest", &pinned, &ask("'"), Ok(&[&format!("on oci://quay.io/o/x@{DIGEST}!p")])),
        ("no path at all", "- {package: 'oci://quay.io/o/x:1'}", &ask("'"), Ok(&["on oci://quay.io/o/x:1"])),
        (
            "a path where none is included",
            "- {package: 'oci://quay.io/o/x:1'}",
            &ask("!p'"),
            Ok(&["on oci://quay.io/o/x:1!p"]),
        ),
        ("off, on again", x1_off, &ask("', enabled: true"), Ok(&["on oci://quay.io/o/x:1!p"])),
        ("off, on again with path", x1_off, &ask("!p', disabled: false"), Ok(&["on oci://quay.io/o/x:1!p"])),
        ("off and nothing said", x1_off, &ask("'"), Ok(&["off oci://quay.io/o/x:1!p"])),
        ("several paths", two, &ask("'"), Err("it may mean `oci://quay.io/o/x:1!a`, `oci://quay.io/o/x:1!b`")),
        (
            "one of several paths",
            two,
            &ask("!b', enabled: false"),
            Ok(&["on oci://quay.io/o/x:1!a", "off oci://quay.io/o/x:1!b"]),
        ),
        (
            "a third path",
            two,
            &ask("!c'"),
            Ok(&["on oci://quay.io/o/x:1!a", "on oci://quay.io/o/x:1!b", "on oci://quay.io/o/x:1!c"]),
        ),
        (
            "a third path of two versions",
            versions,
            &ask("!c'"),
            Err("it may mean `oci://quay.io/o/x:1!a`, `oci://quay.io/o/x:2!b`"),
        ),
        (
            "one path of two versions",
            versions,
            &ask("!b'"),
            Ok(&["on oci://quay.io/o/x:1!a", "on oci://quay.io/o/x:2!b"]),
        ),
        ("switch one off", x1, &ask("', enabled: false"), Ok(&["off oci://quay.io/o/x:1!p"])),
        (
            "switch all off",
            two,
            &ask("', enabled: false"),
            Ok(&["off oci://quay.io/o/x:1!a", "off oci://quay.io/o/x:1!b", "off oci://quay.io/o/x:1"]),
        ),
        ("several images", two_images, &ask("'"), Err("it may mean `oci://quay.io/o/x:1!p`, `oci://quay.io/q/x:2!p`")),
        ("several images and off", two_images, &ask("', enabled: false"), Err("it may mean")),
        ("one image is on", on_and_off, &ask("'"), Ok(&["off oci://quay.io/o/x:1!p", "on oci://quay.io/q/x:2!p"])),
        (
            "stands off twice",
            &format!("{x1_off}\n{x1_off}"),
            &ask("', enabled: true"),
            Ok(&["on oci://quay.io/o/x:1!p"]),
        ),
        ("in an included file", &ask("'"), "", Err("stands in an included file")),
        ("in an included file and off", &ask("', enabled: false"), "", Err("stands in an included file")),
    ]);
}

#[test]
fn a_name_means_one_image_at_each_level() {
    let other = "- {package: 'oci://mirror.example.com/o/x:1!q'}";
    let x = "- {package: 'oci://quay.io/o/x:1!p'}";
    let message = "`oci://mirror.example.com/o/x` and `oci://quay.io/o/x` at dynamic-plugins.yaml:3:3 both resolve to the plugin name `x`";
    check(&[
        ("in the main file", "", &format!("{x}\n{other}"), Err(message)),
        ("in an included file", &format!("{x}\n{other}"), "", Err("both resolve to the plugin name `x`")),
        (
            "as written, though they inherit from one",
            x,
            "- {package: 'oci://a.example.com/o/x:{{inherit}}!p'}\n- {package: 'oci://b.example.com/o/x:{{inherit}}!q'}",
            Err("both resolve to the plugin name `x`"),
        ),
        ("at two levels", x, other, Ok(&["on oci://quay.io/o/x:1!p", "on oci://mirror.example.com/o/x:1!q"])),
        (
            "one is off",
            "",
            &format!("{x}\n- {{package: 'oci://mirror.example.com/o/x:1!q', enabled: false}}"),
            Ok(&["on oci://quay.io/o/x:1!p", "off oci://mirror.example.com/o/x:1!q"]),
        ),
        (
            "one image",
            "",
            &format!("{x}\n- {{package: 'oci://quay.io/o/x:1!q'}}"),
            Ok(&["on oci://quay.io/o/x:1!p", "on oci://quay.io/o/x:1!q"]),
        ),
    ]);
}

#[test]
fn what_was_resolved_is_told() {
    let planned = planned(
        "- {package: 'oci://quay.io/o/x:1!p', enabled: false}",
        "- {package: 'oci://mirror.example.com/m/x:{{inherit}}', enabled: true}",
    );
    assert_eq!(
        notes(&planned),
        [
            "======= Including plugins from default.yaml",
            "======= Resolved {{inherit}} plugin 'oci://mirror.example.com/m/x:{{inherit}}' to 'oci://quay.io/o/x:1!p'",
            "======= Inheriting version `1` and plugin path `p` for oci://quay.io/o/x",
            "======= Adding new dynamic plugin configuration for version `1` of oci://quay.io/o/x:!p",
            "======= Overriding dynamic plugin configuration oci://quay.io/o/x:!p",
        ]
    );
}

#[test]
fn a_reference_to_what_is_missing_is_told_when_it_is_off() {
    let planned = planned("", "- {package: 'oci://quay.io/o/x:{{inherit}}', enabled: false}");
    assert_eq!(
        warnings(&planned),
        ["dynamic-plugins.yaml:3:13 cannot resolve `oci://quay.io/o/x:{{inherit}}`: no included plugin has that name"]
    );
}

#[test]
fn a_reference_into_a_file_that_is_not_there_names_that_file() {
    let main = "includes: [a.yaml]\nplugins: [{package: 'oci://quay.io/o/x:{{inherit}}'}]";
    let problems = plan_of(begin(main), &[]).unwrap_err();
    assert_eq!(problems.hint(), Some("`a.yaml` is not there; add it, or write the reference out"));
}
