//! What single entries say: switches, promises, pull policies.

use config::Pull;

use super::*;

#[test]
fn enabled_counts_before_disabled_and_the_main_file_before_the_included_ones() {
    let entry = |switch: &str| format!("- {{package: './a'{switch}}}");
    let (on, off): (&[&str], &[&str]) = (&["on ./a"], &["off ./a"]);
    for (included, main, expected) in [
        (None, "", on),
        (None, ", enabled: true", on),
        (None, ", enabled: false", off),
        (None, ", disabled: true", off),
        (None, ", disabled: false", on),
        (None, ", enabled: true, disabled: true", on),
        (None, ", enabled: false, disabled: false", off),
        (None, ", enabled: 'false'", off),
        (None, ", disabled: yes", off),
        (None, ", disabled: 'True'", off),
        (None, ", disabled: ~", on),
        (None, ", enabled: ~, disabled: true", off),
        (Some(", disabled: true"), ", enabled: true", on),
        (Some(", enabled: false"), ", disabled: false", on),
        (Some(", enabled: true"), ", disabled: true", off),
        (Some(", disabled: false"), ", enabled: false", off),
        (Some(", disabled: true"), "", off),
        (Some(", enabled: true, disabled: true"), ", disabled: true", off),
        (Some(", disabled: off"), ", enabled: no", off),
    ] {
        let included = included.map(entry).unwrap_or_default();
        assert_eq!(outcomes(&planned(&included, &entry(main)).plan), expected, "{included} {main}");
    }
}

#[test]
fn disabled_is_told_to_be_deprecated_once_for_each_entry() {
    let planned = planned(
        "- {package: './a', disabled: true}\n- {package: './b', enabled: true, disabled: true}",
        "- {package: './a', disabled: false}\n- {package: './c', enabled: false}",
    );
    let notes: Vec<_> = notes(&planned).into_iter().filter(|note| note.contains("deprecated")).collect();
    assert_eq!(
        notes,
        [
            "WARNING: `disabled` is deprecated: write `enabled: false` in place of `disabled: true` for ./a (default.yaml:2:30)",
            "WARNING: `disabled` is deprecated: write `enabled: false` in place of `disabled: true` for ./b (default.yaml:3:45)",
            "WARNING: `disabled` is deprecated: write `enabled: true` in place of `disabled: false` for ./a (dynamic-plugins.yaml:3:30)",
        ]
    );
}

#[test]
fn what_the_bytes_must_be_follows_from_source_and_integrity() {
    let sha256 = "sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=";
    for (package, integrity, promise) in [
        ("oci://quay.io/o/x:1", None, "registry"),
        ("oci://quay.io/o/x:1", Some(SRI), SRI),
        ("x@1.0.0", Some(SRI), SRI),
        ("x@1.0.0", Some(sha256), sha256),
        ("https://h.example.com/x.tgz", Some(SRI), SRI),
        ("github:u/r", Some(SRI), SRI),
        ("./x", None, "local"),
        ("./x.tgz", Some(SRI), "local"),
    ] {
        let integrity = integrity.map(|integrity| format!(", integrity: {integrity}")).unwrap_or_default();
        let planned = planned("", &format!("- {{package: '{package}'{integrity}}}"));
        let warnings = warnings(&planned);
        let is_ignored = package.starts_with("./") && !integrity.is_empty();
        assert_eq!(warnings.len(), usize::from(is_ignored), "{warnings:?}");
        assert_eq!(admitted(planned.plan)[0].promise.to_string(), promise, "{package}");
    }
}

#[test]
fn what_comes_over_the_network_unvouched_needs_an_integrity_unless_that_was_switched_off() {
    for package in ["x@1.0.0", "a@npm:x", "https://h.example.com/x.tgz", "github:u/r"] {
        let entry = format!("plugins:\n- {{package: '{package}'");
        let problems = plan_of(begin(&format!("{entry}}}")), &[]).unwrap_err();
        assert_eq!(
            complaints(&problems),
            [format!("dynamic-plugins.yaml:2:3 expected `integrity` for `{package}`, found none")]
        );
        assert!(problems.hint().unwrap().contains("SKIP_INTEGRITY_CHECK=true"));
        assert!(plan_of(begin(&format!("{entry}, enabled: false}}")), &[]).is_ok());

        let skipping = |text: &str| plan_of(Planning::begin(MAIN, text.as_bytes(), MissingIntegrity::IsSkipped), &[]);
        let planned = skipping(&format!("{entry}}}")).unwrap();
        assert_eq!(
            warnings(&planned),
            [format!("dynamic-plugins.yaml:2:3 `{package}` has no `integrity` and is installed unchecked")]
        );
        assert_eq!(admitted(planned.plan)[0].promise.to_string(), "unchecked");
        let planned = skipping(&format!("{entry}, integrity: {SRI}}}")).unwrap();
        assert_eq!(admitted(planned.plan)[0].promise.to_string(), SRI);
        assert!(skipping(&format!("{entry}, integrity: md5-x}}")).is_err());
    }
}

#[test]
fn a_path_that_lacks_its_beginning_is_not_only_asked_for_an_integrity() {
    for package in ["loc", "plugins/foo"] {
        let list = format!("plugins:\n- package: {package}\n");
        let hint =
            format!("for a folder or tarball beside the list write `./{package}`; else add `integrity: sha512-…`");
        let problems = plan_of(begin(&list), &[]).unwrap_err();
        assert!(problems.hint().unwrap().starts_with(&hint), "{problems}");
        let skipping = Planning::begin(MAIN, list.as_bytes(), MissingIntegrity::IsSkipped);
        let warning = plan_of(skipping, &[]).unwrap().warnings[0].render();
        assert!(warning.contains(&format!("help: {hint}")), "{warning}");
    }
    let problems = plan("", "- package: loc@1").unwrap_err();
    assert!(problems.hint().unwrap().starts_with("add `integrity"), "{problems}");
}

#[test]
fn a_wrong_integrity_is_shown_where_it_stands() {
    let problems = plan("- {package: 'x@1', integrity: sha1-AAAA}", "- {package: 'x@2'}").unwrap_err();
    assert_eq!(complaints(&problems), ["default.yaml:2:31 integrity must use sha512, sha384 or sha256, found `sha1`"]);
    assert!(plan("- {package: 'x@1', integrity: sha1-AAAA}", "- {package: 'x@2', enabled: false}").is_ok());
}

#[test]
fn only_a_floating_tag_is_asked_for_every_time() {
    let digest = "sha256:0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a";
    let pinned = format!("oci://quay.io/o/x:latest@{digest}");
    for (package, rest, pull) in [
        ("oci://quay.io/o/x:1", "", Pull::IfNotPresent),
        ("oci://quay.io/o/x:latest", "", Pull::Always),
        ("oci://quay.io/o/x:latest!p", "", Pull::Always),
        ("oci://quay.io/o/x:latest-1", "", Pull::IfNotPresent),
        (&pinned, "", Pull::IfNotPresent),
        ("oci://quay.io/o/x:latest", ", pullPolicy: IfNotPresent", Pull::IfNotPresent),
        ("oci://quay.io/o/x:1", ", pullPolicy: Always", Pull::Always),
        ("oci://quay.io/o/x:1", ", forceDownload: true", Pull::Force),
        ("oci://quay.io/o/x:1", ", forceDownload: true, pullPolicy: IfNotPresent", Pull::Force),
        ("oci://quay.io/o/x:1", ", forceDownload: false, pullPolicy: Always", Pull::Always),
        ("./x", "", Pull::IfNotPresent),
    ] {
        let planned = planned("", &format!("- {{package: '{package}'{rest}}}"));
        assert_eq!(admitted(planned.plan)[0].pull, pull, "{package} {rest}");
    }
}

#[test]
fn a_download_that_was_forced_is_forced_until_the_main_file_says_otherwise() {
    for (main, pull) in [("", Pull::Force), (", forceDownload: false", Pull::Always)] {
        let included = "- {package: './x', forceDownload: true, pullPolicy: Always}";
        let planned = planned(included, &format!("- {{package: './x'{main}}}"));
        assert_eq!(admitted(planned.plan)[0].pull, pull);
    }
}

#[test]
fn what_lacks_its_integrity_is_shown_where_it_was_written_last() {
    for (main, place) in [("", "default.yaml:2:3"), ("- {package: 'x@2'}", "dynamic-plugins.yaml:3:3")] {
        let problems = plan("- {package: 'x@1'}", main).unwrap_err();
        assert!(complaints(&problems)[0].starts_with(&format!("{place} expected `integrity`")), "{main}");
    }
}
