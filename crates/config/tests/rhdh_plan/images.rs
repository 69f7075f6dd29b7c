//! References without a plugin path.

use super::*;

const ON: &str = ", enabled: true}";
const OFF: &str = ", enabled: false}";

#[test]
fn the_higher_level_decides_whether_an_image_is_on() {
    let with = |switch: &str| format!("- {{package: 'oci://quay.io/o/x:1!p'{switch}");
    let without = |switch: &str| format!("- {{package: 'oci://quay.io/o/x:1'{switch}");
    let inherit = |switch: &str| format!("- {{package: 'oci://quay.io/o/x:{{{{inherit}}}}'{switch}");
    let (on, off): (&[&str], &[&str]) = (&["on oci://quay.io/o/x:1!p"], &["off oci://quay.io/o/x:1!p"]);
    let (on_without, off_without): (&[&str], &[&str]) = (&["on oci://quay.io/o/x:1"], &["off oci://quay.io/o/x:1"]);
    check(&[
        ("on, off by inherit", &with(ON), &inherit(OFF), Ok(off)),
        ("on without path, off by inherit", &without(ON), &inherit(OFF), Ok(off_without)),
        ("off, on again", &without(OFF), &without(ON), Ok(on_without)),
        ("off, on by inherit", &with(OFF), &inherit(ON), Ok(on)),
        ("off alone", &without(OFF), "", Ok(off_without)),
        ("on alone", &without(ON), "", Ok(on_without)),
        ("path off, without on", &with(OFF), &without(ON), Ok(on)),
        ("path on, without off", &with(ON), &without(OFF), Ok(off)),
        ("without off, path on", &without(OFF), &with(ON), Ok(on)),
        ("without on, path off", &without(ON), &with(OFF), Ok(off)),
        ("without off and path at one level", "", &format!("{}\n{}", without(OFF), with(ON)), Ok(off)),
        ("path and without off at one level", "", &format!("{}\n{}", with(ON), without(OFF)), Ok(off)),
        ("off and silence", &without(OFF), &with("}"), Ok(off)),
        ("on and silence", &without(ON), &with("}"), Ok(on)),
    ]);
}

#[test]
fn a_reference_means_the_only_path_of_its_image() {
    check(&[
        (
            "at the other level",
            "- {package: 'oci://quay.io/o/x:1!p'}",
            "- {package: 'oci://quay.io/o/x:2'}",
            Ok(&["on oci://quay.io/o/x:2!p"]),
        ),
        (
            "included without path",
            "- {package: 'oci://quay.io/o/x:1'}",
            "- {package: 'oci://quay.io/o/x:2!p'}",
            Ok(&["on oci://quay.io/o/x:2!p"]),
        ),
        (
            "of another image",
            "- {package: 'oci://quay.io/o/y:1!p'}",
            "- {package: 'oci://quay.io/o/x:2'}",
            Ok(&["on oci://quay.io/o/y:1!p", "on oci://quay.io/o/x:2"]),
        ),
        (
            "of the same repository elsewhere",
            "- {package: 'oci://registry.example.com/o/x:1!p', enabled: false}",
            "- {package: 'oci://quay.io/o/x:2'}",
            Ok(&["off oci://registry.example.com/o/x:1!p", "on oci://quay.io/o/x:2"]),
        ),
    ]);
}

#[test]
fn a_reference_that_may_mean_several_plugins_is_refused_or_switches_all_off() {
    let both = "- {package: 'oci://quay.io/o/x:1!a'}\n- {package: 'oci://quay.io/o/x:1!b'}";
    let message = "ambiguous path-less reference `oci://quay.io/o/x:1`: it may mean `a`, `b`";
    check(&[
        ("on", both, "- {package: 'oci://quay.io/o/x:1'}", Err(message)),
        ("on, by word", both, "- {package: 'oci://quay.io/o/x:1', enabled: true}", Err(message)),
        (
            "off, then on",
            &format!("{both}\n- {{package: 'oci://quay.io/o/x:1', enabled: false}}"),
            "- {package: 'oci://quay.io/o/x:1', enabled: true}",
            Err(message),
        ),
        (
            "off, then silent",
            &format!("{both}\n- {{package: 'oci://quay.io/o/x:1', enabled: false}}"),
            "- {package: 'oci://quay.io/o/x:1'}",
            Ok(&["off oci://quay.io/o/x:1!a", "off oci://quay.io/o/x:1!b", "off oci://quay.io/o/x:1"]),
        ),
        (
            "off",
            both,
            "- {package: 'oci://quay.io/o/x:1', enabled: false}",
            Ok(&["off oci://quay.io/o/x:1!a", "off oci://quay.io/o/x:1!b", "off oci://quay.io/o/x:1"]),
        ),
    ]);
    let planned = planned(both, "- {package: 'oci://quay.io/o/x:1', enabled: false}");
    assert_eq!(warnings(&planned), [format!("dynamic-plugins.yaml:3:13 {message}")]);
    assert_eq!(
        notes(&planned),
        [
            "======= Including plugins from default.yaml",
            "======= Disabling OCI plugin oci://quay.io/o/x:1!a",
            "======= Disabling OCI plugin oci://quay.io/o/x:1!b",
            "======= Disabling OCI plugin oci://quay.io/o/x:1",
        ]
    );
}

#[test]
fn other_kinds_and_images_are_left_alone() {
    let planned = planned(
        "- {package: './x', enabled: false}\n- {package: 'oci://quay.io/o/y:1!p', enabled: false}\n- {package: './z'}",
        "- {package: 'oci://quay.io/o/x:1', enabled: false}",
    );
    assert_eq!(outcomes(&planned.plan), ["off ./x", "off oci://quay.io/o/y:1!p", "on ./z", "off oci://quay.io/o/x:1"]);
    assert_eq!(
        notes(&planned)[1..],
        [
            "======= Disabling OCI plugin oci://quay.io/o/x:1",
            "======= Adding new dynamic plugin configuration for ./x",
            "======= Adding new dynamic plugin configuration for version `1` of oci://quay.io/o/y:!p",
            "======= Adding new dynamic plugin configuration for ./z",
        ]
    );
}

#[test]
fn an_invalid_reference_stops_only_when_it_is_on() {
    for (package, message) in [
        ("oci://quay.io/o/x", "neither a tag nor a digest"),
        ("oci://quay.io/o/x:1!", "behind `!`"),
        ("oci://quay.io/o/x:{{inherit}}@sha256:0a", "digest"),
        (
            "oci://quay.io/o/x:{{inherit}}@sha256:0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a",
            "tag",
        ),
        ("x@1:{{inherit}}", "npm"),
        ("oci://quay.io/o/x:{{ inherit }}", "characters"),
        ("oci://quay.io/X:{{inherit}}", "`oci://quay.io/X:{{inherit}}` is invalid: the repository"),
        ("http://h.example.com/x.tgz", "plain"),
        ("My-Plugin@1", "npm"),
    ] {
        for off in ["enabled: false", "disabled: true", "enabled: false, disabled: false"] {
            let planned = planned("", &format!("- {{package: '{package}', {off}}}"));
            assert!(planned.plan.entries.is_empty(), "{package}");
            let warnings = warnings(&planned);
            assert!(matches!(&*warnings, [one] if one.starts_with("dynamic-plugins.yaml:3:13 ")), "{warnings:?}");
        }
        for on in ["enabled: true", "disabled: false", "enabled: true, disabled: true"] {
            for problems in [
                plan("", &format!("- {{package: '{package}', {on}}}")).unwrap_err(),
                plan(&format!("- {{package: '{package}', {on}}}"), "").unwrap_err(),
            ] {
                let complaints = complaints(&problems);
                assert!(matches!(&*complaints, [one] if one.contains(message)), "{package}: {complaints:?}");
            }
        }
    }
}

#[test]
fn an_image_that_is_off_as_a_whole_says_so_to_those_that_are_on() {
    let off = "- {package: 'oci://quay.io/o/x:1', enabled: false}";
    let one = format!("- {{package: 'oci://quay.io/o/x:1!a', enabled: true}}\n{off}");
    let all = "- {package: 'oci://quay.io/o/x:1!a', enabled: true}
- {package: 'oci://quay.io/o/x:1!b'}
- {package: 'oci://quay.io/o/x:{{inherit}}', enabled: false}";
    let message = |place: &str| {
        format!(
            "dynamic-plugins.yaml:3:13 `oci://quay.io/o/x:1!a` is not installed: the entry at {place} switches off all of its image"
        )
    };
    assert_eq!(warnings(&planned("", &one))[0], message("dynamic-plugins.yaml:4:13"));
    let included = "- {package: 'oci://quay.io/o/x:1!a'}\n- {package: 'oci://quay.io/o/x:1!b', enabled: true}";
    assert_eq!(warnings(&planned(included, all)), [message("dynamic-plugins.yaml:5:13")]);
}

#[test]
fn what_is_switched_off_is_told_as_it_was_written() {
    let planned = planned("- {package: 'oci://quay.io/o/x:1!p'}", "- {package: 'oci://quay.io/o/x:2', enabled: false}");
    assert_eq!(
        notes(&planned)[1..],
        ["======= Disabling OCI plugin oci://quay.io/o/x:1!p", "======= Disabling OCI plugin oci://quay.io/o/x:2"]
    );
}
