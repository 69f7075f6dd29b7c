//! Entries for one plugin, at one level and at two.

use super::*;

#[test]
fn the_main_file_replaces_what_was_included_value_for_value() {
    let planned = planned(
        &format!(
            "- {{package: './a', pluginConfig: {{a: {{b: 1, c: 2}}}}}}
- {{package: '@s/n@1.0.0', integrity: {SRI}, pullPolicy: Always, pluginConfig: {{n: 1}}}}
- {{package: './last'}}"
        ),
        "- {package: './new'}
- {package: './a', pluginConfig: {a: {b: 3}}}
- {package: '@s/n@2.0.0', forceDownload: true}",
    );
    assert_eq!(outcomes(&planned.plan), ["on ./a", "on @s/n@2.0.0", "on ./last", "on ./new"]);
    let admitted = admitted(planned.plan);
    let config = |at: usize| {
        let mut merged = config::AppConfig::default();
        merged.merge("x", admitted[at].plugin_config.clone().unwrap()).unwrap();
        merged.to_yaml().split_once('\n').unwrap().1.to_owned()
    };
    assert_eq!(config(0), "\"a\":\n  \"b\": 3\n");
    assert_eq!(config(1), "\"n\": 1\n");
    assert_eq!(admitted[1].promise.to_string(), SRI);
    assert_eq!(admitted[1].pull, config::Pull::Force);
    assert!(admitted[2].plugin_config.is_none());
}

#[test]
fn entries_are_one_plugin_when_their_keys_agree() {
    let sri = format!(", integrity: {SRI}}}");
    let rows: [(&str, &str, &str, usize); 12] = [
        ("npm, other version", "@s/n@1.0.0", "@s/n@^2", 1),
        ("npm, no version", "n", "n@next", 1),
        ("npm, other scope", "@s/n@1.0.0", "@t/n@1.0.0", 2),
        ("alias, other version", "a@npm:@s/n@1", "a@npm:@s/n@2", 1),
        ("alias and its package", "a@npm:@s/n@1", "@s/n@1", 2),
        ("git, other commit", "https://github.com/u/r.git#v1", "https://github.com/u/r.git#v2", 1),
        ("git, other form", "github:u/r#v1", "u/r#v1", 2),
        ("tarball, same URL", "https://h.example.com/x-1.tgz", "https://h.example.com/x-1.tgz", 1),
        ("tarball, other version", "https://h.example.com/x-1.tgz", "https://h.example.com/x-2.tgz", 2),
        ("tarball, other query", "https://h.example.com/x.tgz?a=1", "https://h.example.com/x.tgz?a=2", 2),
        ("image, other version", "oci://quay.io/o/x:1!p", "oci://quay.io/o/x:2!p", 1),
        ("image, other path", "oci://quay.io/o/x:1!p", "oci://quay.io/o/x:1!q", 2),
    ];
    for (name, included, main, count) in rows {
        let entry = |package: &str| format!("- {{package: '{package}'{sri}");
        let planned = planned(&entry(included), &entry(main));
        assert_eq!(planned.plan.entries.len(), count, "{name}");
    }
}

#[test]
fn a_plugin_stands_once_at_each_level() {
    let sri = format!("integrity: {SRI}");
    check(&[
        ("local twice in the main file", "", "- {package: './a'}\n- {package: './a'}", Err("duplicate")),
        ("local twice in an included file", "- {package: './a'}\n- {package: './a'}", "", Err("duplicate")),
        (
            "npm in another version",
            "",
            &format!("- {{package: 'n@1', {sri}}}\n- {{package: 'n@2', {sri}}}"),
            Err("duplicate plugin configuration for `n@2`, which stands at dynamic-plugins.yaml:3:3 already"),
        ),
        ("npm-like, off", "", "- {package: './a'}\n- {package: './a', enabled: false}", Err("duplicate")),
        (
            "image, on",
            "",
            "- {package: 'oci://quay.io/o/x:1!p'}\n- {package: 'oci://quay.io/o/x:2!p'}",
            Err("duplicate"),
        ),
        (
            "image, on after off",
            "",
            "- {package: 'oci://quay.io/o/x:1!p', enabled: false}\n- {package: 'oci://quay.io/o/x:1!p', enabled: true}",
            Err("duplicate"),
        ),
        (
            "image, off",
            "",
            "- {package: 'oci://quay.io/o/x:1!p'}\n- {package: 'oci://quay.io/o/x:1!p', enabled: false}",
            Ok(&["off oci://quay.io/o/x:1!p"]),
        ),
        (
            "image without path",
            "",
            "- {package: 'oci://quay.io/o/x:1'}\n- {package: 'oci://quay.io/o/x:1'}",
            Err("duplicate"),
        ),
        (
            "image with and without path",
            "",
            "- {package: 'oci://quay.io/o/x:1!p'}\n- {package: 'oci://quay.io/o/x:1'}",
            Err("duplicate"),
        ),
        ("replaced, then again", "- {package: './a'}", "- {package: './a'}\n- {package: './a'}", Err("duplicate")),
    ]);
}

#[test]
fn included_files_are_one_level() {
    let included = [("a.yaml", "plugins: [{package: './x'}]"), ("b.yaml", "plugins: [{package: './x'}]")];
    let problems = plan_of(begin("includes: [a.yaml, b.yaml]"), &included).unwrap_err();
    assert_eq!(
        complaints(&problems),
        ["b.yaml:1:21 duplicate plugin configuration for `./x`, which stands at a.yaml:1:11 already"]
    );
    let included = [("a.yaml", "plugins: [{package: './x'}]"), ("b.yaml", "plugins: [{package: './y'}]")];
    let main = "includes: [b.yaml, a.yaml]\nplugins: [{package: './z'}, {package: './x'}]";
    assert_eq!(outcomes(&plan_of(begin(main), &included).unwrap().plan), ["on ./y", "on ./x", "on ./z"]);
}

#[test]
fn a_disabled_image_that_stands_twice_is_told_and_stays_off() {
    let planned =
        planned("", "- {package: 'oci://quay.io/o/x:1!p'}\n- {package: 'oci://quay.io/o/x:1!p', enabled: false}");
    assert_eq!(
        warnings(&planned),
        [
            "dynamic-plugins.yaml:4:13 duplicate plugin configuration for `oci://quay.io/o/x:1!p`, which stands at dynamic-plugins.yaml:3:3 already"
        ]
    );
}

#[test]
fn a_duplicate_is_told_as_it_is_written() {
    let main = "- {package: 'oci://quay.io/o/x:1!p'}\n- {package: 'oci://quay.io/o/x:1'}";
    let message = "duplicate plugin configuration for `oci://quay.io/o/x:1`, which stands at dynamic-plugins.yaml:3:3";
    check(&[("reference that leaves the path open", "", main, Err(message))]);
}
