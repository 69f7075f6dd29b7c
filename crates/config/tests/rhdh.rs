//! One file of the rhdh dialect.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

#[path = "tables/lists.rs"]
mod lists;

use std::time::{Duration, Instant};

use config::rhdh::{File, PullPolicy, RawEntry, Written, read};
use config::{AppConfig, MAX_DEPTH, MAX_NODES, MAX_PROBLEMS, MAX_REPEATED, Problems};
use lists::inside;

const NAME: &str = "dynamic-plugins.yaml";

fn file(text: &str) -> File {
    read(text.as_bytes(), NAME).unwrap_or_else(|problems| panic!("{}", problems.render(""))).unwrap()
}

fn problems(text: &str) -> Problems {
    read(text.as_bytes(), NAME).map(|file| format!("{file:?}")).unwrap_err()
}

/// Each problem's place and message; empty for a file that is right.
fn complaints(text: &str) -> Vec<String> {
    match read(text.as_bytes(), NAME) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.iter().map(|problem| format!("{} {}", problem.position, problem.message)).collect(),
    }
}

fn warnings(text: &str) -> Vec<String> {
    let warned = file(text).warnings;
    warned.iter().map(|warning| format!("{} {}", warning.as_problem().position, warning.as_problem().message)).collect()
}

fn value<T: Copy>(written: Option<&Written<T>>) -> Option<T> {
    written.map(|written| written.value)
}

fn only(text: &str) -> RawEntry {
    let plugins = file(text).plugins;
    assert_eq!(plugins.len(), 1, "{text}");
    plugins.into_iter().next().unwrap()
}

fn merged(entry: RawEntry) -> String {
    let mut merged = AppConfig::default();
    merged.merge("x", entry.plugin_config.unwrap()).unwrap();
    merged.to_yaml().split_once('\n').unwrap().1.to_owned()
}

#[test]
fn every_key_is_read_with_its_place() {
    let file = file(
        "\
includes:
  - dynamic-plugins.default.yaml
allowedSources:
  - oci://quay.io/rhdh
plugins:
  - package: ./dynamic-plugins/dist/a
  - package: oci://quay.io/rhdh/b:{{inherit}}!b
    integrity: sha512-x
    enabled: true
    disabled: false
    pullPolicy: Always
    forceDownload: true
    pluginConfig: {a: 1}
",
    );
    assert_eq!((file.includes.len(), file.includes[0].value.as_str()), (1, "dynamic-plugins.default.yaml"));
    assert_eq!(file.includes[0].place.to_string(), "dynamic-plugins.yaml:2:5");
    assert_eq!(file.policy.unwrap().value.prefixes().len(), 1);
    assert!(file.warnings.is_empty(), "{:?}", file.warnings);
    let [first, second] = file.plugins.as_slice() else { panic!("{:?}", file.plugins) };
    assert_eq!(first.package.value, "./dynamic-plugins/dist/a");
    assert_eq!((value(first.enabled.as_ref()), value(first.disabled.as_ref())), (None, None));
    assert!(first.integrity.is_none() && first.pull_policy.is_none() && first.plugin_config.is_none());
    assert_eq!(second.place.position().line, 7);
    assert_eq!(second.package.value, "oci://quay.io/rhdh/b:{{inherit}}!b");
    assert_eq!(second.integrity.as_ref().unwrap().value, "sha512-x");
    assert_eq!(second.integrity.as_ref().unwrap().place.to_string(), "dynamic-plugins.yaml:8:16");
    assert_eq!((value(second.enabled.as_ref()), value(second.disabled.as_ref())), (Some(true), Some(false)));
    assert_eq!(value(second.pull_policy.as_ref()), Some(PullPolicy::Always));
    assert_eq!(value(second.force_download.as_ref()), Some(true));
    assert_eq!(second.plugin_config.as_ref().unwrap().position().line, 13);
}

#[test]
fn an_empty_file_is_none_and_a_list_may_be_absent() {
    for empty in ["", "# nothing\n", "---\n", "~\n", "\u{feff}"] {
        assert!(read(empty.as_bytes(), NAME).unwrap().is_none(), "{empty:?}");
    }
    for text in ["{}", "plugins:\n", "includes: ~\nplugins: []\n", "x-a: 1\n"] {
        let file = file(text);
        assert!(file.plugins.is_empty() && file.includes.is_empty() && file.policy.is_none(), "{text}");
        assert!(file.warnings.is_empty(), "{text}");
    }
    assert!(file("allowedSources: []\n").policy.is_some());
}

#[test]
fn only_the_block_of_a_values_file_is_read() {
    let values = "x: &off {disabled: true}\nplugins: 1\nglobal:\n  host: a\n  dynamic:\n    plugins:\n    - package: ./a\n      <<: *off\n      dependencies: [{ref: b}]\n";
    let entry = only(values);
    assert_eq!((entry.place.position().line, value(entry.disabled.as_ref())), (7, Some(true)));
    assert_eq!(warnings(values), ["8:7 the YAML 1.1 merge key `<<` is honoured"]);
    assert_eq!(
        complaints("global: {dynamic: {plugins: {}}}\n"),
        ["1:29 expected a list for `plugins`, found a mapping"]
    );
    assert!(read(b"global: {dynamic: }\n", NAME).unwrap().is_none());
    for text in ["global: {host: a}\nplugins: []\n", "global: 1\n", "dynamic: {plugins: 1}\n"] {
        assert_eq!(warnings(text).len(), 1, "{text}");
    }
}

#[test]
fn a_boolean_is_honoured_however_it_is_written() {
    let rows = [
        ("true", Some(true), None),
        ("False", Some(false), None),
        ("yes", Some(true), Some("the text `yes` is taken for `true` as value of")),
        ("NO", Some(false), Some("the text `NO` is taken for `false` as value of")),
        ("On", Some(true), Some("the text `On` is taken for `true` as value of")),
        ("off", Some(false), Some("the text `off` is taken for `false` as value of")),
        ("y", Some(true), Some("the text `y` is taken for `true` as value of")),
        ("N", Some(false), Some("the text `N` is taken for `false` as value of")),
        ("'true'", Some(true), Some("the quoted text `true` is taken for the boolean as value of")),
        ("\"FALSE\"", Some(false), Some("the quoted text `FALSE` is taken for the boolean as value of")),
        ("tRue", Some(true), Some("the text `tRue` is taken for `true` as value of")),
        ("'yes'", Some(true), Some("the text `yes` is taken for `true` as value of")),
        ("", None, Some("has no value and counts as absent")),
        ("~", None, Some("has no value and counts as absent")),
    ];
    for key in ["enabled", "disabled", "forceDownload"] {
        for (written, expected, warned) in rows {
            let text = format!("plugins:\n- package: ./a\n  {key}: {written}\n");
            let entry = only(&text);
            let found = match key {
                "enabled" => entry.enabled,
                "disabled" => entry.disabled,
                _ => entry.force_download,
            };
            assert_eq!(value(found.as_ref()), expected, "{key}: {written}");
            let said = warnings(&text);
            assert_eq!(said.len(), usize::from(warned.is_some()), "{key}: {written}: {said:?}");
            for said in said {
                assert!(said.starts_with("3:") && said.contains(warned.unwrap()), "{key}: {written}: {said}");
                assert!(said.contains(&format!("`{key}`")), "{said}");
            }
        }
        for written in ["1", "0", "maybe", "''", "[]", "{}", "[true]", "tru", "1.0"] {
            let said = complaints(&format!("plugins:\n- package: ./a\n  {key}: {written}\n"));
            assert_eq!(said.len(), 1, "{key}: {written}: {said:?}");
            assert!(said[0].contains(&format!("expected a boolean for `{key}`, found ")), "{said:?}");
        }
    }
}

#[test]
fn each_mistake_is_named_where_it_stands() {
    for (name, text, expected) in lists::mistakes() {
        assert_eq!(complaints(&text), [expected], "{name}");
    }
    assert_eq!(problems(&inside("enable: false")).hint(), Some("did you mean `enabled`?"));
    assert_eq!(problems(&inside("pullPolicy: always")).hint(), Some("did you mean `Always`?"));
    assert_eq!(problems(&inside("pullPolicy: ifNotPresnt")).hint(), Some("did you mean `IfNotPresent`?"));
    assert_eq!(problems(&inside("pullPolicy: Never")).hint(), Some("write one of the two, or remove the key"));
}

#[test]
fn what_is_read_otherwise_than_written_is_a_warning() {
    for (name, text, expected) in lists::oddities() {
        assert_eq!(warnings(&text), [expected], "{name}");
    }
    assert_eq!(
        file(&inside("pullPolcy: Always")).warnings[0].as_problem().hint.as_deref(),
        Some("did you mean `pullPolicy`?")
    );
    assert!(warnings(&inside("x-mine: true")).is_empty());
}

#[test]
fn a_warning_reads_well() {
    assert_eq!(
        file("plugins:\n- package: ./a\n  disabled: Yes\n").warnings[0].render(),
        "\
warning: the text `Yes` is taken for `true` as value of `disabled`
 --> dynamic-plugins.yaml:3:13
  |
3 |   disabled: Yes
  |             ^^^
help: write `true`; YAML 1.2 reads `Yes` as text

"
    );
}

#[test]
fn polluting_keys_are_gone_and_their_neighbours_stay() {
    let entry = only(
        "plugins: [{package: ./a, pluginConfig: {__proto__: {x: 1}, a: [{constructor: 1, b: 2}, {prototype: 1}], c: {d: 3}}}]",
    );
    assert_eq!(merged(entry), "\"a\":\n  -\n    \"b\": 2\n  - {}\n\"c\":\n  \"d\": 3\n");
}

#[test]
fn aliases_are_written_out() {
    for (name, config, expected) in [
        ("scalar", "{a: &a 0x10, b: *a}", "\"a\": 16\n\"b\": 16\n"),
        ("list", "{a: &a [1, [2]], b: *a}", "\"a\":\n  - 1\n  -\n    - 2\n\"b\":\n  - 1\n  -\n    - 2\n"),
        ("key", "{a: &a name, *a : 1}", "\"a\": \"name\"\n\"name\": 1\n"),
        ("key that is a number", "{a: &a 8080, *a : 1}", "\"a\": 8080\n\"8080\": 1\n"),
        ("anchored key", "{&a 8080 : 1, b: *a}", "\"8080\": 1\n\"b\": 8080\n"),
        (
            "within",
            "{a: &a {b: &b 1, c: *b}, d: [*a, *b]}",
            concat!("\"a\":\n  \"b\": 1\n  \"c\": 1\n", "\"d\":\n  -\n    \"b\": 1\n    \"c\": 1\n  - 1\n"),
        ),
        ("last of a name", "{a: &a 1, b: &a 2, c: *a}", "\"a\": 1\n\"b\": 2\n\"c\": 2\n"),
        ("nothing", "{a: &a , b: *a}", "\"a\": null\n\"b\": null\n"),
        ("quoted", "{a: &a '1', b: *a}", "\"a\": \"1\"\n\"b\": \"1\"\n"),
    ] {
        let text = format!("plugins: [{{package: ./a, pluginConfig: {config}}}]\n");
        assert!(warnings(&text).is_empty(), "{name}");
        assert_eq!(merged(only(&text)), expected, "{name}");
    }
}

#[test]
fn merge_keys_bring_what_is_not_there() {
    for (name, config, expected) in [
        ("own keys win", "{<<: {a: 1, b: 1}, b: 2}", "\"b\": 2\n\"a\": 1\n"),
        ("wherever they stand", "{b: 2, <<: {a: 1, b: 1}}", "\"b\": 2\n\"a\": 1\n"),
        ("the earlier wins", "{<<: [{a: 1}, {a: 2, b: 2}]}", "\"a\": 1\n\"b\": 2\n"),
        ("whole values", "{<<: {a: {b: 1}}, a: {c: 2}}", "\"a\":\n  \"c\": 2\n"),
        ("of an alias", "{x: &x {a: 1}, y: {<<: *x, b: 2}}", "\"x\":\n  \"a\": 1\n\"y\":\n  \"b\": 2\n  \"a\": 1\n"),
        (
            "of aliases",
            "{x: &x {a: 1}, y: &y {a: 2, b: 2}, z: {<<: [*x, *y]}}",
            "\"x\":\n  \"a\": 1\n\"y\":\n  \"a\": 2\n  \"b\": 2\n\"z\":\n  \"a\": 1\n  \"b\": 2\n",
        ),
        ("of a merge", "{<<: {<<: {a: 1}, b: 2}, c: 3}", "\"c\": 3\n\"b\": 2\n\"a\": 1\n"),
        ("an empty list", "{<<: [], a: 1}", "\"a\": 1\n"),
        ("as a value", "{a: <<}", "\"a\": \"<<\"\n"),
    ] {
        let entry = only(&format!("plugins: [{{package: ./a, pluginConfig: {config}}}]\n"));
        assert_eq!(merged(entry), expected, "{name}");
    }
}

#[test]
fn a_disabled_plugin_is_not_enabled_by_the_way_it_is_written() {
    for disabled in [
        "<<: {disabled: true}",
        "<<: {disabled: yes}",
        "<<: *off",
        "<<: [*none, *off]",
        "disabled: *yes",
        "disabled: on",
        "disabled: 'true'",
        "*key : true",
    ] {
        let text = format!(
            "x-a: [&off {{disabled: true}}, &none {{}}, &yes yes, &key disabled]\nplugins:\n- package: ./a\n  {disabled}\n"
        );
        assert_eq!(value(only(&text).disabled.as_ref()), Some(true), "{disabled}");
    }
}

#[test]
fn what_is_repeated_is_complained_about_once() {
    let text = "x-a: [&a {a: 1, <<: {b: 2}, a: 2}, *a, *a]\n";
    assert_eq!(complaints(text), ["1:29 duplicate key `a`"]);
    let text = format!("x-a: &a {{a: 1, a: 2}}\nx-b:\n{}", "- *a\n".repeat(11_000));
    assert_eq!(complaints(&text), ["1:16 duplicate key `a`"]);
    let text = "x-a: &a {package: ./a, disabled: yes, <<: {c: 1}}\nplugins: [*a, *a, {<<: *a}]\n";
    assert_eq!(
        warnings(text),
        [
            "1:34 the text `yes` is taken for `true` as value of `disabled`",
            "1:39 the YAML 1.1 merge key `<<` is honoured",
            "1:44 unknown key `c`",
            "2:20 the YAML 1.1 merge key `<<` is honoured",
        ]
    );
    let text = "x-a: &a {disabled: 1}\nplugins: [*a, *a]\n";
    assert_eq!(
        complaints(text),
        [
            "1:20 expected a boolean for `disabled`, found a number",
            "2:11 expected `package` in the entry, found none",
            "2:15 expected `package` in the entry, found none",
        ]
    );
}

#[test]
fn a_billion_laughs_are_stopped_at_the_alias_that_is_too_many() {
    let mut text = vec!["a0: &a0 [x, x, x, x, x, x, x, x, x]".to_owned()];
    text.extend(
        (1..=9).map(|level| format!("a{level}: &a{level} [{}]", vec![format!("*a{}", level - 1); 9].join(", "))),
    );
    let start = Instant::now();
    let problems = problems(&text.join("\n"));
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    assert_eq!(
        problems.summary(),
        "line 6, column 15 of `dynamic-plugins.yaml`: the file holds more than 200000 values"
    );
    assert_eq!(problems.hint(), Some("what an alias repeats counts each time; repeat less"));
}

#[test]
fn the_number_of_values_is_bounded_with_what_aliases_repeat() {
    // The root, two keys and three lists are values, too.
    let repeated = |items: usize, more: &str| format!("x-a: &a [{}]\nx-b: [{more}*a]\n", vec!["x"; items].join(","));
    assert_eq!(complaints(&repeated((MAX_NODES - 6) / 2, "")), [""; 0]);
    let over = complaints(&repeated((MAX_NODES - 6) / 2, "x,"));
    assert!(over.len() == 1 && over[0].ends_with("the file holds more than 200000 values"), "{over:?}");
}

#[test]
fn the_text_that_aliases_repeat_is_bounded() {
    let repeated = |more: &str| {
        let long = "x".repeat(MAX_REPEATED / 4);
        format!("x-a: &a {long}\nx-b: [*a, *a, *a, *a]\nx-c: &c x\n{more}")
    };
    assert_eq!(complaints(&repeated("")), [""; 0]);
    assert_eq!(complaints(&repeated("x-d: *c\n")), ["4:6 aliases repeat more than 4194304 bytes"]);
}

#[test]
fn depth_is_bounded_with_what_aliases_repeat() {
    let nested = |value: &str, depth: usize| format!("{}{value}{}", "[".repeat(depth), "]".repeat(depth));
    let text = |depth: usize| format!("x-a: &a {}\nx-b: {}\n", nested("x", 30), nested("*a", depth));
    assert_eq!(complaints(&text(MAX_DEPTH - 31)), [""; 0]);
    assert_eq!(complaints(&text(MAX_DEPTH - 30)), ["2:40 nested deeper than 64 levels"]);
}

#[test]
fn very_many_warnings_are_counted() {
    let keys = |number: usize| (0..number).map(|n| format!("key{n}: 1")).collect::<Vec<_>>().join("\n");
    assert_eq!(warnings(&keys(MAX_PROBLEMS)).len(), MAX_PROBLEMS);
    let more = warnings(&keys(MAX_PROBLEMS + 7));
    assert_eq!(more.len(), MAX_PROBLEMS + 1);
    assert_eq!(more[MAX_PROBLEMS], "51:1 and 7 more warnings from here on");
}

#[test]
fn problems_of_two_files_are_shown_each_in_its_own() {
    let mut both = problems("plugins: {}\n");
    both.join(read(b"plugins: 1\nincludes: 2\n", "included\u{1b}.yaml").unwrap_err());
    assert_eq!((both.count(), both.iter().count()), (3, 3));
    let page = both.render("other.yaml");
    assert!(page.contains(" --> dynamic-plugins.yaml:1:10\n"), "{page}");
    assert!(page.contains(" --> included\\u{1b}.yaml:1:10\n"), "{page}");
    assert!(both.summary().ends_with("a mapping; and 2 more problems"), "{}", both.summary());

    let many = |name| read(format!("plugins:\n{}", "- 1\n".repeat(40)).as_bytes(), name);
    let mut both = many("a").unwrap_err();
    both.join(many("b").unwrap_err());
    assert_eq!((both.count(), both.iter().count()), (80, MAX_PROBLEMS));
    for bytes in [&b"\xff"[..], b"\0", b"a: ["] {
        let problems = read(bytes, NAME).unwrap_err();
        assert!(problems.render("").contains(" --> dynamic-plugins.yaml:"), "{bytes:?}");
    }
}

#[test]
fn excerpts_keep_secrets() {
    for lines in [
        "  pluginConfig: {token: s3cret, __proto__: s3cret, constructor: {a: s3cret}}",
        "  pluginConfig: {token: s3cret, <<: {a: s3cret}}",
        "  pluginConfig: {token: s3cret, <<: s3cret}",
        "  pluginConfig: s3cret",
        "  pluginConfg: {token: s3cret}",
        "  {token: s3cret, <<: s3cret}",
        "  <<: {apiToken: s3cret, token=s3cret: 1}",
        "  <<: s3cret",
        "  <<: [s3cret]",
        "  apiToken: s3cret",
        "  apiToken:s3cret: x",
        "  pluginConfig:\n    <<: {token: s3cret}\n    password: s3cret\n    password: s3cret",
        "  pluginConfig: &s {a: s3cret, b: *s}",
        "  x-a: &s s3cret\n  disabled: *s\n  pullPolicy: [*s]",
        "  pluginConfig: !s3cret x",
        "  pluginConfig: &s s3cret\n  <<: *s",
    ] {
        let text = format!("x-a: &a 1\nplugins:\n- package: https://u:s3cret@a.example.com/x.tgz\n{lines}\n");
        match read(text.as_bytes(), NAME) {
            Ok(file) => {
                let file = file.unwrap();
                assert!(!file.warnings.is_empty(), "{lines}");
                for warning in file.warnings {
                    assert!(!warning.render().contains("s3c"), "{lines}: {}", warning.render());
                }
                let entry = &file.plugins[0];
                let shown = entry.package.place.problem("x", None).render("");
                assert!(!shown.contains("s3c"), "{lines}: {shown}");
                assert!(!format!("{:?}", entry.place).contains("s3c"), "{lines}");
            }
            Err(problems) => assert!(!problems.render("").contains("s3c"), "{lines}: {}", problems.render("")),
        }
    }
}

#[test]
fn the_app_config_says_where_the_plugins_are_and_keeps_saying_so() {
    let header = AppConfig::default().to_yaml();
    let header = header.lines().next().unwrap();
    let start = format!("{header}\n\"dynamicPlugins\":\n  \"rootDirectory\": \"dynamic-plugins-root\"\n");
    assert!(!AppConfig::rhdh().is_empty());
    assert_eq!(AppConfig::rhdh().to_yaml(), start);

    let fragment =
        |config: &str| only(&format!("plugins: [{{package: ./a, pluginConfig: {config}}}]\n")).plugin_config.unwrap();
    let mut merged = AppConfig::rhdh();
    merged.merge("./a", fragment("{a: 1, dynamicPlugins: {frontend: {x: {}}}}")).unwrap();
    merged.merge("./b", fragment("{dynamicPlugins: {rootDirectory: dynamic-plugins-root}}")).unwrap();
    assert_eq!(merged.to_yaml(), format!("{start}  \"frontend\":\n    \"x\": {{}}\n\"a\": 1\n"));

    for (config, key) in [
        ("{dynamicPlugins: {rootDirectory: elsewhere}}", "dynamicPlugins.rootDirectory"),
        ("{dynamicPlugins: {rootDirectory: {a: 1}}}", "dynamicPlugins.rootDirectory"),
        ("{dynamicPlugins: off}", "dynamicPlugins"),
    ] {
        let before = merged.to_yaml();
        let conflict = merged.merge("./c", fragment(config)).unwrap_err();
        assert_eq!((conflict.key.as_str(), &conflict.first, conflict.second.as_str()), (key, &None, "./c"), "{config}");
        assert_eq!(
            conflict.to_string(),
            format!(
                "expected `{key}` as the installer sets it, found another value in line 1 of `dynamic-plugins.yaml`"
            )
        );
        assert!(conflict.hint().starts_with(&format!("leave `{key}` out at dynamic-plugins.yaml:1:")), "{config}");
        assert_eq!(merged.to_yaml(), before, "{config}");
    }
}

#[test]
fn a_conflict_of_two_files_names_both_places() {
    for (name, first, second) in [
        ("scalars", "{a: {b: 1}}", "{a: {b: 2}}"),
        ("mapping over scalar", "{a: {b: 1}}", "{a: {b: {c: 1}}}"),
        ("scalar over mapping", "{a: {b: {c: 1}}}", "{a: {b: 1}}"),
        ("mapping over list", "{a: {b: []}}", "{a: {b: {}}}"),
        ("list over mapping", "{a: {b: {}}}", "{a: {b: []}}"),
    ] {
        let fragment = |name: &str, config: &str| {
            let text = format!("plugins: [{{package: ./a, pluginConfig: {config}}}]\n");
            let file = read(text.as_bytes(), name).unwrap().unwrap();
            file.plugins.into_iter().next().unwrap().plugin_config.unwrap()
        };
        let mut merged = AppConfig::rhdh();
        merged.merge("./a", fragment("default.yaml", first)).unwrap();
        let conflict = merged.merge("./b", fragment(NAME, second)).unwrap_err();
        assert_eq!(
            conflict.to_string(),
            "expected `a.b` as `./a` sets it in line 1 of `default.yaml`, found another value in line 1 of \
             `dynamic-plugins.yaml`",
            "{name}"
        );
        assert_eq!(
            conflict.hint(),
            "set `a.b` alike at default.yaml:1:45 and dynamic-plugins.yaml:1:45, or in one of the two entries only"
        );
        assert_eq!(
            (conflict.second.as_str(), conflict.at.to_string()),
            ("./b", "dynamic-plugins.yaml:1:45".to_owned())
        );
    }
}
