//! Pieces of app-config, merged and written.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

use config::{AppConfig, Fragment, Request};
use proptest::prelude::*;

const GOOD: &str = "sha512-m3HSJL1i83hdltRq0+o9czGb+8KJDKra4t/3JRlnPKcjI8PZm6XBHXx6zG4UuMXaDEZjR1wuXDre9G9zvN7AQw==";

/// The fragments of a file with these `pluginConfig` values, each a YAML text of any number of lines.
fn fragments(configs: &[&str]) -> Vec<Fragment> {
    let entry = |(number, config): (usize, &&str)| {
        let config: Vec<_> = config.lines().map(|line| format!("    {line}")).collect();
        let config = config.join("\n");
        format!("- package: oci://a.example.com/x:{number}\n  integrity: {GOOD}\n  pluginConfig:\n{config}")
    };
    let entries: Vec<_> = configs.iter().enumerate().map(entry).collect();
    let text = format!("plugins:\n{}\n", entries.join("\n"));
    let plan = config::parse(text.as_bytes()).unwrap_or_else(|problems| panic!("{}", problems.render(&text)));
    let admitted = plan.entries.into_iter().map(|entry| match entry.request {
        Request::Wanted(wanted) => wanted.admit(&plan.policy).unwrap().plugin_config,
        Request::Disabled => None,
    });
    admitted.flatten().collect()
}

fn merged(configs: &[&str]) -> AppConfig {
    let mut merged = AppConfig::default();
    for (number, fragment) in fragments(configs).into_iter().enumerate() {
        merged.merge(&format!("plugin {number}"), fragment).unwrap();
    }
    merged
}

fn written(configs: &[&str]) -> String {
    merged(configs).to_yaml()
}

fn body(yaml: &str) -> &str {
    yaml.split_once('\n').unwrap().1
}

#[test]
fn mappings_grow_together_in_the_order_of_the_file() {
    let yaml = written(&[
        "app: {title: Portal, support: {url: 'https://example.com'}}\nproxy:\n- path: /a\n",
        "dynamicPlugins: {frontend: {my.plugin: {}}}\napp: {branding: {dark: true}, title: Portal}\nproxy: [{path: /a}]\n",
    ]);
    let expected = r#"# Written by butler-plugin-installer from the plugins' `pluginConfig`. Changes made here are lost.
"app":
  "title": "Portal"
  "support":
    "url": "https://example.com"
  "branding":
    "dark": true
"proxy":
  -
    "path": "/a"
"dynamicPlugins":
  "frontend":
    "my.plugin": {}
"#;
    assert_eq!(yaml, expected);
}

#[test]
fn every_kind_of_value_is_written_so_that_all_readers_agree() {
    let config = r##"
text: [yes, no, on, "true", "1", "1.0", "", "~", "=", "<<", 2024-01-01, 1:30, 0b1, 1_000, "- a", "# b", "a: b"]
escapes: "tab\t newline\n quote\" backslash\\ nul\0 esc\e nel\N ls\L bom\uFEFF emoji😀"
block: |
  two
  lines
numbers: [0, -1, 007, 0o17, 0xff, +5, 1., .5, 1e3, 1e21, -1.5E-7, .inf, -.INF, .NaN, 123456789012345678901234567890]
words: [true, FALSE, null, ~]
empty: [{}, [], [[]], [{}]]
nested: [[1, [2]], {a: [b, {c: d}]}]
8080: port
"yes": no
"##;
    let expected = r##""text":
  - "yes"
  - "no"
  - "on"
  - "true"
  - "1"
  - "1.0"
  - ""
  - "~"
  - "="
  - "<<"
  - "2024-01-01"
  - "1:30"
  - "0b1"
  - "1_000"
  - "- a"
  - "# b"
  - "a: b"
"escapes": "tab\t newline\n quote\" backslash\\ nul\u0000 esc\u001b nel\u0085 ls\u2028 bom\ufeff emoji😀"
"block": "two\nlines\n"
"numbers":
  - 0
  - -1
  - 7
  - 15
  - 255
  - 5
  - 1.0
  - 0.5
  - 1000.0
  - 1.0e+21
  - -1.5e-7
  - .inf
  - -.inf
  - .nan
  - 123456789012345678901234567890
"words":
  - true
  - false
  - null
  - null
"empty":
  - {}
  - []
  -
    - []
  -
    - {}
"nested":
  -
    - 1
    -
      - 2
  -
    "a":
      - "b"
      -
        "c": "d"
"8080": "port"
"yes": "no"
"##;
    let yaml = written(&[config]);
    assert_eq!(body(&yaml), expected);
    assert_eq!(written(&[&yaml]), yaml, "read back");
}

#[test]
fn the_second_of_two_that_differ_is_named_with_both_places_and_nothing_changes() {
    let rows = [
        ("scalars", "app: {title: A}", "app: {title: B}", "app.title"),
        ("types", "a: 1", "a: '1'", "a"),
        ("number and float", "a: 1", "a: 1.0", "a"),
        ("lists are not joined", "a: {b: [1]}", "a: {b: [1, 2]}", "a.b"),
        ("mapping over scalar", "a: {b: 1}", "a: {b: {c: 1}}", "a.b"),
        ("scalar over mapping", "a: {b: {c: 1}}", "a: {b: 1}", "a.b"),
        ("null over mapping", "a: {b: {}}", "a: {b: ~}", "a.b"),
        ("within a list", "a: [{b: 1}]", "a: [{b: 2}]", "a"),
        ("late", "a: 1\nz: 1", "b: 1\na: 1\nz: 2", "z"),
    ];
    for (name, first, second, key) in rows {
        let mut pieces = fragments(&[first, second]).into_iter();
        let mut merged = AppConfig::default();
        merged.merge("oci://first", pieces.next().unwrap()).unwrap();
        let before = merged.to_yaml();
        let conflict = merged.merge("oci://second", pieces.next().unwrap()).unwrap_err();
        assert_eq!(conflict.key, key, "{name}");
        let (first, first_at) = conflict.first.unwrap();
        assert_eq!((first.as_str(), conflict.second.as_str()), ("oci://first", "oci://second"), "{name}");
        assert!(first_at.position < conflict.at.position, "{name}");
        assert_eq!(merged.to_yaml(), before, "{name}");
    }
}

#[test]
fn a_conflict_reads_well() {
    let mut pieces = fragments(&["app: {title: A}", "app: {title: B}"]).into_iter();
    let mut merged = AppConfig::default();
    merged.merge("oci://first", pieces.next().unwrap()).unwrap();
    let conflict = merged.merge("oci://second", pieces.next().unwrap()).unwrap_err();
    assert_eq!(
        conflict.to_string(),
        "expected `app.title` as `oci://first` sets it in line 5, found another value in line 9"
    );
    assert_eq!(conflict.hint(), "set `app.title` alike at 5:11 and 9:11, or in one of the two entries only");
    assert_eq!((conflict.reason(), conflict.blame()), ("plugin_config_conflict", integrity::Blame::Operator));
}

#[test]
fn equal_values_are_no_conflict_in_whatever_order_they_come() {
    for (first, second) in [
        ("a: [{b: 1, c: 2}]", "a: [{c: 2, b: 1}]"),
        ("a: 0x10", "a: 16"),
        ("a: text", "a: \"text\""),
        ("a: .nan", "a: .NaN"),
        ("a: {}", "a: {b: 1}"),
        ("a: ~", "a: null"),
    ] {
        merged(&[first, second]);
    }
}

#[test]
fn a_plugin_that_lost_leaves_no_owner_behind() {
    let mut pieces = fragments(&["a: 1", "a: 2\nb: 1", "b: 2", "b: 3"]).into_iter();
    let mut merged = AppConfig::default();
    let mut merge = |name: &str| merged.merge(name, pieces.next().unwrap());
    merge("first").unwrap();
    merge("second").unwrap_err();
    merge("third").unwrap();
    assert_eq!(merge("fourth").unwrap_err().first.unwrap().0, "third");
}

#[test]
fn no_plugin_config_is_an_empty_file() {
    assert!(AppConfig::default().is_empty());
    assert!(merged(&["{}"]).is_empty());
    assert_eq!(body(&AppConfig::default().to_yaml()), "{}\n");
    assert!(!merged(&["a: {}"]).is_empty());
}

fn yaml_text() -> impl Strategy<Value = String> {
    prop_oneof![any::<String>(), "[ -~]{0,20}", "[\\x00-\\x1f\u{80}-\u{a0}\u{2028}\u{feff}a: #-]{0,8}"]
}

fn json_string(text: &str) -> String {
    let escaped: Vec<_> = text.chars().map(|c| format!("\\U{:08X}", u32::from(c))).collect();
    format!("\"{}\"", escaped.concat())
}

proptest! {
    #[test]
    fn any_text_reads_back_as_itself(texts in prop::collection::vec(yaml_text(), 1..5)) {
        let list: Vec<_> = texts.iter().map(|text| json_string(text)).collect();
        let yaml = written(&[&format!("a: [{}]", list.join(", "))]);
        prop_assert_eq!(yaml.lines().count(), 2 + texts.len());
        prop_assert_eq!(&written(&[&yaml]), &yaml);
    }

    #[test]
    fn any_number_reads_back_as_itself(number in any::<f64>(), int in any::<i128>()) {
        let yaml = written(&[&format!("a: {number:e}\nb: {int}")]);
        prop_assert_eq!(&written(&[&yaml]), &yaml);
        let last = format!("\"b\": {int}");
        prop_assert_eq!(yaml.lines().last(), Some(last.as_str()));
    }
}
